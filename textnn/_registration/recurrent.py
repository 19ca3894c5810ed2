"""The recurrent operators."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.library import register_fake

from ..reference.recurrent import run_reference
from .common import Maybe, dense, once, register_gradient, rows_gradient

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


register_gradient("lstm_cell", _lstm_cell_backward, _lstm_cell_setup)
once("lstm_cell_backward")


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
    saved = ctx.saved_tensors  # once: torch.utils.checkpoint computes them again at each access
    inputs, kept = saved[:15], saved[15:]
    dc_n = None if inputs[3] is None else dc_n  # of cells without one the result is empty, and so is its gradient
    if dy is None and dh_n is None and dc_n is None:
        return (None,) * 22
    if torch.is_grad_enabled():  # create_graph: the gradients have to be differentiable
        return _differentiable_gradients(ctx, inputs, (dy, dh_n, dc_n))
    table = inputs[1]
    need = ctx.needs_input_grad[1 if table is None else 2]
    gradients = _ops.recurrent_backward(
        ctx.cell, dy, dh_n, dc_n, *inputs, *ctx.batch, *kept, ctx.padding_idx, ctx.sparse, need
    )
    dinput, distinct, *rest = gradients
    if table is not None and ctx.sparse and need:
        dinput = rows_gradient(distinct, dinput, table.shape)
    of_input = (dinput if need else None, None) if table is None else (None, dinput if need else None)
    of_rest = (g if given is not None else None for g, given in zip(rest, inputs[2:14], strict=True))
    return None, *of_input, *of_rest, *(None,) * 7


def _differentiable_gradients(ctx: Any, inputs: tuple[Any, ...], gradients: tuple[Maybe, ...]) -> tuple[Any, ...]:
    """The gradients of all inputs by autograd through the reference: slow, step by step, and as often as is wanted."""
    x, table, h0, c0, *weights, sizes = inputs
    layout, reverse = ctx.batch
    batch: dict[str, Any] = {"lengths": sizes} if layout.endswith("major") else {}
    batch |= {"flat": {"offsets": sizes}, "packed": {"batch_sizes": sizes}}.get(layout, {})
    batch["batch_first"] = layout == "batch_major"
    if table is not None:
        x = F.embedding(x, table, padding_idx=ctx.padding_idx if ctx.padding_idx >= 0 else None)
    results = run_reference(ctx.cell, x, h0, c0, weights, reverse, **batch)
    given = [(result, g) for result, g in zip(results, gradients, strict=False) if g is not None]
    tensors = [(place, t) for place, t in enumerate(inputs[:-1]) if t is not None and t.requires_grad]
    found = torch.autograd.grad(
        [result for result, _ in given],
        [t for _, t in tensors],
        [g for _, g in given],
        create_graph=True,
        allow_unused=True,
    )
    all_of_them: list[Maybe] = [None] * 14
    for (place, _), gradient in zip(tensors, found, strict=True):
        all_of_them[place] = gradient
    return None, *all_of_them, *(None,) * 7


register_gradient("recurrent", _recurrent_backward, _recurrent_setup)
once("recurrent_backward")


# --- quantized_lstm: no gradients, which textnn.functional says before the operator is called ---


@register_fake("textnn::quantized_lstm")
def _(x: Tensor, h0: Tensor, c0: Tensor, *rest: Any) -> tuple[Tensor, ...]:
    y = x.new_empty(*x.shape[:-1], h0.shape[1]) if rest[-1] else x.new_empty(0)
    return y, dense(h0), dense(c0)
