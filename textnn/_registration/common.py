"""What the registrations share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from .. import _C  # noqa: F401  # the operators
from ..backends import torch_precision

Maybe = Tensor | None
library = torch.library.Library("textnn", "FRAGMENT")


def dense(t: Tensor) -> Tensor:
    """An empty tensor of the same shape, contiguous."""
    return torch.empty_like(t, memory_format=torch.contiguous_format)


class _Cast(torch.autograd.Function):
    """A table in another dtype, whose gradient may be sparse: that of ``Tensor.to`` may not."""

    generate_vmap_rule = True

    @staticmethod
    def forward(table: Tensor, dtype: torch.dtype) -> Tensor:
        return table.to(dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.dtype = inputs[0].dtype

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient.to(ctx.dtype), None


def follow_autocast(
    name: str,
    device: str,
    results: Callable[..., Sequence[torch.dtype]] | None = None,
    by_torch: bool = False,
) -> None:
    """Make an operator run in the dtype that autocast is set to on this type of device.

    With `results` it runs in float32 instead, and the first results get the dtypes that ``results(dtype, *arguments)``
    returns. An operator that takes a precision multiplies bfloat16 where autocast is set to it; one whose products are
    made `by_torch`, on the CPUs that are fast at it.
    """
    op, key = getattr(torch.ops.textnn, name).default, f"Autocast{torch._C._dispatch_key_for_device(device)}"
    excluded = torch._C.DispatchKeySet(getattr(torch._C.DispatchKey, key))
    names = [argument.name for argument in op._schema.arguments]
    tensors = [place for place, argument in enumerate(op._schema.arguments) if "Tensor" in str(argument.type)]
    precision = names.index("precision") if "precision" in names else None
    table, sparse = (names.index(name) if "sparse" in names else None for name in ("table", "sparse"))

    def cast(argument: Any, dtype: torch.dtype, sparse_gradient: bool = False) -> Any:
        if isinstance(argument, (list, tuple)):
            return [cast(a, dtype) for a in argument]
        if argument is None or argument.dtype in (dtype, torch.float64) or not argument.is_floating_point():
            return argument
        return _Cast.apply(argument, dtype) if sparse_gradient else argument.to(dtype)

    def run(*arguments: Any) -> Any:
        dtype = torch.get_autocast_dtype(device)
        compute = dtype if results is None else torch.float32
        wanted = () if results is None else results(dtype, *arguments)
        rows = table if sparse is not None and arguments[sparse] else None
        given = list(arguments)
        for place in tensors:
            given[place] = cast(given[place], compute, place == rows)
        if precision is not None:
            outputs = name == "recurrent" and results is not None and wanted[0] is dtype
            half = {torch.bfloat16: "bf16_outputs" if outputs else "bf16"}
            if results is not None and device != "cpu":
                half[torch.float16] = "fp16"
            asked = half.get(dtype, "ieee")
            given[precision] = torch_precision(asked, device) if by_torch else asked
        with torch._C._ExcludeDispatchKeyGuard(excluded):
            output = op(*given)
            if results is None:
                return output
            if isinstance(output, Tensor):
                return cast(output, wanted[0])
            narrow = [cast(o, to) for o, to in zip(output, wanted, strict=False)]
            return *narrow, *output[len(narrow) :]

    op.py_kernels.pop(getattr(torch._C.DispatchKey, key), None)
    op.py_impl(getattr(torch._C.DispatchKey, key))(run)
    library.impl(name, lambda _, *arguments: run(*arguments), key, with_keyset=True, allow_override=True)


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
