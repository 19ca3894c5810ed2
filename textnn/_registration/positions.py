"""The text convolutions with an output for each position: fake kernels and autograd.

The backward operators are in position_gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.library import register_fake

from .._checks import ACTIVATIONS, window_counts
from ..reference import masked
from .common import Maybe, dense, rows_gradient
from .convolution import split_gradients, weight_gradients
from .gradients import dense_gradients, differentiate, register_gradient
from .windows import Windows

_ops = torch.ops.textnn


def _output(tokens: Tensor, like: Tensor, weight: list[Tensor], flat: bool, options: tuple[Any, ...]) -> Tensor:
    same, padding, stride = options
    columns, K = len(weight) * weight[0].shape[0], weight[0].shape[2]
    if not flat:
        longest = window_counts(tokens.shape[1], K, same, padding, stride)
        return like.new_empty(tokens.shape[0], longest, columns)
    whole = same and stride == 1
    return like.new_empty(tokens.shape[0] if whole else torch.library.get_ctx().new_dynamic_size(), columns)


@register_fake("textnn::text_conv_positions")
def _(
    x: Tensor,
    weight: list[Tensor],
    bias: list[Tensor],
    sizes: Maybe,
    flat: bool,
    same: bool,
    padding: int,
    stride: int,
    activation: int,
    precision: str,
) -> Tensor:
    return _output(x, x, weight, flat, (same, padding, stride))


@register_fake("textnn::embedding_text_conv_positions")
def _(
    ids: Tensor,
    table: Tensor,
    weight: list[Tensor],
    bias: list[Tensor],
    sizes: Maybe,
    flat: bool,
    same: bool,
    padding: int,
    stride: int,
    activation: int,
    precision: str,
    padding_idx: int,
    sparse: bool,
    tf32: bool = False,
) -> Tensor:
    return _output(ids, table, weight, flat, (same, padding, stride))


@register_fake("textnn::text_conv_positions_backward")
def _(
    dy: Tensor,
    x: Tensor,
    weight: list[Tensor],
    sizes: Maybe,
    flat: bool,
    same: bool,
    padding: int,
    stride: int,
    activation: int,
    precision: str,
    y: Tensor,
    need_dx: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    return (dense(x) if need_dx else x.new_empty(0), *weight_gradients(x, weight))


@register_fake("textnn::embedding_text_conv_positions_backward")
def _(
    dy: Tensor,
    ids: Tensor,
    table: Tensor,
    weight: list[Tensor],
    sizes: Maybe,
    flat: bool,
    same: bool,
    padding: int,
    stride: int,
    activation: int,
    precision: str,
    y: Tensor,
    padding_idx: int,
    sparse: bool,
    need_dtable: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    distinct = torch.library.get_ctx().new_dynamic_size() if sparse else 0
    rows = (distinct if sparse else table.shape[0]) if need_dtable else 0
    return (table.new_empty(rows, table.shape[1]), ids.new_empty(distinct), *weight_gradients(table, weight))


def _setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, weight, bias, sizes, *ctx.options = inputs
    ctx.save_for_backward(x, sizes, output, *weight)
    ctx.biases = len(bias)


def _backward(ctx: Any, dy: Tensor) -> tuple[Any, ...]:
    x, sizes, y, *weight = ctx.saved_tensors
    need = ctx.needs_input_grad[0]
    dx, dweight, dbias = _ops.text_conv_positions_backward(dy, x, weight, sizes, *ctx.options, y, need)
    return dx if need else None, *split_gradients(dweight, dbias, weight, ctx.biases), *(None,) * 7


def _embedding_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ids, table, weight, bias, sizes, *ctx.options, ctx.padding_idx, ctx.sparse, _ = inputs
    ctx.save_for_backward(ids, table, sizes, output, *weight)
    ctx.biases = len(bias)


def _embedding_backward(ctx: Any, dy: Tensor) -> tuple[Any, ...]:
    ids, table, sizes, y, *weight = ctx.saved_tensors
    need, sparse = ctx.needs_input_grad[1], ctx.sparse and not dense_gradients()
    dtable, distinct, dweight, dbias = _ops.embedding_text_conv_positions_backward(
        dy, ids, table, weight, sizes, *ctx.options, y, ctx.padding_idx, sparse, need
    )
    if sparse and need:
        dtable = rows_gradient(distinct, dtable, table.shape)
    return None, dtable if need else None, *split_gradients(dweight, dbias, weight, ctx.biases), *(None,) * 10


# --- derivatives of the backward operators, and forward mode: through this form in torch's own operations ---


def _sums(x: Tensor, weight: Sequence[Tensor], bias: Sequence[Tensor], y: Tensor, *batch: Any) -> Tensor:
    """The sums of all windows before the activation, in the form of the output y; what no window gave is zero."""
    sizes, flat, *options = batch
    windows = Windows(x, sizes, flat, weight[0].shape[2], tuple(options))
    R = y.numel() // y.shape[-1]
    vectors = torch.cat([x.flatten(0, -2), x.new_zeros(1, x.shape[-1])])
    columns = []
    for i, w in enumerate(weight):
        z = torch.einsum("rkd,cdk->rc", vectors[windows.under(w.shape[2], R)], w)
        columns.append(z + bias[i] if bias else z)
    z = torch.cat(columns, dim=-1)
    if not flat:
        there = torch.arange(windows.longest, device=x.device) < windows.count[:, None]
        z = torch.where(there.reshape(-1, 1), z, 0)
    return z.reshape(y.shape)


def _plain(inputs: Sequence[Any], outputs: Sequence[Tensor]) -> list[Tensor]:
    x, weight, bias, *batch, activation, _ = inputs
    return [masked.activated(_sums(x, weight, bias, outputs[0], *batch), ACTIVATIONS[activation])]


def _plain_backward(inputs: Sequence[Any], _: Sequence[Tensor]) -> tuple[Maybe, ...]:
    """Behind the activation's gradient, a function of y, a convolution is linear in each of its arguments."""
    dy, x, weight, *batch, activation, _, y, need_dx = inputs
    dz, S = masked.activation_gradient(dy, y, ACTIVATIONS[activation]), len(weight)
    biases = [dy.new_zeros(weight[0].shape[0]) for _ in range(S)]

    def summed(own: Sequence[Any]) -> list[Tensor]:
        return [_sums(own[0], own[1 : S + 1], own[S + 1 :], y, *batch)]

    dx, *rest = differentiate(summed, [x, *weight, *biases], range(2 * S + 1), (dz,))
    return dx if need_dx else None, torch.cat([w.flatten() for w in rest[:S]]), torch.stack(rest[S:])


def _look_up(ids: Tensor, table: Tensor, padding_idx: int) -> Tensor:
    return F.embedding(ids, table, padding_idx=padding_idx if padding_idx >= 0 else None)


def _plain_embedding(inputs: Sequence[Any], outputs: Sequence[Tensor]) -> list[Tensor]:
    ids, table, *rest, padding_idx, _, _ = inputs
    return _plain([_look_up(ids, table, padding_idx), *rest], outputs)


def _plain_embedding_backward(inputs: Sequence[Any], outputs: Sequence[Tensor]) -> tuple[Maybe, ...]:
    dy, ids, table, *rest, padding_idx, sparse, need = inputs
    dx, *others = _plain_backward([dy, _look_up(ids, table, padding_idx), *rest, need], ())
    if not need:
        return None, None, *others
    (dtable,) = differentiate(lambda own: [_look_up(ids, own[0], padding_idx)], [table], (0,), (dx,))
    return dtable[outputs[1]] if sparse else dtable, None, *others


register_gradient("text_conv_positions", _plain, _backward, _setup)
register_gradient("text_conv_positions_backward", _plain_backward)
register_gradient("embedding_text_conv_positions", _plain_embedding, _embedding_backward, _embedding_setup)
register_gradient("embedding_text_conv_positions_backward", _plain_embedding_backward)
