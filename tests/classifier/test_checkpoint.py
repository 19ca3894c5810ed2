"""Checkpoints: a training that was broken off goes on to the same weights to the bit; what is bad is never kept."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from kills import stop_behind
from safetensors.torch import load_file
from trainings import BATCHES, CPU, EPOCHS, OPTIONS, ROWS, SIZES, Breaker, BrokenOffError, assert_same, make_data, run
from waiting import wait_until

from textnn.classification.objectives import Softmax
from textnn.models import build_model, resolve_options
from textnn.training import checkpoint as checkpoint_module
from textnn.training.checkpoint import FILE, Checkpoint
from textnn.training.loop import TrainingError, seeded, train


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize(
    ("patience", "bucket", "breaks"),
    [
        # BrokenOffError off after these numbers of batches, each counted from the resumption before.
        (0, True, [2]),
        (0, False, [BATCHES + 1, 3]),
        (2, True, [1, BATCHES, BATCHES, 3]),
        (1, True, [BATCHES - 1, 2, 2, BATCHES]),
    ],
)
def test_a_training_that_was_broken_off_goes_on_to_the_same_weights(
    name: str, patience: int, bucket: bool, breaks: list[int], tmp_path: Path
) -> None:
    """With dropout, clipping, a schedule, early stopping, tables with rows at rest, and in another process's mood."""
    options = replace(OPTIONS, patience=patience, bucket=bucket)
    validation = make_data(10, seed=1, flip=True)
    expected = run(name, options=options, validation=validation)
    for batches in breaks:
        torch.rand(3)  # the global generator is somewhere else each time
        with pytest.raises(BrokenOffError):
            run(name, Checkpoint(tmp_path, True, 0), options, validation=validation, reporter=Breaker(batches))
    assert_same(run(name, Checkpoint(tmp_path, True, 0), options, validation=validation), expected)


@pytest.mark.parametrize("name", ["textcnn", "lecture-lstm"])
@pytest.mark.parametrize("epochs", [1, EPOCHS])
def test_between_epochs_there_is_a_checkpoint_however_seldom_they_are_wanted(
    name: str, epochs: int, tmp_path: Path
) -> None:
    checkpoint = Checkpoint(tmp_path, resume=True, seconds=1e9)
    with pytest.raises(BrokenOffError):
        run(name, checkpoint, reporter=Breaker(epochs=epochs))
    reporter = Breaker()
    assert_same(run(name, checkpoint, reporter=reporter), run(name))
    assert reporter.seen == (EPOCHS - epochs) * BATCHES
    assert reporter.notes == [f"resumed after epoch {epochs} of {EPOCHS} from {tmp_path}"]


def test_what_is_written_does_not_change_the_training(tmp_path: Path) -> None:
    """Rows of an exact table must not catch up because of a checkpoint: that is another rounding."""
    for name in SIZES:
        assert_same(run(name, Checkpoint(tmp_path / name, seconds=0)), run(name))


def test_the_bar_and_a_line_tell_where_it_goes_on(tmp_path: Path) -> None:
    with pytest.raises(BrokenOffError):
        run("textcnn", Checkpoint(tmp_path, seconds=0), reporter=Breaker(BATCHES + 3))
    seen: list[tuple[int, int, int]] = []

    class Watch(Breaker):
        def training(self, epochs: int, batches: int, done: int = 0) -> Any:
            seen.append((epochs, batches, done))
            return super().training(epochs, batches, done)

    reporter = Watch()
    run("textcnn", Checkpoint(tmp_path, True), reporter=reporter)
    # The break came before the state of its batch was written.
    assert seen == [(EPOCHS, BATCHES, BATCHES + 2)]
    assert reporter.notes == [f"resumed after batch 2 of epoch 2 of {EPOCHS} from {tmp_path}"]


def test_a_finished_training_is_kept_until_it_is_removed(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "state", resume=True)
    expected = run("textcnn", checkpoint)
    reporter = Breaker(batches=1)
    assert_same(run("textcnn", checkpoint, reporter=reporter), expected)
    checkpoint.remove()
    assert not list(tmp_path.iterdir())
    checkpoint.remove()


def test_removing_leaves_what_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    checkpoint = Checkpoint(tmp_path)
    run("textcnn", checkpoint)
    assert checkpoint.exists()
    checkpoint.remove()
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_what_a_write_left_that_was_killed_is_removed(tmp_path: Path) -> None:
    """safetensors writes to a file of its own first, which it cannot remove when its process is killed."""
    states, left = tmp_path / "states", (".tmpAb3dE9", f"{FILE}.tmp")
    checkpoint = Checkpoint(states, seconds=0)
    for removed in (False, True):
        states.mkdir(exist_ok=True)
        for name in left:
            (states / name).write_bytes(b"half")
        if removed:
            checkpoint.remove()
        else:
            run("textcnn", checkpoint)
            assert [path.name for path in states.iterdir()] == [FILE]
    assert not states.exists()


def test_without_resume_the_training_begins_and_replaces_what_is_there(tmp_path: Path) -> None:
    run("textcnn", Checkpoint(tmp_path), seed=1)
    before = Checkpoint(tmp_path).version()
    reporter = Breaker()
    assert_same(run("textcnn", Checkpoint(tmp_path), reporter=reporter), run("textcnn"))
    assert reporter.notes == [f"the checkpoint in {tmp_path} is replaced, as there was no resume"]
    assert Checkpoint(tmp_path).version() != before


def test_resume_without_a_checkpoint_begins_and_says_so(tmp_path: Path) -> None:
    reporter = Breaker()
    assert_same(run("textcnn", Checkpoint(tmp_path / "new", True), reporter=reporter), run("textcnn"))
    assert reporter.notes == [f"no checkpoint in {tmp_path / 'new'}: the training starts from the beginning"]


def test_a_training_that_ends_before_its_first_checkpoint_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(BrokenOffError):
        run("textcnn", Checkpoint(tmp_path / "state"), reporter=Breaker(2))
    assert not list(tmp_path.iterdir())


class Poison(Breaker):
    """Makes weights infinite after some batches, in a way that the loss does not show."""

    def __init__(self, batches: int) -> None:
        super().__init__()
        self.limit, self.model = batches, None

    def batch(self, loss: float, accuracy: float) -> None:
        super().batch(loss, accuracy)
        if self.seen == self.limit:
            with torch.no_grad():  # a word that no text has
                self.model.members[0].encoder.weight[1] = torch.inf


@pytest.mark.parametrize("seconds", [0, 1e9])
def test_weights_that_are_no_numbers_never_replace_good_ones(seconds: float, tmp_path: Path) -> None:
    checkpoint, poison = Checkpoint(tmp_path, seconds=seconds), Poison(BATCHES + 2)
    with seeded(0, CPU):
        options = resolve_options("textcnn", {**SIZES["textcnn"], "ensemble": 2, "word_dropout": 0.0})
        poison.model = build_model("textcnn", [60], 2, options)
        generator = torch.Generator().manual_seed(0)
        with pytest.raises(TrainingError) as error:
            train(poison.model, make_data(), OPTIONS, generator, Softmax(0.1), reporter=poison, checkpoint=checkpoint)
    number, kept = (2, "after batch 1 of epoch 2") if seconds == 0 else (BATCHES, "after epoch 1")
    expected = f"weights became infinite or NaN in epoch 2, batch {number}; try a smaller learning_rate than 0.02"
    assert str(error.value).startswith(expected)
    assert str(error.value).endswith(f"; the state {kept} is kept in {tmp_path}")
    assert all(tensor.isfinite().all() for tensor in load_file(tmp_path / FILE).values() if tensor.is_floating_point())


def test_a_loss_that_is_no_number_leaves_the_state_before(tmp_path: Path) -> None:
    options = replace(OPTIONS, learning_rate=1e25, clip_norm=0.0, warmup=0.0, schedule="constant")
    with pytest.raises(TrainingError, match=r"^the loss became (nan|inf) in epoch 1, batch \d; .* is kept in "):
        run("textcnn", Checkpoint(tmp_path, seconds=0), options)
    tensors = load_file(tmp_path / FILE)
    assert all(tensor.isfinite().all() for name, tensor in tensors.items() if name.startswith("model."))


def test_without_a_checkpoint_the_weights_are_looked_at_too() -> None:
    """A last step may spoil them, with no loss after it."""
    options = replace(
        OPTIONS, learning_rate=1e38, clip_norm=0.0, warmup=0.0, epochs=1, batch_size=ROWS, weight_decay=9.0
    )
    with pytest.raises(TrainingError, match="weights became infinite or NaN in epoch 1, batch 1; try a smaller"):
        run("textcnn", None, replace(options, schedule="constant"))


# kills


def killed(kill: Callable[[int], None], *arguments: Any, **options: Any) -> bool:
    """Train in a process of its own, which ``kill`` may end; return whether it was."""
    child = os.fork()
    if not child:
        try:
            run(*arguments, **options)
        finally:
            os._exit(0)
    kill(child)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


@pytest.mark.parametrize("name", SIZES)
def test_killed_at_any_moment_it_goes_on_to_the_same_weights(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It writes all the time, so most of the kills fall into a write."""
    options = replace(OPTIONS, patience=2)
    arguments = {"options": options, "validation": make_data(10, seed=1), "data": make_data(200)}
    expected, checkpoint = run(name, **arguments), Checkpoint(tmp_path, resume=True, seconds=0)
    source = random.Random(name)
    for number in range(6):
        reached = tmp_path.parent / f"{tmp_path.name}-{number}"
        with monkeypatch.context() as patch:
            patch.setattr(Checkpoint, "write", Checkpoint.write)
            stop_behind(source.randint(1, 8), reached)

            def kill(child: int, reached: Path = reached) -> None:
                wait_until(reached.exists)
                time.sleep(source.uniform(0, 0.01))
                os.kill(child, signal.SIGKILL)

            assert killed(kill, name, checkpoint, **arguments)
    assert_same(run(name, checkpoint, **arguments), expected)


@pytest.mark.parametrize("number", [1, 2, BATCHES + 1])
@pytest.mark.parametrize("moment", ["before the file", "within the file", "before the rename", "after the rename"])
def test_killed_within_a_write_the_state_is_the_old_one_or_the_new_one(
    moment: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = 0

    def die_at(here: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def replacement(*arguments: Any, **options: Any) -> Any:
            nonlocal written
            written += here == "before the file"
            if written == number and moment == "within the file" and here == "before the rename":
                path = arguments[0]
                os.truncate(path, path.stat().st_size // 2)
            if written == number and (moment == here or (moment, here) == ("within the file", "before the rename")):
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)

        return replacement

    with monkeypatch.context() as patch:
        patch.setattr(safetensors.torch, "save_file", die_at("before the file", safetensors.torch.save_file))
        patch.setattr(checkpoint_module, "sync_file", die_at("before the rename", checkpoint_module.sync_file))
        patch.setattr(checkpoint_module, "sync_directory", die_at("after the rename", checkpoint_module.sync_directory))
        checkpoint = Checkpoint(tmp_path, resume=True, seconds=0)
        assert killed(lambda child: None, "lecture-lstm", checkpoint)
    done = number if moment == "after the rename" else number - 1
    assert checkpoint.exists() == (done > 0)
    reporter = Breaker()
    assert_same(run("lecture-lstm", checkpoint, reporter=reporter), run("lecture-lstm"))
    # After the last batch of an epoch there are two states: before and after the validation.
    assert reporter.seen == EPOCHS * BATCHES - min(done, BATCHES)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
