"""Integrated gradients: what each token's vector adds on the way from a text of unknown words to the text.

    ids [L] -> vectors x [L, D];  [UNK] in each place -> b [L, D]
    b + a (x - b) for S values a, as one ragged batch of S texts -> network -> gradients -> mean over a, times x - b

Each position gets a row of its own in the embedding table, and the network runs on it as it is: any network that knows
ids by their rows alone will do.
"""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call

from textnn.models import PAD, UNK, TextModel

FIRST, LAST = 16, 256
"""Steps to begin with, and steps at most."""

TOLERANCE = 0.01
"""Share of the difference of the scores at both ends that the sum of the contributions may be off by."""

_SMALL = 0.1  # a difference that is smaller than this counts as if it were this
_TOKENS = 1 << 15  # of a batch at most, or one text


class Integrated(NamedTuple):
    """What integrated gradients come to.

    Attributes
    ----------
    base
        The score of unknown words in all places.
    contributions
        Of each id, float64 [L]; to the tolerance, their sum is the score without the base.
    steps
        So many gradients were taken.
    """

    base: float
    contributions: Tensor
    steps: int


def integrate_gradients(
    model: TextModel, ids: Tensor, direction: Tensor, baseline: Tensor | None = None, steps: int | None = None
) -> Integrated:
    """Attribute ``direction . logits`` of one text to its ids.

    Parameters
    ----------
    model
        One network with an ``embedding``.
    ids
        Of the text, int64 [L], at least one.
    direction
        float64 [K].
    baseline
        What the way begins with in each place, [D]; by default the vector of unknown words. Zeros are better for some
        networks and worse for others (docs/faithfulness.md).
    steps
        Take so many; by default as many as it needs.

    Notes
    -----
    Sundararajan, Taly and Yan, "Axiomatic Attribution for Deep Networks", 2017. The integral is taken by Gauss and
    Legendre's rule, with twice as many steps until the sum of the contributions is the difference of the scores to
    1 %.
    """
    path = _Path(model, ids, direction, baseline)
    with torch.no_grad():
        base, score = (float(path.score(torch.tensor([a])).sum()) for a in (0.0, 1.0))
    number = steps or FIRST
    while True:
        contributions = path.integrate(number)
        error = abs(float(contributions.sum()) - (score - base))
        if steps or number >= LAST or error <= TOLERANCE * max(abs(score - base), _SMALL):
            return Integrated(base, contributions, number)
        number *= 2


class _Path:
    """The straight way from a baseline in all places to the vectors of a text."""

    def __init__(self, model: TextModel, ids: Tensor, direction: Tensor, baseline: Tensor | None) -> None:
        # A network of its own with the same weights: while vectors stand in the place of its table, others may predict.
        self.model = copy.deepcopy(model, {id(weight): weight for weight in (*model.parameters(), *model.buffers())})
        self.name, self.direction = str(model.embedding), direction
        table = model.get_parameter(self.name).detach()
        self.padding = table[PAD : PAD + 1]
        self.start = table[UNK] if baseline is None else baseline.to(table)
        self.way = table[ids] - self.start  # [L, D]

    def table(self, a: Tensor) -> Tensor:
        """Return the vectors of the text at S points from 0 to 1, [1 + S L, D]; row 0 is for networks that pad."""
        rows = self.start + a.to(self.way)[:, None, None] * self.way
        return torch.cat([self.padding, rows.flatten(0, 1)])

    def score(self, a: Tensor, table: Tensor | None = None) -> Tensor:
        """Return the scores at these points, float64 [S], from their table if there is one already."""
        L = len(self.way)
        places = torch.arange(1, len(a) * L + 1, device=self.way.device)
        rows = self.table(a) if table is None else table
        logits: Tensor = functional_call(self.model, {self.name: rows}, (places, places[::L] - 1))
        return logits.double() @ self.direction

    def integrate(self, steps: int) -> Tensor:
        """Return the contribution of each place, float64 [L] on the CPU, by so many steps."""
        nodes, weights = map(torch.from_numpy, np.polynomial.legendre.leggauss(steps))  # on -1 to 1
        L, total = len(self.way), torch.zeros_like(self.way, dtype=torch.float64)
        for part in torch.arange(steps).split(max(1, _TOKENS // L)):
            a = (nodes[part] + 1) / 2
            table = self.table(a).requires_grad_()
            with torch.enable_grad():
                score = self.score(a, table) @ (weights[part] / 2).to(self.direction)
            (gradient,) = torch.autograd.grad(score, table)
            total += gradient.to_dense()[1:].view(len(a), L, -1).sum(0)  # sparse, or not
        return (total * self.way).sum(1).cpu()
