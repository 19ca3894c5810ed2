"""What the training of a language model minimises: minus the log-probability of the next token, a token an example."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from textnn.language.loss import cross_entropy, log_probabilities
from textnn.language.network import LanguageNetwork
from textnn.models.options import FLOAT32
from textnn.text import RaggedBatch
from textnn.text.streams import NEXT
from textnn.training.objective import Objective, Sums
from textnn.training.precision import multiplies_bfloat16


class LanguageObjective(Objective):
    """Trains by the likelihood of the next token; measures by perplexity, of which less is better.

    Parameters
    ----------
    network
        Whose output is meant.
    precision
        What the product of its output multiplies in training.
    """

    measured_by = trained_by = "perplexity"
    sign = -1

    def __init__(self, network: LanguageNetwork, precision: str = FLOAT32) -> None:
        self.network, self.precision = network, precision

    def size(self, lengths: Tensor) -> int:
        """Return the number of tokens."""
        return int(lengths.sum())

    def quality(self, loss: float, right: float) -> float:
        """Return the perplexity."""
        return perplexity(loss)

    def sums(self, outputs: Tensor, batch: RaggedBatch) -> Sums:
        """Return the sums over the tokens of a batch."""
        half = multiplies_bfloat16(self.precision, outputs.device)
        with torch.autocast(outputs.device.type, torch.bfloat16, enabled=half):
            loss = cross_entropy(outputs, self.network.weight, self.network.bias, batch.aligned[NEXT])
        return Sums(loss, 0.0, len(outputs), len(outputs))

    def held_out(self, outputs: Tensor, batch: RaggedBatch) -> Sums:
        """Return the same in double precision."""
        found = log_probabilities(outputs, self.network.weight, self.network.bias, batch.aligned[NEXT])
        return Sums(-found.sum(), 0.0, len(outputs), len(outputs))


def perplexity(loss: float) -> float:
    """Return exp(loss), which is large but no infinity where the loss is large."""
    return math.exp(min(loss, 700.0))
