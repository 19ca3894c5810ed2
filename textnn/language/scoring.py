"""How probable texts are: the log-probability of each token behind those before it, and of the end of each text.

    texts -> ids behind END -> windows of many texts side by side, states carried -> log-probabilities, float64

A text is read by itself, from fresh states on. Memory does not grow with the number of texts nor with their length.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from textnn.circumstances import plain_torch
from textnn.language.loss import log_probabilities
from textnn.language.objective import perplexity as perplexity_of
from textnn.language.state import State
from textnn.models.predictor import in_chunks, ordered

Array = np.ndarray[Any, np.dtype[np.float64]]

CHUNK = 256
"""Texts that a thread takes at a time."""
_TOKENS = 1 << 13  # of all windows that are read at once
_WINDOW = 256  # tokens of a text that are read at once, at least


def score_each(state: State, texts: Iterable[str]) -> Iterator[Array]:
    """Yield for each text the log-probability of each of its tokens, the last of its end, float64 [tokens + 1]."""

    def chunk(part: list[str]) -> list[Array]:
        with plain_torch(), torch.inference_mode():
            return _score(state, *state.encoder(part))

    for results in ordered(chunk, in_chunks(texts, CHUNK), torch.get_num_threads()):
        yield from results


def _score(state: State, ids: Tensor, lengths: Tensor) -> list[Array]:
    model = state.model
    device = model.bias.device
    ends = lengths.cumsum(0)
    begins = ends - lengths
    targets = ids.roll(-1).to(device)
    ids = ids.long().to(device)
    found = torch.zeros(len(ids), dtype=torch.float64)
    order = lengths.argsort(descending=True, stable=True)
    begins, lengths = begins[order], lengths[order]
    states, done = model.fresh(len(order)), 0
    while active := int((lengths > done).sum()):
        size = (lengths[:active] - done).clamp(max=max(_WINDOW, _TOKENS // active))
        offsets = size.cumsum(0) - size
        places = torch.repeat_interleave(begins[:active] + done - offsets, size) + torch.arange(int(size.sum()))
        there = places.to(device)
        x, states = model.read(ids[there], offsets.to(device), states[:, :, :active])
        found[places] = log_probabilities(x, model.weight, model.bias, targets[there]).cpu()
        done += int(size[0])
    return np.split(found.numpy(), ends[:-1].numpy())


def perplexity(state: State, texts: Iterable[str]) -> float:
    """Return exp of minus the mean log-probability of all tokens of some texts, their ends among them.

    Raises
    ------
    ValueError
        If there is no text.
    """
    total, tokens = 0.0, 0
    for scores in score_each(state, texts):
        total += float(scores.sum())
        tokens += len(scores)
    if not tokens:
        raise ValueError("X: expected at least one text, got none")
    return perplexity_of(-total / tokens)
