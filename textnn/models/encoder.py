"""Recurrent encoders that may begin with the weights of a language model, and what is made of their outputs.

    ids [N], offsets [B] -> embedding and recurrent layers -> outputs [N, H] -> maximum, mean, (last) -> [B, 2 H or 3 H]

The last output, beside maximum and mean, is what a language model has been trained to make the most of ("concat
pooling" of Howard and Ruder, "Universal Language Model Fine-tuning for Text Classification", 2018, section 3.3).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from textnn.layers import EmbeddingGRU, EmbeddingLSTM, EmbeddingRNN
from textnn.layers.embedding_recurrent import EmbeddingRecurrent
from textnn.models.base import MaxMeanPool, bounds, drop_words, scale_embedding

CELLS: Mapping[str, type[EmbeddingLSTM | EmbeddingGRU | EmbeddingRNN]] = {
    "lstm": EmbeddingLSTM,
    "gru": EmbeddingGRU,
    "rnn": EmbeddingRNN,
}


class ConcatPool(nn.Module):
    """Maximum and mean of the outputs of a recurrent encoder, and the last one of each direction if that is asked for.

    Parameters
    ----------
    last
        Whether it is.
    """

    def __init__(self, last: bool) -> None:
        super().__init__()
        self.last, self.steps = last, MaxMeanPool()

    def forward(self, outputs: Any, **ends: Tensor) -> Tensor:
        """Pool what an encoder returned, F being H * directions: [B, 2 F], or [B, 3 F] with the last outputs."""
        steps, state = outputs
        features: Tensor = self.steps(steps, **ends)
        if not self.last:
            return features
        h_n = state[0] if isinstance(state, tuple) else state  # [layers * directions, B, H]
        directions = steps.shape[-1] // h_n.shape[-1]
        return torch.cat([features, *h_n[-directions:].unbind(0)], dim=1)


class PooledEncoder(nn.Module):
    """An encoder whose outputs are pooled, dropout, and a linear layer: logits of what is read forwards alone.

    Parameters
    ----------
    cell
        One of ``CELLS``.
    vocabulary_size, classes
        V and K.
    embedding_dim, hidden_size, num_layers
        D, H, and the number of layers.
    dropout, word_dropout
        Of the features, and between layers; and the share of tokens that become the unknown one, in training.
    sparse
        Whether the gradient of the embedding is sparse.
    """

    def __init__(
        self,
        cell: str,
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
        between = {"dropout": dropout} if num_layers > 1 else {}
        more: dict[str, Any] = {**between, "sparse": sparse}
        self.encoder: EmbeddingRecurrent = CELLS[cell](vocabulary_size, embedding_dim, hidden_size, num_layers, **more)
        scale_embedding(self.encoder.weight)
        self.word_dropout = word_dropout
        self.pool, self.dropout = ConcatPool(last=True), nn.Dropout(dropout)
        self.output = nn.Linear(3 * hidden_size, classes)

    def forward(self, ids: Tensor, ends: Tensor) -> Tensor:
        """Return the logits [B, K]."""
        ids = drop_words(ids, self.word_dropout, self.training)
        logits: Tensor = self.output(
            self.dropout(self.pool(self.encoder(ids, **bounds(ids, ends)), **bounds(ids, ends)))
        )
        return logits
