"""What the registrations share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.library import register_autograd

from .. import _C  # noqa: F401  # the operators

Maybe = Tensor | None
_library = torch.library.Library("textnn", "FRAGMENT")


def dense(t: Tensor) -> Tensor:
    """An empty tensor of the same shape, contiguous."""
    return torch.empty_like(t, memory_format=torch.contiguous_format)


def register_gradient(name: str, backward: Callable[..., tuple[Any, ...]], setup_context: Callable[..., None]) -> None:
    """Do what ``torch.library.register_autograd`` does, for operators whose schema has no lists and no defaults.

    Torch's own looks every argument up in the schema again, at a cost that grows with the square of their number: 0.13
    ms at each call of an operator with 22.
    """
    op = getattr(torch.ops.textnn, name).default

    def call(arguments: tuple[Any, ...], keyset: Any) -> Any:
        with torch._C._AutoDispatchBelowAutograd():
            return op.redispatch(keyset & torch._C._after_autograd_keyset, *arguments)

    def forward(ctx: Any, *arguments: Any) -> Any:
        *inputs, keyset = arguments
        output = call(tuple(inputs), keyset)
        setup_context(ctx, tuple(inputs), output)
        return output

    def backward_of_all(ctx: Any, *gradients: Any) -> Any:
        return *backward(ctx, *gradients), None

    functions = {"forward": staticmethod(forward), "backward": staticmethod(backward_of_all)}
    gradient: Any = type(f"{name}_gradient", (torch.autograd.Function,), functions)

    def run(keyset: Any, *arguments: Any) -> Any:
        wanted = torch.is_grad_enabled() and any(isinstance(a, Tensor) and a.requires_grad for a in arguments)
        return gradient.apply(*arguments, keyset) if wanted else call(arguments, keyset)

    _library.impl(name, run, "Autograd", with_keyset=True)


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
    _library.impl(name, lambda _, *arguments: run(*arguments), key, with_keyset=True, allow_override=True)


def rows_gradient(distinct: Tensor, values: Tensor, shape: Any) -> Tensor:
    """A sparse gradient from rising rows [U] and their values [U, D]."""
    return torch.sparse_coo_tensor(distinct[None], values, shape, check_invariants=False, is_coalesced=True)
