"""The operators on sentences: pooling, look-up, n-grams, convolution."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.library import register_autograd, register_fake

from .common import Maybe, dense, once, rows_gradient
from .fake_checks import check_dims, check_text_conv

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


register_autograd("textnn::max_mean_pool", _max_mean_pool_backward, setup_context=_max_mean_pool_setup)
once("max_mean_pool_backward")


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
    dtable, distinct = _ops.embedding_backward(dy, ids, ctx.shape[0], ctx.padding_idx, ctx.sparse)
    return None, rows_gradient(distinct, dtable, ctx.shape) if ctx.sparse else dtable, None, None


register_autograd("textnn::embedding", _embedding_backward, setup_context=_embedding_setup)
once("embedding_backward")


# --- hash_ngrams: integers ---


@register_fake("textnn::hash_ngrams")
def _(ids: Tensor, ngrams: list[int], buckets: int, sizes: Maybe, flat: bool, distinct: bool = False) -> Tensor:
    check_dims("ids", ids, 1 if flat else 2)
    return ids.new_empty(*ids.shape, len(ngrams))


# --- text_conv ---


def _conv_output(x: Tensor, B: Any, weight: list[Tensor], save: bool) -> tuple[Tensor, Tensor]:
    columns = len(weight) * weight[0].shape[0]
    return x.new_empty(B, columns), x.new_empty(B if save else 0, columns, dtype=torch.int32)


def _weight_gradients(x: Tensor, weight: list[Tensor]) -> tuple[Tensor, Tensor]:
    return x.new_empty(sum(w.numel() for w in weight)), x.new_empty(len(weight), weight[0].shape[0])


def _split_weight(dweight: Tensor, weight: list[Tensor]) -> list[Tensor]:
    """The kernels' gradients [C, D, K] from one vector that holds them in turn."""
    return [p.view(w.shape) for p, w in zip(dweight.split([w.numel() for w in weight]), weight, strict=True)]


@register_fake("textnn::text_conv")
def _(
    x: Tensor,
    weight: list[Tensor],
    bias: list[Tensor],
    sizes: Maybe,
    flat: bool,
    same: bool,
    activation: int,
    save: bool,
) -> tuple[Tensor, Tensor]:
    check_text_conv("x", x, 2 if flat else 3, weight)
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
    y: Tensor,
    window: Tensor,
    need_dx: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    check_text_conv("x", x, 2 if flat else 3, weight)
    return (dense(x) if need_dx else x.new_empty(0), *_weight_gradients(x, weight))


def _text_conv_setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    x, weight, bias, sizes, *options, _ = inputs
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(output[1])
    ctx.save_for_backward(x, sizes, *output, *weight)
    ctx.options, ctx.biases = options, len(bias)


def _text_conv_backward(ctx: Any, dy: Maybe, _: Maybe) -> tuple[Any, ...]:
    x, sizes, y, window, *weight = ctx.saved_tensors
    if dy is None:
        return (None, [None] * len(weight), [None] * ctx.biases, *(None,) * 5)
    need_dx = ctx.needs_input_grad[0]
    dx, dweight, dbias = _ops.text_conv_backward(dy, x, weight, sizes, *ctx.options, y, window, need_dx)
    return (
        dx if need_dx else None,
        _split_weight(dweight, weight),
        list(dbias.unbind(0)) if ctx.biases else [],
        *(None,) * 5,
    )


register_autograd("textnn::text_conv", _text_conv_backward, setup_context=_text_conv_setup)
once("text_conv_backward")


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
    padding_idx: int,
    sparse: bool,
    save: bool,
) -> tuple[Tensor, Tensor]:
    check_text_conv("ids", ids, 1 if flat else 2, weight)
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
    y: Tensor,
    window: Tensor,
    padding_idx: int,
    sparse: bool,
    need_dtable: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    check_text_conv("ids", ids, 1 if flat else 2, weight)
    check_dims("table", table, 2)
    distinct = torch.library.get_ctx().new_dynamic_size() if sparse else 0
    rows = (distinct if sparse else table.shape[0]) if need_dtable else 0
    return (table.new_empty(rows, table.shape[1]), ids.new_empty(distinct), *_weight_gradients(table, weight))


def _embedding_text_conv_setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    ids, table, weight, bias, sizes, flat, same, activation, padding_idx, sparse, _ = inputs
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(output[1])
    ctx.save_for_backward(ids, table, sizes, *output, *weight)
    ctx.options, ctx.biases, ctx.padding_idx, ctx.sparse = (flat, same, activation), len(bias), padding_idx, sparse


def _embedding_text_conv_backward(ctx: Any, dy: Maybe, _: Maybe) -> tuple[Any, ...]:
    ids, table, sizes, y, window, *weight = ctx.saved_tensors
    if dy is None:
        return (None, None, [None] * len(weight), [None] * ctx.biases, *(None,) * 7)
    need = ctx.needs_input_grad[1]
    dtable, distinct, dweight, dbias = _ops.embedding_text_conv_backward(
        dy, ids, table, weight, sizes, *ctx.options, y, window, ctx.padding_idx, ctx.sparse, need
    )
    if ctx.sparse and need:
        dtable = rows_gradient(distinct, dtable, table.shape)
    return (
        None,
        dtable if need else None,
        _split_weight(dweight, weight),
        list(dbias.unbind(0)) if ctx.biases else [],
        *(None,) * 7,
    )


register_autograd(
    "textnn::embedding_text_conv", _embedding_text_conv_backward, setup_context=_embedding_text_conv_setup
)
once("embedding_text_conv_backward")


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
