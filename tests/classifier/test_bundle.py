"""Saved models: the same predictions to the bit, everything fitted, and no half-written directory."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
import torch
from samples import make_reviews
from saved_models import FILES

from textnn import SentimentClassifier, files
from textnn.bundle import BundleError
from textnn.bundle import directory as shared
from textnn.bundle import model as parts
from textnn.classification.bundle import check_target, read_card
from textnn.classification.bundle import directory as bundle
from textnn.models import ARCHITECTURES

load = SentimentClassifier.load
save = SentimentClassifier.save


def texts() -> list[str]:
    return [*make_reviews(50, seed=7)[0], "", "全 是 生词", "很 " * 700]


@pytest.mark.parametrize("name", list(ARCHITECTURES))
def test_a_loaded_model_predicts_the_same_to_the_bit(
    name: str, make_classifier: Any, reviews: Any, tmp_path: Path
) -> None:
    classifier = make_classifier(name).fit(*reviews)
    classifier.save(tmp_path / "model")
    loaded = SentimentClassifier.load(tmp_path / "model")
    assert (loaded.predict_proba(texts()) == classifier.predict_proba(texts())).all(), name
    assert loaded.predict(texts()).tolist() == classifier.predict(texts()).tolist(), name
    assert all(parameter.device.type == "cpu" for parameter in loaded.model_.parameters()), name
    assert not loaded.model_.training, name


def test_the_directory_holds_plain_files_only(model: Path) -> None:
    assert {path.name for path in model.iterdir()} == FILES
    assert [path.name for path in model.parent.iterdir()] == ["model"]
    for path in model.iterdir():
        if path.suffix != ".safetensors":
            path.read_text(encoding="utf-8")
        assert not path.read_bytes().startswith(b"\x80"), f"{path.name} looks like a pickle"
    # As any new file and directory would be, not for the owner alone.
    (model.parent / "new").mkdir()
    assert stat.S_IMODE(model.stat().st_mode) == stat.S_IMODE((model.parent / "new").stat().st_mode)


def test_everything_fitted_comes_back(fitted: SentimentClassifier, model: Path) -> None:
    loaded = load(model)
    for name in ("seed_", "n_texts_", "best_epoch_", "history_", "options_"):
        assert getattr(loaded, name) == getattr(fitted, name), name
    assert loaded.vocabulary_ == fitted.vocabulary_
    assert loaded.validation_report_ is not None
    assert fitted.validation_report_ is not None
    assert loaded.validation_report_.confusion.tolist() == fitted.validation_report_.confusion.tolist()
    own = {"random_state", "verbose"}
    expected = {name: value for name, value in fitted.get_params().items() if name not in own}
    assert {name: value for name, value in loaded.get_params().items() if name not in own} == expected


def test_a_loaded_classifier_can_be_fitted_and_saved_again(model: Path, reviews: Any, tmp_path: Path) -> None:
    loaded = load(model).set_params(verbose=0, epochs=1)
    loaded.fit(*reviews).save(tmp_path / "again")
    assert (load(tmp_path / "again").predict_proba(texts()) == loaded.predict_proba(texts())).all()


@pytest.mark.parametrize("names", [("neg", "pos"), (0, 1), (False, True), (0.5, 1.5), (("a", 1), ("b", 2)), (1, "1")])
def test_labels_keep_their_type(names: tuple, make_classifier: Any, reviews: Any, tmp_path: Path) -> None:
    labels = [names[label == "good"] for label in reviews[1]]
    make_classifier().fit(reviews[0], labels).save(tmp_path / "model")
    loaded = load(tmp_path / "model").classes_.tolist()
    assert loaded == list(names)
    assert [type(label) for label in loaded] == [type(name) for name in names]


def test_dictionary_and_stop_words_travel_with_the_model(make_classifier: Any, tmp_path: Path) -> None:
    words, stop = tmp_path / "words.txt", tmp_path / "stop.txt"
    words.write_text("物流很好 10\n", encoding="utf-8")
    stop.write_text("的\n", encoding="utf-8")
    classifier = make_classifier(tokenizer="jieba", user_dictionary=words, stop_words=stop)
    classifier.fit(["物流很好的", "真的很差"] * 5, [1, 0] * 5).save(tmp_path / "model")
    words.unlink()
    stop.unlink()
    loaded = load(tmp_path / "model")
    assert loaded.tokenizer_("物流很好的") == ["物流很好"]
    assert (loaded.predict_proba(["物流很好的"]) == classifier.predict_proba(["物流很好的"])).all()
    assert (loaded.user_dictionary, loaded.stop_words) == (["物流很好 10"], ["的"])


def test_the_card_tells_what_the_model_is(fitted: SentimentClassifier, tmp_path: Path) -> None:
    report = fitted.evaluate(*make_reviews(40, seed=3))
    fitted.save(tmp_path / "model", report)
    card = read_card(tmp_path / "model")
    for expected in (
        "`bad`, `good`",
        "`textcnn`",
        f"Trained on {fitted.n_texts_} texts",
        "had no part in the training",
        report.summary(),
        "validation",
    ):
        assert expected in card, expected
    (tmp_path / "model" / "README.md").write_text("by hand \x1b[31m\n", encoding="utf-8")
    assert read_card(tmp_path / "model") == "by hand \\x1b[31m\n"
    load(tmp_path / "model")


def test_loading_leaves_the_global_generator_alone(model: Path) -> None:
    before = torch.random.get_rng_state()
    load(model)
    assert torch.equal(torch.random.get_rng_state(), before)


# writing


def test_an_older_model_is_replaced(
    fitted: SentimentClassifier, model: Path, make_classifier: Any, reviews: Any
) -> None:
    other = make_classifier("lstm").fit(*reviews)
    other.save(model)
    assert (load(model).predict_proba(texts()) == other.predict_proba(texts())).all()
    assert [path.name for path in model.parent.iterdir()] == ["model"]


def test_an_older_model_is_replaced_also_where_names_cannot_be_swapped(
    model: Path, make_classifier: Any, reviews: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_swap", lambda one, other: False)
    other = make_classifier("lstm").fit(*reviews)
    other.save(model)
    assert (load(model).predict_proba(texts()) == other.predict_proba(texts())).all()
    assert [path.name for path in model.parent.iterdir()] == ["model"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", ["file_sum", "sync_directory", "exchange"])
def test_an_interrupted_save_leaves_the_older_model(
    error: BaseException, step: str, fitted: SentimentClassifier, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path.name: path.read_bytes() for path in model.iterdir()}

    def fail(*_: object) -> None:
        raise error

    module = {"file_sum": parts, "sync_directory": shared, "exchange": files}[step]
    monkeypatch.setattr(module, step, fail)
    expected = BundleError if isinstance(error, OSError) else KeyboardInterrupt
    message = "model: cannot be written: No space left" if isinstance(error, OSError) else None
    with pytest.raises(expected, match=message):
        save(fitted, model)
    assert {path.name: path.read_bytes() for path in model.iterdir()} == before
    assert [path.name for path in model.parent.iterdir()] == ["model"]


def test_parents_are_made_links_followed_and_empty_directories_used(
    fitted: SentimentClassifier, model: Path, tmp_path: Path
) -> None:
    save(fitted, tmp_path / "new" / "deep" / "model")
    (tmp_path / "link").symlink_to(model)
    save(fitted, tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    (tmp_path / "empty").mkdir()
    save(fitted, tmp_path / "empty")
    for name in ("new/deep/model", "link", "empty"):
        load(tmp_path / name)


def test_what_is_not_a_model_is_never_replaced(fitted: SentimentClassifier, model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("precious")
    (tmp_path / "json").mkdir()
    (tmp_path / "json" / "config.json").write_text('{"format": "another program"}')
    (model / "notes.txt").write_text("precious")
    cases = {
        "file": "expected a directory to save the model as, got a file",
        "other": "expected an empty directory or a textnn model to replace, got other files",
        "json": r"config\.json: expected the configuration of a textnn model",
        "model": r"would be replaced, but with it notes\.txt, which textnn did not write",
        "file/model": "expected a place where a directory can be made, but .*file is none",
    }
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for name, message in cases.items():
        with pytest.raises(BundleError, match=message):
            save(fitted, tmp_path / name)
        with pytest.raises(BundleError, match=message):
            check_target(tmp_path / name)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_file_that_comes_into_a_model_while_it_is_replaced_is_kept(
    fitted: SentimentClassifier, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = bundle._write

    def slow(*arguments: Any) -> None:
        write(*arguments)
        (model / "notes.txt").write_text("precious")

    monkeypatch.setattr(bundle, "_write", slow)
    with pytest.warns(UserWarning, match=r"model: what was there before is kept as .*model\.replaced-"):
        save(fitted, model)
    load(model)
    assert [path.read_text() for path in model.parent.rglob("notes.txt")] == ["precious"]
    assert not (model / "notes.txt").exists()


def test_a_label_that_cannot_be_stored_is_an_error(make_classifier: Any, reviews: Any, tmp_path: Path) -> None:
    labels = [frozenset([label]) for label in reviews[1]]
    classifier = make_classifier().fit(reviews[0], labels)
    with pytest.raises(BundleError, match=r"labels\.json: labels: .* of the type frozenset"):
        classifier.save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []
