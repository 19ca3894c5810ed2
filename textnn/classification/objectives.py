"""Objectives: what a network is trained for, and how its logits become probabilities.

    classes  -> number of logits that the network has to have
    logits, labels, weights of a batch -> loss, rows predicted right        (training; M members of an ensemble at once)
    logits [rows, outputs] -> probabilities [rows, classes], in double precision                            (prediction)

Each row counts by its weight. Weights are normalised once, to a mean of 1 over the whole training part; a batch's loss
is then the plain mean of weight times loss, and an epoch's is the weighted mean, however rows fall into batches.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from textnn.text import RaggedBatch
from textnn.training import objective
from textnn.training.objective import Sums

Probabilities = np.ndarray[Any, np.dtype[np.float64]]

OUTPUTS = ("softmax", "sigmoid")


class Objective(objective.Objective):
    """What all kinds have in common.

    Logits are [B, K], or [M, B, K] for M members of an ensemble, each with a loss of its own; K is :meth:`outputs`.

    Parameters
    ----------
    label_smoothing
        Share of each target that is spread evenly: over all classes, or for a sigmoid over yes and no.
        (Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", 2016, section 7.)
    """

    def __init__(self, label_smoothing: float = 0.0) -> None:
        self.label_smoothing = label_smoothing

    def outputs(self, classes: int) -> int:
        """Return the number of logits that a network for so many classes has to have."""
        return classes

    def sums(self, outputs: Tensor, batch: RaggedBatch) -> Sums:
        """Return the sums of a batch to train on; of loss, the mean over the members of an ensemble."""
        assert batch.labels is not None
        rows = self._weighted(outputs, batch.labels, batch.weights)
        return Sums(rows.sum(), self.hits(outputs, batch.labels), batch.size, batch.size)

    def held_out(self, outputs: Tensor, batch: RaggedBatch) -> Sums:
        """Return the sums of a batch to measure by, without label smoothing."""
        assert batch.labels is not None
        rows, right = self._judged(outputs, batch.labels)
        share = torch.ones_like(rows) if batch.weights is None else batch.weights.double()
        weight = float(share.sum())
        return Sums((rows * share).sum(), float((right * share).sum()), weight, weight)

    def loss(self, logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        """Return the mean of weight times loss over the rows of a batch, and over the members of an ensemble.

        Parameters
        ----------
        logits
            [B, K] or [M, B, K].
        labels
            Class of each row, int64 [B]; for multi-label float [B, classes] of 0 and 1.
        weights
            float [B], with a mean of 1 over the training part (not over the batch); None where all rows count the same.
        """
        return self._weighted(logits, labels, weights).mean()

    def _weighted(self, logits: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
        rows = _over_members(self._losses(logits, labels, self.label_smoothing))
        return rows if weights is None else rows * weights.to(rows.dtype)

    def hits(self, logits: Tensor, labels: Tensor) -> float:
        """Return the number of rows that are predicted right; in an ensemble by the mean of the members' logits."""
        return float(self._right(_over_members(logits.detach(), rows=2), labels).sum())

    def measure(
        self, logits: Tensor, labels: Tensor, weights: Tensor | None = None, smoothing: float = 0.0
    ) -> tuple[float, float]:
        """Return loss and accuracy on held-out rows, as weighted means, in double precision.

        Parameters
        ----------
        logits, labels
            [B, K] and as for :meth:`loss`.
        weights
            float [B] on any scale, or None.
        smoothing
            Label smoothing of these figures; that of the training is left aside.
        """
        rows, right = self._judged(logits, labels, smoothing)
        share = torch.ones_like(rows) if weights is None else weights.double()
        share = share / share.sum()
        return float((rows * share).sum()), float((right * share).sum())

    def _judged(self, logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> tuple[Tensor, Tensor]:
        """Loss of each row, and 1 where it is predicted right, float64 [rows] both."""
        return self._losses(logits.double(), labels, smoothing), self._right(logits, labels).double()

    def probabilities(self, logits: Tensor, temperature: float = 1.0) -> Probabilities:
        """Return the probability of each class, [rows, classes].

        Parameters
        ----------
        logits
            [rows, K].
        temperature
            What logits are divided by. It changes how sure probabilities are, and never which is the largest.
        """
        return self._probabilities(logits.detach().double().cpu() / temperature).numpy()

    @abstractmethod
    def _losses(self, logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
        """The loss of each row: [..., B, K] -> [..., B]."""

    @abstractmethod
    def _right(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Whether each row is predicted right: [B, K] -> bool [B]."""

    @abstractmethod
    def _probabilities(self, logits: Tensor) -> Tensor:
        """[rows, K] -> [rows, classes]."""


class Softmax(Objective):
    """One class a row: softmax and cross entropy."""

    def _losses(self, logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
        flat = cross_entropy(
            logits.reshape(-1, logits.shape[-1]),
            labels.expand(logits.shape[:-1]).reshape(-1),
            label_smoothing=smoothing,
            reduction="none",
        )
        return flat.view(logits.shape[:-1])

    def _right(self, logits: Tensor, labels: Tensor) -> Tensor:
        return logits.argmax(1) == labels

    def _probabilities(self, logits: Tensor) -> Tensor:
        return torch.softmax(logits, dim=1)


class Sigmoid(Objective):
    """One of two classes a row: a single logit, positive for the second class; sigmoid and binary cross entropy.

    The unit of a perceptron and of logistic regression. Softmax over the logits (0, z) is the same function of z.
    """

    def outputs(self, classes: int) -> int:
        """Return 1.

        Raises
        ------
        ValueError
            If there are not two classes.
        """
        if classes != 2:
            raise ValueError(f"output: 'sigmoid' is for two classes, got {classes}; write output='softmax'")
        return 1

    def _losses(self, logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
        return _binary_losses(logits[..., 0], labels, smoothing)

    def _right(self, logits: Tensor, labels: Tensor) -> Tensor:
        return (logits[:, 0] > 0) == labels.bool()

    def _probabilities(self, logits: Tensor) -> Tensor:
        return torch.sigmoid(torch.cat([-logits, logits], dim=1))


class Multilabel(Objective):
    """Any number of classes a row: a sigmoid for each class, and the mean of their binary cross entropies.

    A row is predicted right if all of its classes are, each by a threshold of 0.5.

    Parameters
    ----------
    label_smoothing
        As for :class:`Objective`.
    positive_weights
        For each class how much more a row counts that has it than one that has not, [classes]; None is 1 for each.
    """

    def __init__(self, label_smoothing: float = 0.0, positive_weights: Sequence[float] | None = None) -> None:
        super().__init__(label_smoothing)
        self.positive_weights = None if positive_weights is None else torch.tensor(list(positive_weights))

    def _losses(self, logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
        return _binary_losses(logits, labels, smoothing, self.positive_weights).mean(-1)

    def _right(self, logits: Tensor, labels: Tensor) -> Tensor:
        return ((logits >= 0) == labels.bool()).all(1)

    def _probabilities(self, logits: Tensor) -> Tensor:
        return torch.sigmoid(logits)


def make_objective(
    output: str, multilabel: bool, label_smoothing: float, positive_weights: Sequence[float] | None = None
) -> Objective:
    """Return the objective for options of an architecture and the kind of labels.

    Parameters
    ----------
    output
        ``"softmax"`` or ``"sigmoid"``; labels of which a row may have several always take sigmoids.
    multilabel
        Whether a row may have several labels.
    label_smoothing, positive_weights
        As for :class:`Multilabel`; the latter for that alone.
    """
    if multilabel:
        return Multilabel(label_smoothing, positive_weights)
    return (Sigmoid if output == "sigmoid" else Softmax)(label_smoothing)


def _over_members(values: Tensor, rows: int = 1) -> Tensor:
    """The mean over the members of an ensemble, where there is a dimension of them before the last ``rows``."""
    return values.mean(0) if values.dim() > rows else values


def _binary_losses(logits: Tensor, labels: Tensor, smoothing: float, positive_weights: Tensor | None = None) -> Tensor:
    targets = labels.to(logits.dtype) * (1 - smoothing) + smoothing / 2
    factor = None if positive_weights is None else positive_weights.to(logits)
    return binary_cross_entropy_with_logits(logits, targets.expand_as(logits), pos_weight=factor, reduction="none")
