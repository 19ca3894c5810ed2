"""A linear layer with cross entropy in plain PyTorch: all logits at once."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def linear_cross_entropy(
    input: Tensor,  # noqa: A002
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: object = None,
) -> Tensor:
    """Compare logits with targets; see :func:`textnn.functional.linear_cross_entropy`."""
    classes = linear_weight.shape[:-1]  # (V,), or (V, d_1, ..) of several losses for each row
    logits = F.linear(input, linear_weight.flatten(0, -2), None if linear_bias is None else linear_bias.flatten())
    logits = logits.unflatten(-1, classes)
    several = len(classes) == 1 and input.dim() > 2
    if several:
        logits, target = logits.flatten(0, -2), target.flatten(0, input.dim() - 2)
    loss = F.cross_entropy(
        logits,
        target,
        weight=weight,
        reduction=reduction,
        ignore_index=-100 if ignore_index is None else ignore_index,
        label_smoothing=label_smoothing,
    )
    return loss.unflatten(0, input.shape[:-1]) if several and reduction == "none" else loss
