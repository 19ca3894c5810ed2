"""Checkpoints of two processes that train together: each has its own generator and its own rows of exact tables."""

from __future__ import annotations

from typing import Any

import checkpoint_worker as worker
import pytest
import torch
from process_group import run_group
from trainings import run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each process has after all cases."""
    return run_group(worker, tmp_path_factory.mktemp("group"))


@pytest.mark.parametrize("name", worker.NAMES)
def test_two_processes_that_were_broken_off_go_on_to_the_same_weights(name: str, ranks: list[dict[str, Any]]) -> None:
    for rank, results in enumerate(ranks):
        whole, resumed = results[name]["whole"], results[name]["resumed"]
        for parameter, weights in whole["weights"].items():
            assert torch.equal(resumed["weights"][parameter], weights), f"process {rank}, {parameter}"
        assert (resumed["history"], resumed["best"]) == (whole["history"], whole["best"]), rank


def test_gradients_are_clipped_when_they_are_summed(ranks: list[dict[str, Any]]) -> None:
    """By the norm of the joint gradient, as in one process; those of the parts are larger together."""
    model, trained = run("textcnn", options=worker.CLIPPED, model_options=worker.NO_DROPOUT)
    for results in ranks:
        for parameter, weights in model.state_dict().items():
            torch.testing.assert_close(results["clipped"]["weights"][parameter], weights, rtol=1e-3, atol=1e-4)
        losses = [epoch["loss"] for epoch in results["clipped"]["history"]]
        assert losses == pytest.approx([epoch.loss for epoch in trained.history], rel=1e-4)


@pytest.mark.parametrize(
    ("name", "messages"),
    [
        ("of one process", ["the number of processes was 1 and is 2 now", "process 0 of 2: "]),
        ("damaged", ["the checkpoint is damaged", "process 0 of 2: "]),
        ("in one process only", ["the training: expected the same in every process, got checkpoint False"] * 2),
        ("loss", ["is kept in ", "the loss became "]),
    ],
)
def test_what_is_wrong_for_one_process_ends_all(name: str, messages: list[str], ranks: list[dict[str, Any]]) -> None:
    for expected, results in zip(messages, ranks, strict=True):
        found, shared = results[name]
        assert expected in found, found
        assert shared
