"""What the training of a translator minimises: minus the log-probability of the next target token, each an example."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from textnn.functional import linear_cross_entropy
from textnn.models.options import FLOAT32
from textnn.text import RaggedBatch
from textnn.text.streams import NEXT
from textnn.training.objective import Objective, Sums
from textnn.training.precision import multiplies_bfloat16
from textnn.translation.network import TranslationNetwork


class TranslationObjective(Objective):
    """Trains by the likelihood of the next token; measures by perplexity, of which less is better.

    Parameters
    ----------
    network
        Whose output is meant.
    label_smoothing
        Share of each target that is spread over the whole vocabulary in training. (Szegedy et al., "Rethinking the
        Inception Architecture for Computer Vision", 2016, section 7.)
    precision
        What the product of its output multiplies in training.
    """

    measured_by = trained_by = "perplexity"
    sign = -1

    def __init__(self, network: TranslationNetwork, label_smoothing: float = 0.0, precision: str = FLOAT32) -> None:
        self.network, self.label_smoothing, self.precision = network, label_smoothing, precision

    def size(self, lengths: Tensor) -> int:
        """Return the number of tokens."""
        return int(lengths.sum())

    def quality(self, loss: float, right: float) -> float:
        """Return the perplexity."""
        return math.exp(min(loss, 700.0))

    def sums(self, outputs: Tensor, batch: RaggedBatch) -> Sums:
        """Return the sums over the target tokens of a batch."""
        half = multiplies_bfloat16(self.precision, outputs.device)
        with torch.autocast(outputs.device.type, torch.bfloat16, enabled=half):
            loss = self._losses(outputs, batch, "sum", self.label_smoothing)
        return Sums(loss, 0.0, len(outputs), len(outputs))

    def held_out(self, outputs: Tensor, batch: RaggedBatch) -> Sums:
        """Return the same without label smoothing, in double precision."""
        loss = self._losses(outputs, batch, "none", 0.0).double().sum()
        return Sums(loss, 0.0, len(outputs), len(outputs))

    def _losses(self, x: Tensor, batch: RaggedBatch, reduction: str, smoothing: float) -> Tensor:
        network, targets = self.network, batch.aligned[NEXT].long()
        return linear_cross_entropy(
            x,
            network.weight,
            targets,
            linear_bias=network.bias,
            reduction=reduction,
            label_smoothing=smoothing,
        )
