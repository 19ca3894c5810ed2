"""From a fitted tagger to tags, probabilities and entities of new sentences.

sentences -> batches of so many tokens, similar lengths -> emissions -> best tags | probabilities     (a thread each)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from textnn.circumstances import plain_torch
from textnn.functional import crf_decode, crf_marginals
from textnn.models.predictor import in_chunks, ordered
from textnn.tagging.encoding import Tokens
from textnn.tagging.state import State
from textnn.text import RaggedBatch

Array = np.ndarray[Any, np.dtype[Any]]

CHUNK = 256
"""Sentences that a thread takes at a time."""
_TOKENS = 1 << 14  # of a batch
_SCORES = 1 << 24
MOST_SCORES = 1 << 27
"""Scores, one a token and tag, of a sentence at most, and of a batch in training: half a gigabyte, and some copies."""

Work = Callable[[State, Tensor, RaggedBatch], Tensor]
"""From the emissions [N, K] of a batch to something for each token, [N, ...]."""

Forced = Callable[[Sequence[Tokens]], Tensor]
"""From sentences to a number for each token of all of them, [N], which ``Work`` finds as ``batch.aligned[FORCED]``."""
FORCED = "forced"


def best_tags(state: State, emissions: Tensor, batch: RaggedBatch) -> Tensor:
    """Return the best tags of each sentence of a batch, int64 [N]."""
    return crf_decode(emissions, *state.model.crf.scores(), offsets=batch.offsets)[0]


def probabilities(state: State, emissions: Tensor, batch: RaggedBatch) -> Tensor:
    """Return the probability of each tag of each token, [N, K]."""
    return crf_marginals(emissions, *state.model.crf.scores(), offsets=batch.offsets)


def tags_and_probabilities(state: State, emissions: Tensor, batch: RaggedBatch) -> Tensor:
    """Return the best tag of each token and the probability of each, [N, 1 + K]."""
    best = best_tags(state, emissions, batch)
    return torch.cat([best[:, None].to(emissions.dtype), probabilities(state, emissions, batch)], dim=1)


def rows_at_once(most: int, tags: int) -> int:
    """Return how many rows of scores are worked on at once: ``most``, or fewer where each has many tags."""
    return max(1, min(most, _SCORES // max(tags, 1)))


def check_scores(argument: str, tokens: int, tags: int) -> None:
    """Refuse a sentence whose scores would take too much memory.

    Raises
    ------
    ValueError
        If it does.
    """
    if tokens * tags > MOST_SCORES:
        most = MOST_SCORES // tags
        raise ValueError(
            f"{argument}: expected sentences of at most {most:,} tokens with {tags:,} tags, got one of {tokens:,}"
        )


def work_on(state: State, sentences: Sequence[Tokens], work: Work, forced: Forced | None = None) -> list[Array]:
    """Return what ``work`` gives for each of some sentences, [tokens, ...] each."""
    full = [number for number, tokens in enumerate(sentences) if len(tokens)]
    results: list[Any] = [None] * len(sentences)
    device = next(state.model.parameters()).device
    with plain_torch(), torch.inference_mode():
        if full:
            some = [sentences[number] for number in full]
            check_scores("X", max(map(len, some)), len(state.tags))
            data = state.encoder(some)
            if forced is not None:
                data.aligned[FORCED] = forced(some)
            order = data.lengths.argsort(descending=True, stable=True)
            number = (
                data.lengths[order]
                .cumsum(0)
                .sub_(1)
                .div_(rows_at_once(_TOKENS, len(state.tags)), rounding_mode="floor")
            )
            for batch in data.batches(order.split(number.unique_consecutive(return_counts=True)[1].tolist())):
                batch = batch.to(device)
                found = work(state, state.model(*batch.inputs), batch).cpu().numpy()
                ends = np.cumsum(batch.lengths.cpu().numpy())
                for row, part in zip(batch.index.tolist(), np.split(found, ends[:-1]), strict=True):
                    results[full[row]] = part
        if len(full) < len(sentences):
            empty = work(state, *_nothing(state, device)).cpu().numpy()
            results = [empty if result is None else result for result in results]
    return results


def _nothing(state: State, device: torch.device) -> tuple[Tensor, RaggedBatch]:
    none = torch.zeros(0, dtype=torch.int64, device=device)
    return torch.zeros(0, len(state.tags), device=device), RaggedBatch(none, none, None, none, aligned={FORCED: none})


def stream(state: State, sentences: Iterable[Tokens], work: Work, forced: Forced | None = None) -> Iterator[Array]:
    """Yield what ``work`` gives for each sentence, in order, in constant memory, on all cores."""

    def chunk(part: list[Tokens]) -> list[Array]:
        return work_on(state, part, work, forced)

    for results in ordered(chunk, in_chunks(sentences, CHUNK), torch.get_num_threads()):
        yield from results


def predict_numbers(state: State, sentences: Sequence[Tokens]) -> list[Array]:
    """Return the numbers of the tags of each sentence."""
    return list(stream(state, sentences, best_tags))
