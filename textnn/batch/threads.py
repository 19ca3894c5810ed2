"""How many threads a process may use: no more than it was given, whoever gave them.

CPUs of the process, a container's quota, OMP_NUM_THREADS (Spark sets it), num_cpus of a Ray task or actor -> the least
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from textnn.circumstances import usable_cpus


def granted_threads(most: int | None = None) -> int:
    """Return how many threads this process may use, and at most ``most``."""
    limits = [usable_cpus(), torch.get_num_threads(), most, _openmp_threads(), _ray_threads()]
    return max(1, min(limit for limit in limits if limit is not None))


def _openmp_threads() -> int | None:
    # It may have been set after torch was imported; of nested levels the first counts.
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(first) if first.isascii() and first.isdecimal() and int(first) else None


def _ray_threads() -> int | None:
    """Return the CPUs that Ray has assigned to this task or actor, None outside of one; less than one CPU is one."""
    ray = sys.modules.get("ray")
    if ray is None or not ray.is_initialized():
        return None
    context = ray.get_runtime_context()
    if context.worker.mode != ray.WORKER_MODE:
        return None
    return max(1, int(context.get_assigned_resources().get("CPU", 1)))


@contextmanager
def limited_threads(most: int | None = None) -> Iterator[None]:
    """Let torch use the granted threads within a block, and as many as before behind it."""
    before = torch.get_num_threads()
    now = granted_threads(most)
    if now != before:
        torch.set_num_threads(now)
    try:
        yield
    finally:
        if now != before:
            torch.set_num_threads(before)
