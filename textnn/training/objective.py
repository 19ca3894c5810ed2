"""What a training minimises, as the loop sees it: outputs of a batch -> (sum of losses, how many examples are right).

Which arrays of a batch are its targets, and whether an example is a text or a token, is the business of a task.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

from torch import Tensor

from textnn.text import RaggedBatch


class Sums(NamedTuple):
    """Sums over the examples of a batch.

    Attributes
    ----------
    loss
        Of weight times loss, a scalar.
    right, total
        What the objective's measure is a quotient of: of accuracy, the weights of the examples that are predicted
        right, and of all.
    weight
        Of the weights.
    """

    loss: Tensor
    right: float
    weight: float
    total: float


class Objective(ABC):
    """What all objectives have in common.

    Attributes
    ----------
    measured_by
        What ``held_out`` measures beside the loss, by which the best epoch is chosen.
    trained_by
        The name of the same measure of the training batches.
    sign
        1 where a larger measure is a better one, else -1.
    """

    measured_by: str = "accuracy"
    trained_by: str = "accuracy"
    sign: int = 1

    def size(self, lengths: Tensor) -> int:
        """Return how many examples sequences of some lengths, int64 [B], are: as many, unless each token is one.

        The gradient of a batch is that of the sum of its losses, divided by this number.
        """
        return len(lengths)

    def quality(self, loss: float, right: float) -> float:
        """Return the measure of a mean loss and the share that is right: the latter, or what follows from losses."""
        return right

    @abstractmethod
    def sums(self, outputs: Tensor, batch: RaggedBatch) -> Sums:
        """Return the sums of a batch to train on, whose weights have a mean of 1 over all that is trained on."""

    @abstractmethod
    def held_out(self, outputs: Tensor, batch: RaggedBatch) -> Sums:
        """Return the sums of a batch to measure by, in double precision; its weights may have any scale."""
