"""The layers under DistributedDataParallel: two processes with parts of a batch, against one with the joint batch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import ddp_worker
import pytest
import torch

import textnn

SIZE = 2
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": str(Path(textnn.__file__).parent.parent),
    "OMP_NUM_THREADS": "1",
    "GLOO_SOCKET_IFNAME": "lo",
}


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The weights of each case, or its error, in each process."""
    folder = tmp_path_factory.mktemp("ddp")
    outputs = [folder / f"{rank}.pt" for rank in range(SIZE)]
    command = [sys.executable, ddp_worker.__file__]
    processes = [
        subprocess.Popen(
            [*command, str(rank), str(SIZE), str(folder / "store"), str(output)],
            env=ENVIRONMENT,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank, output in enumerate(outputs)
    ]
    try:
        errors = [process.communicate(timeout=300)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0] * SIZE, "\n".join(errors)
    return [torch.load(output) for output in outputs]


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
