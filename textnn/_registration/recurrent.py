"""The recurrent operators."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.library import register_fake

from ..backends import has_kernels
from ..reference import masked
from ..reference.recurrent import recurrent_cell as reference_cell
from ..reference.recurrent import recurrent_step as reference_step
from .cells import CELLS
from .common import Maybe, dense, library, rows_gradient
from .fake_checks import check_cell, check_dims, check_recurrent, check_step
from .gradients import dense_gradients, differentiate, register_gradient

_ops = torch.ops.textnn


# --- recurrent_cell ---


@register_fake("textnn::recurrent_cell")
def _(cell: str, input_gates: Tensor, hidden_gates: Maybe, h: Maybe, c: Maybe) -> tuple[Tensor, Tensor]:
    check_cell(cell, input_gates, hidden_gates, h, c)
    state = input_gates if h is None else h
    return dense(state if c is None else c), _dense_or_empty(c, input_gates)


@register_fake("textnn::recurrent_cell_backward")
def _(
    cell: str, dh: Maybe, dc: Maybe, input_gates: Tensor, hidden_gates: Maybe, h: Maybe, c: Maybe
) -> tuple[Tensor, ...]:
    apart = None if h is None else hidden_gates
    return dense(input_gates), *(_dense_or_empty(t, input_gates) for t in (apart, h, c))


def _dense_or_empty(t: Maybe, like: Tensor) -> Tensor:
    return like.new_empty(0) if t is None else dense(t)


def _cell_setup(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ctx.cell = inputs[0]
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*inputs[1:])


def _cell_backward(ctx: Any, dh: Maybe, dc: Maybe) -> tuple[Maybe, ...]:
    input_gates, hidden_gates, h, c = ctx.saved_tensors
    dc = None if c is None else dc  # of cells without one the result is empty, and so is its gradient
    if dh is None and dc is None:
        return (None,) * 5
    of_input, of_hidden, dh, dc = _ops.recurrent_cell_backward(ctx.cell, dh, dc, input_gates, hidden_gates, h, c)
    if h is None:  # both products add to the same sums
        of_hidden, dh = None if hidden_gates is None else of_input.clone(), None
    return None, of_input, of_hidden, dh, None if c is None else dc


def _plain_cell(inputs: Sequence[Any], _: Sequence[Tensor]) -> tuple[Maybe, ...]:
    return reference_cell(*inputs)


def _plain_cell_backward(inputs: Sequence[Any], _: Sequence[Tensor]) -> list[Maybe]:
    cell, dh, dc, *tensors = inputs
    h, c = tensors[2:]
    places = [place for place, t in enumerate(tensors) if t is not None]
    gradients: list[Maybe] = [None] * 4
    found = differentiate(lambda own: reference_cell(cell, *own), tensors, places, (dh, None if c is None else dc))
    for place, gradient in zip(places, found, strict=True):
        gradients[place] = gradient
    if h is None:  # both products add to the same sums
        gradients[1] = None
    return gradients


register_gradient("recurrent_cell", _plain_cell, _cell_backward, _cell_setup)
register_gradient("recurrent_cell_backward", _plain_cell_backward)


def autocast_dtypes_of_cell(
    _: torch.dtype, cell: str, input_gates: Tensor, hidden_gates: Maybe, h: Maybe, c: Maybe
) -> list[torch.dtype]:
    """Dtypes of torch's cells: that of the products, or of the state that they are added to if it is wider."""
    state = {"lstm": c, "gru": h}.get(cell)
    return [input_gates.dtype if state is None else torch.promote_types(input_gates.dtype, state.dtype)] * 2


# --- recurrent_step: derivatives come from the reference, training from `recurrent` ---


@register_fake("textnn::recurrent_step")
def _(
    cell: str,
    input: Tensor,  # noqa: A002
    table: Maybe,
    h: Tensor,
    c: Maybe,
    weights: Sequence[Tensor],
) -> tuple[Tensor, ...]:
    check_step(cell, input, table, h, c, weights)
    return h.new_empty(h.shape[1:]), dense(h), _dense_or_empty(c, h)


def _layers(h: Tensor, weights: Sequence[Tensor]) -> list[list[Any]]:
    """Five weights of each layer, None for those that are not there."""
    each = len(weights) // int(h.shape[0])
    layers = [list(weights[i : i + each]) for i in range(0, len(weights), each)]
    if each == 3:  # w_ih, w_hh, w_hr
        return [[*w[:2], None, None, w[2]] for w in layers]
    return [[*w, None, None, None][:5] for w in layers]


def _plain_step(inputs: Sequence[Any], _: Sequence[Tensor]) -> list[Maybe]:
    cell, x, table, h, c, weights = inputs
    y, h_next, c_next = reference_step(cell, x, h, c, _layers(h, weights), table=table)
    return [y, h_next, c_next]


def step_by_products(
    cell: str, x: Tensor, table: Maybe, h: Tensor, c: Maybe, weights: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """The operator on devices without a kernel for all layers: two products and the kernel of a cell for each."""
    check_step(cell, x, table, h, c, weights)
    run = _ops.recurrent_cell if has_kernels(h.device) else reference_cell
    y, after = x if table is None else F.embedding(x, table), []
    for number, (w_ih, w_hh, b_ih, b_hh, w_hr) in enumerate(_layers(h, weights)):
        gates = F.linear(y, w_ih, b_ih), F.linear(h[number], w_hh, b_hh)
        own = h[number] if cell == "gru" else None
        y, c_next = run(cell, *gates, own, None if c is None else c[number])
        y = y if w_hr is None else F.linear(y, w_hr)
        after.append((y, c_next))
    h_next, c_next = zip(*after, strict=True)
    return y, torch.stack(h_next), h.new_empty(0) if c is None else torch.stack(c_next)


library.impl("recurrent_step", step_by_products, "CompositeExplicitAutograd")
register_gradient("recurrent_step", _plain_step)


def autocast_dtypes_of_step(
    dtype: torch.dtype, cell: str, x: Tensor, table: Maybe, h: Tensor, c: Maybe, weights: Sequence[Tensor]
) -> list[torch.dtype]:
    """Dtypes of y, h_next and c_next: those of the operator for whole sequences."""
    projected = len(weights) // max(1, h.shape[0]) % 2 == 1
    w_hr = weights[-1] if projected else None
    return autocast_dtypes(dtype, cell, x, table, h, c, *[None] * 4, w_hr, *[None] * 6, "time_major")[:3]


# --- recurrent ---


# The operator's arguments are cell, input, table, h0, c0, the weights w_ih, w_hh, b_ih, b_hh, w_hr of both directions,
# sizes, layout, reverse, precision, padding_idx, sparse, outputs, cells, save, exact, tf32, form; those of the backward
# operator stand around the same ones.
_WEIGHTS = slice(5, 15)


def _steps(x: Tensor, most: int) -> Any:
    """The sum of lengths that nobody knows yet; where there are no symbols for sizes, on meta tensors, its bound."""
    if not isinstance(x, FakeTensor) or x.fake_mode.shape_env is None:
        return most
    return torch.library.get_ctx().new_dynamic_size()


@register_fake("textnn::recurrent")
def _(cell: str, input: Tensor, table: Maybe, h0: Tensor, c0: Maybe, *rest: Any) -> tuple[Tensor, ...]:  # noqa: A002
    check_recurrent(cell, input, table, h0, c0, *rest)
    weights, sizes, layout, (outputs, cells, save, exact) = rest[:10], *rest[10:12], rest[16:20]
    x = input if table is None else table
    places = input.shape[:-1] if table is None else input.shape
    D, P, H = 1 if weights[5] is None else 2, h0.shape[-1], h0.shape[-1] if c0 is None else c0.shape[-1]
    ragged = exact and sizes is not None and layout.endswith("major")  # elsewhere every position is a step
    rows = D * (_steps(x, math.prod(places)) if ragged else math.prod(places)) if save else 0
    unit = 64 // x.element_size()
    padded = (H + unit - 1) // unit * unit  # units are kept in whole cache lines
    _, kept, private = CELLS[cell]
    y_dtype = outputs_dtype(x, rest[13])
    return (
        x.new_empty(*places, D * P, dtype=y_dtype) if outputs else x.new_empty(0, dtype=y_dtype),
        dense(h0),
        x.new_empty(0) if c0 is None else dense(c0),
        x.new_empty(*places, D * H) if cells else x.new_empty(0),
        x.new_empty(rows, kept * padded),
        x.new_empty(rows if private else 0, padded),
        x.new_empty(rows, P),
        x.new_empty(0 if weights[4] is None else rows, H),
    )


@register_fake("textnn::recurrent_backward")
def _(cell: str, dy: Maybe, dh_n: Maybe, dc_n: Maybe, dc: Maybe, *rest: Any) -> tuple[Tensor, ...]:
    input, table, h0, c0 = rest[:4]  # noqa: A001
    check_recurrent(cell, input, table, h0, c0, *rest[4:])
    sparse, need_dinput = rest[23:25]
    states = dense(h0), h0.new_empty(0) if c0 is None else dense(c0)
    weights = (h0.new_empty(0) if w is None else dense(w) for w in rest[4:14])
    if table is None:
        return dense(input) if need_dinput else input.new_empty(0), h0.new_empty(0), *states, *weights
    distinct = torch.library.get_ctx().new_dynamic_size() if sparse else 0
    rows = (distinct if sparse else table.shape[0]) if need_dinput else 0
    return table.new_empty(rows, table.shape[1]), input.new_empty(distinct), *states, *weights


def outputs_dtype(x: Tensor, precision: str) -> torch.dtype:
    """Dtype of y and its gradient."""
    return torch.bfloat16 if precision == "bf16_outputs" and x.dtype is torch.float32 else x.dtype


def _recurrent_setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.cell, input, table, h0, c0 = inputs[:5]  # noqa: A001
    sizes, *ctx.batch, ctx.padding_idx, ctx.sparse, outputs, ctx.cells, _, _ = inputs[_WEIGHTS.stop : -2]
    ctx.on_cuda = inputs[-2:]
    ctx.set_materialize_grads(False)
    if not outputs:
        ctx.mark_non_differentiable(output[0])
    ctx.save_for_backward(input, table, h0, c0, *inputs[_WEIGHTS], sizes, *output[4:])


def _recurrent_backward(ctx: Any, dy: Maybe, dh_n: Maybe, dc_n: Maybe, dc: Maybe, *_: Maybe) -> tuple[Any, ...]:
    saved = ctx.saved_tensors  # once: torch.utils.checkpoint computes them again at each access
    inputs, kept = saved[:15], saved[15:]
    dc_n = None if inputs[3] is None else dc_n  # of cells without one the result is empty, and so is its gradient
    given = (dy, dh_n, dc_n, dc if ctx.cells else None)
    if all(gradient is None for gradient in given):
        return (None,) * 27
    table = inputs[1]
    need, sparse = ctx.needs_input_grad[1 if table is None else 2], ctx.sparse and not dense_gradients()
    options = (ctx.padding_idx, sparse, need, *ctx.on_cuda)
    gradients = _ops.recurrent_backward(ctx.cell, *given, *inputs, *ctx.batch, *kept, *options)
    dinput, distinct, *rest = gradients
    if table is not None and sparse and need:
        dinput = rows_gradient(distinct, dinput, table.shape)
    of_input = (dinput if need else None, None) if table is None else (None, dinput if need else None)
    of_rest = (g if given is not None else None for g, given in zip(rest, inputs[2:14], strict=True))
    return None, *of_input, *of_rest, *(None,) * 12


def _plain(inputs: Sequence[Any], _: Sequence[Tensor]) -> list[Maybe]:
    cell, x, table, h0, c0 = inputs[:5]
    sizes, layout, reverse, precision, padding_idx, _, outputs, cells = inputs[_WEIGHTS.stop :][:8]
    if table is not None:
        x = F.embedding(x, table, padding_idx=padding_idx if padding_idx >= 0 else None)
    y, h_n, *private = masked.recurrent(cell, x, h0, c0, inputs[_WEIGHTS], sizes, layout, reverse)
    c_n, c = private or (None, None)
    y = y.to(outputs_dtype(x, precision))
    return [y if outputs else None, h_n, c_n, c if cells else None, *[None] * 4]


def _plain_backward(inputs: Sequence[Any], outputs: Sequence[Tensor]) -> list[Maybe]:
    cell, dy, dh_n, dc_n, dc, *given = inputs[:23]  # input, table, h0, c0, weights, sizes, layout, reverse, precision
    padding_idx, sparse, need = inputs[27:30]
    table, dc_n = given[1], None if given[3] is None else dc_n
    tensors = [place for place, t in enumerate(given[:14]) if t is not None and t.is_floating_point()]
    batch = (*given[14:], padding_idx, sparse, dy is not None, dc is not None)
    found = differentiate(lambda own: _plain([cell, *own, *batch], ()), given[:14], tensors, (dy, dh_n, dc_n, dc))
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
    """Dtypes that torch's layers give y, h_n, c_n and the cell states of all steps under autocast on the CPU.

    oneDNN's LSTM, for padded batches, computes and returns all in autocast's dtype. Elsewhere the products have it, and
    what is added to a state has the wider of both.
    """
    if c0 is None:
        return [dtype if cell.startswith("rnn") else torch.promote_types(dtype, h0.dtype)] * 2
    w_hr, layout, x = rest[4], rest[11], input if table is None else table
    onednn = {x.dtype, c0.dtype} <= {torch.float32, torch.bfloat16}  # the state says what a stack was given
    if w_hr is None and layout != "packed" and onednn:
        return [dtype] * 4
    of_state = torch.promote_types(dtype, c0.dtype)
    return [of_state if w_hr is None else dtype] * 2 + [of_state] * 2


# --- quantized_lstm: no gradients, which textnn.functional says before the operator is called ---


@register_fake("textnn::quantized_lstm")
def _(x: Tensor, h0: Tensor, c0: Tensor, *rest: Any) -> tuple[Tensor, ...]:
    check_dims("h0", h0, 2)
    check_dims("c0", c0, 2)
    y = x.new_empty(*x.shape[:-1], h0.shape[1]) if rest[-1] else x.new_empty(0)
    return y, dense(h0), dense(c0)
