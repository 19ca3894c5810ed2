"""Saved models that are damaged, tampered with or none at all: errors that name the file and what it should hold."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from saved_models import FILES, edit_config

from textnn import SentimentClassifier
from textnn.bundle import BundleError
from textnn.bundle import files as bundle_files
from textnn.classification.bundle import read_card

load = SentimentClassifier.load


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
        def refuse(*_: object, **options: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(bundle_files, "open_regular", refuse)
    with pytest.raises(BundleError, match="Permission denied"):
        load(model)
