"""The backward operators of the text convolutions with an output for each position, on every device.

They are made of torch's matrix products and of the operators on tables. What was before the activation, z, has a
gradient dz [rows, C]:

    vectors      x and dz on a line with each sentence's padding (Line); for each tap k, which is over what stands
                 shift(k) further,  dx[shift(k):] += dz W_k,  dW_k += dz^T x[shift(k):]. On a CPU with fast products of
                 bfloat16 the factors are rounded where the convolution's are, and each product before it is added
    token ids    G [U, K * C], the sums of dz over what each of the U distinct tokens had above it, tap by tap;
                 of their rows x of the table  dx = G W,  dW = G^T x
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .._checks import ACTIVATIONS, MAX_PADDING
from ..backends import has_bfloat16, runs_cuda
from .common import Maybe, check_memory, dense, library
from .fake_checks import check_precision
from .windows import Line, Windows

_ops = torch.ops.textnn
_PART = 8 << 20
"""About so many bytes of vectors, their gradients and those of outputs are worked on at a time, on the CPU."""


def _check(
    dy: Tensor,
    y: Tensor,
    like: Tensor,
    weight: list[Tensor],
    options: tuple[bool, int, int, int],
    dims: dict[str, tuple[Tensor, int]],
) -> None:
    """Arguments that a backward operator is given by hand, as the forward operator checks them."""
    same, padding, stride, activation = options
    for name, (t, number) in dims.items():
        if t is None or t.dim() != number:
            found = None if t is None else f"shape {list(t.shape)}"
            raise RuntimeError(f"textnn: {name} must have {number} dimensions, got {found}")
    if not 0 <= padding <= MAX_PADDING:
        raise RuntimeError(f"textnn: padding must lie in [0, {MAX_PADDING + 1}), got {padding}")
    if stride < 1:
        raise RuntimeError(f"textnn: stride must be at least 1, got {stride}")
    if activation not in range(len(ACTIVATIONS)):
        raise RuntimeError(f"textnn: activation must lie in [0, {len(ACTIVATIONS)}), got {activation}")
    if not weight:
        raise RuntimeError("textnn: weight must hold at least one tensor")
    for name, t in (("dy", dy), ("y", y), *((f"weight[{i}]", w) for i, w in enumerate(weight))):
        if t is None or t.dtype != like.dtype:
            raise RuntimeError(f"textnn: {name} must have dtype {like.dtype}, got {None if t is None else t.dtype}")
    if dy.shape != y.shape:
        raise RuntimeError(f"textnn: dy must have the shape of y, {list(y.shape)}, got {list(dy.shape)}")
    C = weight[0].shape[0] if weight[0].dim() == 3 else -1
    for w in weight:
        if w.dim() != 3 or w.shape[:2] != (C, like.shape[-1]) or w.shape[2] == 0:
            raise RuntimeError(f"textnn: weight must have shape [{C}, {like.shape[-1]}, K > 0], got {list(w.shape)}")
    if len({w.shape[2] for w in weight}) > 1 and not same:
        raise RuntimeError("textnn: without same padding kernels must be equally wide")


def _add_product(sums: Tensor, a: Tensor, b: Tensor, scratch: Maybe = None) -> None:
    """Add a b to sums, which may be in float32 where the factors have 16 bits; ``scratch`` has room for the product."""
    if sums.dtype == a.dtype:
        sums.addmm_(a, b)
    else:
        sums += a @ b if scratch is None else torch.mm(a, b, out=scratch[: len(a)])


def _zeros(shape: Sequence[int], device: torch.device, dtype: torch.dtype) -> Tensor:
    """Zeros to add products to: in float32 where factors have 16 bits, so that not every addition rounds."""
    return torch.zeros(shape, device=device, dtype=torch.promote_types(dtype, torch.float32))


def _taps(weight: list[Tensor], precision: str) -> tuple[list[Tensor], list[Tensor]]:
    """Weights as factors [K, C, D], in the dtype of all factors, and zeros for the sums of their gradients."""
    like = weight[0]
    rounds = precision == "bf16" and like.dtype == torch.float32 and not runs_cuda(like) and has_bfloat16()
    dtype = torch.bfloat16 if rounds else like.dtype
    taps = [w.permute(2, 0, 1).to(dtype).contiguous() for w in weight]
    return taps, [_zeros(t.shape, t.device, dtype) for t in taps]


def _over_a_line(
    windows: Windows, dz: Tensor, vectors: Tensor, taps: list[Tensor], dtaps: list[Tensor], dx: Maybe
) -> None:
    """Add to dtaps [K, C, D] of each kernel, and write dx, of the shape of the vectors, if it is asked for."""
    vectors = vectors.flatten(0, -2)
    line = Line(windows, [len(t) for t in taps])
    x, rows = line.positions(vectors, taps[0].dtype), line.rows(dz, taps[0].dtype)
    sums = _zeros(x.shape if dx is not None else [0], x.device, x.dtype)
    scratch = torch.empty_like(x) if dx is not None and sums.dtype != x.dtype else None
    for own, kernel, dkernel in zip(
        rows.unflatten(1, (len(taps), taps[0].shape[1])).unbind(1), taps, dtaps, strict=True
    ):
        for tap, (w, dw) in enumerate(zip(kernel, dkernel, strict=True)):
            shift = line.shift(len(kernel), tap)
            number = max(0, line.M - abs(shift))  # of rows that this tap of theirs is on the line of
            here, there = (slice(begin, begin + number) for begin in (max(0, -shift), max(0, shift)))
            _add_product(dw, own[here].t(), x[there])
            if dx is not None:
                _add_product(sums[there], own[here], w, scratch)
    if dx is not None:
        line.write_positions(sums, dx)


def _over_tokens(
    windows: Windows, dz: Tensor, token: Tensor, vectors: Tensor, taps: list[Tensor], dtaps: list[Tensor], dx: Maybe
) -> None:
    """The same for the vectors [U, D] of distinct tokens; ``token`` [N] says which stands where."""
    U, C = vectors.shape[0], taps[0].shape[1]
    token, sums = torch.cat([token, token.new_full((1,), U)]), _zeros(vectors.shape, vectors.device, vectors.dtype)
    for own, kernel, dkernel in zip(dz.unflatten(1, (len(taps), C)).unbind(1), taps, dtaps, strict=True):
        own, G = own.contiguous(), own.new_empty(U, len(kernel), C)
        for tap, under in enumerate(token[windows.under(len(kernel), dz.shape[0])].unbind(1)):
            G[:, tap] = _ops.embedding_backward(own, under, U + 1, U, False)[0][:U]
        each = G.flatten(1)
        _add_product(dkernel.flatten(0, 1), each.t(), vectors)
        if dx is not None:
            _add_product(sums, each, kernel.flatten(0, 1))
    if dx is not None:
        dx.copy_(sums)


def _join(dtaps: list[Tensor], dbias: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """From the gradients [K, C, D] of each kernel and [S * C] of biases to the operators' results."""
    dweight = torch.cat([g.permute(1, 2, 0).flatten() for g in dtaps])
    return dweight.to(like.dtype), dbias.to(like.dtype).view(len(dtaps), dtaps[0].shape[1])


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
    dims = {"x": (x, 2 if flat else 3), "y": (y, 2 if flat else 3)}
    _check(dy, y, x, weight, (same, padding, stride, activation), dims)
    check_precision(precision)
    check_memory(dy=dy, x=x, sizes=sizes, y=y, **{f"weight[{i}]": w for i, w in enumerate(weight)})
    with torch.autocast(x.device.type, enabled=False):
        columns, options = len(weight) * weight[0].shape[0], (same, padding, stride)
        windows = Windows(x, sizes, flat, weight[0].shape[2], options)
        windows.check_rows(y, columns)
        taps, dtaps = _taps(weight, precision)
        dx, dbias = dense(x) if need_dx else x.new_empty(0), _zeros([columns], x.device, x.dtype)
        # Parts that stay in a cache, each on a line of its own; a GPU has enough to do with all of them at once.
        size = x.itemsize * (2 * x.numel() + y.numel())
        most = None if runs_cuda(x) or size <= _PART else windows.place.numel() * _PART // size
        for tokens, of_tokens, rows in windows.parts(sizes, most):
            whole = tokens == slice(None)
            part = windows if whole else Windows(x[tokens], of_tokens, flat, weight[0].shape[2], options)
            dz = part.before_activation(dy[rows], y[rows], activation)
            _over_a_line(part, dz, x[tokens], taps, dtaps, dx[tokens] if need_dx else None)
            dbias += dz.sum(dim=0, dtype=dbias.dtype)
        return (dx, *_join(dtaps, dbias, x))


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
    dims = {"ids": (ids, 1 if flat else 2), "table": (table, 2), "y": (y, 2 if flat else 3)}
    _check(dy, y, table, weight, (same, padding, stride, activation), dims)
    check_precision(precision)
    check_memory(dy=dy, ids=ids, table=table, sizes=sizes, y=y, **{f"weight[{i}]": w for i, w in enumerate(weight)})
    V, D = table.shape
    if not -1 <= padding_idx < V:
        raise RuntimeError(f"textnn: padding_idx must be -1 or lie in [0, {V}), got {padding_idx}")
    with torch.autocast(table.device.type, enabled=False):
        windows = Windows(ids, sizes, flat, weight[0].shape[2], (same, padding, stride))
        windows.check_rows(y, len(weight) * weight[0].shape[0])
        dz, flat_ids = windows.before_activation(dy, y, activation), ids.reshape(-1)
        taps, dtaps = _taps(weight, "ieee")  # of so few rows that rounding them would take as long as it saves
        # Only the CPU knows at once how many distinct tokens there are; a GPU would have to be waited for.
        by_token = sparse or not runs_cuda(table)
        own, token = torch.unique(flat_ids, return_inverse=True) if by_token else (flat_ids, flat_ids)
        vectors = _ops.embedding(own, table, -1, False)
        gradient = torch.empty_like(vectors) if need_dtable else None
        if by_token:
            _over_tokens(windows, dz, token, vectors, taps, dtaps, gradient)
        else:
            _over_a_line(windows, dz, vectors, taps, dtaps, gradient)
        if gradient is None:
            gradient = table.new_empty(0, D)
        elif not by_token:
            gradient = _ops.embedding_backward(gradient, flat_ids, V, padding_idx, False)[0]
        else:
            gradient.masked_fill_((own == padding_idx)[:, None], 0)
            if not sparse:
                gradient = table.new_zeros(V, D).index_copy_(0, own, gradient)
        return (gradient, own if sparse else ids.new_empty(0), *_join(dtaps, dz.sum(dim=0), table))


for _key in ("CPU", "CUDA"):
    library.impl("text_conv_positions_backward", _text_conv_backward, _key)
    library.impl("embedding_text_conv_positions_backward", _embedding_text_conv_backward, _key)
