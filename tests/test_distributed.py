"""The layers under DistributedDataParallel: two processes with parts of a batch, against one with the joint batch."""

from __future__ import annotations

from typing import Any

import ddp_worker
import pytest
import torch
from process_group import run_group


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The weights of each case, or its error, in each process."""
    return run_group(ddp_worker, tmp_path_factory.mktemp("ddp"))


@pytest.mark.parametrize("name", ddp_worker.CASES)
def test_two_processes_end_where_one_with_the_joint_batch_does(name: str, ranks: list[dict[str, Any]]) -> None:
    case = ddp_worker.CASES[name]
    expected = ddp_worker.train(case, None)
    start = {key: value.clone() for key, value in expected.items()}
    for rank, results in enumerate(ranks):
        assert isinstance(results[name], dict), f"process {rank}: {results[name]}"
        for key, value in results[name].items():
            # Sums in another order; Adam divides by the root of their squares.
            torch.testing.assert_close(
                value,
                start[key],
                rtol=1e-9,
                atol=1e-10,
                msg=lambda m, key=key, rank=rank: f"process {rank}, {key}: {m}",
            )


@pytest.mark.parametrize("name", ddp_worker.CASES)
def test_the_cases_train(name: str) -> None:
    """Otherwise equal weights would say nothing."""
    case = ddp_worker.CASES[name]
    trained = ddp_worker.train(case, None)
    torch.manual_seed(0)
    fresh = case.model(case.sparse).state_dict()
    for key, value in trained.items():
        assert (value - fresh[key]).abs().max() > 1e-5, key
