"""Several networks of one kind as one: trained side by side on the same batches, asked together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from textnn.layers.embedding_recurrent import EmbeddingRecurrent
from textnn.layers.frozen import DTYPES
from textnn.models.base import TextModel
from textnn.models.decomposition import Decomposition


class Ensemble(TextModel):
    """Networks that differ in their first weights and in what dropout takes from them; the mean of their logits counts.

    Their errors are not the same, and a part of them cancels out (Hansen and Salamon, "Neural Network Ensembles",
    1990). In training each has its own row of logits, hence its own loss: the mean of such losses trains each as if it
    were alone, since Adam does not heed the scale of a gradient.

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
        self.explained_by, self.padded = first.explained_by, first.padded  # type: ignore[misc]

    @property
    def networks(self) -> list[TextModel]:
        """The members as what they are."""
        return cast("list[TextModel]", list(self.members))

    def word_tables(self) -> list[nn.Parameter]:
        """Return those of all members."""
        return [table for one in self.networks for table in one.word_tables()]

    def encoders(self) -> list[EmbeddingRecurrent]:
        """Return those of all members."""
        return [encoder for one in self.networks for encoder in one.encoders()]

    def freeze(self, memory_limit: int | None = None, dtype: str | None = None) -> TextModel:
        """Return a frozen form for inference; as one network, where the architecture can be merged."""
        merge = getattr(type(self.members[0]), "merge", None)
        if merge is None or (dtype is not None and dtype not in DTYPES):
            return super().freeze(memory_limit, dtype)
        merged: TextModel = merge(list(self.members))
        return merged.freeze(memory_limit, dtype)

    def decompose(self, *inputs: Tensor, direction: Tensor) -> Decomposition | None:
        """Return the mean of the members' splits; None if one of them has none."""
        found = [one.decompose(*inputs, direction=direction) for one in self.networks]
        splits = [one for one in found if one is not None]
        return Decomposition.mean(splits) if len(splits) == len(found) else None

    def forward(self, *inputs: Any, **_: Any) -> Tensor:
        """Return the logits of each member, [members, B, K], in training; else their mean, [B, K]."""
        logits = torch.stack([member(*inputs) for member in self.members])
        return logits if self.training else logits.mean(dim=0)
