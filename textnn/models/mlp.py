"""A plain feed-forward network over the mean of the words' vectors, which knows nothing of their order."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from textnn.models.base import COMMON, PAD, Embedding, MaxMeanPool, TextModel, bounds, drop_words, scale_embedding
from textnn.models.registry import register


@register
class MLP(TextModel):
    """Mean of the words' vectors, hidden layers with ReLU and dropout, one linear layer.

    (Iyyer et al., "Deep Unordered Composition Rivals Syntactic Methods for Text Classification", 2015.)
    """

    name = "mlp"
    embedding = "encoder.weight"
    padded = True
    defaults: ClassVar[Mapping[str, Any]] = {
        **COMMON,
        "embedding_dim": 128,
        "hidden_size": 128,
        "num_layers": 1,
        "dropout": 0.5,
        "word_dropout": 0.2,
        "label_smoothing": 0.05,
    }

    def __init__(
        self,
        vocabulary_size: int,
        classes: int,
        *,
        embedding_dim: int,
        hidden_size: int,
        num_layers: int,
        dropout: float,
        word_dropout: float,
        sparse: bool,
    ) -> None:
        super().__init__()
        self.word_dropout = word_dropout
        self.encoder = Embedding(vocabulary_size, embedding_dim, padding_idx=PAD, sparse=sparse)
        scale_embedding(self.encoder.weight)
        self.pool = MaxMeanPool()
        sizes = [embedding_dim, *[hidden_size] * num_layers]
        self.hidden = nn.Sequential()
        for before, after in itertools.pairwise(sizes):
            self.hidden.extend([nn.Linear(before, after), nn.ReLU(), nn.Dropout(dropout)])
        self.output = nn.Linear(hidden_size, classes)

    def forward(self, ids: Tensor, offsets: Tensor) -> Tensor:
        """Return the logits [B, classes]."""
        ids = drop_words(ids, self.word_dropout, self.training)
        mean = self.pool(self.encoder(ids), **bounds(ids, offsets))[:, self.encoder.embedding_dim :]
        logits: Tensor = self.output(self.hidden(mean))
        return logits
