"""The operator of attention over ragged states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.library import register_fake

from ..reference import masked
from .common import Maybe, dense
from .fake_checks import check_dims
from .gradients import differentiate, register_gradient

_ops = torch.ops.textnn


@register_fake("textnn::ragged_attention")
def _(query: Tensor, states: Tensor, sizes: Maybe, flat: bool, scale: float, save: bool) -> tuple[Tensor, Tensor]:
    check_dims("query", query, 3)
    check_dims("states", states, 2 if flat else 3)
    B, Q, _ = query.shape
    shape = (Q, states.shape[0]) if flat else (B, Q, states.shape[1])
    return dense(query), query.new_empty(shape if save else 0)


@register_fake("textnn::ragged_attention_backward")
def _(
    dcontext: Maybe,
    dweights: Maybe,
    query: Tensor,
    states: Tensor,
    weights: Tensor,
    sizes: Maybe,
    flat: bool,
    scale: float,
) -> tuple[Tensor, Tensor]:
    return dense(query), dense(states)


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    query, states, sizes, ctx.flat, ctx.scale, _ = inputs
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(query, states, output[1], sizes)


def _backward(ctx: Any, dcontext: Maybe, dweights: Maybe) -> tuple[Maybe, ...]:
    if dcontext is None and dweights is None:
        return (None,) * 6
    tensors = ctx.saved_tensors
    dquery, dstates = _ops.ragged_attention_backward(dcontext, dweights, *tensors, ctx.flat, ctx.scale)
    return dquery, dstates, None, None, None, None


def _plain(inputs: Sequence[Any], _: Sequence[Tensor]) -> Sequence[Maybe]:
    query, states, sizes, flat, scale, _ = inputs
    return masked.ragged_attention(query, states, sizes, flat, scale)


def _plain_backward(inputs: Sequence[Any], _: Sequence[Tensor]) -> list[Tensor]:
    dcontext, dweights, query, states, _, sizes, flat, scale = inputs
    tensors = [query, states]

    def attend(own: Sequence[Any]) -> Sequence[Tensor]:
        return masked.ragged_attention(own[0], own[1], sizes, flat, scale)

    found = differentiate(attend, tensors, (0, 1), (dcontext, dweights))
    return [torch.zeros_like(t) if g is None else g for t, g in zip(tensors, found, strict=True)]


register_gradient("ragged_attention", _plain, _backward, _setup)
register_gradient("ragged_attention_backward", _plain_backward)
