"""What torch has to know of each operator besides its kernels: fake kernel, autograd formula, autocast rule.

The operators' schemas are in csrc/ops/library.cpp. Backward operators are operators like the others; differentiating
them again is an error, not silence. Autocast runs everything in float32, where the kernels accumulate anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.library import register_autocast, register_autograd, register_fake

from . import _C  # noqa: F401

_ops = torch.ops.textnn
_Maybe = Tensor | None


def _dense(t: Tensor) -> Tensor:
    return torch.empty_like(t, memory_format=torch.contiguous_format)


def _once(name: str) -> None:
    def backward(ctx: Any, *grads: Any) -> None:
        raise RuntimeError(f"textnn::{name} cannot be differentiated: second derivatives are not implemented")

    register_autograd(f"textnn::{name}", backward)


def _rows_gradient(distinct: Tensor, values: Tensor, shape: Any) -> Tensor:
    """A sparse gradient from rising rows [U] and their values [U, D]."""
    return torch.sparse_coo_tensor(distinct[None], values, shape, check_invariants=False, is_coalesced=True)


# --- lstm_cell ---


@register_fake("textnn::lstm_cell")
def _(gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    return _dense(c), _dense(c)


@register_fake("textnn::lstm_cell_backward")
def _(dh: Tensor, dc_next: Tensor, gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    return _dense(gates), _dense(c)


def _lstm_cell_setup(ctx: Any, inputs: tuple[Tensor, Tensor], output: Any) -> None:
    ctx.save_for_backward(*inputs)


def _lstm_cell_backward(ctx: Any, dh: Tensor, dc_next: Tensor) -> tuple[Tensor, Tensor]:
    gates, c = ctx.saved_tensors
    dgates, dc = _ops.lstm_cell_backward(dh, dc_next, gates, c)
    return dgates, dc


register_autograd("textnn::lstm_cell", _lstm_cell_backward, setup_context=_lstm_cell_setup)
_once("lstm_cell_backward")


# --- lstm, bilstm ---


def _rows(x: Tensor) -> Any:
    return x.shape[0] if x.dim() == 2 else x.shape[0] * x.shape[1]


def _lstm_outputs(
    x: Tensor, h0: Tensor, c0: Tensor, projected: bool, directions: int, outputs: bool, save: bool
) -> tuple[Tensor, ...]:
    rows, P, H = directions * _rows(x) if save else 0, h0.shape[-1], c0.shape[-1]
    unit = 64 // x.element_size()
    padded = (H + unit - 1) // unit * unit  # units are kept in whole cache lines
    return (
        x.new_empty(*x.shape[:-1], directions * P) if outputs else x.new_empty(0),
        _dense(h0),
        _dense(c0),
        x.new_empty(rows, 4 * padded),
        x.new_empty(rows, padded),
        x.new_empty(rows, P),
        x.new_empty(rows if projected else 0, H),
    )


def _lstm_gradients(
    x: Tensor, c0: Tensor, weights: Sequence[tuple[Tensor, Tensor, _Maybe]], need_dx: bool
) -> tuple[Tensor, ...]:
    gradients = [
        _dense(x) if need_dx else x.new_empty(0),
        x.new_empty(*c0.shape[:-1], weights[0][1].shape[1]),
        _dense(c0),
    ]
    for w_ih, w_hh, w_hr in weights:
        gradients += [_dense(w_ih), _dense(w_hh), x.new_empty(w_ih.shape[0])]
        gradients.append(_dense(w_hr) if w_hr is not None else x.new_empty(0, 0))
    return tuple(gradients)


@register_fake("textnn::lstm")
def _(
    x: Tensor,
    h0: Tensor,
    c0: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: _Maybe,
    b_hh: _Maybe,
    w_hr: _Maybe,
    sizes: _Maybe,
    layout: str,
    reverse: bool,
    outputs: bool,
    save: bool,
) -> tuple[Tensor, ...]:
    return _lstm_outputs(x, h0, c0, w_hr is not None, 1, outputs, save)


@register_fake("textnn::bilstm")
def _(x: Tensor, h0: Tensor, c0: Tensor, *rest: Any) -> tuple[Tensor, ...]:
    return _lstm_outputs(x, h0, c0, rest[4] is not None, 2, *rest[-2:])


@register_fake("textnn::lstm_backward")
def _(
    dy: _Maybe,
    dh_n: _Maybe,
    dc_n: _Maybe,
    x: Tensor,
    c0: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    w_hr: _Maybe,
    sizes: _Maybe,
    layout: str,
    reverse: bool,
    gates: Tensor,
    cells: Tensor,
    h_prev: Tensor,
    unprojected: Tensor,
    need_dx: bool,
) -> tuple[Tensor, ...]:
    return _lstm_gradients(x, c0, [(w_ih, w_hh, w_hr)], need_dx)


@register_fake("textnn::bilstm_backward")
def _(dy: _Maybe, dh_n: _Maybe, dc_n: _Maybe, x: Tensor, c0: Tensor, *rest: Any) -> tuple[Tensor, ...]:
    return _lstm_gradients(x, c0, [rest[:3], rest[3:6]], rest[-1])


def _lstm_setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    # One direction: x, h0, c0, its weights, sizes, layout, reverse, outputs, save. Two: both weights, no reverse.
    ctx.set_materialize_grads(False)
    ctx.directions = 1 if len(inputs) == 13 else 2
    weights = inputs[3 : 3 + 5 * ctx.directions]
    sizes, *ctx.options, outputs, _ = inputs[3 + 5 * ctx.directions :]
    if not outputs:
        ctx.mark_non_differentiable(output[0])
    ctx.given = [w is not None for w in weights]
    used = [w for i, w in enumerate(weights) if i % 5 not in (2, 3)]  # biases have no part in the gradients
    ctx.save_for_backward(inputs[0], inputs[2], *used, sizes, *output[3:])


def _lstm_backward(ctx: Any, dy: _Maybe, dh_n: _Maybe, dc_n: _Maybe, *_: _Maybe) -> tuple[Any, ...]:
    empty = (None,) * (len(ctx.options) + 3)  # of sizes, the options, outputs and save
    if dy is None and dh_n is None and dc_n is None:
        return (None,) * (3 + 5 * ctx.directions) + empty
    need_dx = ctx.needs_input_grad[0]
    tensors = ctx.saved_tensors
    inputs, kept = tensors[: 3 + 3 * ctx.directions], tensors[3 + 3 * ctx.directions :]
    backward = _ops.lstm_backward if ctx.directions == 1 else _ops.bilstm_backward
    dx, dh0, dc0, *dw = backward(dy, dh_n, dc_n, *inputs, *ctx.options, *kept, need_dx)
    gradients = []
    for d in range(ctx.directions):
        dw_ih, dw_hh, db, dw_hr = dw[4 * d : 4 * d + 4]
        gradients += [dw_ih, dw_hh, db, db, dw_hr]
    weights = (g if given else None for g, given in zip(gradients, ctx.given, strict=True))
    return (dx if need_dx else None, dh0, dc0, *weights, *empty)


for _name in ("lstm", "bilstm"):
    register_autograd(f"textnn::{_name}", _lstm_backward, setup_context=_lstm_setup)
    _once(f"{_name}_backward")


# --- embedding_lstm ---


@register_fake("textnn::embedding_lstm")
def _(ids: Tensor, table: Tensor, h0: Tensor, c0: Tensor, *rest: Any) -> tuple[Tensor, ...]:
    # The shapes of an input of vectors where the ids stand.
    x = table.new_empty(*ids.shape, table.shape[1])
    return _lstm_outputs(x, h0, c0, rest[4] is not None, 1 if rest[5] is None else 2, *rest[-2:])


@register_fake("textnn::embedding_lstm_backward")
def _(dy: _Maybe, dh_n: _Maybe, dc_n: _Maybe, ids: Tensor, table: Tensor, c0: Tensor, *rest: Any) -> tuple[Tensor, ...]:
    sparse, need_dtable = rest[-2:]
    distinct = torch.library.get_ctx().new_dynamic_size() if sparse else 0
    rows = (distinct if sparse else table.shape[0]) if need_dtable else 0
    directions = 1 if rest[3] is None else 2
    weights = [rest[:3], rest[3:6]][:directions]
    _, *gradients = _lstm_gradients(table, c0, weights, False)
    missing = [table.new_empty(0) for _ in range(4 * (2 - directions))]
    return (table.new_empty(rows, table.shape[1]), ids.new_empty(distinct), *gradients, *missing)


def _embedding_lstm_setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ids, table, _, c0, *weights = inputs[:14]
    sizes, ctx.layout, ctx.padding_idx, ctx.sparse, outputs, _ = inputs[14:]
    ctx.set_materialize_grads(False)
    if not outputs:
        ctx.mark_non_differentiable(output[0])
    ctx.given = [w is not None for w in weights]
    used = [w for i, w in enumerate(weights) if i % 5 not in (2, 3)]
    ctx.save_for_backward(ids, table, c0, *used, sizes, *output[3:])


def _embedding_lstm_backward(ctx: Any, dy: _Maybe, dh_n: _Maybe, dc_n: _Maybe, *_: _Maybe) -> tuple[Any, ...]:
    if dy is None and dh_n is None and dc_n is None:
        return (None,) * 20
    inputs, kept, need = ctx.saved_tensors[:10], ctx.saved_tensors[10:], ctx.needs_input_grad[1]
    dtable, distinct, dh0, dc0, *dw = _ops.embedding_lstm_backward(
        dy, dh_n, dc_n, *inputs, ctx.layout, *kept, ctx.padding_idx, ctx.sparse, need
    )
    if ctx.sparse and need:
        dtable = _rows_gradient(distinct, dtable, inputs[1].shape)
    gradients = [*dw[:2], dw[2], *dw[2:4], *dw[4:6], dw[6], *dw[6:8]]  # the biases have the same gradient
    weights = (g if given else None for g, given in zip(gradients, ctx.given, strict=True))
    return (None, dtable if need else None, dh0, dc0, *weights, *(None,) * 6)


register_autograd("textnn::embedding_lstm", _embedding_lstm_backward, setup_context=_embedding_lstm_setup)
_once("embedding_lstm_backward")


# --- quantized_lstm: no gradients, which textnn.functional says before the operator is called ---


@register_fake("textnn::quantized_lstm")
def _(x: Tensor, h0: Tensor, c0: Tensor, *rest: Any) -> tuple[Tensor, ...]:
    y = x.new_empty(*x.shape[:-1], h0.shape[1]) if rest[-1] else x.new_empty(0)
    return y, _dense(h0), _dense(c0)


# --- max_mean_pool ---


@register_fake("textnn::max_mean_pool")
def _(x: Tensor, sizes: _Maybe, flat: bool, save: bool) -> tuple[Tensor, Tensor]:
    B, F = sizes.shape[0] if flat and sizes is not None else x.shape[0], x.shape[-1]
    return x.new_empty(B, 2 * F), x.new_empty(B if save else 0, F, dtype=torch.int32)


@register_fake("textnn::max_mean_pool_backward")
def _(dy: Tensor, at: Tensor, x: Tensor, sizes: _Maybe, flat: bool) -> Tensor:
    return _dense(x)


def _max_mean_pool_setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    x, sizes, ctx.flat, _ = inputs
    ctx.mark_non_differentiable(output[1])
    ctx.save_for_backward(output[1], x, sizes)


def _max_mean_pool_backward(ctx: Any, dy: Tensor, _: _Maybe) -> tuple[Any, ...]:
    at, x, sizes = ctx.saved_tensors
    return _ops.max_mean_pool_backward(dy, at, x, sizes, ctx.flat), None, None, None


register_autograd("textnn::max_mean_pool", _max_mean_pool_backward, setup_context=_max_mean_pool_setup)
_once("max_mean_pool_backward")


# --- embedding ---


@register_fake("textnn::embedding")
def _(ids: Tensor, table: Tensor, padding_idx: int, sparse: bool) -> Tensor:
    return table.new_empty(*ids.shape, table.shape[1])


@register_fake("textnn::embedding_backward")
def _(dy: Tensor, ids: Tensor, rows: int, padding_idx: int, sparse: bool) -> tuple[Tensor, Tensor]:
    distinct = torch.library.get_ctx().new_dynamic_size() if sparse else 0
    return dy.new_empty(distinct if sparse else rows, dy.shape[-1]), ids.new_empty(distinct)


def _embedding_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ids, table, ctx.padding_idx, ctx.sparse = inputs
    ctx.save_for_backward(ids)
    ctx.shape = table.shape


def _embedding_backward(ctx: Any, dy: Tensor) -> tuple[Any, ...]:
    (ids,) = ctx.saved_tensors
    dtable, distinct = _ops.embedding_backward(dy, ids, ctx.shape[0], ctx.padding_idx, ctx.sparse)
    return None, _rows_gradient(distinct, dtable, ctx.shape) if ctx.sparse else dtable, None, None


register_autograd("textnn::embedding", _embedding_backward, setup_context=_embedding_setup)
_once("embedding_backward")


# --- adam: what is changed in place comes first, and nothing is returned ---

for _name in ("adam_rows", "adam_exact_rows", "adam_catch_up"):
    register_fake(f"textnn::{_name}", lambda *_: None)


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
    sizes: _Maybe,
    flat: bool,
    same: bool,
    activation: int,
    save: bool,
) -> tuple[Tensor, Tensor]:
    return _conv_output(x, sizes.shape[0] if flat and sizes is not None else x.shape[0], weight, save)


@register_fake("textnn::text_conv_backward")
def _(
    dy: Tensor,
    x: Tensor,
    weight: list[Tensor],
    sizes: _Maybe,
    flat: bool,
    same: bool,
    activation: int,
    y: Tensor,
    window: Tensor,
    need_dx: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    return (_dense(x) if need_dx else x.new_empty(0), *_weight_gradients(x, weight))


def _text_conv_setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    x, weight, bias, sizes, *options, _ = inputs
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(output[1])
    ctx.save_for_backward(x, sizes, *output, *weight)
    ctx.options, ctx.biases = options, len(bias)


def _text_conv_backward(ctx: Any, dy: _Maybe, _: _Maybe) -> tuple[Any, ...]:
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
_once("text_conv_backward")


# --- embedding_text_conv ---


@register_fake("textnn::embedding_text_conv")
def _(
    ids: Tensor,
    table: Tensor,
    weight: list[Tensor],
    bias: list[Tensor],
    sizes: _Maybe,
    flat: bool,
    same: bool,
    activation: int,
    padding_idx: int,
    sparse: bool,
    save: bool,
) -> tuple[Tensor, Tensor]:
    return _conv_output(table, sizes.shape[0] if flat and sizes is not None else ids.shape[0], weight, save)


@register_fake("textnn::embedding_text_conv_backward")
def _(
    dy: Tensor,
    ids: Tensor,
    table: Tensor,
    weight: list[Tensor],
    sizes: _Maybe,
    flat: bool,
    same: bool,
    activation: int,
    y: Tensor,
    window: Tensor,
    padding_idx: int,
    sparse: bool,
    need_dtable: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    distinct = torch.library.get_ctx().new_dynamic_size() if sparse else 0
    rows = (distinct if sparse else table.shape[0]) if need_dtable else 0
    return (table.new_empty(rows, table.shape[1]), ids.new_empty(distinct), *_weight_gradients(table, weight))


def _embedding_text_conv_setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    ids, table, weight, bias, sizes, flat, same, activation, padding_idx, sparse, _ = inputs
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(output[1])
    ctx.save_for_backward(ids, table, sizes, *output, *weight)
    ctx.options, ctx.biases, ctx.padding_idx, ctx.sparse = (flat, same, activation), len(bias), padding_idx, sparse


def _embedding_text_conv_backward(ctx: Any, dy: _Maybe, _: _Maybe) -> tuple[Any, ...]:
    ids, table, sizes, y, window, *weight = ctx.saved_tensors
    if dy is None:
        return (None, None, [None] * len(weight), [None] * ctx.biases, *(None,) * 7)
    need = ctx.needs_input_grad[1]
    dtable, distinct, dweight, dbias = _ops.embedding_text_conv_backward(
        dy, ids, table, weight, sizes, *ctx.options, y, window, ctx.padding_idx, ctx.sparse, need
    )
    if ctx.sparse and need:
        dtable = _rows_gradient(distinct, dtable, table.shape)
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
_once("embedding_text_conv_backward")


# --- frozen_text_conv: no gradients, which textnn.functional says before the operator is called ---


@register_fake("textnn::frozen_text_conv")
def _(
    ids: Tensor,
    table: Tensor,
    scale: _Maybe,
    bias: Tensor,
    kernel_sizes: list[int],
    row: _Maybe,
    rest: _Maybe,
    weight: _Maybe,
    sizes: _Maybe,
    flat: bool,
    same: bool,
    activation: int,
) -> Tensor:
    B = sizes.shape[0] if flat and sizes is not None else ids.shape[0]
    return bias.new_empty(B, bias.shape[0] * bias.shape[1])


for _name in (
    "lstm_cell",
    "lstm",
    "bilstm",
    "embedding_lstm",
    "max_mean_pool",
    "text_conv",
    "embedding_text_conv",
    "embedding",
):
    for _device in ("cpu", "cuda"):
        register_autocast(f"textnn::{_name}", _device, torch.float32)
