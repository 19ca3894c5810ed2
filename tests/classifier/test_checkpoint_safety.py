"""Checkpoints that are whole, by their sum, and still say what cannot be: refused, and never gone on with."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from trainings import BATCHES, OPTIONS, Breaker, BrokenOffError, make_data, run

from textnn.training.checkpoint import FILE, Checkpoint, CheckpointError, _sum

WITH_BEST = replace(OPTIONS, patience=3)
HELD_OUT: dict[str, Any] = {"validation": make_data(10, seed=1)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint in the middle of the second epoch."""
    with pytest.raises(BrokenOffError):
        run("textcnn", Checkpoint(tmp_path, seconds=0), WITH_BEST, reporter=Breaker(BATCHES + 3), **HELD_OUT)
    return tmp_path


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    tensors = load_file(folder / FILE)
    with safe_open(folder / FILE, framework="pt") as stored:
        metadata = dict(stored.metadata())
    content = json.loads(metadata["content"])
    change(content)
    metadata["content"] = json.dumps(content)
    save_file(tensors, folder / FILE, {**metadata, "sum": _sum(metadata["content"], tensors)})


def without_held_out(content: dict[str, Any]) -> None:
    for record in content["state"]["history"]:
        record.update(validation_loss=None, validation_accuracy=None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["state"].update(position=[2, 2, float("inf")]), "OverflowError"),
        (lambda c: c["state"].update(position=[2, 2, 0]), "0 texts in 2 batches"),
        (lambda c: c["state"].update(position="abc"), "damaged"),
        (lambda c: c["state"].update(history="abc"), "damaged"),
        (lambda c: c["state"]["history"][0].update(loss="x"), "expected numbers as the figures"),
        (lambda c: c["state"]["history"][0].update(loss=None), "expected loss, accuracy and seconds"),
        (without_held_out, "expected figures of held-out texts for each epoch"),
        (lambda c: c["state"].update(stepped=[["a"]]), "damaged"),
        (lambda c: c.update(state=[1]), "damaged"),
        (lambda c: c.update(identity={"epochs": 1}), "expected an identity of strings"),
        (lambda c: c["identity"].update({"\x1b[2J" + "x" * 10**5: "y"}), r"of another training: \\x1b\[2Jx"),
    ],
)
def test_a_state_that_cannot_be_is_refused(change: Any, message: str, folder: Path) -> None:
    edit(folder, change)
    with pytest.raises(CheckpointError, match=message) as error:
        run("textcnn", Checkpoint(folder, True), WITH_BEST, **HELD_OUT)
    assert len(str(error.value)) < 1500


@pytest.mark.parametrize("numerics", [None, 3, {"torch": 1}, {"torch": "\x1b[2J"}])
def test_what_only_tells_of_the_last_bits_does_no_harm(numerics: Any, folder: Path) -> None:
    edit(folder, lambda content: content["state"].update(numerics=numerics))
    reporter = Breaker()
    run("textcnn", Checkpoint(folder, True), WITH_BEST, reporter=reporter, **HELD_OUT)
    assert not any("\x1b" in note for note in reporter.notes)


def test_a_loss_that_was_not_a_number_does_not_damage_a_checkpoint(folder: Path) -> None:
    edit(folder, lambda content: content["state"]["history"][0].update(validation_loss=float("nan")))
    run("textcnn", Checkpoint(folder, True), WITH_BEST, **HELD_OUT)


def test_a_link_in_the_place_of_the_next_state_is_not_followed(folder: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (folder / f"{FILE}.tmp").symlink_to(precious)
    run("textcnn", Checkpoint(folder, True), WITH_BEST, **HELD_OUT)
    assert precious.read_text() == "precious"


def test_a_pipe_does_not_keep_a_training_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / FILE)
    with pytest.raises(CheckpointError, match="expected a regular file, got a pipe"):
        run("textcnn", Checkpoint(tmp_path, True))
