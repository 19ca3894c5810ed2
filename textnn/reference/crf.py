"""A linear-chain conditional random field in plain PyTorch: one sequence at a time, in logarithms."""

from __future__ import annotations

import torch
from torch import Tensor

from .recurrent import Sizes, numbers

_NONE = float("-inf")


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
    """Score tags and compare them with all others; see :func:`textnn.functional.crf_log_likelihood`."""
    results, tokens = [], 0
    sequences = split_sequences(emissions, lengths, offsets, batch_first)
    for x, y in zip(sequences, split_sequences(tags, lengths, offsets, batch_first), strict=True):
        tokens += x.shape[0]
        if x.shape[0] == 0:
            results.append(emissions.new_zeros(()))
            continue
        if y.dtype == torch.bool:
            score = _forward(x.masked_fill(~y, _NONE), start, end, transitions)[1]
        else:
            score = x.gather(1, y[:, None]).sum() + start[y[0]] + transitions[y[:-1], y[1:]].sum() + end[y[-1]]
        log_z = _forward(x, start, end, transitions)[1]
        nothing = (log_z == _NONE) | (score == _NONE) if y.dtype == torch.bool else log_z == _NONE
        results.append((score.masked_fill(nothing, 0) - log_z.masked_fill(nothing, 0)).masked_fill(nothing, _NONE))
    each = torch.stack(results) if results else emissions.new_zeros(0)
    if reduction == "none":
        return each
    return {"sum": each.sum(), "mean": each.mean(), "token_mean": each.sum() / tokens if tokens else each.mean()}[
        reduction
    ]


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
    """Sum over all paths; see :func:`textnn.functional.crf_log_partition`."""
    sequences = split_sequences(emissions, lengths, offsets, batch_first)
    results = [_forward(x, start, end, transitions)[1] if x.shape[0] else emissions.new_zeros(()) for x in sequences]
    return torch.stack(results) if results else emissions.new_zeros(0)


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
    """Give the probability of each tag at each step; see :func:`textnn.functional.crf_marginals`."""
    rows = torch.arange(emissions.shape[:-1].numel(), device=emissions.device).reshape(emissions.shape[:-1])
    places, found = [], []
    sequences = split_sequences(emissions, lengths, offsets, batch_first)
    for x, place in zip(sequences, split_sequences(rows, lengths, offsets, batch_first), strict=True):
        if x.shape[0] == 0:
            continue
        alphas, log_z = _forward(x, start, end, transitions)
        nothing = log_z == _NONE
        beta, betas = end, [end]
        for t in range(x.shape[0] - 1, 0, -1):
            beta = log_sum_exp(transitions + x[t] + beta, dim=1)
            betas.append(beta)
        places.append(place)
        paths = alphas + torch.stack(betas[::-1])
        found.append((paths - log_z.masked_fill(nothing, 0)).exp().masked_fill(nothing, 0))
    result = torch.zeros_like(emissions).flatten(0, -2)
    if places:
        result = result.index_put((torch.cat(places),), torch.cat(found))
    return result.reshape(emissions.shape)


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
    """Find the best tags (Viterbi); see :func:`textnn.functional.crf_decode`."""
    n, K = n_best or 1, emissions.shape[-1]
    tags = torch.zeros(n, *emissions.shape[:-1], dtype=torch.int64, device=emissions.device)
    sequences = split_sequences(emissions, lengths, offsets, batch_first)
    scores = emissions.new_full((n, len(sequences)), _NONE)
    for rank in range(n):
        for b, path in enumerate(split_sequences(tags[rank], lengths, offsets, batch_first)):  # a view
            x = sequences[b]
            if x.shape[0] == 0:
                scores[rank, b] = 0 if rank == 0 else _NONE
                continue
            # The n best paths that end in each tag, [K, n], and where they come from: tag * n + rank.
            score, back = torch.full((K, n), _NONE).to(emissions), []
            score[:, 0] = start + x[0]
            for t in range(1, x.shape[0]):
                candidates = (score[:, :, None] + transitions[:, None, :]).reshape(K * n, K)
                order = candidates.argsort(dim=0, descending=True, stable=True)[:n]  # [n, K]
                score = candidates.gather(0, order).t() + x[t][:, None]
                back.append(order.t())
            last = (score + end[:, None]).flatten()
            at = int(last.argsort(descending=True, stable=True)[rank])
            scores[rank, b] = last[at]
            if last[at] == _NONE:
                continue
            for t in range(x.shape[0] - 1, -1, -1):
                path[t] = at // n
                at = int(back[t - 1][at // n, at % n]) if t > 0 else 0
    return (tags, scores) if n_best is not None else (tags[0], scores[0])


def split_sequences(x: Tensor, lengths: Sizes | None, offsets: Sizes | None, batch_first: bool) -> list[Tensor]:
    """Return the vectors [length, ...] of each sequence, views of x."""
    if offsets is not None:
        starts = numbers(offsets)
        ends = [*starts[1:], x.shape[0]] if starts else []
        return [x[begin:stop] for begin, stop in zip(starts, ends, strict=True)]
    rows = x if batch_first else x.transpose(0, 1)
    return [row if lengths is None else row[: int(lengths[b])] for b, row in enumerate(rows)]


def log_sum_exp(scores: Tensor, dim: int) -> Tensor:
    """``torch.logsumexp`` with a gradient of zero where all scores are -inf; torch's is NaN there."""
    top = scores.detach().amax(dim, keepdim=True)
    top = top.masked_fill(top == _NONE, 0)
    total = (scores - top).exp().sum(dim)
    nothing = total == 0
    return (top.squeeze(dim) + total.masked_fill(nothing, 1).log()).masked_fill(nothing, _NONE)


def _forward(x: Tensor, start: Tensor, end: Tensor, transitions: Tensor) -> tuple[Tensor, Tensor]:
    """Return alphas [length, K], the log-sum-exp of all paths to a tag at a step, and log Z."""
    alpha = start + x[0]
    alphas = [alpha]
    for row in x[1:]:
        alpha = log_sum_exp(alpha[:, None] + transitions, dim=0) + row
        alphas.append(alpha)
    return torch.stack(alphas), log_sum_exp(alpha + end, dim=0)
