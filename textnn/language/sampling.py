"""From logits to the probabilities that the next token is drawn with, and the draw.

    logits [V] -> log-probabilities without the unknown token -> / temperature -> top k -> top p -> probabilities [V]

All of it in double precision on the CPU, so that a seed gives the same text wherever the logits are the same.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from textnn.language.network import UNKNOWN
from textnn.models.options import integer, number


class Sampling(NamedTuple):
    """How the next token is chosen.

    Attributes
    ----------
    temperature
        What log-probabilities are divided by; 0 takes the most probable token.
    top_k
        Only so many of the most probable tokens are drawn; None: all.
    top_p
        Only the most probable tokens that together have this probability, at least one; None: all. (Holtzman et al.,
        "The Curious Case of Neural Text Degeneration", 2020.)
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def check(self) -> Sampling:
        """Return it in plain values.

        Raises
        ------
        TypeError, ValueError
            If one makes no sense.
        """
        top_k = None if self.top_k is None else integer(1)("top_k", self.top_k)
        top_p = None if self.top_p is None else number(0, 1, above=True, below=False)("top_p", self.top_p)
        return Sampling(number(0)("temperature", self.temperature), top_k, top_p)


def known(logits: Tensor) -> Tensor:
    """Return log-probabilities, float64 [..., V], of logits, of which the unknown token has none."""
    logits = logits.detach().to("cpu", torch.float64).clone()
    logits[..., UNKNOWN] = -torch.inf
    return logits.log_softmax(dim=-1)


def distribution(logits: Tensor, sampling: Sampling) -> Tensor:
    """Return the probabilities that the next token is drawn with, float64 [V], of its logits [V]."""
    scores = known(logits)
    if not sampling.temperature:
        return torch.zeros_like(scores).index_fill_(0, scores.argmax()[None], 1.0)
    probabilities = ((scores - scores.max()) / sampling.temperature).softmax(dim=0)
    if sampling.top_k is None and sampling.top_p is None:
        return probabilities
    # Of equal ones the first comes first, whatever the machine.
    order = probabilities.argsort(descending=True, stable=True)
    if sampling.top_k is not None:
        probabilities[order[sampling.top_k :]] = 0.0
        probabilities /= probabilities.sum()
    if sampling.top_p is not None:
        before = probabilities[order].cumsum(0) - probabilities[order]
        probabilities[order[before >= sampling.top_p]] = 0.0
        probabilities /= probabilities.sum()
    return probabilities


def draw(probabilities: Tensor, generator: torch.Generator) -> int:
    """Draw a token."""
    return int(torch.multinomial(probabilities, 1, generator=generator))
