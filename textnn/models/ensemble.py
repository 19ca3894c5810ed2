"""Several networks of one kind as one: trained side by side on the same batches, asked together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from textnn.models.base import TextModel


class Ensemble(TextModel):
    """Networks that differ in their first weights and in what dropout takes from them; the mean of their logits counts.

    Their errors are not the same, and a part of them cancels out (Hansen and Salamon, "Neural Network Ensembles",
    1990). In training each has its own row of logits, hence its own loss: the sum of such losses trains each as if it
    were alone.

    Parameters
    ----------
    members
        At least one network.
    """

    def __init__(self, members: Sequence[TextModel]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        first = members[0]
        self.name, self.defaults, self.streams, self.exact = first.name, first.defaults, first.streams, first.exact  # type: ignore[misc]

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return the logits of each member, [members, B, K], in training; else their mean, [B, K]."""
        logits = torch.stack([member(*inputs) for member in self.members])
        return logits if self.training else logits.mean(dim=0)
