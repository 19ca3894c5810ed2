"""The one place where the outputs of the network meet the vocabulary: features [N, E] -> losses of targets [N]."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_LOGITS = 1 << 22
"""Numbers that are held at a time where no gradient is wanted."""


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
    return F.cross_entropy(F.linear(x, weight, bias), targets.long(), reduction=reduction)


def log_probabilities(x: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """Return the log-probability of each target, float64 [N], in memory that does not grow with N; no gradients."""
    rows = max(1, _LOGITS // len(weight))
    with torch.no_grad():
        parts = [
            -cross_entropy(part, weight, bias, wanted, "none").double()
            for part, wanted in zip(x.split(rows), targets.split(rows), strict=True)
        ]
    return torch.cat(parts) if parts else x.new_zeros(0, dtype=torch.float64)
