"""The text convolutions with an output for each position: fake kernels, autograd, and the backward operators.

These are made here of torch's matrix products, in the dtype of the tensors whatever the precision of the convolution,
and of the operators on tables, on every device. What was before the activation, z, has a gradient dz [rows, C]:

    vectors      x and dz on a line with each sentence's padding (Line); for each tap k, which is over what stands
                 shift(k) further,  dx[shift(k):] += dz W_k,  dW_k = dz^T x[shift(k):]
    token ids    G [U, K * C], the sums of dz over what each of the U distinct tokens had above it, tap by tap;
                 of their rows x of the table  dx = G W,  dW = G^T x
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.library import register_fake

from .._checks import ACTIVATIONS, MAX_PADDING, window_counts
from ..backends import runs_cuda
from ..reference import masked
from .common import Maybe, check_memory, dense, library, rows_gradient
from .convolution import split_gradients, weight_gradients
from .fake_checks import check_precision
from .gradients import dense_gradients, differentiate, register_gradient
from .windows import Line, Windows

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


def _check(dy: Tensor, y: Tensor, like: Tensor, weight: list[Tensor], options: tuple[bool, int, int, int]) -> None:
    """Arguments that a backward operator is given by hand, as the forward operator checks them."""
    same, padding, stride, activation = options
    if not 0 <= padding <= MAX_PADDING:
        raise RuntimeError(f"textnn: padding must lie in [0, {MAX_PADDING + 1}), got {padding}")
    if stride < 1:
        raise RuntimeError(f"textnn: stride must be at least 1, got {stride}")
    if activation not in range(len(ACTIVATIONS)):
        raise RuntimeError(f"textnn: activation must lie in [0, {len(ACTIVATIONS)}), got {activation}")
    for name, t in (("dy", dy), ("y", y), *((f"weight[{i}]", w) for i, w in enumerate(weight))):
        if t.dtype != like.dtype:
            raise RuntimeError(f"textnn: {name} must have dtype {like.dtype}, got {t.dtype}")
    if dy.shape != y.shape:
        raise RuntimeError(f"textnn: dy must have the shape of y, {list(y.shape)}, got {list(dy.shape)}")
    if len({w.shape[2] for w in weight}) > 1 and not same:
        raise RuntimeError("textnn: without same padding kernels must be equally wide")


def _over_a_line(
    windows: Windows, dz: Tensor, vectors: Tensor, weight: list[Tensor], need_dx: bool
) -> tuple[Tensor, list[Tensor]]:
    """Return dx [N, D], or nothing, and the gradients [K * C, D] of each kernel."""
    line = Line(windows, [w.shape[2] for w in weight])
    if windows.ragged and not line.flat:  # where anything may stand
        vectors = torch.where(windows.outside()[:, None], 0, vectors)
    x, rows = line.positions(vectors), line.rows(dz)
    M, D = x.shape
    dx, dweights = torch.zeros_like(x) if need_dx else x, []
    for own, w in zip(rows.split(weight[0].shape[0], dim=1), weight, strict=True):
        taps = w.permute(2, 0, 1).contiguous()
        dweight = torch.empty_like(taps)
        for tap, of_tap in enumerate(taps):
            shift = line.shift(len(taps), tap)
            number = max(0, M - abs(shift))  # of rows that this tap of theirs is on the line of
            here, there = (slice(begin, begin + number) for begin in (max(0, -shift), max(0, shift)))
            torch.mm(own[here].t(), x[there], out=dweight[tap])
            if need_dx:
                dx[there].addmm_(own[here], of_tap)
        dweights.append(dweight.view(-1, D))
    return line.at_positions(dx) if need_dx else x.new_empty(0), dweights


def _over_tokens(
    windows: Windows, dz: Tensor, token: Tensor, vectors: Tensor, weight: list[Tensor], need_dx: bool
) -> tuple[Tensor, list[Tensor]]:
    """The same for the vectors [U, D] of distinct tokens; ``token`` [N] says which stands where."""
    U, D = vectors.shape
    C, token = weight[0].shape[0], torch.cat([token, token.new_full((1,), U)])
    dx, dweights = torch.zeros_like(vectors) if need_dx else vectors.new_empty(0), []
    for own, w in zip(dz.split(C, dim=1), weight, strict=True):
        own, G = own.contiguous(), own.new_empty(U, w.shape[2], C)
        for tap, under in enumerate(token[windows.under(w.shape[2], dz.shape[0])].unbind(1)):
            G[:, tap] = _ops.embedding_backward(own, under, U + 1, U, False)[0][:U]
        each = G.view(U, w.shape[2] * C)
        dweights.append(each.t() @ vectors)
        if need_dx:
            dx.addmm_(each, w.permute(2, 0, 1).reshape(-1, D))
    return dx, dweights


def _join(dweights: list[Tensor], dz: Tensor, weight: list[Tensor]) -> tuple[Tensor, Tensor]:
    """From the gradients [K * C, D] of each kernel to the operators' results."""
    C, D, _ = weight[0].shape
    parts = [g.reshape(w.shape[2], C, D).permute(1, 2, 0).reshape(-1) for g, w in zip(dweights, weight, strict=True)]
    return torch.cat(parts), dz.sum(dim=0).reshape(len(weight), C)


def _text_conv_backward(
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
    _check(dy, y, x, weight, (same, padding, stride, activation))
    check_precision(precision)
    check_memory(dy=dy, x=x, sizes=sizes, y=y, **{f"weight[{i}]": w for i, w in enumerate(weight)})
    with torch.autocast(x.device.type, enabled=False):
        windows = Windows(x, sizes, flat, weight[0].shape[2], (same, padding, stride))
        dz = windows.before_activation(dy, y, activation)
        vectors = x.reshape(windows.place.shape[0], x.shape[-1])
        dx, dweights = _over_a_line(windows, dz, vectors, weight, need_dx)
        return (dx.view(x.shape) if need_dx else dx, *_join(dweights, dz, weight))


def _embedding_text_conv_backward(
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
    _check(dy, y, table, weight, (same, padding, stride, activation))
    check_precision(precision)
    check_memory(dy=dy, ids=ids, table=table, sizes=sizes, y=y, **{f"weight[{i}]": w for i, w in enumerate(weight)})
    V, D = table.shape
    if not -1 <= padding_idx < V:
        raise RuntimeError(f"textnn: padding_idx must be -1 or lie in [0, {V}), got {padding_idx}")
    with torch.autocast(table.device.type, enabled=False):
        windows = Windows(ids, sizes, flat, weight[0].shape[2], (same, padding, stride))
        dz, flat_ids = windows.before_activation(dy, y, activation), ids.reshape(-1)
        # Only the CPU knows at once how many distinct tokens there are; a GPU would have to be waited for.
        by_token = sparse or not runs_cuda(table)
        if by_token:
            distinct, token = torch.unique(flat_ids, return_inverse=True)
            vectors = _ops.embedding(distinct, table, -1, False)
            gradient, dweights = _over_tokens(windows, dz, token, vectors, weight, need_dtable)
        else:
            vectors = _ops.embedding(flat_ids, table, -1, False)
            gradient, dweights = _over_a_line(windows, dz, vectors, weight, need_dtable)
        if not need_dtable:
            gradient = table.new_empty(0, D)
        elif not by_token:
            gradient = _ops.embedding_backward(gradient, flat_ids, V, padding_idx, False)[0]
        else:
            gradient.masked_fill_((distinct == padding_idx)[:, None], 0)
            if not sparse:
                gradient = table.new_zeros(V, D).index_copy_(0, distinct, gradient)
        return (gradient, distinct if sparse else ids.new_empty(0), *_join(dweights, dz, weight))


for _key in ("CPU", "CUDA"):
    library.impl("text_conv_positions_backward", _text_conv_backward, _key)
    library.impl("embedding_text_conv_positions_backward", _embedding_text_conv_backward, _key)


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
    vectors = torch.cat([x.reshape(-1, x.shape[-1]), x.new_zeros(1, x.shape[-1])])
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
