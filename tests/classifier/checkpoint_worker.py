"""Trainings for test_checkpoint_group.py: several processes (process_group.py) break them off and go on with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from process_group import work
from trainings import BATCHES, OPTIONS, SIZES, Breaker, BrokenOffError, make_data, run

from textnn.distributed import Group, is_shared
from textnn.training.checkpoint import Checkpoint

NAMES = tuple(SIZES)
# One text more than whole batches: it has no part for process 1.
ROWS = 25
CLIPPED = replace(OPTIONS, clip_norm=0.05)
NO_DROPOUT = {"dropout": 0.0, "word_dropout": 0.0}


def describe(found: tuple[Any, Any]) -> dict[str, Any]:
    model, trained = found
    history = [replace(epoch, seconds=0).to_dict() for epoch in trained.history]
    return {"weights": model.state_dict(), "history": history, "best": trained.best_epoch}


def resumed(name: str, group: Group, folder: Path) -> dict[str, dict[str, Any]]:
    """The same training without a break, and with three."""
    options = replace(OPTIONS, patience=2)
    arguments = {"data": make_data(ROWS), "validation": make_data(11, seed=1, flip=True), "group": group}
    results = {"whole": describe(run(name, options=options, **arguments))}
    checkpoint = Checkpoint(folder / name, resume=True, seconds=0)
    for batches in (2, BATCHES, 3):
        try:
            run(name, checkpoint, options, reporter=Breaker(batches), **arguments)
        except BrokenOffError:
            continue
        raise AssertionError("not broken off")
    results["resumed"] = describe(run(name, checkpoint, options, **arguments))
    return results


def message(function: Callable[[], Any]) -> tuple[str, bool]:
    try:
        function()
    except (ValueError, RuntimeError) as error:
        return str(error), is_shared(error)
    return "no error", False


def run_cases(rank: int, size: int, folder: Path) -> dict[str, Any]:
    group = Group.default()
    results: dict[str, Any] = {name: resumed(name, group, folder) for name in NAMES}
    results["clipped"] = describe(run("textcnn", options=CLIPPED, group=group, model_options=NO_DROPOUT))
    # Of one process, which process 0 alone can see.
    if rank == 0:
        run("textcnn", Checkpoint(folder / "alone"))
    alone = Checkpoint(folder / "alone", resume=True)
    results["of one process"] = message(lambda: run("textcnn", alone, group=group))
    (folder / "damaged").mkdir(exist_ok=True)
    (folder / "damaged" / "training.safetensors").write_bytes(b"{}")
    results["damaged"] = message(lambda: run("textcnn", Checkpoint(folder / "damaged", resume=True), group=group))
    one = Checkpoint(folder / "one") if rank == 0 else None
    results["in one process only"] = message(lambda: run("textcnn", one, group=group))
    poor = replace(OPTIONS, learning_rate=1e25, clip_norm=0.0, warmup=0.0)
    results["loss"] = message(lambda: run("textcnn", Checkpoint(folder / "loss", seconds=0), poor, group=group))
    return results


if __name__ == "__main__":
    work(run_cases)
