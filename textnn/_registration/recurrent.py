"""The recurrent operators."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.library import register_fake

from ..reference import masked
from ..reference.recurrent import lstm_cell as plain_lstm_cell
from .common import Maybe, dense, rows_gradient
from .gradients import dense_gradients, differentiate, register_gradient

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


def _plain_cell(inputs: Sequence[Any], _: Sequence[Tensor]) -> tuple[Tensor, ...]:
    return plain_lstm_cell(*inputs)


def _plain_cell_backward(inputs: Sequence[Any], _: Sequence[Tensor]) -> list[Any]:
    return differentiate(lambda own: plain_lstm_cell(*own), inputs[2:], (0, 1), inputs[:2])


register_gradient("lstm_cell", _plain_cell, _lstm_cell_backward, _lstm_cell_setup)
register_gradient("lstm_cell_backward", _plain_cell_backward)


# --- recurrent ---


def _shape_of_cell(name: str) -> tuple[int, bool]:
    """Values of a unit that are kept for the backward pass, and whether there is a cell state (csrc/math/)."""
    return {"lstm": (4, True), "gru": (4, False), "rnn_tanh": (1, False), "rnn_relu": (1, False)}[name]


# The operator's arguments are cell, input, table, h0, c0, the weights w_ih, w_hh, b_ih, b_hh, w_hr of both directions,
# sizes, layout, reverse, padding_idx, sparse, outputs, save; those of the backward operator stand around the same ones.
_WEIGHTS = slice(5, 15)


@register_fake("textnn::recurrent")
def _(cell: str, input: Tensor, table: Maybe, h0: Tensor, c0: Maybe, *rest: Any) -> tuple[Tensor, ...]:  # noqa: A002
    weights, outputs, save = rest[:10], *rest[-2:]
    x = input if table is None else table
    places = input.shape[:-1] if table is None else input.shape
    D, P, H = 1 if weights[5] is None else 2, h0.shape[-1], h0.shape[-1] if c0 is None else c0.shape[-1]
    rows = D * math.prod(places) if save else 0
    unit = 64 // x.element_size()
    padded = (H + unit - 1) // unit * unit  # units are kept in whole cache lines
    kept, private = _shape_of_cell(cell)
    return (
        x.new_empty(*places, D * P) if outputs else x.new_empty(0),
        dense(h0),
        x.new_empty(0) if c0 is None else dense(c0),
        x.new_empty(rows, kept * padded),
        x.new_empty(rows if private else 0, padded),
        x.new_empty(rows, P),
        x.new_empty(0 if weights[4] is None else rows, H),
    )


@register_fake("textnn::recurrent_backward")
def _(cell: str, dy: Maybe, dh_n: Maybe, dc_n: Maybe, *rest: Any) -> tuple[Tensor, ...]:
    input, table, h0, c0 = rest[:4]  # noqa: A001
    sparse, need_dinput = rest[-2:]
    states = dense(h0), h0.new_empty(0) if c0 is None else dense(c0)
    weights = (h0.new_empty(0) if w is None else dense(w) for w in rest[4:14])
    if table is None:
        return dense(input) if need_dinput else input.new_empty(0), h0.new_empty(0), *states, *weights
    distinct = torch.library.get_ctx().new_dynamic_size() if sparse else 0
    rows = (distinct if sparse else table.shape[0]) if need_dinput else 0
    return table.new_empty(rows, table.shape[1]), input.new_empty(distinct), *states, *weights


def _recurrent_setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.cell, input, table, h0, c0 = inputs[:5]  # noqa: A001
    sizes, *ctx.batch, ctx.padding_idx, ctx.sparse, outputs, _ = inputs[_WEIGHTS.stop :]
    ctx.set_materialize_grads(False)
    if not outputs:
        ctx.mark_non_differentiable(output[0])
    ctx.save_for_backward(input, table, h0, c0, *inputs[_WEIGHTS], sizes, *output[3:])


def _recurrent_backward(ctx: Any, dy: Maybe, dh_n: Maybe, dc_n: Maybe, *_: Maybe) -> tuple[Any, ...]:
    inputs, kept = ctx.saved_tensors[:15], ctx.saved_tensors[15:]
    dc_n = None if inputs[3] is None else dc_n  # of cells without one the result is empty, and so is its gradient
    if dy is None and dh_n is None and dc_n is None:
        return (None,) * 22
    table = inputs[1]
    need, sparse = ctx.needs_input_grad[1 if table is None else 2], ctx.sparse and not dense_gradients()
    gradients = _ops.recurrent_backward(
        ctx.cell, dy, dh_n, dc_n, *inputs, *ctx.batch, *kept, ctx.padding_idx, sparse, need
    )
    dinput, distinct, *rest = gradients
    if table is not None and sparse and need:
        dinput = rows_gradient(distinct, dinput, table.shape)
    of_input = (dinput if need else None, None) if table is None else (None, dinput if need else None)
    of_rest = (g if given is not None else None for g, given in zip(rest, inputs[2:14], strict=True))
    return None, *of_input, *of_rest, *(None,) * 7


def _plain(inputs: Sequence[Any], _: Sequence[Tensor]) -> list[Maybe]:
    cell, x, table, h0, c0 = inputs[:5]
    sizes, layout, reverse, padding_idx, _, outputs, _ = inputs[_WEIGHTS.stop :]
    if table is not None:
        x = F.embedding(x, table, padding_idx=padding_idx if padding_idx >= 0 else None)
    y, h_n, *c_n = masked.recurrent(cell, x, h0, c0, inputs[_WEIGHTS], sizes, layout, reverse)
    return [y if outputs else None, h_n, c_n[0] if c_n else None, *[None] * 4]


def _plain_backward(inputs: Sequence[Any], outputs: Sequence[Tensor]) -> list[Maybe]:
    cell, dy, dh_n, dc_n, *given = inputs[
        :21
    ]  # up to the way of the batch; given: input, table, h0, c0, weights, sizes
    padding_idx, sparse, need = inputs[-3:]
    table, dc_n = given[1], None if given[3] is None else dc_n
    tensors = [place for place, t in enumerate(given[:14]) if t is not None and t.is_floating_point()]
    batch = (*given[14:], padding_idx, sparse, dy is not None, False)
    found = differentiate(lambda own: _plain([cell, *own, *batch], ()), given[:14], tensors, (dy, dh_n, dc_n))
    gradients: list[Maybe] = [None] * 14
    for place, gradient in zip(tensors, found, strict=True):
        gradients[place] = gradient
    of_input = gradients[0] if table is None else gradients[1]
    if sparse and table is not None and of_input is not None:
        of_input = of_input[outputs[1]]
    return [of_input if need else None, None, *gradients[2:]]


register_gradient("recurrent", _plain, _recurrent_backward, _recurrent_setup)
register_gradient("recurrent_backward", _plain_backward)


def autocast_dtypes(
    dtype: torch.dtype,
    cell: str,
    input: Tensor,  # noqa: A002
    table: Maybe,
    h0: Tensor,
    c0: Maybe,
    *rest: Any,
) -> list[torch.dtype]:
    """Dtypes that torch's layers give y, h_n and c_n under autocast on the CPU.

    oneDNN's LSTM, for padded batches, computes and returns all in autocast's dtype. Elsewhere the products have it, and
    what is added to a state has the wider of both.
    """
    if c0 is None:
        return [dtype if cell.startswith("rnn") else torch.promote_types(dtype, h0.dtype)] * 2
    w_hr, layout, x = rest[4], rest[11], input if table is None else table
    if w_hr is None and layout != "packed" and x.dtype in (torch.float32, torch.bfloat16):
        return [dtype] * 3
    of_state = torch.promote_types(dtype, c0.dtype)
    return [of_state if w_hr is None else dtype] * 2 + [of_state]


# --- quantized_lstm: no gradients, which textnn.functional says before the operator is called ---


@register_fake("textnn::quantized_lstm")
def _(x: Tensor, h0: Tensor, c0: Tensor, *rest: Any) -> tuple[Tensor, ...]:
    y = x.new_empty(*x.shape[:-1], h0.shape[1]) if rest[-1] else x.new_empty(0)
    return y, dense(h0), dense(c0)
