"""The text convolutions with an output for each position: fake kernels, autograd, and the backward operators.

These are made here of matrix products, torch's own unless they multiply bfloat16, and of the operators on tables, on
every device. What a window put out at row r goes back through tap k to the position under it; turned round, position n
and tap k have one row or none:

    dz [rows, C]  --look up-->  G [N, K * C]    dx = G W,  dW = G^T x      products over all positions at once
    dz of token ids  --add-->   G [U, K * C]    the same, over the U distinct tokens: what came under each tap of theirs
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.library import register_fake

from .._checks import ACTIVATIONS, window_counts
from ..backends import runs_cuda
from ..reference import masked
from .common import Maybe, check_memory, dense, library, rows_gradient
from .convolution import split_gradients, weight_gradients
from .fake_checks import check_precision
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


def _check(dy: Tensor, y: Tensor, like: Tensor, weight: list[Tensor], options: tuple[bool, int, int, int]) -> None:
    """Arguments that a backward operator is given by hand, as the forward operator checks them."""
    same, padding, stride, activation = options
    for name, value, least in (("padding", padding, 0), ("stride", stride, 1)):
        if value < least:
            raise RuntimeError(f"textnn: {name} must be at least {least}, got {value}")
    if activation not in range(len(ACTIVATIONS)):
        raise RuntimeError(f"textnn: activation must lie in [0, {len(ACTIVATIONS)}), got {activation}")
    for name, t in (("dy", dy), ("y", y), *((f"weight[{i}]", w) for i, w in enumerate(weight))):
        if t.dtype != like.dtype:
            raise RuntimeError(f"textnn: {name} must have dtype {like.dtype}, got {t.dtype}")
    if dy.shape != y.shape:
        raise RuntimeError(f"textnn: dy must have the shape of y, {list(y.shape)}, got {list(dy.shape)}")
    if len({w.shape[2] for w in weight}) > 1 and not same:
        raise RuntimeError("textnn: without same padding kernels must be equally wide")


def _each_kernel(
    windows: Windows, dz: Tensor, weight: list[Tensor], token: Tensor | None = None, distinct: int = 0
) -> Any:
    """Yield G of each kernel, and its weights as [K * C, D].

    G is [N, K * C], a row for each position; or [distinct, K * C], the sums of these for each number in ``token`` [N].
    """
    C, D, _ = weight[0].shape
    if token is not None:
        token = torch.cat([token, token.new_full((1,), distinct)])
    for i, w in enumerate(weight):
        K, own = w.shape[2], dz[:, i * C : (i + 1) * C]
        if token is None:
            G = _ops.embedding(windows.rows(K, dz.shape[0]), torch.cat([own, own.new_zeros(1, C)]), -1, False)
        else:
            own, G = own.contiguous(), own.new_empty(distinct, K, C)
            for tap, under in enumerate(token[windows.under(K, dz.shape[0])].unbind(1)):
                G[:, tap] = _ops.embedding_backward(own, under, distinct + 1, distinct, False)[0][:distinct]
        yield G.reshape(-1, K * C), w.permute(2, 0, 1).reshape(K * C, D)


def _product(a: Tensor, b: Tensor, precision: str) -> Tensor:
    """``a @ b``; with factors of bfloat16, of which torch would round the product as well, by a convolution of one tap
    that keeps the sums in float32."""
    if precision == "ieee" or runs_cuda(a) or a.dtype != torch.float32:
        return a @ b
    y = a.new_zeros(a.shape[0], b.shape[1])
    rows = torch.arange(0, a.shape[0], 192)  # what a thread takes at a time
    for begin in range(0, a.shape[1], 4096):  # so that a panel of b fits the second-level cache
        some = slice(begin, begin + 4096)
        kernel = b[some].t().contiguous().unsqueeze(2)
        y += _ops.text_conv_positions(a[:, some], [kernel], [], rows, True, True, 0, 1, 0, precision)
    return y


def _add_product(sums: Tensor, a: Tensor, b: Tensor, precision: str) -> Tensor:
    return sums.addmm_(a, b) if precision == "ieee" else sums.add_(_product(a, b, precision))


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
        if not flat and sizes is not None:  # where anything may stand
            vectors = torch.where(windows.outside()[:, None], 0, vectors)
        dx, dweights = torch.zeros_like(vectors) if need_dx else x.new_empty(0), []
        for G, w in _each_kernel(windows, dz, weight):
            dweights.append(_product(G.t(), vectors, precision))
            if need_dx:
                dx = _add_product(dx, G, w, precision)
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
        dz, distinct, token, dweights = windows.before_activation(dy, y, activation), ids.reshape(-1), None, []
        # Only the CPU knows at once how many distinct tokens there are; a GPU would have to be waited for.
        by_token = sparse or not runs_cuda(table)
        if by_token:
            distinct, token = torch.unique(distinct, return_inverse=True)
        vectors = _ops.embedding(distinct, table, -1, False)
        gradient = torch.zeros_like(vectors)
        for G, w in _each_kernel(windows, dz, weight, token, distinct.shape[0]):
            dweights.append(_product(G.t(), vectors, precision))
            if need_dtable:
                gradient = _add_product(gradient, G, w, precision)
        if not need_dtable:
            gradient = table.new_empty(0, D)
        elif not by_token:
            gradient = _ops.embedding_backward(gradient, distinct, V, padding_idx, False)[0]
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
