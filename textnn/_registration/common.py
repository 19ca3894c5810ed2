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


def rows_gradient(distinct: Tensor, values: Tensor, shape: Any) -> Tensor:
    """A sparse gradient from rising rows [U] and their values [U, D]."""
    return torch.sparse_coo_tensor(distinct[None], values, shape, check_invariants=False, is_coalesced=True)
