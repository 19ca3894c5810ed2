"""What the compiled kernels run on: the instruction set in use, whether CUDA was built in, their scratch memory."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from . import _C  # noqa: F401  # registers the operators

__all__ = [
    "CPU_CAPABILITIES",
    "CUDA_DEVICES",
    "RECURRENT_FORMS",
    "cpu_capability",
    "cuda_architectures",
    "cuda_built",
    "has_bfloat16",
    "has_dot_products",
    "has_kernels",
    "release_workspaces",
    "runs_cuda",
    "supported_cpu_capabilities",
    "use_cpu_capability",
    "use_cuda_recurrence",
]

CPU_CAPABILITIES = ("base", "dotprod", "avx2", "avx512", "avx512_bf16", "amx_bf16")
RECURRENT_FORMS = LSTM_FORMS = ("auto", "steps", "persistent")
CUDA_DEVICES = {"cuda"}  # types of devices whose operators are the CUDA ones
_recurrent_form = "auto"


def cpu_capability() -> str:
    """Return the instruction set that the CPU kernels use, as one of :data:`CPU_CAPABILITIES`.

    The best that the CPU has, unless the environment variable ``TEXTNN_CPU_CAPABILITY`` names another. On x86 each set
    has those before it; ``"avx512_bf16"`` and ``"amx_bf16"`` differ from ``"avx512"`` only where bfloat16 is
    multiplied. On aarch64 ``"base"`` is NEON, and ``"dotprod"`` differs from it only where bytes are.

    Returns
    -------
    str
        ``"base"``, ``"dotprod"``, ``"avx2"``, ``"avx512"``, ``"avx512_bf16"`` or ``"amx_bf16"``.

    Raises
    ------
    RuntimeError
        If the variable names an unknown set or one that this CPU does not have.

    Examples
    --------
    >>> textnn.backends.cpu_capability() in textnn.backends.supported_cpu_capabilities()
    True
    """
    return str(torch.ops.textnn.cpu_capability())


@contextmanager
def use_cpu_capability(name: str) -> Iterator[None]:
    """Run the kernels with another instruction set inside a ``with`` block; meant for tests and benchmarks.

    The choice holds for the whole process, not for one thread.

    Parameters
    ----------
    name : {"base", "dotprod", "avx2", "avx512", "avx512_bf16", "amx_bf16"}
        The instruction set.

    Yields
    ------
    None

    Raises
    ------
    RuntimeError
        If the set is unknown or this CPU does not have it.

    Examples
    --------
    >>> with textnn.backends.use_cpu_capability("base"):
    ...     textnn.backends.cpu_capability()
    'base'
    """
    before = cpu_capability()
    torch.ops.textnn.set_cpu_capability(name)
    try:
        yield
    finally:
        torch.ops.textnn.set_cpu_capability(before)


def supported_cpu_capabilities() -> list[str]:
    """Return those of :data:`CPU_CAPABILITIES` that this CPU has, the best last.

    Returns
    -------
    list of str
        ``"base"`` first; every CPU has it.

    Examples
    --------
    >>> textnn.backends.supported_cpu_capabilities()[0]
    'base'
    """
    supported = []
    for name in CPU_CAPABILITIES:
        try:
            with use_cpu_capability(name):
                supported.append(name)
        except RuntimeError:
            continue
    return supported


def has_bfloat16() -> bool:
    """Return whether this CPU multiplies bfloat16 faster than float32 (AVX512-BF16, AMX).

    On other CPUs the kernels round to bfloat16 and multiply in float32, which costs no more. But torch's own products
    take up to 70 times as long as in float32 there. So trainings of classifiers, taggers, language models and
    translators multiply float32, and so does :func:`~textnn.functional.linear_cross_entropy`, which leaves its products
    to torch.

    Returns
    -------
    bool
        Whether it does, under the instruction set in use.

    Examples
    --------
    >>> with textnn.backends.use_cpu_capability("base"):
    ...     textnn.backends.has_bfloat16()
    False
    """
    return CPU_CAPABILITIES.index(cpu_capability()) >= CPU_CAPABILITIES.index("avx512_bf16")


has_bfloat16._dynamo_marked_constant = True  # type: ignore[attr-defined]  # see asked_of_torch


def has_dot_products() -> bool:
    """Return whether this CPU multiplies and adds bytes (AVX-512 VNNI, AVX-VNNI, SDOT): then an LSTM is faster in int8.

    With SDOT (of ARM) that was never timed.

    Returns
    -------
    bool
        Whether it does, under the instruction set in use.

    Examples
    --------
    >>> lstm = textnn.LSTM(8, 8)
    >>> frozen = lstm.freeze("int8") if textnn.backends.has_dot_products() else lstm
    """
    return bool(torch.ops.textnn.has_dot_products())


def cuda_built() -> bool:
    """Return whether this build holds the CUDA kernels.

    Returns
    -------
    bool
        Whether it was built with them; a GPU need not be there.

    Examples
    --------
    >>> textnn.backends.cuda_built() == bool(textnn.backends.cuda_architectures())
    True
    """
    return bool(torch.ops.textnn.cuda_built())


def cuda_architectures() -> list[str]:
    """Return what the CUDA kernels of this build are compiled for: ``["7.5", ..., "12.0+PTX"]``, empty without them.

    A GPU runs the code of its own compute capability, or of an earlier one with the same major number; PTX serves all
    later ones as well.

    Returns
    -------
    list of str
        Compute capabilities, the last one with ``+PTX``.

    Examples
    --------
    >>> all("." in name for name in textnn.backends.cuda_architectures())
    True
    """
    return str(torch.ops.textnn.cuda_architectures()).split() if cuda_built() else []


def runs_cuda(tensor: torch.Tensor) -> bool:
    """Return whether the operators run their CUDA kernels on this tensor.

    Parameters
    ----------
    tensor : Tensor
        Any tensor; its device decides.

    Returns
    -------
    bool
        Whether they do.

    Examples
    --------
    >>> textnn.backends.runs_cuda(torch.zeros(1, device="meta"))
    False
    """
    return tensor.device.type in CUDA_DEVICES


def has_kernels(device: torch.device) -> bool:
    """Return whether this build has kernels of the recurrent layers for a device: the CPU, or CUDA if built with it.

    Elsewhere the layers run PyTorch's own operators. The meta device counts, since shapes need no kernels.

    Parameters
    ----------
    device : torch.device

    Returns
    -------
    bool
        Whether it has.

    Examples
    --------
    >>> textnn.backends.has_kernels(torch.device("cpu")), textnn.backends.has_kernels(torch.device("mps"))
    (True, False)
    """
    return device.type in ("cpu", "meta") or (device.type == "cuda" and _cuda_built())


@functools.cache
def _cuda_built() -> bool:
    return cuda_built()


def check_kernels() -> None:
    """Raise a RuntimeError if CUDA tensors have no kernels in this build."""
    if not _cuda_built():
        raise RuntimeError(
            "this build of textnn has no CUDA kernels: install it with TEXTNN_CUDA=1, or move tensors to the CPU"
        )


def recurrence_on(device: str) -> tuple[bool, int] | tuple[()]:
    """The last arguments of the recurrent operators: on CUDA, whether TF32 is allowed, and the form of the recurrence.

    They are none on the CPU, to which they say nothing and cost as much as all its checks.
    """
    return (asked_of_torch()[0], RECURRENT_FORMS.index(_recurrent_form)) if device in CUDA_DEVICES else ()


def asked_of_torch() -> tuple[bool, bool]:
    """Whether float32 products on CUDA may be made in TF32, and whether gradients have to be deterministic.

    They become arguments of the operators, so a graph keeps what held when it was traced. ``torch.compile`` traces it
    again when either changes.
    """
    return torch.backends.cuda.matmul.fp32_precision == "tf32", torch.are_deterministic_algorithms_enabled()


# What torch.compiler.assume_constant_result does, which imports the compiler: Dynamo cannot look into the first.
asked_of_torch._dynamo_marked_constant = True  # type: ignore[attr-defined]


def product_precision(dtype: torch.dtype, device: str, convolution: bool = False) -> str:
    """What the products of a layer on the CPU multiply: ``"ieee"``, the tensors' own dtype, or ``"bf16"``.

    The latter of tensors in bfloat16; and of those in float32 on the CPU after
    ``torch.set_float32_matmul_precision("medium")`` or ``torch.backends.mkldnn.matmul.fp32_precision = "bf16"``, which
    a graph keeps as it was while it was traced. For a convolution ``torch.backends.mkldnn.conv.fp32_precision`` comes
    first where it is set. Autocast has a word of its own (``_registration.common``).
    """
    allowed = dtype is torch.float32 and device not in CUDA_DEVICES and _allows_bfloat16(convolution)
    return "bf16" if allowed or dtype is torch.bfloat16 else "ieee"


def torch_precision(precision: str, device: str) -> str:
    """What torch's own products multiply where kernels have this precision: not bfloat16 on a CPU that crawls at it."""
    return "ieee" if precision == "bf16" and device == "cpu" and not has_bfloat16() else precision


def _allows_bfloat16(convolution: bool) -> bool:
    # torch.get_float32_matmul_precision() raises where the newer of torch's two ways of asking was taken.
    asked = torch._C._get_fp32_precision_getter
    of_convolutions = asked("mkldnn", "conv") if convolution else "none"
    return (asked("mkldnn", "matmul") if of_convolutions == "none" else of_convolutions) == "bf16"


_allows_bfloat16._dynamo_marked_constant = True  # type: ignore[attr-defined]


@contextmanager
def use_cuda_recurrence(form: str) -> Iterator[None]:
    """Run recurrent layers on CUDA in one form inside a ``with`` block; meant for tests and benchmarks.

    Parameters
    ----------
    form : {"auto", "steps", "persistent"}
        "auto" takes what is estimated to cost less. "persistent" takes this form wherever there is a kernel for the
        sizes, and then raises a ``RuntimeError`` where the device is too small for it. The choice holds for the whole
        process; a backward pass, and a graph that was traced, keep that of their own beginning.

    Yields
    ------
    None

    Raises
    ------
    ValueError
        If the form is none of these.

    Examples
    --------
    >>> with textnn.backends.use_cuda_recurrence("steps"):
    ...     output, _ = textnn.LSTM(4, 3)(torch.zeros(2, 1, 4))
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
    """Give the scratch memory that the kernels keep between calls (at most 512 MiB) back to the system.

    Examples
    --------
    >>> textnn.backends.release_workspaces()
    """
    torch.ops.textnn.release_workspaces()
