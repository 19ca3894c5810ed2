"""What the registrations share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from .. import _C  # noqa: F401  # the operators

Maybe = Tensor | None
library = torch.library.Library("textnn", "FRAGMENT")


def dense(t: Tensor) -> Tensor:
    """An empty tensor of the same shape, contiguous."""
    return torch.empty_like(t, memory_format=torch.contiguous_format)


def follow_autocast(
    name: str,
    device: str,
    results: Callable[..., Sequence[torch.dtype]] | None = None,
) -> None:
    """Make an operator run in the dtype that autocast is set to on this type of device.

    With `results` it runs in float32 instead, and the first results get the dtypes that ``results(dtype, *arguments)``
    returns. An operator that takes a precision multiplies bfloat16 where autocast is set to it.
    """
    op, key = getattr(torch.ops.textnn, name).default, f"Autocast{torch._C._dispatch_key_for_device(device)}"
    excluded = torch._C.DispatchKeySet(getattr(torch._C.DispatchKey, key))
    takes_precision = [argument.name == "precision" for argument in op._schema.arguments]

    def cast(argument: Any, dtype: torch.dtype) -> Any:
        if isinstance(argument, (list, tuple)):
            return [cast(a, dtype) for a in argument]
        narrow = isinstance(argument, Tensor) and argument.is_floating_point() and argument.dtype != torch.float64
        return argument.to(dtype) if narrow else argument

    def run(*arguments: Any) -> Any:
        dtype = torch.get_autocast_dtype(device)
        compute = dtype if results is None else torch.float32
        given = [cast(a, compute) for a in arguments]
        if any(takes_precision):
            outputs = results is not None and results(dtype, *arguments)[0] is dtype
            given[takes_precision.index(True)] = precision_of(dtype, outputs)
        with torch._C._ExcludeDispatchKeyGuard(excluded):
            output = op(*given)
            if results is None:
                return output
            if isinstance(output, Tensor):
                return cast(output, results(dtype, *arguments)[0])
            narrow = [cast(o, to) for o, to in zip(output, results(dtype, *arguments), strict=False)]
            return *narrow, *output[len(narrow) :]

    op.py_kernels.pop(getattr(torch._C.DispatchKey, key), None)
    op.py_impl(getattr(torch._C.DispatchKey, key))(run)
    library.impl(name, lambda _, *arguments: run(*arguments), key, with_keyset=True, allow_override=True)


def precision_of(dtype: torch.dtype, outputs: bool) -> str:
    """Return the argument ``precision`` of an operator: what its products multiply, and whether y is in it, too."""
    if dtype is not torch.bfloat16:
        return "ieee"
    return "bf16_outputs" if outputs else "bf16"


def check_memory(**tensors: Tensor | None) -> None:
    """Refuse tensors whose memory was given back, which torch's own operations read all the same."""
    for name, t in tensors.items():
        if t is None or t.numel() == 0 or t.layout != torch.strided or t.device.type == "meta":
            continue
        last = t.storage_offset() + sum((n - 1) * step for n, step in zip(t.shape, t.stride(), strict=True))
        held = t.untyped_storage().nbytes() // t.element_size()
        if last >= held:
            raise RuntimeError(
                f"textnn: {name}, a tensor of shape {list(t.shape)}, needs {last + 1} elements in memory, got {held}"
            )


def rows_gradient(distinct: Tensor, values: Tensor, shape: Any) -> Tensor:
    """A sparse gradient from rising rows [U] and their values [U, D]."""
    return torch.sparse_coo_tensor(distinct[None], values, shape, check_invariants=False, is_coalesced=True)
