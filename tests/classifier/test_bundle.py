"""Saved models: the same predictions to the bit, no half-written directory, errors that name the damaged file."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from samples import make_reviews

from textnn import files
from textnn.bundle import BundleError, check_target, load, read_card, save
from textnn.bundle import directory as bundle
from textnn.bundle import files as bundle_files
from textnn.bundle.config import seal
from textnn.bundle.files import file_sum
from textnn.classifier import SentimentClassifier
from textnn.models import ARCHITECTURES

FILES = {
    "README.md",
    "config.json",
    "labels.json",
    "model.safetensors",
    "stop_words.txt",
    "user_dictionary.txt",
    "vocabulary.txt",
}


def texts() -> list[str]:
    return [*make_reviews(50, seed=7)[0], "", "全 是 生词", "很 " * 700]


@pytest.fixture
def model(fitted: SentimentClassifier, tmp_path: Path) -> Path:
    """A saved model."""
    save(fitted, tmp_path / "model")
    return tmp_path / "model"


def edit_config(directory: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the configuration, and bring the files' sums up to date, as one would who tampers with a model."""
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    config["files"] = {name: file_sum(directory / name) for name in config["files"]}
    change(config)
    (directory / "config.json").write_text(json.dumps(seal(config)), encoding="utf-8")


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

    monkeypatch.setattr(files if step == "exchange" else bundle, step, fail)
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


# reading


@pytest.mark.parametrize("make", ["nothing", "file", "empty"])
def test_what_is_no_model_is_refused(make: str, tmp_path: Path) -> None:
    path = tmp_path / "model"
    if make == "file":
        path.write_text("text")
    if make == "empty":
        path.mkdir()
    messages = {
        "nothing": "got nothing of this name",
        "file": "got a file",
        "empty": r"config\.json: the file is missing",
    }
    with pytest.raises(BundleError, match=messages[make]):
        load(path)


@pytest.mark.parametrize("name", sorted(FILES - {"README.md"}))
def test_a_missing_file_is_named(name: str, model: Path) -> None:
    (model / name).unlink()
    with pytest.raises(BundleError, match=f"{name}: the file is missing"):
        load(model)


@pytest.mark.parametrize("damage", ["cut", "flip", "longer", "empty"])
@pytest.mark.parametrize(
    "name", ["config.json", "labels.json", "model.safetensors", "vocabulary.txt", "stop_words.txt"]
)
def test_a_damaged_file_is_named(name: str, damage: str, model: Path) -> None:
    file = model / name
    content = file.read_bytes()
    middle = len(content) // 2
    damaged = {
        "cut": content[:middle],
        "flip": content[:middle] + bytes([content[middle] ^ 0x80]) + content[middle + 1 :],
        "longer": content + b"x",
        "empty": b"",
    }[damage]
    file.write_bytes(damaged)
    with pytest.raises(BundleError, match=f"{name}: expected") as error:
        load(model)
    assert str(file) in str(error.value)


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_format_version_is_refused(version: object, model: Path) -> None:
    edit_config(model, lambda config: config.update(format_version=version))
    with pytest.raises(BundleError, match=rf"config\.json: the model has the format version {version!r}, this"):
        load(model)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(format="other"), "expected the configuration of a textnn model"),
        (lambda c: c.pop("files"), "expected 'files' to be of the type dict, got nothing"),
        (lambda c: c.pop("options"), "expected 'options' to be of the type dict, got nothing"),
        (lambda c: c.update(training=[]), "expected 'training' to be of the type dict, got list"),
        (lambda c: c["training"].update(seed="x"), "expected 'seed' to be of the type int, got str"),
        (
            lambda c: c["training"].update(validation_confusion=[[1]]),
            r"confusion: expected counts of the shape \[2, 2\]",
        ),
        (lambda c: c.update(architecture="gpt"), "architecture: expected one of .* got 'gpt'"),
        (lambda c: c["options"].update(extra=1), "extra: the architecture 'textcnn' has no such option"),
        (lambda c: c["options"].update(channels=10**12), "channels: expected an integer from 1 to 65536"),
        (lambda c: c["options"].update(channels="8"), "channels: expected an integer, got str '8'"),
        (lambda c: c.update(tokenizer={"kind": "magic"}), "tokenizer: expected one of .* got 'magic'"),
        (lambda c: c["tokenizer"].update(options={"rm": 1}), "tokenizer: the options .* do not suit 'whitespace'"),
    ],
)
def test_a_tampered_configuration_is_refused(change: Any, message: str, model: Path) -> None:
    edit_config(model, change)
    with pytest.raises(BundleError, match=message) as error:
        load(model)
    assert "config.json" in str(error.value)


@pytest.mark.parametrize("content", ["", "[]", "null", "{", "[" * 100_000, "\xff", '{"format": "textnn-model"}'])
def test_a_configuration_that_is_none_is_refused(content: str, model: Path) -> None:
    (model / "config.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(BundleError, match=r"config\.json: "):
        load(model)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda w: w.update({"output.weight": torch.zeros(2, 5)}),
            r"output\.weight: expected the shape \[2, 24\], got \[2, 5\]",
        ),
        (
            lambda w: w.update({"output.bias": torch.zeros(2).double()}),
            r"output\.bias: expected torch\.float32, got torch\.float64",
        ),
        (lambda w: w.pop("output.bias"), r"missing: \['output\.bias'\], unknown: \[\]"),
        (lambda w: w.update(spy=torch.zeros(1)), r"missing: \[\], unknown: \['spy'\]"),
    ],
)
def test_tampered_weights_are_refused(change: Any, message: str, model: Path) -> None:
    weights = load_file(model / "model.safetensors")
    change(weights)
    save_file(weights, model / "model.safetensors")
    edit_config(model, lambda config: None)
    with pytest.raises(BundleError, match=message) as error:
        load(model)
    assert "model.safetensors" in str(error.value)


def test_sizes_are_compared_before_memory_is_asked_for(model: Path) -> None:
    """64 thousand channels of 64 thousand values would be 16 GB for each kernel; the file has a few kilobytes."""
    edit_config(model, lambda config: config["options"].update(channels=65536, embedding_dim=65536))
    with pytest.raises(BundleError, match=r"model\.safetensors: .* expected the shape"):
        load(model)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.safetensors", b"\xff" * 64, "expected a safetensors file"),
        ("labels.json", b'["a"]', "expected 2 or more different labels"),
        ("labels.json", b'["a", "b", "c"]', r"output\.\w+: expected the shape \[3"),
        ("vocabulary.txt", b"[PAD]\n[UNK]\nx\n", r"encoder\.weight: expected the shape \[3, 8\]"),
        ("vocabulary.txt", "[UNK]\n好\n".encode(), r"line 1: expected '\[PAD\]'"),
        ("stop_words.txt", b"\\q\n", "line 1: a backslash"),
        ("user_dictionary.txt", b"word 1 x\n", "do not suit 'whitespace'"),
    ],
)
def test_a_file_of_the_right_sum_but_wrong_content_is_refused(
    name: str, content: bytes, message: str, model: Path
) -> None:
    (model / name).write_bytes(content)
    edit_config(model, lambda config: config["training"].update(validation_confusion=None))
    with pytest.raises(BundleError, match=message):
        load(model)


def test_a_card_is_not_needed(model: Path) -> None:
    (model / "README.md").unlink()
    load(model)
    with pytest.raises(BundleError, match=r"README\.md: the file is missing"):
        read_card(model)


def test_a_model_without_permission_is_an_error(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() != 0:
        (model / "vocabulary.txt").chmod(0)
    else:
        # Permissions do not stop the superuser.
        def refuse(*_: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(bundle_files, "open_regular", refuse)
    with pytest.raises(BundleError, match="Permission denied"):
        load(model)
