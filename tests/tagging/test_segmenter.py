"""A segmenter as the tokenizer of a classifier: its words, and classifiers that carry it with them."""

from __future__ import annotations

import json
import pickle
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from exported_taggers import SMALL, make_segmented, make_tagged, shake
from sklearn.base import clone
from typer.testing import CliRunner

from _textnn_cli import app
from textnn import SentimentClassifier, SequenceTagger
from textnn.bundle import BundleError
from textnn.tagging import Segmenter
from textnn.text import make_tokenizer, split_in_processes
from textnn.text.encoding import tokenize

TEXTS = ["今天我在北京", "很好 很好\n李小明去上海。", "", "张三看见王五，很好", " \t"] * 3
REVIEWS = [f"{name}{filler}" for name in ("今天很好", "我去上海", "张三工作") for filler in ("。", "，很好", "x7")] * 4
INSIDE = ("model.safetensors", "config.json", "tags.json", "vocabulary.txt", "words.txt")
LABELS = ["good" if "好" in review else "bad" for review in REVIEWS]


@pytest.fixture(scope="module")
def tagger() -> SequenceTagger:
    options = {**SMALL, "embedding_dim": 12, "hidden_size": 8}
    return SequenceTagger("bilstm-crf", **options).fit_words(make_segmented(150))


@pytest.fixture(scope="module")
def saved(tagger: SequenceTagger, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("segmenter") / "model"
    tagger.save(path)
    return path


def make(tokenizer: Any, **parameters: Any) -> SentimentClassifier:
    options = {"random_state": 0, "verbose": 0, "epochs": 2, "embedding_dim": 8, "channels": 4, **parameters}
    return SentimentClassifier("textcnn", tokenizer=tokenizer, **options)


@pytest.fixture(scope="module")
def classifier(saved: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[SentimentClassifier, Path]:
    """A classifier that was trained with a segmenter, and its directory; the segmenter's own one is gone."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    shutil.copytree(saved, elsewhere / "segmenter")
    fitted = make(str(elsewhere / "segmenter"), user_dictionary=["好x"], stop_words=["。"]).fit(REVIEWS, LABELS)
    fitted.save(elsewhere / "classifier")
    shutil.rmtree(elsewhere / "segmenter")
    return fitted, elsewhere / "classifier"


@pytest.mark.parametrize("as_path", [str, Path])
def test_its_tokens_are_the_words_of_the_tagger(as_path: Callable[[Path], Any], tagger: Any, saved: Path) -> None:
    tokenizer = make_tokenizer(as_path(saved))
    expected = [tagger.cut(text) for text in TEXTS]
    assert any(len(word) > 1 for words in expected for word in words)
    assert [tokenizer(text) for text in TEXTS] == expected
    assert tokenizer.split_many(TEXTS) == expected
    assert list(tokenize(iter(TEXTS), tokenizer)) == expected
    assert split_in_processes(tokenizer, TEXTS * 60, 2) == expected * 60


def test_many_texts_are_cut_at_once(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer, calls, done = make_tokenizer(saved), list[int](), list[int]()
    many = type(tokenizer).split_many
    monkeypatch.setattr(Segmenter, "split_many", lambda self, texts: calls.append(len(texts)) or many(self, texts))
    assert len(list(tokenize(TEXTS * 100, tokenizer, done.append))) == 1500
    assert (calls, sum(done)) == ([1024, 476], 1500)
    with pytest.raises(TypeError, match=r"texts\[1200\]: expected a string, got int"):
        list(tokenize([*TEXTS * 80, 3], tokenizer))  # type: ignore[list-item]


def test_words_of_the_dictionary_are_cut_out_and_stop_words_left_out(tagger: Any, saved: Path, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("天我在 3 n\n\n看见王\n", encoding="utf-8")
    tokenizer = make_tokenizer(str(saved), tmp_path / "words.txt", ["我"])
    assert tokenizer.user_dictionary == ["天我在 3 n", "看见王"]
    words = [tagger.cut(text, dictionary=["天我在", "看见王"]) for text in TEXTS]
    assert {"天我在", "看见王"} <= {word for each in words for word in each}
    assert tokenizer.split_many(TEXTS) == [[word for word in each if word != "我"] for each in words]


def test_what_is_no_segmenter_is_refused(tagger: Any, saved: Path, tmp_path: Path) -> None:
    SequenceTagger("ngram-crf", **SMALL).fit(*make_tagged(20, words=False)).save(tmp_path / "tagger")
    with pytest.raises(ValueError, match="tokenizer: this model does not cut text into words"):
        make_tokenizer(str(tmp_path / "tagger"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(BundleError, match=r"empty/config\.json: the file is missing"):
        make_tokenizer(str(tmp_path / "empty"))
    with pytest.raises(BundleError, match="nowhere: expected the directory of a textnn model, got nothing"):
        make_tokenizer(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="the directory of a saved segmenter or a function, got 'nowhere'"):
        make_tokenizer("nowhere")
    with pytest.raises(TypeError, match="model: expected a fitted SequenceTagger or a path, got SequenceTagger"):
        Segmenter(SequenceTagger())
    with pytest.raises(ValueError, match="user_dictionary: expected lines 'word'"):
        make_tokenizer(str(saved), ["a b c d"])
    with pytest.raises(ValueError, match="user_dictionary: expected None beside a Segmenter"):
        make_tokenizer(Segmenter(tagger), ["a"])


def test_its_configuration_tells_one_from_another(tagger: Any, saved: Path) -> None:
    own = Segmenter(tagger)
    assert own.config() == make_tokenizer(saved, ["词"]).config() == pickle.loads(pickle.dumps(own)).config()
    assert own.config().keys() == {"kind", "model"}
    other = shake(SequenceTagger.load(saved))
    assert Segmenter(other).config() != own.config()


def test_a_saved_classifier_has_its_segmenter_in_it(classifier: Any) -> None:
    fitted, path = classifier
    names = {file.name for file in path.iterdir()}
    inside = {f"tokenizer-{name}" for name in INSIDE}
    assert names - inside == {
        *("model.safetensors", "config.json", "labels.json", "vocabulary.txt", "README.md"),
        *("user_dictionary.txt", "stop_words.txt"),
    }
    config = (path / "config.json").read_text(encoding="utf-8")
    assert inside <= json.loads(config)["files"].keys()
    assert "elsewhere" not in config, "a path of the machine"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = SentimentClassifier.load(path)
    assert loaded.tokenizer is loaded.tokenizer_
    assert (loaded.tokenizer_.user_dictionary, loaded.tokenizer_.stop_words) == (["好x"], ["。"])
    assert loaded.tokenizer_.config() == fitted.tokenizer_.config()
    texts = [*TEXTS, *REVIEWS]
    assert loaded.tokenizer_.split_many(texts) == fitted.tokenizer_.split_many(texts)
    np.testing.assert_array_equal(loaded.predict_proba(texts), fitted.predict_proba(texts))


def test_a_loaded_classifier_is_saved_fitted_and_cloned_again(classifier: Any, tmp_path: Path) -> None:
    fitted, path = classifier
    loaded = SentimentClassifier.load(path)
    loaded.save(tmp_path / "again")
    again = SentimentClassifier.load(tmp_path / "again")
    np.testing.assert_array_equal(again.predict_proba(REVIEWS), fitted.predict_proba(REVIEWS))
    for refitted in (clone(loaded), pickle.loads(pickle.dumps(loaded))):
        refitted.set_params(random_state=0, verbose=0).fit(REVIEWS, LABELS)
        assert refitted.tokenizer_.config() == fitted.tokenizer_.config()
        np.testing.assert_allclose(refitted.predict_proba(REVIEWS), fitted.predict_proba(REVIEWS), atol=1e-6)


def test_another_tokenizer_takes_its_place(classifier: Any, saved: Path, tmp_path: Path) -> None:
    _, path = classifier
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same = SentimentClassifier.load(path, tokenizer=saved)
    assert (same.tokenizer_.user_dictionary, same.tokenizer_.stop_words) == (["好x"], ["。"])
    with pytest.warns(UserWarning, match=r"the tokenizer 'segmenter' \(model=[0-9a-f]{16}\), now used with"):
        jieba = SentimentClassifier.load(path, tokenizer="jieba")
    jieba.save(tmp_path / "jieba")
    assert not [file.name for file in (tmp_path / "jieba").iterdir() if file.name.startswith("tokenizer-")]
    assert SentimentClassifier.load(tmp_path / "jieba").tokenizer_.name == "jieba"
    with pytest.warns(UserWarning, match=r"'jieba' .*, now used with 'segmenter' \(model="):
        back = SentimentClassifier.load(tmp_path / "jieba", tokenizer=str(saved))
    assert back.tokenizer_.name == "segmenter"


@pytest.mark.parametrize("name", [f"tokenizer-{name}" for name in INSIDE])
def test_damage_is_found(name: str, classifier: Any, tmp_path: Path) -> None:
    path = tmp_path / "model"
    shutil.copytree(classifier[1], path)
    data = bytearray((path / name).read_bytes())
    data[-2] ^= 1
    (path / name).write_bytes(data)
    with pytest.raises(BundleError, match=f"{name}: expected other content .*; the file is damaged or was changed"):
        SentimentClassifier.load(path)
    (path / name).write_bytes(data + b"\n")
    with pytest.raises(BundleError, match=rf"{name}: expected \d+ bytes, got \d+; the file is damaged or was changed"):
        SentimentClassifier.load(path)
    (path / name).unlink()
    with pytest.raises(BundleError, match=f"{name}: the file is missing; the model is not complete"):
        SentimentClassifier.load(path)


def test_files_of_another_segmenter_are_refused(classifier: Any, saved: Path, tmp_path: Path) -> None:
    path = tmp_path / "model"
    shutil.copytree(classifier[1], path)
    shake(SequenceTagger.load(saved)).save(tmp_path / "other")
    for file in (tmp_path / "other").iterdir():
        if file.name != "README.md":
            shutil.copy(file, path / f"tokenizer-{file.name}")
    with pytest.raises(BundleError, match=r"tokenizer-config.json: expected"):
        SentimentClassifier.load(path)


def test_a_sum_that_its_own_configuration_does_not_share_is_refused(classifier: Any, tmp_path: Path) -> None:
    from textnn.bundle.config import seal

    path = tmp_path / "model"
    shutil.copytree(classifier[1], path)
    config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    config["files"]["tokenizer-vocabulary.txt"]["sha256"] = "0" * 64
    (path / "config.json").write_text(json.dumps(seal(config)), encoding="utf-8")
    with pytest.raises(BundleError, match=r"tokenizer-vocabulary.txt: expected other content"):
        SentimentClassifier.load(path)
    del config["files"]["tokenizer-tags.json"]
    (path / "config.json").write_text(json.dumps(seal(config)), encoding="utf-8")
    with pytest.raises(BundleError, match=r"expected its files in 'files', got no tokenizer-tags.json"):
        SentimentClassifier.load(path)


def test_the_command_line_trains_predicts_and_explains_with_it(saved: Path, tmp_path: Path) -> None:
    rows = "".join(f"{label}\t{review}\n" for review, label in zip(REVIEWS, LABELS, strict=True))
    (tmp_path / "reviews.tsv").write_text(f"label\ttext\n{rows}", encoding="utf-8")
    (tmp_path / "words.txt").write_text("好x\n", encoding="utf-8")

    def run(*arguments: Any) -> str:
        done = CliRunner().invoke(app, [str(argument) for argument in arguments], terminal_width=200)
        assert done.exit_code == 0, done.output
        return done.output

    output = run(
        *("train", tmp_path / "reviews.tsv", "-o", tmp_path / "model", "--architecture", "textcnn", "--epochs", 1),
        *("--tokenizer", saved, "--user-dictionary", tmp_path / "words.txt", "--seed", 0),
    )
    assert "tokenizer: segmenter" in output
    (tmp_path / "texts.txt").write_text("今天很好x\n", encoding="utf-8")
    assert run("predict", tmp_path / "model", tmp_path / "texts.txt").split()[-1]
    assert "好x" in run("explain", tmp_path / "model", "--text", "今天很好x7")


def test_the_server_answers_with_it(classifier: Any) -> None:
    pytest.importorskip("fastapi")
    testclient = pytest.importorskip("fastapi.testclient")
    from textnn.serving import create_app

    fitted, path = classifier
    with testclient.TestClient(create_app(SentimentClassifier.load(path))) as client:
        answer = client.post("/predict", json={"texts": REVIEWS[:3]})
        assert answer.status_code == 200, answer.text
        found = [one["label"] for one in answer.json()["predictions"]]
    assert found == fitted.predict(REVIEWS[:3]).tolist()


def test_a_classifier_trained_with_one_is_exported_without_it(classifier: Any, tagger: Any, tmp_path: Path) -> None:
    from exported_taggers import load_script

    fitted, _ = classifier
    fitted.export("torch", tmp_path / "classifier")
    tagger.export("torch", tmp_path / "segmenter")
    words = load_script(tmp_path / "segmenter").Tagger(tmp_path / "segmenter")
    other = load_script(tmp_path / "classifier")
    with pytest.raises(ValueError, match="which is yours to give"):
        other.Classifier(tmp_path / "classifier")
    made = other.Classifier(tmp_path / "classifier", tokenize=words.cut)
    texts = ["今天我在北京", "我去上海。"]  # without words of the dictionary
    np.testing.assert_allclose(made.predict_proba(texts), fitted.predict_proba(texts), atol=1e-5)


def test_old_models_load_as_before(classifier: Any, tmp_path: Path) -> None:
    make("whitespace").fit(REVIEWS, LABELS).save(tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text(encoding="utf-8"))
    assert not [name for name in config["files"] if name.startswith("tokenizer-")]
    assert SentimentClassifier.load(tmp_path / "model").tokenizer == "whitespace"


def test_it_works_whatever_torch_is_set_to(tagger: Any, saved: Path) -> None:
    expected = Segmenter(tagger).split_many(TEXTS)
    before = torch.get_default_dtype()
    try:
        torch.set_default_dtype(torch.float64)
        assert make_tokenizer(saved).split_many(TEXTS) == expected
    finally:
        torch.set_default_dtype(before)
