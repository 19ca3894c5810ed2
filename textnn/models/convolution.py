"""Convolutions over words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from textnn.layers import EmbeddingTextConv
from textnn.models.base import COMMON, TextModel, bounds, drop_words, scale_embedding
from textnn.models.decomposition import Decomposition, split_convolution
from textnn.models.registry import register


@register
class TextCNN(TextModel):
    """Convolutions over words, maximum over time, dropout, one linear layer.

    (Kim, "Convolutional Neural Networks for Sentence Classification", 2014.)
    """

    name = "textcnn"
    embedding = "encoder.weight"
    padded = True
    defaults: ClassVar[Mapping[str, Any]] = {
        **COMMON,
        "embedding_dim": 128,
        "channels": 128,
        "kernel_sizes": (1, 2, 3),
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
        channels: int,
        kernel_sizes: Sequence[int],
        dropout: float,
        word_dropout: float,
        sparse: bool,
    ) -> None:
        super().__init__()
        self.word_dropout = word_dropout
        self.encoder = EmbeddingTextConv(
            vocabulary_size, embedding_dim, channels, tuple(kernel_sizes), padding="valid", sparse=sparse
        )
        scale_embedding(self.encoder.weight)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(channels * len(kernel_sizes), classes)

    def forward(self, ids: Tensor, offsets: Tensor) -> Tensor:
        """Return the logits [B, classes]."""
        ids = drop_words(ids, self.word_dropout, self.training)
        features = self.encoder(ids, **bounds(ids, offsets))  # [B, C * kernel sizes]
        logits: Tensor = self.output(self.dropout(features))
        return logits

    @torch.no_grad()
    def decompose(self, ids: Tensor, offsets: Tensor, *, direction: Tensor) -> Decomposition:  # type: ignore[override]
        """Return an exact split of ``direction . logits`` of one text; its base is the bias of the last layer."""
        head = direction @ self.output.weight.double()
        base = float(direction @ self.output.bias.double())
        return Decomposition(base, split_convolution(self.encoder, ids, head, 0))
