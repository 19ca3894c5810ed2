"""What the registrations share."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.library import register_autograd

from .. import _C  # noqa: F401  # the operators

Maybe = Tensor | None


def dense(t: Tensor) -> Tensor:
    """An empty tensor of the same shape, contiguous."""
    return torch.empty_like(t, memory_format=torch.contiguous_format)


def once(name: str) -> None:
    """Make differentiating a backward operator an error."""

    def backward(ctx: Any, *grads: Any) -> None:
        raise RuntimeError(f"textnn::{name} cannot be differentiated: second derivatives are not implemented")

    register_autograd(f"textnn::{name}", backward)


def follow_autocast(name: str, device: str) -> None:
    """Make an operator run in the dtype that autocast is set to on this type of device."""
    op, key = getattr(torch.ops.textnn, name).default, f"Autocast{torch._C._dispatch_key_for_device(device)}"
    excluded = torch._C.DispatchKeySet(getattr(torch._C.DispatchKey, key))

    def cast(argument: Any, dtype: torch.dtype) -> Any:
        if isinstance(argument, (list, tuple)):
            return [cast(a, dtype) for a in argument]
        narrow = isinstance(argument, Tensor) and argument.is_floating_point() and argument.dtype != torch.float64
        return argument.to(dtype) if narrow else argument

    def run(*arguments: Any) -> Any:
        with torch._C._ExcludeDispatchKeyGuard(excluded):
            return op(*(cast(a, torch.get_autocast_dtype(device)) for a in arguments))

    op.py_kernels.pop(getattr(torch._C.DispatchKey, key), None)
    op.py_impl(getattr(torch._C.DispatchKey, key))(run)
    _autocast.impl(name, lambda _, *arguments: run(*arguments), key, with_keyset=True, allow_override=True)


_autocast = torch.library.Library("textnn", "FRAGMENT")


def rows_gradient(distinct: Tensor, values: Tensor, shape: Any) -> Tensor:
    """A sparse gradient from rising rows [U] and their values [U, D]."""
    return torch.sparse_coo_tensor(distinct[None], values, shape, check_invariants=False, is_coalesced=True)
