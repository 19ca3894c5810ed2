"""N-grams of token ids as hashed features; see :mod:`textnn.functional`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import forward_ad

from .._checks import check_sentences, check_sizes_device, check_tensors, widen
from .._registration.common import rows_gradient
from .sizes import Sizes, size_tensors

_ops = torch.ops.textnn
_hash_ngrams = _ops.hash_ngrams.default
LONGEST, MOST_BUCKETS = 16, 2**31


def hash_ngrams(
    ids: Tensor,
    sizes: Sequence[int],
    buckets: int,
    *,
    lengths: Sizes | None = None,
    offsets: Sizes | None = None,
    distinct: bool = False,
) -> Tensor:
    """Number the n-grams of each sentence: ``ids.unfold(0, n, 1)``, each window hashed to one of the buckets.

    Parameters
    ----------
    ids : Tensor int64 [B, L], or [N] with ``offsets``
    sizes : sequence of S int
        How many tokens the n-grams have, from 1 to 16, each size once.
    buckets : int
        From 2 to 2**31. Different n-grams may share a bucket.
    lengths, offsets : Tensor int64 [B] or sequence of int, optional
        Tokens of each sentence, or where each begins in a flat batch. Without either, all L tokens count.
    distinct : bool, default=False
        Whether a bucket that occurs several times in a sentence, also by n-grams of different sizes, is kept only where
        it occurs first; it is 0 elsewhere. On CUDA the time for that grows with the square of a sentence's length.

    Returns
    -------
    y : Tensor int64 [B, L, S], or [N, S] with ``offsets``
        In column i, from 1 to buckets - 1, that of the ``sizes[i]`` tokens which begin at this position; 0 where they
        would pass the sentence's end. The same on every device, and in every version of this package.

    Raises
    ------
    ValueError
        If an id is below 0, ``ids`` has another number of dimensions, ``sizes`` or ``buckets`` are none of those
        above, or a length or offset is out of range.
    TypeError
        If ids are not int64 or int32, or ``sizes`` or ``buckets`` not integers.

    Notes
    -----
    Weinberger et al. 2009 (Feature Hashing for Large Scale Multitask Learning); n-grams in the manner of Joulin et al.
    2017 (Bag of Tricks for Efficient Text Classification). ``csrc/math/ngrams.h`` has the hash.

    Examples
    --------
    >>> y = textnn.functional.hash_ngrams(torch.tensor([[7, 8, 9], [7, 8, 7]]), sizes=(1, 2), buckets=1000)
    >>> y.shape, torch.equal(y[0, 0], y[1, 0])  # token 7, and tokens 7 and 8, have the same numbers in both
    (torch.Size([2, 3, 2]), True)
    >>> int(y[0, 2, 1])  # no pair begins at the last token
    0
    """
    sizes = check_ngrams(sizes, buckets)
    lengths, offsets = size_tensors(lengths, offsets)
    check_sizes_device("ids", ids, lengths, offsets)
    flat = offsets is not None
    if torch.compiler.is_compiling():
        index, rows = _check_batch(ids, lengths, offsets)
        return _hash_ngrams(index, sizes, buckets, rows, flat, distinct)
    # The operator checks everything once more anyway, and a call takes as long as the checks in Python.
    check_tensors(ids=ids)
    index = ids.long() if ids.dtype == torch.int32 else ids
    rows = lengths if offsets is None else offsets
    rows = rows if rows is None or rows.dtype != torch.int32 else rows.long()
    try:
        if lengths is not None and flat:
            raise RuntimeError("both lengths and offsets")
        y: Tensor = _hash_ngrams(index, sizes, buckets, rows, flat, distinct)
    except RuntimeError:
        _check_batch(ids, lengths, offsets)
        raise
    return y


def check_ngrams(sizes: Sequence[int], buckets: int) -> list[int]:
    """Return the sizes of n-grams as a list; ValueError or TypeError where they or ``buckets`` make no sense."""
    kinds = (int, torch.SymInt)
    if not isinstance(sizes, Sequence) or not all(isinstance(n, kinds) and not isinstance(n, bool) for n in sizes):
        raise TypeError(f"sizes must be a sequence of integers, got {sizes!r}")
    if len(sizes) == 0 or len(set(sizes)) < len(sizes) or not all(1 <= n <= LONGEST for n in sizes):
        raise ValueError(f"sizes must be distinct, from 1 to {LONGEST} and at least one, got {tuple(sizes)}")
    if not isinstance(buckets, kinds) or isinstance(buckets, bool):
        raise TypeError(f"buckets must be an integer, got {type(buckets).__name__} {buckets!r}")
    if not 2 <= buckets <= MOST_BUCKETS:
        raise ValueError(f"buckets must lie between 2 and 2**31, got {buckets}")
    return list(sizes)


def _check_batch(ids: Tensor, lengths: Tensor | None, offsets: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Return ids, and lengths or offsets, as int64."""
    check_tensors(ids=ids)
    if ids.dim() != (2 if offsets is None else 1):
        shape = "[B, L]" if offsets is None else "[N] with offsets"
        raise ValueError(f"ids must have shape {shape}, got {list(ids.shape)}")
    if ids.dtype not in (torch.int64, torch.int32):
        raise TypeError(f"ids must be int64, got {ids.dtype}")
    rows = check_sentences(ids, lengths, offsets)
    if ids.device.type == "cpu" and not torch.compiler.is_compiling() and ids.numel() and int(ids.min()) < 0:
        raise ValueError(f"ids must be at least 0, got {int(ids.min())}")
    return ids.long(), rows


def sum_rows(
    weight: Tensor, rows: Tensor, starts: Tensor, lengths: Tensor, keep: Tensor | None, sparse: bool
) -> Tensor:
    """Add up rows of ``weight`` [V, D]: ``rows`` [.., S] of N tokens, sentence b's from ``starts[b]`` on; [B, D].

    keep [.., S]: what each row is multiplied with. Row 0 has to be zero, and has no gradient.
    """
    if torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0:
        return _sum_rows(weight, rows, starts, lengths, keep)
    if torch.jit.is_tracing() and weight.requires_grad:  # a trace holds operators alone
        return _embedding_bag(weight, rows, starts, keep, padding_idx=0)
    if not (torch.is_grad_enabled() and weight.requires_grad):  # the detour costs more than the sums of a sentence
        return _SumRows.forward(weight, rows, starts, lengths, keep, sparse)
    total: Tensor = _SumRows.apply(weight, rows, starts, lengths, keep, sparse)
    return total


def _sum_rows(weight: Tensor, rows: Tensor, starts: Tensor, lengths: Tensor, keep: Tensor | None) -> Tensor:
    """The same in operations that every transform knows: each token's rows, then those of each sentence."""
    factors = (rows != 0).to(weight.dtype)
    each = weight[rows] * (factors if keep is None else factors * keep)[..., None]  # [.., S, D]
    tokens = each.sum(-2).reshape(-1, weight.shape[1])
    steps = torch.arange(tokens.shape[0], device=rows.device)
    own = (steps >= starts[:, None]) & (steps < (starts + lengths)[:, None])  # [B, N]
    return torch.where(own[..., None], tokens, tokens.new_zeros(())).sum(1)


def _embedding_bag(
    weight: Tensor, rows: Tensor, starts: Tensor, keep: Tensor | None, padding_idx: int | None = None
) -> Tensor:
    weights = None if keep is None else keep.reshape(-1)
    options: dict[str, Any] = {"mode": "sum", "per_sample_weights": weights, "padding_idx": padding_idx}
    return F.embedding_bag(rows.reshape(-1), weight, starts * rows.shape[-1], **options)


class _SumRows(torch.autograd.Function):
    """``embedding_bag`` forwards, without ``padding_idx``, which makes it 10 times slower; the row is zero anyway.

    Backwards the operator of :func:`textnn.functional.embedding`, whose sparse gradient has each row once.
    """

    @staticmethod
    def forward(
        weight: Tensor, rows: Tensor, starts: Tensor, lengths: Tensor, keep: Tensor | None, sparse: bool
    ) -> Tensor:
        return _embedding_bag(weight, rows, starts, keep)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        weight, rows, _, lengths, keep, ctx.sparse = inputs
        ctx.save_for_backward(rows, lengths, keep)
        ctx.shape = weight.shape

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Any, ...]:
        rows, lengths, keep = ctx.saved_tensors
        N, S = rows.numel() // rows.shape[-1], rows.shape[-1]
        each = dy.repeat_interleave(lengths, dim=0, output_size=N)  # [N, D]
        each = each[:, None].expand(N, S, dy.shape[1])
        if keep is not None:
            each = each * keep.reshape(N, S, 1)
        (each,), _ = widen(dy.dtype, each.reshape(N * S, dy.shape[1]))
        gradient, distinct = _ops.embedding_backward(each, rows.reshape(-1), ctx.shape[0], 0, ctx.sparse)
        gradient = gradient.to(dy.dtype)
        if ctx.sparse:
            gradient = rows_gradient(distinct, gradient, ctx.shape)
        return gradient, None, None, None, None, None
