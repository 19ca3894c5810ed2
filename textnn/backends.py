"""What the compiled kernels run on: the instruction set in use, whether CUDA was built in, their scratch memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from . import _C  # noqa: F401  # registers the operators

CPU_CAPABILITIES = ("base", "avx2", "avx512")


def cpu_capability() -> str:
    """Return the instruction set that the CPU kernels use: ``"base"``, ``"avx2"`` or ``"avx512"``.

    The best that the CPU has, unless the environment variable ``TEXTNN_CPU_CAPABILITY`` names another.

    Raises
    ------
    RuntimeError
        If the variable names an unknown set or one that this CPU does not have.
    """
    return str(torch.ops.textnn.cpu_capability())


@contextmanager
def use_cpu_capability(name: str) -> Iterator[None]:
    """Run the kernels with another instruction set inside a ``with`` block; meant for tests and benchmarks.

    The choice holds for the whole process, not for one thread.

    Raises
    ------
    RuntimeError
        If the set is unknown or this CPU does not have it.
    """
    before = cpu_capability()
    torch.ops.textnn.set_cpu_capability(name)
    try:
        yield
    finally:
        torch.ops.textnn.set_cpu_capability(before)


def supported_cpu_capabilities() -> list[str]:
    """Return those of :data:`CPU_CAPABILITIES` that this CPU has, the best last."""
    supported = []
    for name in CPU_CAPABILITIES:
        try:
            with use_cpu_capability(name):
                supported.append(name)
        except RuntimeError:
            continue
    return supported


def has_dot_products() -> bool:
    """Return whether this CPU multiplies and adds bytes (AVX-512 VNNI): then an LSTM is faster in int8."""
    return bool(torch.ops.textnn.has_dot_products())


def cuda_built() -> bool:
    """Return whether this build holds the CUDA kernels."""
    return bool(torch.ops.textnn.cuda_built())


def release_workspaces() -> None:
    """Give the scratch memory that the kernels keep between calls (at most 512 MiB) back to the system."""
    torch.ops.textnn.release_workspaces()
