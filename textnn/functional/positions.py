"""Text convolutions with an output for each position; see :mod:`textnn.functional`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .._checks import (
    check_dtypes,
    check_ids,
    check_places,
    check_sentences,
    check_table,
    check_tensors,
    widen,
    window_counts,
)
from ..backends import asked_of_torch, product_precision, runs_cuda
from .convolution import _check_kernels, _named
from .sizes import Sizes, size_tensors

_ops = torch.ops.textnn


def text_conv_positions(
    x: Tensor,
    weight: Sequence[Tensor],
    bias: Sequence[Tensor] | None = None,
    *,
    lengths: Sizes | None = None,
    offsets: Sizes | None = None,
    padding: str | int = "valid",
    stride: int = 1,
    activation: str = "relu",
) -> tuple[Tensor, Tensor]:
    """Convolve and activate each sentence by itself: ``F.conv1d(x.mT, w, b, stride, padding).relu().mT``.

    A sentence of W tokens has floor((W - K + 2 P) / stride) + 1 outputs, or none where that is below 1, with P zero
    vectors on either side. Bias and activation are applied as sums leave the registers.

    Parameters
    ----------
    x : Tensor [B, L, D], or [N, D] with ``offsets``
        The vectors of the tokens.
    weight : sequence of S tensors [C, D, K]
        The kernels, as in ``torch.nn.Conv1d``. K may differ with the padding "same" only.
    bias : sequence of S tensors [C], optional
    lengths : Tensor int64 [B] or sequence of int, optional
        How many tokens each sentence has; without it, L.
    offsets : Tensor int64 [B] or sequence of int, optional
        Where each sentence of a flat batch begins.
    padding : int, "valid" or "same", default="valid"
        P, below 2**31; "valid" is 0. "same": (K - 1) // 2 zero vectors in front and K // 2 behind, so that there are as
        many outputs as tokens, divided by the stride and rounded up.
    stride : int, default=1
        Tokens between the beginnings of two windows.
    activation : {"relu", "tanh", "identity"}, default="relu"

    Returns
    -------
    y : Tensor [B, L_out, S * C], or [N_out, S * C] with ``offsets``
        Channel c of kernel i in column i * C + c; zeros behind the last output of a sentence.
    sizes : Tensor int64 [B]
        The number of outputs of each sentence, or, with ``offsets``, where the outputs of each begin.

    Raises
    ------
    ValueError
        If shapes do not fit each other, a length, an offset, the padding or the stride is out of range, or kernels of
        different sizes would have different numbers of outputs.
    TypeError
        If dtypes differ or are not floating-point.

    Notes
    -----
    How many outputs a flat batch has follows from its offsets, unless the padding is "same" and the stride 1. CUDA
    tensors then need offsets that are on the CPU, or wait for them; ``torch.compile(fullgraph=True)`` needs
    ``torch._dynamo.config.capture_dynamic_output_shape_ops``.

    Examples
    --------
    >>> x, w = torch.randn(2, 9, 4), torch.randn(6, 4, 3)
    >>> y, lengths = textnn.functional.text_conv_positions(x, [w], padding=1, stride=2)
    >>> torch.allclose(y, torch.conv1d(x.mT, w, padding=1, stride=2).relu().mT, atol=1e-5), lengths
    (True, tensor([5, 5]))
    """
    lengths, offsets = size_tensors(lengths, offsets)
    flat = offsets is not None
    check_tensors(x=x)
    if x.dim() != (2 if flat else 3):
        raise ValueError(f"x must have shape {'[N, D] with offsets' if flat else '[B, L, D]'}, got {list(x.shape)}")
    biases = _check_kernels(weight, bias, x.shape[-1])
    dtype = check_dtypes({"x": x, **_named("weight", weight), **_named("bias", biases)})
    sizes = check_sentences(x, lengths, offsets, "x")
    same, pad, code = check_places(padding, stride, activation, [w.shape[2] for w in weight])
    sizes = _to_cpu(sizes, flat, same, stride)
    (x, *rest), narrow = widen(dtype, x, *weight, *biases)
    how = (same, pad, stride, code, product_precision(dtype, x.device.type, convolution=True))
    y = _ops.text_conv_positions(x, rest[: len(weight)], rest[len(weight) :], sizes, flat, *how)
    return narrow((y,))[0], _sizes_of(x, sizes, flat, weight[0].shape[2], (same, pad, stride))


def embedding_text_conv_positions(
    ids: Tensor,
    table: Tensor,
    weight: Sequence[Tensor],
    bias: Sequence[Tensor] | None = None,
    *,
    lengths: Sizes | None = None,
    offsets: Sizes | None = None,
    padding: str | int = "valid",
    stride: int = 1,
    activation: str = "relu",
    padding_idx: int | None = None,
    sparse: bool = False,
) -> tuple[Tensor, Tensor]:
    """Look up tokens and convolve them: ``text_conv_positions(F.embedding(ids, table), ...)``.

    The products of embeddings and kernels are computed once for each distinct token of the batch, then gathered.

    Parameters
    ----------
    ids : Tensor int64 [B, L], or [N] with ``offsets``
    table : Tensor [V, D]
        The embeddings.
    weight, bias, lengths, offsets, padding, stride, activation
        As in :func:`text_conv_positions`.
    padding_idx, sparse
        As in :func:`embedding_text_conv`.

    Returns
    -------
    y : Tensor [B, L_out, S * C], or [N_out, S * C] with ``offsets``
    sizes : Tensor int64 [B]
        As in :func:`text_conv_positions`.

    Raises
    ------
    IndexError
        If an id lies outside the table.
    ValueError, TypeError
        As in :func:`text_conv_positions`, or if ids are not int64 or int32.

    Examples
    --------
    >>> ids, table, w = torch.tensor([1, 2, 2, 5, 1]), torch.randn(9, 4), torch.randn(6, 4, 2)
    >>> y, offsets = textnn.functional.embedding_text_conv_positions(ids, table, [w], offsets=[0, 3])
    >>> y.shape, offsets
    (torch.Size([3, 6]), tensor([0, 2]))
    """
    lengths, offsets = size_tensors(lengths, offsets)
    flat = offsets is not None
    check_tensors(ids=ids, table=table)
    if ids.dim() != (1 if flat else 2):
        raise ValueError(f"ids must have shape {'[N] with offsets' if flat else '[B, L]'}, got {list(ids.shape)}")
    row = check_table(table, padding_idx)
    ids = check_ids(ids, table.shape[0], table)
    biases = _check_kernels(weight, bias, table.shape[1])
    dtype = check_dtypes({"table": table, **_named("weight", weight), **_named("bias", biases)})
    sizes = check_sentences(ids, lengths, offsets)
    same, pad, code = check_places(padding, stride, activation, [w.shape[2] for w in weight])
    sizes = _to_cpu(sizes, flat, same, stride)
    (table, *rest), narrow = widen(dtype, table, *weight, *biases)
    kernels, biases = rest[: len(weight)], rest[len(weight) :]
    how = (same, pad, stride, code, product_precision(dtype, table.device.type, convolution=True), row, sparse)
    tf32 = asked_of_torch()[:1] if runs_cuda(table) else ()
    y = _ops.embedding_text_conv_positions(ids, table, kernels, biases, sizes, flat, *how, *tf32)
    return narrow((y,))[0], _sizes_of(ids, sizes, flat, weight[0].shape[2], (same, pad, stride))


def _to_cpu(sizes: Tensor | None, flat: bool, same: bool, stride: int) -> Tensor | None:
    """Return sizes where the operator can count the outputs."""
    return sizes if sizes is None or not flat or (same and stride == 1) else sizes.cpu()


def _sizes_of(tokens: Tensor, sizes: Tensor | None, flat: bool, K: int, options: tuple[bool, int, int]) -> Tensor:
    if sizes is None:
        count = window_counts(tokens.shape[1], K, *options)
        return torch.full((tokens.shape[0],), count, dtype=torch.int64, device=tokens.device)
    if not flat:
        return window_counts(sizes, K, *options)
    count = window_counts(torch.diff(sizes, append=sizes.new_full((1,), tokens.shape[0])), K, *options)
    return count.cumsum(0) - count
