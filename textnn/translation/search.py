"""From sources to the ids of their translations, of many sources side by side.

    sources -> memory, states -> END -> step -> log-probabilities [B, K, V] -> the best K hypotheses of each -> ...

A beam keeps the K best unfinished hypotheses of each source. A finished one is worth its log-probability divided by
((5 + tokens) / 6) ** penalty, its end being one of the tokens (Wu et al., "Google's Neural Machine Translation System",
2016, section 7). A source is done when its best finished hypothesis is worth as much as its best unfinished one. With a
beam of 1 the most probable token is taken each time. Sources that are done leave the batch.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from textnn.models.base import segment_lengths
from textnn.text.levels import END, UNKNOWN
from textnn.translation.network import TranslationNetwork


class Request(NamedTuple):
    """How translations are searched for.

    Attributes
    ----------
    beam
        Hypotheses that are kept; 1 takes the most probable token each time.
    penalty
        Of the length: 0 compares log-probabilities, and more favours long translations.
    max_tokens
        Of a translation at most.
    """

    beam: int = 5
    penalty: float = 1.0
    max_tokens: int = 200

    def worth(self, scores: Tensor, tokens: int) -> Tensor:
        """Return log-probabilities of translations of so many tokens as what they are worth."""
        return scores / ((5.0 + tokens) / 6.0) ** self.penalty


class _Batch(NamedTuple):
    """Sources that are not done: their rows, memory [S, H], offsets [B], tokens that they may have [B]."""

    rows: Tensor
    memory: Tensor
    offsets: Tensor
    limits: Tensor

    def take(self, kept: Tensor) -> _Batch:
        """Return some of the sources, bool [B]."""
        lengths = segment_lengths(self.memory, self.offsets)
        inside = kept.repeat_interleave(lengths, output_size=len(self.memory))
        left = lengths[kept]
        return _Batch(self.rows[kept], self.memory[inside], left.cumsum(0) - left, self.limits[kept])


def search(network: TranslationNetwork, source: Tensor, offsets: Tensor, request: Request) -> list[list[int]]:
    """Return the ids of the translation of each of some sources, without END; int64 [S] and [B], none empty."""
    memory, states = network.encode(source, offsets)
    # So many tokens suit a source: what repeats itself without end is cut.
    limits = (3 * segment_lengths(source, offsets) + 20).clamp(max=request.max_tokens)
    batch = _Batch(torch.arange(len(offsets), device=source.device), memory, offsets, limits)
    if request.beam == 1:
        return _greedy(network, batch, states)
    return _beam(network, batch, states, request)


def _logits(
    network: TranslationNetwork, batch: _Batch, ids: Tensor, states: Tensor, first: bool
) -> tuple[Tensor, Tensor]:
    """Return logits [B, K, V] of what follows ids [B, K], and the states after them."""
    logits, states = network.step(ids, batch.memory, batch.offsets, states)
    logits = logits.float()
    if first:  # some translation there is
        logits[..., END] = -torch.inf
    if network.attention is None:  # which could not say what to put in its place
        logits[..., UNKNOWN] = -torch.inf
    return logits, states


def _greedy(network: TranslationNetwork, batch: _Batch, states: Tensor) -> list[list[int]]:
    found: list[list[int]] = [[] for _ in batch.rows]
    ids = batch.rows.new_full((len(batch.rows), 1), END)
    steps: list[tuple[Tensor, Tensor]] = []
    while len(batch.rows):
        logits, states = _logits(network, batch, ids, states, not steps)
        ids = logits.argmax(dim=2)
        going = ids[:, 0] != END
        steps.append((batch.rows[going], ids[going, 0]))
        going &= batch.limits > len(steps)
        if not bool(going.all()):
            batch, ids, states = batch.take(going), ids[going], states[:, :, going]
    for rows, tokens in steps:
        for row, token in zip(rows.tolist(), tokens.tolist(), strict=True):
            found[row].append(token)
    return found


def _beam(network: TranslationNetwork, batch: _Batch, states: Tensor, request: Request) -> list[list[int]]:
    """``texts`` [B, K, n] are the unfinished hypotheses, ``best`` [B, n] the best finished ones, then END."""
    K, B, memory = request.beam, len(batch.rows), batch.memory
    found: list[list[int]] = [[] for _ in range(B)]
    states = states.repeat_interleave(K, dim=2)
    ids = batch.rows.new_full((B, K), END)
    texts, best = ids[:, :, None][:, :, :0], ids[:, :0]
    # All hypotheses are the same at first, so that one of them counts.
    scores = memory.new_full((B, K), -torch.inf)
    scores[:, 0] = 0.0
    best_worth = memory.new_full((B,), -torch.inf)
    while B:
        number = texts.shape[2] + 1
        logits, states = _logits(network, batch, ids, states, number == 1)
        V = logits.shape[2]
        new, places = (scores[:, :, None] + logits.log_softmax(dim=2)).flatten(1).topk(min(2 * K, K * V), dim=1)
        parents, tokens = places // V, places % V
        ended = tokens == END
        # One that ends counts if it is among the best K; the best K of the others go on.
        worth, place = request.worth(new[:, :K], number).masked_fill(~ended[:, :K], -torch.inf).max(dim=1)
        best = torch.where((worth > best_worth)[:, None], _of(texts, parents.gather(1, place[:, None]))[:, 0], best)
        best_worth = torch.maximum(worth, best_worth)
        scores, kept = new.masked_fill(ended, -torch.inf).topk(K, dim=1)
        parents, ids = parents.gather(1, kept), tokens.gather(1, kept)
        texts, best = torch.cat([_of(texts, parents), ids[:, :, None]], dim=2), F.pad(best, (0, 1), value=END)
        going = (request.worth(scores[:, 0], number) > best_worth) & (batch.limits > number)
        states = states[:, :, (parents + K * torch.arange(B, device=parents.device)[:, None])[going].flatten()]
        if bool(going.all()):
            continue
        done = ~going
        results = torch.where((best_worth[done] > -torch.inf)[:, None], best[done], texts[done, 0])
        for row, result in zip(batch.rows[done].tolist(), results.tolist(), strict=True):
            found[row] = result[: result.index(END)] if END in result else result
        batch, ids, texts, scores = batch.take(going), ids[going], texts[going], scores[going]
        best, best_worth, B = best[going], best_worth[going], len(ids)
    return found


def _of(texts: Tensor, parents: Tensor) -> Tensor:
    """Return the hypotheses [B, k, n] that are the parents [B, k]."""
    return texts.gather(1, parents[:, :, None].expand(-1, -1, texts.shape[2]))
