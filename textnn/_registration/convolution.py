"""The operators on sentences: pooling, look-up, n-grams, convolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.library import register_fake

from .._checks import ACTIVATIONS
from ..reference import masked
from .common import Maybe, dense, rows_gradient
from .fake_checks import check_dims, check_text_conv
from .gradients import dense_gradients, differentiate, register_gradient

_ops = torch.ops.textnn


# --- max_mean_pool ---


@register_fake("textnn::max_mean_pool")
def _(x: Tensor, sizes: Maybe, flat: bool, save: bool) -> tuple[Tensor, Tensor]:
    check_dims("x", x, 2 if flat else 3)
    B, F = sizes.shape[0] if flat and sizes is not None else x.shape[0], x.shape[-1]
    return x.new_empty(B, 2 * F), x.new_empty(B if save else 0, F, dtype=torch.int32)


@register_fake("textnn::max_mean_pool_backward")
def _(dy: Tensor, at: Tensor, x: Tensor, sizes: Maybe, flat: bool) -> Tensor:
    return dense(x)


def _max_mean_pool_setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    x, sizes, ctx.flat, _ = inputs
    ctx.mark_non_differentiable(output[1])
    ctx.save_for_backward(output[1], x, sizes)


def _max_mean_pool_backward(ctx: Any, dy: Tensor, _: Maybe) -> tuple[Any, ...]:
    at, x, sizes = ctx.saved_tensors
    return _ops.max_mean_pool_backward(dy, at, x, sizes, ctx.flat), None, None, None


def _plain_pool(inputs: Sequence[Any], outputs: Sequence[Tensor]) -> tuple[Maybe, ...]:
    x, sizes, flat, _ = inputs
    return masked.max_mean_pool(x, sizes, flat, outputs[1]), None


def _plain_pool_backward(inputs: Sequence[Any], _: Sequence[Tensor]) -> list[Any]:
    dy, at, x, sizes, flat = inputs
    return differentiate(lambda own: [masked.max_mean_pool(own[0], sizes, flat, at)], [x], (0,), (dy,))


register_gradient("max_mean_pool", _plain_pool, _max_mean_pool_backward, _max_mean_pool_setup)
register_gradient("max_mean_pool_backward", _plain_pool_backward)


# --- embedding ---


@register_fake("textnn::embedding")
def _(ids: Tensor, table: Tensor, padding_idx: int, sparse: bool) -> Tensor:
    check_dims("table", table, 2)
    return table.new_empty(*ids.shape, table.shape[1])


@register_fake("textnn::embedding_backward")
def _(dy: Tensor, ids: Tensor, rows: int, padding_idx: int, sparse: bool) -> tuple[Tensor, Tensor]:
    check_dims("the gradient", dy, ids.dim() + 1)
    distinct = torch.library.get_ctx().new_dynamic_size() if sparse else 0
    return dy.new_empty(distinct if sparse else rows, dy.shape[-1]), ids.new_empty(distinct)


def _embedding_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ids, table, ctx.padding_idx, ctx.sparse = inputs
    ctx.save_for_backward(ids)
    ctx.shape = table.shape


def _embedding_backward(ctx: Any, dy: Tensor) -> tuple[Any, ...]:
    (ids,) = ctx.saved_tensors
    sparse = ctx.sparse and not dense_gradients()
    dtable, distinct = _ops.embedding_backward(dy, ids, ctx.shape[0], ctx.padding_idx, sparse)
    return None, rows_gradient(distinct, dtable, ctx.shape) if sparse else dtable, None, None


def _look_up(ids: Tensor, table: Tensor, padding_idx: int) -> Tensor:
    return F.embedding(ids, table, padding_idx=padding_idx if padding_idx >= 0 else None)


def _plain_embedding(inputs: Sequence[Any], _: Sequence[Tensor]) -> list[Tensor]:
    return [_look_up(*inputs[:3])]


def _plain_embedding_backward(inputs: Sequence[Any], outputs: Sequence[Tensor]) -> list[Maybe]:
    dy, ids, rows, padding_idx, sparse = inputs
    table = dy.new_zeros(rows, dy.shape[-1])  # its values do not count
    (dtable,) = differentiate(lambda own: [_look_up(ids, own[0], padding_idx)], [table], (0,), (dy,))
    return [dtable[outputs[1]] if sparse else dtable, None]


register_gradient("embedding", _plain_embedding, _embedding_backward, _embedding_setup)
register_gradient("embedding_backward", _plain_embedding_backward)


# --- hash_ngrams: integers ---


@register_fake("textnn::hash_ngrams")
def _(ids: Tensor, ngrams: list[int], buckets: int, sizes: Maybe, flat: bool, distinct: bool = False) -> Tensor:
    check_dims("ids", ids, 1 if flat else 2)
    return ids.new_empty(*ids.shape, len(ngrams))


# --- text_conv ---


def _conv_output(x: Tensor, B: Any, weight: list[Tensor], save: bool) -> tuple[Tensor, Tensor]:
    columns = len(weight) * weight[0].shape[0]
    return x.new_empty(B, columns), x.new_empty(B if save else 0, columns, dtype=torch.int32)


def weight_gradients(x: Tensor, weight: list[Tensor]) -> tuple[Tensor, Tensor]:
    return x.new_empty(sum(w.numel() for w in weight)), x.new_empty(len(weight), weight[0].shape[0])


def split_gradients(dweight: Tensor, dbias: Tensor, weight: list[Tensor], biases: int) -> list[Tensor]:
    """The gradients of kernels [C, D, K] and biases [C], each with memory of its own."""
    if len(weight) == 1:
        return [dweight.view(weight[0].shape), *([dbias[0]] if biases else [])]
    parts = dweight.split([w.numel() for w in weight])
    of_weight = [p.clone().view(w.shape) for p, w in zip(parts, weight, strict=True)]
    return of_weight + ([b.clone() for b in dbias.unbind(0)] if biases else [])


def _plain_conv_backward(
    tensors: Sequence[Any], saved: Sequence[Tensor], sizes: Maybe, flat: bool, same: bool, activation: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of x, of all weights and of all biases, from x and weights, and from dy, y and windows.

    Behind the activation's gradient, a function of y, a convolution is linear in each of them."""
    dy, y, window = saved
    dz = masked.activation_gradient(dy, y, ACTIVATIONS[activation])
    S = len(tensors) - 1
    biases = [dy.new_zeros(tensors[1].shape[0]) for _ in range(S)]

    def convolved(own: Sequence[Any]) -> list[Tensor]:
        return [masked.text_conv(own[0], own[1 : S + 1], own[S + 1 :], sizes, flat, same, window)]

    dx, *rest = differentiate(convolved, [*tensors, *biases], range(2 * S + 1), (dz,))
    return dx, torch.cat([w.flatten() for w in rest[:S]]), torch.stack(rest[S:])


@register_fake("textnn::text_conv")
def _(
    x: Tensor,
    weight: list[Tensor],
    bias: list[Tensor],
    sizes: Maybe,
    flat: bool,
    same: bool,
    activation: int,
    precision: str,
    save: bool,
) -> tuple[Tensor, Tensor]:
    check_text_conv("x", x, 2 if flat else 3, weight, precision)
    return _conv_output(x, sizes.shape[0] if flat and sizes is not None else x.shape[0], weight, save)


@register_fake("textnn::text_conv_backward")
def _(
    dy: Tensor,
    x: Tensor,
    weight: list[Tensor],
    sizes: Maybe,
    flat: bool,
    same: bool,
    activation: int,
    precision: str,
    y: Tensor,
    window: Tensor,
    need_dx: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    check_text_conv("x", x, 2 if flat else 3, weight, precision)
    return (dense(x) if need_dx else x.new_empty(0), *weight_gradients(x, weight))


def _text_conv_setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    x, weight, bias, sizes, *options, _ = inputs
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(output[1])
    ctx.save_for_backward(x, sizes, *output, *weight)
    ctx.options, ctx.biases = options, len(bias)


def _text_conv_backward(ctx: Any, dy: Maybe, _: Maybe) -> tuple[Any, ...]:
    x, sizes, y, window, *weight = ctx.saved_tensors
    if dy is None:
        return (None,) * (len(weight) + ctx.biases + 7)
    need_dx = ctx.needs_input_grad[0]
    dx, dweight, dbias = _ops.text_conv_backward(dy, x, weight, sizes, *ctx.options, y, window, need_dx)
    return dx if need_dx else None, *split_gradients(dweight, dbias, weight, ctx.biases), *(None,) * 6


def _plain_text_conv(inputs: Sequence[Any], outputs: Sequence[Tensor]) -> tuple[Maybe, ...]:
    x, weight, bias, sizes, flat, same, activation, *_ = inputs
    z = masked.text_conv(x, weight, bias, sizes, flat, same, outputs[1])
    return masked.activated(z, ACTIVATIONS[activation]), None


def _plain_text_conv_backward(inputs: Sequence[Any], _: Sequence[Tensor]) -> tuple[Maybe, ...]:
    dy, x, weight, *options, _, y, window, need_dx = inputs
    dx, dweight, dbias = _plain_conv_backward([x, *weight], (dy, y, window), *options)
    return dx if need_dx else None, dweight, dbias


register_gradient("text_conv", _plain_text_conv, _text_conv_backward, _text_conv_setup)
register_gradient("text_conv_backward", _plain_text_conv_backward)


# --- embedding_text_conv ---


@register_fake("textnn::embedding_text_conv")
def _(
    ids: Tensor,
    table: Tensor,
    weight: list[Tensor],
    bias: list[Tensor],
    sizes: Maybe,
    flat: bool,
    same: bool,
    activation: int,
    precision: str,
    padding_idx: int,
    sparse: bool,
    save: bool,
    tf32: bool = False,
    deterministic: bool = False,
) -> tuple[Tensor, Tensor]:
    check_text_conv("ids", ids, 1 if flat else 2, weight, precision)
    check_dims("table", table, 2)
    return _conv_output(table, sizes.shape[0] if flat and sizes is not None else ids.shape[0], weight, save)


@register_fake("textnn::embedding_text_conv_backward")
def _(
    dy: Tensor,
    ids: Tensor,
    table: Tensor,
    weight: list[Tensor],
    sizes: Maybe,
    flat: bool,
    same: bool,
    activation: int,
    precision: str,
    y: Tensor,
    window: Tensor,
    padding_idx: int,
    sparse: bool,
    need_dtable: bool,
    deterministic: bool = False,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    check_text_conv("ids", ids, 1 if flat else 2, weight, precision)
    check_dims("table", table, 2)
    distinct = torch.library.get_ctx().new_dynamic_size() if sparse else 0
    rows = (distinct if sparse else table.shape[0]) if need_dtable else 0
    return (table.new_empty(rows, table.shape[1]), ids.new_empty(distinct), *weight_gradients(table, weight))


def _embedding_text_conv_setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    ids, table, weight, bias, sizes, *options, padding_idx, sparse, _, _, ctx.deterministic = inputs
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(output[1])
    ctx.save_for_backward(ids, table, sizes, *output, *weight)
    ctx.options, ctx.biases, ctx.padding_idx, ctx.sparse = options, len(bias), padding_idx, sparse


def _embedding_text_conv_backward(ctx: Any, dy: Maybe, _: Maybe) -> tuple[Any, ...]:
    ids, table, sizes, y, window, *weight = ctx.saved_tensors
    if dy is None:
        return (None,) * (len(weight) + ctx.biases + 12)
    need, sparse = ctx.needs_input_grad[1], ctx.sparse and not dense_gradients()
    dtable, distinct, dweight, dbias = _ops.embedding_text_conv_backward(
        dy, ids, table, weight, sizes, *ctx.options, y, window, ctx.padding_idx, sparse, need, ctx.deterministic
    )
    if sparse and need:
        dtable = rows_gradient(distinct, dtable, table.shape)
    return None, dtable if need else None, *split_gradients(dweight, dbias, weight, ctx.biases), *(None,) * 10


def _plain_embedding_text_conv(inputs: Sequence[Any], outputs: Sequence[Tensor]) -> tuple[Maybe, ...]:
    ids, table, weight, bias, sizes, flat, same, activation, _, padding_idx, *_ = inputs
    z = masked.text_conv(_look_up(ids, table, padding_idx), weight, bias, sizes, flat, same, outputs[1])
    return masked.activated(z, ACTIVATIONS[activation]), None


def _plain_embedding_text_conv_backward(inputs: Sequence[Any], outputs: Sequence[Tensor]) -> tuple[Maybe, ...]:
    dy, ids, table, weight, *options, _, y, window, padding_idx, sparse, need, _ = inputs
    x = _look_up(ids, table, padding_idx)
    dx, dweight, dbias = _plain_conv_backward([x, *weight], (dy, y, window), *options)
    if not need:
        return None, None, dweight, dbias
    (dtable,) = differentiate(lambda own: [_look_up(ids, own[0], padding_idx)], [table], (0,), (dx,))
    return dtable[outputs[1]] if sparse else dtable, None, dweight, dbias


register_gradient(
    "embedding_text_conv",
    _plain_embedding_text_conv,
    _embedding_text_conv_backward,
    _embedding_text_conv_setup,
)
register_gradient("embedding_text_conv_backward", _plain_embedding_text_conv_backward)


# --- frozen_text_conv: no gradients, which textnn.functional says before the operator is called ---


@register_fake("textnn::frozen_text_conv")
def _(
    ids: Tensor,
    table: Tensor,
    scale: Maybe,
    bias: Tensor,
    kernel_sizes: list[int],
    row: Maybe,
    rest: Maybe,
    weight: Maybe,
    sizes: Maybe,
    flat: bool,
    same: bool,
    activation: int,
) -> Tensor:
    check_dims("ids", ids, 1 if flat else 2)
    check_dims("bias", bias, 2)
    B = sizes.shape[0] if flat and sizes is not None else ids.shape[0]
    return bias.new_empty(B, bias.shape[0] * bias.shape[1])
