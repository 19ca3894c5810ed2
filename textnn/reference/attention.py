"""Attention over ragged states in plain PyTorch: one sentence at a time."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .crf import split_sequences
from .recurrent import Sizes


def ragged_attention(
    query: Tensor,
    states: Tensor,
    *,
    lengths: Sizes | None = None,
    offsets: Sizes | None = None,
    scale: float = 1.0,
    return_weights: bool = False,
) -> Any:
    """Attend to each sentence's own states; see :func:`textnn.functional.ragged_attention`."""
    contexts, weights = [], []
    for q, own in zip(query, split_sequences(states, lengths, offsets, True), strict=True):
        weights.append((scale * q @ own.t()).softmax(dim=1))  # [Q, T]
        contexts.append(weights[-1] @ own)
    context = torch.stack(contexts) if contexts else torch.zeros_like(query)
    if not return_weights:
        return context
    if offsets is not None:
        return context, torch.cat(weights, dim=1) if weights else states.new_zeros(query.shape[1], 0)
    T = states.shape[1]
    padded = [torch.cat([w, w.new_zeros(w.shape[0], T - w.shape[1])], dim=1) for w in weights]
    return context, torch.stack(padded) if padded else states.new_zeros(0, query.shape[1], T)
