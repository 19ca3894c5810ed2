"""classifier.export(): program and script of the directory give the classifier's probabilities, without textnn."""

from __future__ import annotations

import importlib.util
import json
import py_compile
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from samples import FILLERS, WORDS, make_reviews

from textnn.classifier import SentimentClassifier
from textnn.export import FORMATS, onnx, package
from textnn.models import ARCHITECTURES

pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")

# float32 in another order; the probabilities of predict_proba are made of logits in double precision.
TOLERANCE = 1e-5

HARD = [
    "",
    " ",
    "好",
    "很 好",
    "未知 的词 全部 没有 见过",
    "😀 很 差 <script>alert('x')</script> & \x00 \ud800",
    "[PAD] [UNK] 喜欢 [PAD]",
    " ".join(random.Random(1).choices([*FILLERS, "喜欢", "x"], k=3000)),
]


def make_texts(count: int, seed: int = 0) -> list[str]:
    """Return texts of 0 to 40 words."""
    source = random.Random(seed)
    words = [*FILLERS, *(word for words in WORDS.values() for word in words), "新词", "😀"]
    return [" ".join(source.choices(words, k=source.choice([0, 1, 2, 3, 8, 40]))) for _ in range(count)]


def load_script(directory: Path, **arguments: Any) -> Any:
    """Return the classifier of an export's predict.py."""
    spec = importlib.util.spec_from_file_location("predict", directory / "predict.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Classifier(directory, **arguments)


def fit(make: Callable[..., SentimentClassifier], name: str) -> SentimentClassifier:
    """Return a small classifier of an architecture, or of a variation of one."""
    texts, labels = make_reviews(200, 3)
    rows = [int(label == "good") for label in labels]
    several = [
        [label, "long"] if len(text) > 14 else [] if label == "bad" else [label]
        for text, label in zip(texts, labels, strict=True)
    ]
    if name == "wide ensemble":
        return make("wide-textcnn", ensemble=3, word_ngrams=(1, 3)).fit(texts, labels)
    if name == "wide without n-grams":
        return make("wide-textcnn", ensemble=2, word_ngrams=(), character_ngrams=()).fit(texts, labels)
    if name == "ensemble":
        return make("bilstm", ensemble=2, num_layers=2).fit(texts, labels)
    if name == "sigmoid":
        return make("textcnn", output="sigmoid", kernel_sizes=(2, 5)).fit(texts, rows)
    if name == "several labels":
        return make("wide-textcnn", ensemble=2, threshold="auto", calibrate=True).fit(texts, several)
    if name == "characters":
        return make("textcnn", tokenizer="char", stop_words=["的", "了"], max_length=12).fit(texts, labels)
    if name == "jieba":
        return make("lstm", tokenizer="rjieba", user_dictionary=["价格书 5", "房间很"]).fit(texts, labels)
    return make(name).fit(texts, labels)


CASES = [
    *ARCHITECTURES,
    "wide ensemble",
    "wide without n-grams",
    "ensemble",
    "sigmoid",
    "several labels",
    "characters",
    "jieba",
]


@pytest.fixture(scope="module", params=CASES)
def classifier(
    request: pytest.FixtureRequest, make_classifier: Callable[..., SentimentClassifier]
) -> SentimentClassifier:
    """A small fitted classifier of each kind; with a temperature other than 1."""
    fitted = fit(make_classifier, request.param)
    fitted.temperature_ = 0.8
    return fitted


@pytest.fixture(scope="module")
def exported(classifier: SentimentClassifier, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The classifier, exported in each format."""
    directory = tmp_path_factory.mktemp("exported")
    for name in FORMATS:
        classifier.export(name, directory / name)
    return {name: directory / name for name in FORMATS}


@pytest.mark.parametrize("name", FORMATS)
def test_an_export_has_the_classifiers_probabilities_and_labels(
    classifier: SentimentClassifier, exported: dict[str, Path], name: str
) -> None:
    other = load_script(exported[name])
    for count in (1, 2, 33):
        texts = make_texts(count, count)
        np.testing.assert_allclose(other.predict_proba(texts), classifier.predict_proba(texts), atol=TOLERANCE, rtol=0)
    np.testing.assert_allclose(other.predict_proba(HARD), classifier.predict_proba(HARD), atol=TOLERANCE, rtol=0)
    for text in HARD:
        # Alone: no longer text makes room for windows of the kernels.
        found, expected = other.predict_proba([text]), classifier.predict_proba([text])
        np.testing.assert_allclose(found, expected, atol=TOLERANCE, rtol=0, err_msg=repr(text[:40]))
    labels = [
        _plain(label) if text.strip() else None for text, label in zip(HARD, classifier.predict(HARD), strict=True)
    ]
    assert other.predict(HARD) == labels


def test_what_stands_in_the_padding_does_not_count(exported: dict[str, Path]) -> None:
    session = onnxruntime.InferenceSession(str(exported["onnx"] / "model.onnx"))
    names = [one.name for one in session.get_inputs()]
    ids, lengths = np.random.default_rng(0).integers(2, 9, (4, 7)), np.array([7, 1, 2, 4])
    outside = np.arange(7) >= lengths[:, None]
    results = []
    for filling, more in ((0, 0), (3, 0), (0, 9), (5, 25)):
        padded = np.pad(np.where(outside, filling, ids), ((0, 0), (0, more)), constant_values=filling)
        results.append(session.run(["logits"], dict(zip(names, [padded, lengths] * (len(names) // 2), strict=True)))[0])
    for result in results[1:]:
        np.testing.assert_allclose(result, results[0], atol=TOLERANCE, rtol=0)


def test_a_length_of_0_stands_for_a_text_without_a_token(
    classifier: SentimentClassifier, exported: dict[str, Path]
) -> None:
    session = onnxruntime.InferenceSession(str(exported["onnx"] / "model.onnx"))
    names = [one.name for one in session.get_inputs()]
    arrays = [np.zeros((1, 3), np.int64), np.zeros(1, np.int64)] * (len(names) // 2)
    found = session.run(["probabilities"], dict(zip(names, arrays, strict=True)))[0]
    np.testing.assert_allclose(found, classifier.predict_proba([""]), atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("name", FORMATS)
def test_an_export_needs_no_textnn(fitted: SentimentClassifier, tmp_path: Path, name: str) -> None:
    fitted.export(name, tmp_path / "exported")
    code = "import runpy, sys; sys.modules['textnn'] = None; runpy.run_path(sys.argv[0], run_name='__main__')"
    script = str(tmp_path / "exported" / "predict.py")
    arguments = [sys.executable, "-c", f"import sys; sys.argv = {[script, '很 好', '很 差']}; {code}"]
    done = subprocess.run(arguments, capture_output=True, text=True, encoding="utf-8", check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    texts = ["很 好", "很 差"]
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [label for label, _ in rows] == fitted.predict(texts).tolist()
    expected = fitted.predict_proba(texts).max(axis=1)
    np.testing.assert_allclose([float(share) for _, share in rows], expected, atol=2 * TOLERANCE, rtol=0)


def run_script(directory: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(directory / "predict.py"), *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, encoding="utf-8", check=False)


def test_the_script_reads_arguments_or_lines(fitted: SentimentClassifier, tmp_path: Path) -> None:
    fitted.export("onnx", tmp_path / "exported")
    usage = run_script(tmp_path / "exported", "--help")
    assert (usage.returncode, usage.stdout.startswith("usage: predict.py [-h] [TEXT ...]")) == (0, True)
    given = run_script(tmp_path / "exported", "很 好", "", "很 差")
    piped = run_script(tmp_path / "exported", stdin="\ufeff很 好\r\n \n很 差")
    assert (given.returncode, piped.returncode) == (0, 0)
    assert given.stdout == piped.stdout
    good, blank, bad = given.stdout.splitlines()
    assert [good.split("\t")[0], bad.split("\t")[0]] == fitted.predict(["很 好", "很 差"]).tolist()
    assert blank == "\t"


def test_the_script_joins_several_labels(make_classifier: Callable[..., SentimentClassifier], tmp_path: Path) -> None:
    classifier = fit(make_classifier, "several labels")
    classifier.thresholds_[:] = 0.0001
    classifier.export("torch", tmp_path / "exported")
    labels, shares = run_script(tmp_path / "exported", "很 好").stdout.rstrip("\n").split("\t")
    assert labels.split("|") == classifier.classes_.tolist()
    expected = classifier.predict_proba(["很 好"])[0]
    np.testing.assert_allclose([float(share) for share in shares.split("|")], expected, atol=2 * TOLERANCE, rtol=0)
    readme = (tmp_path / "exported" / "README.md").read_text(encoding="utf-8")
    assert "their probabilities with `|` between them" in readme
    assert "`predict` gives None for it" in readme


def test_the_script_says_nothing_of_its_own(
    make_classifier: Callable[..., SentimentClassifier], tmp_path: Path
) -> None:
    fit(make_classifier, "jieba").export("torch", tmp_path / "exported")
    done = run_script(tmp_path / "exported", "房间很好")
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)


def test_texts_of_a_wrong_type_are_refused(fitted: SentimentClassifier, tmp_path: Path) -> None:
    fitted.export("onnx", tmp_path / "exported")
    exported = load_script(tmp_path / "exported")
    for method in (exported.predict, exported.predict_proba):
        with pytest.raises(TypeError, match=r"texts: expected a list of strings, got one string; write \[text\]"):
            method("很 好")
        with pytest.raises(TypeError, match=r"texts\[1\]: expected a string, got NoneType None"):
            method(["很 好", None])


def test_the_directory_says_how_its_input_is_made(
    make_classifier: Callable[..., SentimentClassifier], tmp_path: Path
) -> None:
    classifier = make_classifier("wide-textcnn", stop_words=["的"], max_length=30).fit(*make_reviews(200))
    classifier.export("onnx", tmp_path / "exported")
    names = {file.name for file in (tmp_path / "exported").iterdir()}
    files = {"model.onnx", "vocabulary.txt", "characters.txt", "labels.json", "preprocessing.json", "README.md"}
    assert names == files | {"predict.py"}
    settings = json.loads((tmp_path / "exported" / "preprocessing.json").read_text())
    assert settings["tokenizer"] == {"kind": "whitespace", "stop_words": ["的"], "user_dictionary": []}
    assert [(form["name"], form["max_length"]) for form in settings["forms"]] == [("words", 30), ("characters", 2048)]
    assert settings["ngrams"] == {"buckets": 1024, "words": [1, 2], "characters": [2, 3, 4]}
    assert settings["program"] == {"file": "model.onnx", "opset": 18}
    assert settings["inputs"][3] == {"name": "character_lengths", "dtype": "int64", "shape": ["batch"]}
    session = onnxruntime.InferenceSession(str(tmp_path / "exported" / "model.onnx"))
    for kind, tensors in (("inputs", session.get_inputs()), ("outputs", session.get_outputs())):
        assert [(one["name"], one["shape"]) for one in settings[kind]] == [(one.name, one.shape) for one in tensors]


def test_labels_of_all_kinds_come_through(make_classifier: Callable[..., SentimentClassifier], tmp_path: Path) -> None:
    texts, names = make_reviews(120, 3)
    labels = [{"good": ("a", 1), "bad": 0, "mixed": "<script>"}[name] for name in names]
    classifier = make_classifier().fit(texts, labels)
    classifier.export("onnx", tmp_path / "exported")
    exported = load_script(tmp_path / "exported")
    assert [_plain(label) for label in classifier.classes_.tolist()] == exported.labels


def test_a_label_that_json_cannot_hold_is_refused_before_anything_is_written(
    make_classifier: Callable[..., SentimentClassifier], tmp_path: Path
) -> None:
    texts, names = make_reviews(60)
    classifier = make_classifier().fit(texts, [frozenset([name]) for name in names])
    with pytest.raises(ValueError, match=r"labels: .*frozenset"):
        classifier.export("torch", tmp_path / "exported")
    assert list(tmp_path.iterdir()) == []


def test_a_tokenizer_that_is_a_function_is_the_consumers_to_give(
    make_classifier: Callable[..., SentimentClassifier], tmp_path: Path
) -> None:
    def pairs(text: str) -> list[str]:
        return [text[start : start + 2] for start in range(0, len(text), 2)]

    classifier = make_classifier(tokenizer=pairs).fit(*make_reviews(100))
    classifier.export("torch", tmp_path / "exported")
    with pytest.raises(ValueError, match=r"tokenize: .*pairs.* is yours to give"):
        load_script(tmp_path / "exported")
    exported = load_script(tmp_path / "exported", tokenize=pairs)
    np.testing.assert_allclose(exported.predict_proba(HARD), classifier.predict_proba(HARD), atol=TOLERANCE, rtol=0)
    assert "is not exported: give it yourself" in (tmp_path / "exported" / "README.md").read_text()
    assert "tokenize=function" in json.loads((tmp_path / "exported" / "preprocessing.json").read_text())["note"]


def test_weights_beyond_what_one_file_holds_stand_beside_it(
    fitted: SentimentClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx, "LARGEST", 0)
    fitted.export("onnx", tmp_path / "exported")
    assert (tmp_path / "exported" / "model.onnx.data").stat().st_size > (
        tmp_path / "exported" / "model.onnx"
    ).stat().st_size / 100
    found = load_script(tmp_path / "exported").predict_proba(HARD)
    np.testing.assert_allclose(found, fitted.predict_proba(HARD), atol=TOLERANCE, rtol=0)
    monkeypatch.undo()
    fitted.export("onnx", tmp_path / "exported")
    assert not (tmp_path / "exported" / "model.onnx.data").exists()


def test_the_classifier_stays_as_it_is(fitted: SentimentClassifier, tmp_path: Path) -> None:
    before = {name: tensor.clone() for name, tensor in fitted.model_.state_dict().items()}
    kinds = [type(part) for part in fitted.model_.modules()]
    fitted.export("torch", tmp_path / "exported")
    assert [type(part) for part in fitted.model_.modules()] == kinds
    assert all(torch.equal(before[name], tensor) for name, tensor in fitted.model_.state_dict().items())
    assert all(parameter.requires_grad for parameter in fitted.model_.parameters())


@pytest.mark.parametrize(
    ("wrong", "hint"), [("onxx", "; did you mean 'onnx'"), ("ONNX", "; did you mean 'onnx'"), (None, "None")]
)
def test_another_format_is_refused(fitted: SentimentClassifier, tmp_path: Path, wrong: Any, hint: str) -> None:
    with pytest.raises(ValueError, match=rf"format: expected one of 'onnx', 'torch', got .*{hint}"):
        fitted.export(wrong, tmp_path / "exported")


def test_what_is_no_export_is_not_replaced(fitted: SentimentClassifier, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "directory").mkdir()
    (tmp_path / "directory" / "mine.txt").write_text("mine")
    fitted.save(tmp_path / "model")
    for path, message in (
        ("file", "got the file"),
        ("directory", "got others"),
        ("model", "got others"),
        ("model.onnx", "expected a directory, in which"),
    ):
        with pytest.raises(ValueError, match=f"path: .*{message}"):
            fitted.export("torch", tmp_path / path)
    assert (tmp_path / "file").read_text() == (tmp_path / "directory" / "mine.txt").read_text() == "mine"


def test_an_earlier_export_is_replaced_but_not_with_files_of_others(
    fitted: SentimentClassifier, tmp_path: Path
) -> None:
    target = tmp_path / "exported"
    fitted.export("torch", target)
    fitted.export("onnx", target)
    assert not (target / "model.pt2").exists()
    (target / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"path: .*mine\.txt, which textnn did not write"):
        fitted.export("onnx", target)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["exported"]


def test_bytecode_of_the_script_is_replaced_with_it_but_nothing_that_comes_meanwhile(
    fitted: SentimentClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "exported"
    fitted.export("torch", target)
    py_compile.compile(str(target / "predict.py"))
    fitted.export("torch", target)
    assert [path.name for path in tmp_path.iterdir()] == ["exported"]
    write = package._write

    def slow(*arguments: Any) -> None:
        write(*arguments)
        (target / "mine.txt").write_text("mine")

    monkeypatch.setattr(package, "_write", slow)
    with pytest.warns(UserWarning, match=r"exported: what was there before is kept as .*exported\.replaced-"):
        fitted.export("torch", target)
    assert [path.read_text() for path in tmp_path.rglob("mine.txt")] == ["mine"]
    assert not (target / "mine.txt").exists()
    (target / "__pycache__").mkdir()
    (target / "__pycache__" / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"path: .*__pycache__, which textnn did not write"):
        fitted.export("torch", target)


def test_an_export_that_fails_leaves_the_earlier_one(
    fitted: SentimentClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted.export("torch", tmp_path / "exported")

    def fail(*_: Any, **__: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("textnn.export.package.write_readme", fail)
    with pytest.raises(OSError, match="no space left"):
        fitted.export("torch", tmp_path / "exported")
    assert [file.name for file in tmp_path.iterdir()] == ["exported"]
    assert (tmp_path / "exported" / "README.md").exists()


def test_missing_packages_are_named(
    fitted: SentimentClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnxscript" else find(name))
    with pytest.raises(ImportError, match=r"needs onnxscript: pip install 'textnn\[export\]'"):
        fitted.export("onnx", tmp_path / "exported")
    assert list(tmp_path.iterdir()) == []


def test_an_architecture_of_the_users_is_refused(fitted: SentimentClassifier, tmp_path: Path) -> None:
    import copy

    class Own(type(fitted.model_)):  # type: ignore[misc]
        name = "own"

    other = copy.copy(fitted)
    other.model_ = copy.deepcopy(fitted.model_)
    other.model_.__class__ = Own
    with pytest.raises(ValueError, match=r"only the architectures .*'textcnn'.* can be exported, got 'own'"):
        other.export("torch", tmp_path / "exported")


def _plain(label: Any) -> Any:
    """Return a label as labels.json has it."""
    return {"tuple": list(label)} if isinstance(label, tuple) else label


def test_the_code_of_the_documentation_runs(
    fitted: SentimentClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "export.md").read_text(encoding="utf-8")
    blocks = [block.partition("```")[0] for block in page.split("```python\n")[1:]]
    fitted.export("onnx", tmp_path / "exported")
    monkeypatch.chdir(tmp_path / "exported")
    monkeypatch.syspath_prepend(str(tmp_path / "exported"))
    exec(blocks[1], {})
    assert capsys.readouterr().out.startswith(str([*fitted.predict(["很 好"]).tolist(), None]))
    names: dict[str, Any] = {}
    exec(blocks[2], names)
    assert names["probabilities"].shape == (3, 2)
    sys.modules.pop("predict", None)
