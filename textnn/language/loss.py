"""The one place where the outputs of the network meet the vocabulary: features [N, E] -> losses of targets [N]."""

from __future__ import annotations

import torch
from torch import Tensor

from textnn.functional import linear_cross_entropy


def cross_entropy(x: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, reduction: str = "sum") -> Tensor:
    """Return minus the log-probabilities of targets under a linear layer and a softmax.

    Parameters
    ----------
    x
        Features, [N, E].
    weight, bias
        Of the layer, [V, E] and [V].
    targets
        Integers [N].
    reduction
        ``"sum"``, or ``"none"`` for a loss of each row, [N].
    """
    return linear_cross_entropy(x, weight, targets.long(), linear_bias=bias, reduction=reduction)


def log_probabilities(x: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """Return the log-probability of each target, float64 [N], without gradients."""
    with torch.no_grad():
        return -cross_entropy(x, weight, bias, targets, "none").double()
