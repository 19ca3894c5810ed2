"""A linear-chain conditional random field over ragged batches; see :mod:`textnn.functional`.

Tags y of a sequence of scores x [length, K] have the score

    start[y_0] + sum_t x[t, y_t] + sum_t transitions[y_(t-1), y_t] + end[y_last]

and the probability exp(score) / Z, with Z the sum of exp(score) over all K^length sequences of tags. Scores may be
``-inf``: what they belong to is forbidden.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .._checks import (
    _autocast,
    check_dtypes,
    check_lengths,
    check_offsets,
    check_sizes_device,
    check_tensors,
    keeps,
)
from .sizes import Sizes, size_tensors

_ops = torch.ops.textnn

REDUCTIONS = ("none", "sum", "mean", "token_mean")


def crf_log_likelihood(
    emissions: Tensor,
    tags: Tensor,
    start: Tensor,
    end: Tensor,
    transitions: Tensor,
    *,
    lengths: Sizes | None = None,
    offsets: Sizes | None = None,
    batch_first: bool = False,
    reduction: str = "sum",
) -> Tensor:
    """Compute log p(tags) of each sequence under a CRF: ``torchcrf.CRF(K)(emissions, tags, mask)``, without a mask.

    Parameters
    ----------
    emissions : Tensor [T, B, K], [B, T, K] with ``batch_first``, or [N, K] with ``offsets``
        The score of each tag at each step.
    tags : Tensor int64, as emissions without K; or bool, as emissions
        The tags, in [0, K); at padding anything. Of bool: which tags are possible at each step, for sequences that are
        labelled in part. The result is then the log of the probability of all sequences of tags that fit.
    start, end : Tensor [K]
        The scores of beginning and of ending with a tag.
    transitions : Tensor [K, K]
        The score of going from tag i to tag j.
    lengths : Tensor int64 [B] or sequence of int, optional
        How many steps each sequence of a padded batch has; without it, T.
    offsets : Tensor int64 [B] or sequence of int, optional
        Where each sequence of a flat batch begins.
    batch_first : bool, default=False
    reduction : {"sum", "none", "mean", "token_mean"}, default="sum"
        The sum over the batch, one number for each sequence, the mean over sequences, or the sum divided by the number
        of steps.

    Returns
    -------
    Tensor [], or [B] with ``reduction="none"``
        0 for an empty sequence. ``-inf`` for tags that are forbidden, and for a sequence whose tags are all forbidden,
        which then has no gradient.

    Raises
    ------
    ValueError
        If shapes do not fit each other, a length or offset is out of range, or for another reduction.
    RuntimeError
        If a tag lies outside of [0, K).
    TypeError
        If dtypes differ or are not floating-point, or tags are neither integers nor bool.

    Notes
    -----
    Lafferty, McCallum and Pereira 2001, Conditional random fields. float16 and bfloat16 are computed in float32. Second
    derivatives come from the reference, which is slow.

    Examples
    --------
    >>> emissions, zeros = torch.zeros(5, 2), torch.zeros(2)
    >>> tags = torch.tensor([0, 1, 1, 0, 1])
    >>> options = dict(offsets=[0, 3], reduction="none")
    >>> textnn.functional.crf_log_likelihood(emissions, tags, zeros, zeros, torch.zeros(2, 2), **options).exp()
    tensor([0.1250, 0.2500])
    """
    check_reduction(reduction)
    dtype = _check_scores(emissions, start, end, transitions)
    sizes, layout = _check_batch(emissions, lengths, offsets, batch_first)
    check_tensors(tags=tags)
    partial = tags.dtype == torch.bool
    if not partial and tags.dtype not in (torch.int64, torch.int32):
        raise TypeError(f"tags must be int64, or bool for possible tags, got {tags.dtype}")
    if tags.shape != (emissions.shape if partial else emissions.shape[:-1]):
        wanted = list(emissions.shape if partial else emissions.shape[:-1])
        raise ValueError(f"tags must have shape {wanted} for emissions {list(emissions.shape)}, got {list(tags.shape)}")
    if tags.device != emissions.device:
        raise ValueError(f"tags must be on the device of emissions, {emissions.device}, got {tags.device}")
    save = keeps(emissions, start, end, transitions)
    x, *scores = _wide(emissions, start, end, transitions)
    if partial:  # the difference of two long sums
        x, *scores = (t.double() for t in (x, *scores))

    def operator(x: Tensor, tags: Tensor | None) -> Tensor:
        return _ops.crf_log_likelihood(x, tags, *scores, sizes, layout, save)[0]

    if partial:
        possible = -operator(x.masked_fill(~tags, float("-inf")), None)  # log of the sum over the paths that fit
        y = torch.where(possible.abs() == float("inf"), float("-inf"), possible + operator(x, None))
    else:
        y = operator(x, tags.long())
    return reduce(y, reduction, lambda: _steps(emissions, sizes, layout)).to(dtype)


def check_reduction(reduction: str) -> None:
    """Raise a ValueError unless there is such a reduction."""
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction must be 'none', 'sum', 'mean' or 'token_mean', got {reduction!r}")


def reduce(each: Tensor, reduction: str, steps: Callable[[], Any]) -> Tensor:
    """Put the values of all sequences together; ``steps()`` is how many steps they have."""
    if reduction == "none":
        return each
    if reduction == "mean":
        return each.mean()
    return each.sum() if reduction == "sum" else each.sum() / steps()


def crf_log_partition(
    emissions: Tensor,
    start: Tensor,
    end: Tensor,
    transitions: Tensor,
    *,
    lengths: Sizes | None = None,
    offsets: Sizes | None = None,
    batch_first: bool = False,
) -> Tensor:
    """Compute log Z of each sequence: the ``logsumexp`` of the scores of all its sequences of tags.

    Parameters
    ----------
    emissions, start, end, transitions, lengths, offsets, batch_first
        As in :func:`crf_log_likelihood`.

    Returns
    -------
    Tensor [B]
        0 for an empty sequence, ``-inf`` where all tags are forbidden.

    Raises
    ------
    ValueError, TypeError
        As :func:`crf_log_likelihood`.

    Examples
    --------
    >>> zeros = torch.zeros(2)
    >>> textnn.functional.crf_log_partition(torch.zeros(3, 1, 2), zeros, zeros, torch.zeros(2, 2)).exp().round()
    tensor([8.])
    """
    dtype = _check_scores(emissions, start, end, transitions)
    sizes, layout = _check_batch(emissions, lengths, offsets, batch_first)
    save = keeps(emissions, start, end, transitions)
    x, *scores = _wide(emissions, start, end, transitions)
    y = _ops.crf_log_likelihood(x, None, *scores, sizes, layout, save)[0]
    return torch.where(y == float("-inf"), y, -y).to(dtype)


def crf_marginals(
    emissions: Tensor,
    start: Tensor,
    end: Tensor,
    transitions: Tensor,
    *,
    lengths: Sizes | None = None,
    offsets: Sizes | None = None,
    batch_first: bool = False,
) -> Tensor:
    """Compute the probability of each tag at each step: ``torch.autograd.grad(log_z.sum(), emissions)``.

    Parameters
    ----------
    emissions, start, end, transitions, lengths, offsets, batch_first
        As in :func:`crf_log_likelihood`.

    Returns
    -------
    Tensor, as emissions
        Sums to 1 over the tags; zero at padding, and for a sequence whose tags are all forbidden. Its gradient comes
        from the reference, which is slow.

    Raises
    ------
    ValueError, TypeError
        As :func:`crf_log_likelihood`.

    Examples
    --------
    >>> zeros, never = torch.zeros(2), torch.tensor([[0.0, float("-inf")], [0.0, 0.0]])  # no 1 behind a 0
    >>> textnn.functional.crf_marginals(torch.zeros(2, 1, 2), zeros, zeros, never)[:, 0]
    tensor([[0.3333, 0.6667],
            [0.6667, 0.3333]])
    """
    dtype = _check_scores(emissions, start, end, transitions)
    sizes, layout = _check_batch(emissions, lengths, offsets, batch_first)
    return _ops.crf_marginals(*_wide(emissions, start, end, transitions), sizes, layout).to(dtype)


def crf_decode(
    emissions: Tensor,
    start: Tensor,
    end: Tensor,
    transitions: Tensor,
    *,
    lengths: Sizes | None = None,
    offsets: Sizes | None = None,
    batch_first: bool = False,
    n_best: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Find the tags with the highest score: ``torchcrf.CRF(K).decode(emissions, mask)`` as a tensor.

    Parameters
    ----------
    emissions, start, end, transitions, lengths, offsets, batch_first
        As in :func:`crf_log_likelihood`.
    n_best : int, optional
        How many sequences of tags are wanted.

    Returns
    -------
    tags : Tensor int64, as emissions without K; [n_best, ...] with ``n_best``
        The best tags; of equal scores those with the smaller numbers, from the last step backwards. 0 at padding.
    scores : Tensor [B], or [n_best, B] with ``n_best``
        Their scores, falling. ``-inf`` where there are no more sequences of tags, or none is allowed; tags are 0 there.

    Raises
    ------
    ValueError
        As :func:`crf_log_likelihood`; for ``n_best`` below 1.
    TypeError
        As :func:`crf_log_likelihood`.

    Notes
    -----
    Viterbi 1967; the n best by merging the lists of the tags before (Huang and Chiang 2005). Without gradient.

    Scores that are NaN are no error, here as in torch: they are passed over, or come back as the score where all of a
    step are NaN. :func:`crf_log_likelihood` of the same scores is NaN, which a training loop notices.

    Examples
    --------
    >>> zeros, emissions = torch.zeros(2), torch.tensor([[0.0, 1.0], [0.5, 0.0], [0.0, 2.0]])
    >>> tags, scores = textnn.functional.crf_decode(emissions, zeros, zeros, torch.zeros(2, 2), offsets=[0], n_best=2)
    >>> tags, scores
    (tensor([[1, 0, 1],
            [1, 1, 1]]), tensor([[3.5000],
            [3.0000]]))
    """
    dtype = _check_scores(emissions, start, end, transitions)
    sizes, layout = _check_batch(emissions, lengths, offsets, batch_first)
    check_best(n_best)
    x, *scores = (t.detach() for t in _wide(emissions, start, end, transitions))
    tags, best = _ops.crf_decode(x, *scores, sizes, layout, n_best or 1)
    best = best.to(dtype)
    return (tags, best) if n_best is not None else (tags[0], best[0])


def check_best(n_best: int | None) -> None:
    """Raise an error unless n_best is a number of sequences of tags, or None."""
    if n_best is not None and (isinstance(n_best, bool) or not isinstance(n_best, int)):
        raise TypeError(f"n_best must be an int, got {n_best!r}")
    if n_best is not None and n_best < 1:
        raise ValueError(f"n_best must be at least 1, got {n_best}")


def _check_scores(emissions: Tensor, start: Tensor, end: Tensor, transitions: Tensor) -> torch.dtype:
    """Return the dtype of results."""
    check_tensors(emissions=emissions, start=start, end=end, transitions=transitions)
    if emissions.dim() < 1 or emissions.shape[-1] < 1:
        raise ValueError(f"emissions must have a last dimension of K tags, got shape {list(emissions.shape)}")
    K = emissions.shape[-1]
    for name, t, shape in (("start", start, [K]), ("end", end, [K]), ("transitions", transitions, [K, K])):
        if list(t.shape) != shape:
            raise ValueError(f"{name} must have shape {shape} for emissions of {K} tags, got {list(t.shape)}")
    named = {"emissions": emissions, "start": start, "end": end, "transitions": transitions}
    dtype = check_dtypes(named)
    return torch.float32 if _autocast(emissions.device.type) and dtype != torch.float64 else dtype


def _check_batch(
    emissions: Tensor, lengths: Sizes | None, offsets: Sizes | None, batch_first: bool
) -> tuple[Tensor | None, str]:
    """Return lengths or offsets as a tensor, and the name of the layout in the operators."""
    lengths, offsets = size_tensors(lengths, offsets)
    if lengths is not None and offsets is not None:
        raise ValueError("at most one of lengths and offsets may be given, got both")
    form = "[N, K] with offsets" if offsets is not None else "[B, T, K]" if batch_first else "[T, B, K]"
    if emissions.dim() != (2 if offsets is not None else 3):
        raise ValueError(f"emissions must have shape {form}, got {list(emissions.shape)}")
    check_sizes_device("emissions", emissions, lengths, offsets)
    if offsets is not None:
        return check_offsets(offsets, emissions.shape[0], None), "flat"
    B, T = emissions.shape[:2] if batch_first else (emissions.shape[1], emissions.shape[0])
    return None if lengths is None else check_lengths(lengths, B, T), "batch_major" if batch_first else "time_major"


def _wide(*tensors: Tensor) -> list[Any]:
    """float16 and bfloat16 as float32: sums over a sequence need it on every device."""
    return [t.float() if t.dtype in (torch.float16, torch.bfloat16) else t for t in tensors]


def _steps(emissions: Tensor, sizes: Tensor | None, layout: str) -> Any:
    """How many steps all sequences have together."""
    if layout == "flat" or sizes is None:
        return emissions.shape[:-1].numel()
    return sizes.sum().to(emissions.device)
