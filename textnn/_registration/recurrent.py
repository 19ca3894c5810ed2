"""The recurrent operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.library import register_autograd, register_fake

from .common import Maybe, dense, once, rows_gradient

_ops = torch.ops.textnn


# --- lstm_cell ---


@register_fake("textnn::lstm_cell")
def _(gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    return dense(c), dense(c)


@register_fake("textnn::lstm_cell_backward")
def _(dh: Tensor, dc_next: Tensor, gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    return dense(gates), dense(c)


def _lstm_cell_setup(ctx: Any, inputs: tuple[Tensor, Tensor], output: Any) -> None:
    ctx.save_for_backward(*inputs)


def _lstm_cell_backward(ctx: Any, dh: Tensor, dc_next: Tensor) -> tuple[Tensor, Tensor]:
    gates, c = ctx.saved_tensors
    dgates, dc = _ops.lstm_cell_backward(dh, dc_next, gates, c)
    return dgates, dc


register_autograd("textnn::lstm_cell", _lstm_cell_backward, setup_context=_lstm_cell_setup)
once("lstm_cell_backward")


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
        dense(h0),
        dense(c0),
        x.new_empty(rows, 4 * padded),
        x.new_empty(rows, padded),
        x.new_empty(rows, P),
        x.new_empty(rows if projected else 0, H),
    )


def _lstm_gradients(
    x: Tensor, c0: Tensor, weights: Sequence[tuple[Tensor, Tensor, Maybe]], need_dx: bool
) -> tuple[Tensor, ...]:
    gradients = [
        dense(x) if need_dx else x.new_empty(0),
        x.new_empty(*c0.shape[:-1], weights[0][1].shape[1]),
        dense(c0),
    ]
    for w_ih, w_hh, w_hr in weights:
        gradients += [dense(w_ih), dense(w_hh), x.new_empty(w_ih.shape[0])]
        gradients.append(dense(w_hr) if w_hr is not None else x.new_empty(0, 0))
    return tuple(gradients)


@register_fake("textnn::lstm")
def _(
    x: Tensor,
    h0: Tensor,
    c0: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Maybe,
    b_hh: Maybe,
    w_hr: Maybe,
    sizes: Maybe,
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
    dy: Maybe,
    dh_n: Maybe,
    dc_n: Maybe,
    x: Tensor,
    c0: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    w_hr: Maybe,
    sizes: Maybe,
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
def _(dy: Maybe, dh_n: Maybe, dc_n: Maybe, x: Tensor, c0: Tensor, *rest: Any) -> tuple[Tensor, ...]:
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


def _lstm_backward(ctx: Any, dy: Maybe, dh_n: Maybe, dc_n: Maybe, *_: Maybe) -> tuple[Any, ...]:
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
    once(f"{_name}_backward")


# --- embedding_lstm ---


@register_fake("textnn::embedding_lstm")
def _(ids: Tensor, table: Tensor, h0: Tensor, c0: Tensor, *rest: Any) -> tuple[Tensor, ...]:
    # The shapes of an input of vectors where the ids stand.
    x = table.new_empty(*ids.shape, table.shape[1])
    return _lstm_outputs(x, h0, c0, rest[4] is not None, 1 if rest[5] is None else 2, *rest[-2:])


@register_fake("textnn::embedding_lstm_backward")
def _(dy: Maybe, dh_n: Maybe, dc_n: Maybe, ids: Tensor, table: Tensor, c0: Tensor, *rest: Any) -> tuple[Tensor, ...]:
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


def _embedding_lstm_backward(ctx: Any, dy: Maybe, dh_n: Maybe, dc_n: Maybe, *_: Maybe) -> tuple[Any, ...]:
    if dy is None and dh_n is None and dc_n is None:
        return (None,) * 20
    inputs, kept, need = ctx.saved_tensors[:10], ctx.saved_tensors[10:], ctx.needs_input_grad[1]
    dtable, distinct, dh0, dc0, *dw = _ops.embedding_lstm_backward(
        dy, dh_n, dc_n, *inputs, ctx.layout, *kept, ctx.padding_idx, ctx.sparse, need
    )
    if ctx.sparse and need:
        dtable = rows_gradient(distinct, dtable, inputs[1].shape)
    gradients = [*dw[:2], dw[2], *dw[2:4], *dw[4:6], dw[6], *dw[6:8]]  # the biases have the same gradient
    weights = (g if given else None for g, given in zip(gradients, ctx.given, strict=True))
    return (None, dtable if need else None, dh0, dc0, *weights, *(None,) * 6)


register_autograd("textnn::embedding_lstm", _embedding_lstm_backward, setup_context=_embedding_lstm_setup)
once("embedding_lstm_backward")


# --- quantized_lstm: no gradients, which textnn.functional says before the operator is called ---


@register_fake("textnn::quantized_lstm")
def _(x: Tensor, h0: Tensor, c0: Tensor, *rest: Any) -> tuple[Tensor, ...]:
    y = x.new_empty(*x.shape[:-1], h0.shape[1]) if rest[-1] else x.new_empty(0)
    return y, dense(h0), dense(c0)
