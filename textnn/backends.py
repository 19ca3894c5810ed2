"""What the compiled kernels run on: the instruction set in use, whether CUDA was built in, their scratch memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from . import _C  # noqa: F401  # registers the operators

CPU_CAPABILITIES = ("base", "avx2", "avx512")
RECURRENT_FORMS = LSTM_FORMS = ("auto", "steps", "persistent")
CUDA_DEVICES = {"cuda"}  # types of devices whose operators are the CUDA ones
_recurrent_form = "auto"
_told: tuple[bool, bool, str] | None = None


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


def cuda_architectures() -> list[str]:
    """Return what the CUDA kernels of this build are compiled for: ``["7.5", ..., "12.0+PTX"]``, empty without them.

    A GPU runs the code of its own compute capability, or of an earlier one with the same major number; PTX serves all
    later ones as well.
    """
    return str(torch.ops.textnn.cuda_architectures()).split() if cuda_built() else []


def runs_cuda(tensor: torch.Tensor) -> bool:
    """Return whether the operators run their CUDA kernels on this tensor."""
    return tensor.device.type in CUDA_DEVICES


def follow_torch() -> None:
    """Pass on to the CUDA kernels what has been asked of torch.

    That is ``torch.use_deterministic_algorithms`` and whether ``torch.set_float32_matmul_precision`` lets products of
    float32 be made in TF32. Every function of :mod:`textnn.functional` does this; a compiled graph does not, and runs
    with what was last passed on.

    Raises
    ------
    RuntimeError
        If this build has no CUDA kernels.
    """
    global _told
    if not (cuda_built() or "cpu" in CUDA_DEVICES):
        raise RuntimeError(
            "this build of textnn has no CUDA kernels: install it with TEXTNN_CUDA=1, or move tensors to the CPU"
        )
    tf32 = torch.backends.cuda.matmul.fp32_precision == "tf32"
    wanted = (torch.are_deterministic_algorithms_enabled(), tf32, _recurrent_form)
    if wanted != _told:
        torch.ops.textnn.set_cuda_options(*wanted)
        _told = wanted


@contextmanager
def use_cuda_recurrence(form: str) -> Iterator[None]:
    """Run recurrent layers on CUDA in one form inside a ``with`` block; meant for tests and benchmarks.

    Parameters
    ----------
    form : {"auto", "steps", "persistent"}
        "auto" takes what is estimated to cost less. "persistent" takes this form wherever there is a kernel for the
        sizes, and then raises a ``RuntimeError`` where the device is too small for it. The choice holds for the whole
        process.

    Raises
    ------
    ValueError
        If the form is none of these.
    """
    global _recurrent_form
    if form not in RECURRENT_FORMS:
        raise ValueError(f"form must be 'auto', 'steps' or 'persistent', got {form!r}")
    before, _recurrent_form = _recurrent_form, form
    try:
        yield
    finally:
        _recurrent_form = before


use_cuda_lstm = use_cuda_recurrence  # its name while the LSTM was the only cell


def release_workspaces() -> None:
    """Give the scratch memory that the kernels keep between calls (at most 512 MiB) back to the system."""
    torch.ops.textnn.release_workspaces()
