"""RNN, GRU and LSTM over words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from textnn.layers import EmbeddingGRU, EmbeddingLSTM, EmbeddingRNN
from textnn.layers.embedding_recurrent import EmbeddingRecurrent
from textnn.models.base import COMMON, TextModel, bounds, cut_or_pad, drop_words, scale_embedding
from textnn.models.encoder import ConcatPool
from textnn.models.registry import register

LONGEST_PADDED = 1024
"""The length that every text may be padded to, at most: a text of one word costs as much as one of so many."""


@register
class LectureLSTM(TextModel):
    """The LSTM of the lecture: first 10 tokens, two layers, the output at the last time step, which may be padding.

    Kept to the letter as a baseline, with its weaknesses: long texts are cut, short ones end in padding, nothing keeps
    it from fitting its training texts by heart. Trained for all of its epochs, with the arithmetic of plain dense Adam:
    gradients are sparse only to save time, rows without gradient get the steps that dense Adam makes on them.
    """

    name = "lecture-lstm"
    embedding = "encoder.weight"
    padded = True
    explained_by = "occlusion"
    exact = True
    defaults: ClassVar[Mapping[str, Any]] = {
        **COMMON,
        "min_count": 1,
        "max_length": 10,
        "embedding_dim": 100,
        "hidden_size": 256,
        "num_layers": 2,
        "epochs": 5,
        "min_steps": 0,
        "batch_size": 128,
        "learning_rate": 0.01,
        "patience": 0,
        "bucket": False,
    }

    def __init__(
        self,
        vocabulary_size: int,
        classes: int,
        *,
        max_length: int,
        embedding_dim: int,
        hidden_size: int,
        num_layers: int,
        sparse: bool,
    ) -> None:
        super().__init__()
        if max_length > LONGEST_PADDED:
            raise ValueError(
                f"max_length: {self.name!r} pads every text to it, expected at most {LONGEST_PADDED}, got {max_length}"
            )
        self.max_length = max_length
        self.encoder = EmbeddingLSTM(
            vocabulary_size, embedding_dim, hidden_size, num_layers, padding_idx=None, sparse=sparse
        )
        self.hidden = nn.Linear(hidden_size, 100)
        self.output = nn.Linear(100, classes)

    def forward(self, ids: Tensor, offsets: Tensor) -> Tensor:
        """Return the logits [B, classes]."""
        padded = cut_or_pad(ids, offsets, self.max_length)
        _, (h_n, _) = self.encoder(padded, outputs=False)  # [layers, B, H], the outputs at the last time step
        logits: Tensor = self.output(self.hidden(h_n[-1]))
        return logits


class _Pooled(TextModel):
    """A recurrent layer over each text's own length; maximum and mean of its outputs go to a linear layer.

    ``last``: the last output goes there, too.
    """

    embedding = "encoder.weight"
    padded = True
    layer: ClassVar[type[EmbeddingLSTM | EmbeddingGRU | EmbeddingRNN]]
    bidirectional: ClassVar[bool] = False
    defaults: ClassVar[Mapping[str, Any]] = {
        **COMMON,
        "embedding_dim": 128,
        "hidden_size": 128,
        "num_layers": 1,
        "dropout": 0.5,
        "word_dropout": 0.2,
        "label_smoothing": 0.05,
        "last": False,
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
        last: bool,
        sparse: bool,
    ) -> None:
        super().__init__()
        self.word_dropout = word_dropout
        self.encoder = self.layer(
            vocabulary_size,
            embedding_dim,
            hidden_size,
            num_layers,
            dropout=dropout if num_layers > 1 else 0.0,
            bidirectional=self.bidirectional,
            sparse=sparse,
        )
        scale_embedding(self.encoder.weight)
        self.pool = ConcatPool(last)
        self.dropout = nn.Dropout(dropout)
        features = (3 if last else 2) * hidden_size * (2 if self.bidirectional else 1)
        self.output = nn.Linear(features, classes)

    def encoders(self) -> list[EmbeddingRecurrent]:
        """Return the encoder, if it reads in one direction as a language model does."""
        return [] if self.bidirectional else [self.encoder]

    def forward(self, ids: Tensor, offsets: Tensor) -> Tensor:
        """Return the logits [B, classes]."""
        ids = drop_words(ids, self.word_dropout, self.training)
        features = self.pool(self.encoder(ids, **bounds(ids, offsets)), **bounds(ids, offsets))
        logits: Tensor = self.output(self.dropout(features))
        return logits


@register
class PooledRNN(_Pooled):
    """A plain (Elman) RNN with tanh; reads each text forwards."""

    name = "rnn"
    layer = EmbeddingRNN


@register
class PooledGRU(_Pooled):
    """Reads each text forwards."""

    name = "gru"
    layer = EmbeddingGRU


@register
class PooledBiGRU(_Pooled):
    """Reads each text forwards and backwards."""

    name = "bigru"
    layer = EmbeddingGRU
    bidirectional = True


@register
class PooledLSTM(_Pooled):
    """Reads each text forwards."""

    name = "lstm"
    layer = EmbeddingLSTM


@register
class PooledBiLSTM(_Pooled):
    """Reads each text forwards and backwards."""

    name = "bilstm"
    layer = EmbeddingLSTM
    bidirectional = True
