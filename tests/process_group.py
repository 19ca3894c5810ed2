"""Groups of processes: a test runs a worker in each of them, and gets what came of its cases there.

ranks = run_group(worker, folder)        in the test;    python WORKER RANK SIZE FOLDER    for each process
if __name__ == "__main__": work(run)     in the worker, whose run(rank, size, folder) returns its results
"""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from waiting import HANG

import textnn

SIZE = 2
FOLDERS = [Path(textnn.__file__).parent.parent, Path(__file__).parent]
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join(map(str, FOLDERS)),
    "OMP_NUM_THREADS": "1",
    "GLOO_SOCKET_IFNAME": "lo",
}


def run_group(worker: ModuleType, folder: Path) -> list[dict[str, Any]]:
    """Return the results of each process, in the order of their ranks."""
    processes = [
        subprocess.Popen(
            [sys.executable, str(worker.__file__), str(rank), str(SIZE), str(folder)],
            env=ENVIRONMENT,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(SIZE)
    ]
    try:
        errors = [process.communicate(timeout=HANG)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0] * SIZE, "\n".join(errors)
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(SIZE)]


def work(run: Callable[[int, int, Path], dict[str, Any]]) -> None:
    """Join the group that the command line tells of, and keep the results for the test."""
    rank, size, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo",
        init_method=f"file://{folder / 'store'}",
        rank=rank,
        world_size=size,
        timeout=datetime.timedelta(seconds=HANG),
    )
    torch.save(run(rank, size, folder), folder / f"{rank}.pt")
    torch.distributed.barrier()  # so that no process shuts gloo down while the other still uses it
    torch.distributed.destroy_process_group()
