"""Saved models whose files are tampered with, swapped or odd: what is still read, and what is not.

docs/safety.md lists what is refused with its message; ``tests/test_safety_table.py`` makes all of that.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from commands import run
from samples import make_reviews
from saved_models import edit_config

from textnn import SentimentClassifier
from textnn.bundle import BundleError
from textnn.bundle.config import parse_config, seal
from textnn.bundle.files import LARGEST
from textnn.classification.bundle import FORMAT, read_card, read_config
from textnn.classification.bundle import directory as bundle

load = SentimentClassifier.load
save = SentimentClassifier.save


def test_a_configuration_from_before_there_was_a_sum_is_read(model: Path, fitted: SentimentClassifier) -> None:
    edit_config(model, lambda config: config.pop("sha256"), sealed=False)
    texts = make_reviews(20)[0]
    assert (load(model).predict_proba(texts) == fitted.predict_proba(texts)).all()


def test_the_sum_is_of_what_is_said_and_not_of_how_it_is_laid_out(model: Path) -> None:
    config = read_config(model)
    turned = dict(reversed(config.items()))
    (model / "config.json").write_text(json.dumps(turned, indent=7, ensure_ascii=True), encoding="utf-8")
    load(model)
    assert read_config(model) == config


@pytest.mark.parametrize(
    "change",
    [
        lambda config: config["options"].update(dropout=0.25),
        lambda config: config["prediction"].update(temperature=2.0),
        lambda config: config["training"].update(texts=10**6),
        lambda config: config.update(sha256="0" * 64),
        lambda config: config.update(sha256=None),
    ],
)
def test_a_changed_configuration_is_noticed(change: Any, model: Path) -> None:
    edit_config(model, change, sealed=False)
    for read in (load, read_config, read_card):
        with pytest.raises(BundleError, match=r"config\.json: expected other content \(its SHA-256 differs\)"):
            read(model)


@pytest.mark.parametrize("part", ["parameters", "training"])
def test_names_that_only_tell_of_the_training_may_be_unknown(part: str, model: Path) -> None:
    edit_config(model, lambda config: config[part].update(later=1))
    load(model)


@pytest.mark.parametrize("part", ["prediction", "tokenizer", "files", "options"])
def test_names_that_predictions_follow_from_may_not(part: str, model: Path) -> None:
    edit_config(model, lambda config: config[part].update(later=1))
    with pytest.raises(BundleError, match="later"):
        load(model)


def test_figures_that_json_does_not_have_are_stored_as_none() -> None:
    config = {"format": "textnn-model", "format_version": 1, "training": {"history": [{"loss": float("inf")}]}}
    sealed = seal(config)
    assert sealed["training"] == {"history": [{"loss": None}]}
    assert parse_config(json.dumps(sealed).encode(), FORMAT) == sealed


@pytest.mark.parametrize("labels", [(0, 1), (("a", 1), b"b"), (False, True), ("x", "y")])
def test_weights_of_classes_keep_the_types_of_their_labels(
    labels: tuple, make_classifier: Any, reviews: Any, tmp_path: Path
) -> None:
    texts, names = reviews
    weights = {labels[0]: 2.0, labels[1]: 1.0}
    classifier = make_classifier(class_weight=weights)
    classifier.fit(texts, [labels[name == "good"] for name in names]).save(tmp_path / "model")
    found = load(tmp_path / "model").class_weight
    assert found == weights
    assert [type(label) for label in found] == [type(label) for label in weights]


def test_a_model_that_is_replaced_while_it_is_read_is_read_anew(
    model: Path, make_classifier: Any, reviews: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_classifier("lstm").fit(*reviews)
    parse, swaps = bundle.labels_from_json, []

    def swap(*arguments: Any, **options: Any) -> Any:
        if not swaps:
            swaps.append(True)
            save(other, model)  # takes the place of the model, whose files are then gone
        return parse(*arguments, **options)

    monkeypatch.setattr(bundle, "labels_from_json", swap)
    texts = make_reviews(20)[0]
    assert (load(model).predict_proba(texts) == other.predict_proba(texts)).all()


def test_each_file_is_read_once(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was summed is what is used: there is no second look at a file, which might find another content."""
    from textnn.bundle import files

    opened: list[str] = []
    open_regular = files.open_regular
    monkeypatch.setattr(
        files,
        "open_regular",
        lambda name, *rest, **options: opened.append(str(name)) or open_regular(name, *rest, **options),
    )
    load(model)
    assert sorted(opened) == sorted({path.name for path in model.iterdir()} - {"README.md"})


def test_nothing_is_saved_that_could_not_be_loaded(
    fitted: SentimentClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LARGEST, "vocabulary.txt", 10)
    with pytest.raises(BundleError, match=r"vocabulary\.txt: expected at most 10 bytes, got .*; no model was written"):
        save(fitted, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_directory_of_links_to_files_is_read(model: Path, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    linked.mkdir()
    for file in model.iterdir():
        (linked / file.name).symlink_to(file)
    load(linked)
    shutil.rmtree(linked)
    linked.symlink_to(model)  # of the user's own choice
    load(linked)


def test_no_file_of_a_model_speaks_to_the_terminal(make_classifier: Any, reviews: Any, tmp_path: Path) -> None:
    """Labels, names of files and messages with control characters, on a terminal and in a message."""
    texts, names = reviews
    escape = "\x1b]0;owned\x07"
    classifier = make_classifier().fit(texts, [f"{escape}{name}" for name in names])
    model = tmp_path / f"model{escape}"
    classifier.save(model)
    assert escape not in read_card(model)
    shown = _on_a_terminal(["predict", str(model), "--text", "很 好", "--probabilities"])
    assert "\x1b" not in shown, ascii(shown)
    assert "\\x1b]0;owned\\x07" in shown
    edit_config(model, lambda config: config["options"].update({escape: 1}))
    result = run("predict", str(model), "--text", "很 好")
    assert result.exit_code == 2
    assert "\x1b" not in result.stderr, ascii(result.stderr)


def test_a_file_gets_labels_as_they_are(make_classifier: Any, reviews: Any, tmp_path: Path) -> None:
    texts, names = reviews
    make_classifier().fit(texts, [f"\x1b\ud800{name}" for name in names]).save(tmp_path / "model")
    output = tmp_path / "out.jsonl"
    assert run("predict", str(tmp_path / "model"), "--text", "很 好", "-o", str(output)).exit_code == 0
    assert json.loads(output.read_text(encoding="utf-8"))["prediction"].startswith("\x1b\ud800")


def _on_a_terminal(arguments: list[str]) -> str:
    """Return what a command writes to standard output where that is a terminal."""
    import pty
    import subprocess

    control, terminal = pty.openpty()
    command = [sys.executable, "-m", "textnn", *arguments]
    with subprocess.Popen(command, stdout=terminal, stderr=subprocess.DEVNULL) as process:
        os.close(terminal)
        parts = []
        while True:
            try:
                part = os.read(control, 1 << 16)
            except OSError:  # how Linux tells that nobody writes any more
                break
            if not part:
                break
            parts.append(part)
        process.wait()
    os.close(control)
    return b"".join(parts).decode("utf-8", "replace")
