"""A wide linear model of n-grams beside a deep one: what is rare is remembered, what is frequent is understood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from textnn.layers import EmbeddingTextConv, NgramBag
from textnn.models.base import CHARACTERS, COMMON, WORDS, TextModel, drop_words, scale_embedding
from textnn.models.registry import register


# Adam's steps do not depend on the scale of a gradient: what is multiplied by this learns so many times faster. The
# n-grams' weights begin at zero, and most occur in few texts: at the pace of the rest they would hardly matter.
_PACE = 5.0


@register
class WideTextCNN(TextModel):
    """Convolutions over words and over characters, and beside them a linear model of their n-grams.

    Words carry meaning, but a tokenizer errs, and half of a vocabulary is too rare to be learnt; characters and their
    convolutions know neither problem. The n-grams are those of a linear classifier, which is hard to beat on short
    texts: each has a weight a class in a hashed table, and the logits of both parts are added up.
    (Kim, "Convolutional Neural Networks for Sentence Classification", 2014; Zhang et al., "Character-level
    Convolutional Networks for Text Classification", 2015; Cheng et al., "Wide & Deep Learning for Recommender Systems",
    2016.)
    """

    name = "wide-textcnn"
    streams = (WORDS, CHARACTERS)
    defaults: ClassVar[Mapping[str, Any]] = {
        **COMMON,
        "max_characters": 2048,
        "embedding_dim": 128,
        "channels": 64,
        "kernel_sizes": (1, 2, 3),
        "character_kernel_sizes": (2, 3, 4),
        "word_ngrams": (1, 2),
        "character_ngrams": (2, 3, 4),
        "ngram_buckets": 2**20,
        "ngram_dropout": 0.5,
        "dropout": 0.5,
        "word_dropout": 0.1,
        "label_smoothing": 0.05,
        "epochs": 6,
        "schedule": "linear",
        "patience": 0,
        "validation_fraction": 0.05,
    }

    def __init__(
        self,
        vocabulary_size: int,
        character_vocabulary_size: int,
        classes: int,
        *,
        embedding_dim: int,
        channels: int,
        kernel_sizes: Sequence[int],
        character_kernel_sizes: Sequence[int],
        word_ngrams: Sequence[int],
        character_ngrams: Sequence[int],
        ngram_buckets: int,
        ngram_dropout: float,
        dropout: float,
        word_dropout: float,
        sparse: bool,
    ) -> None:
        super().__init__()
        self.word_dropout = word_dropout

        def encoder(size: int, kernel_sizes: Sequence[int]) -> EmbeddingTextConv:
            layer = EmbeddingTextConv(size, embedding_dim, channels, tuple(kernel_sizes), sparse=sparse)
            scale_embedding(layer.weight)
            return layer

        def bag(sizes: Sequence[int]) -> NgramBag | None:
            return NgramBag(ngram_buckets, classes, tuple(sizes), ngram_dropout, sparse=sparse) if sizes else None

        self.words = encoder(vocabulary_size, kernel_sizes)
        self.characters = encoder(character_vocabulary_size, character_kernel_sizes)
        self.word_ngrams, self.character_ngrams = bag(word_ngrams), bag(character_ngrams)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(channels * (len(kernel_sizes) + len(character_kernel_sizes)), classes)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return the logits [B, K] of ids and offsets of words, and of characters."""
        ids, offsets, character_ids, character_offsets = inputs
        words = self.words(drop_words(ids, self.word_dropout, self.training), offsets=offsets)
        dropped = drop_words(character_ids, self.word_dropout, self.training)
        characters = self.characters(dropped, offsets=character_offsets)
        logits: Tensor = self.output(self.dropout(torch.cat([words, characters], dim=1)))  # of [B, C * kernel sizes]
        if self.word_ngrams is not None:
            logits = logits + _PACE * self.word_ngrams(ids, offsets=offsets)
        if self.character_ngrams is not None:
            logits = logits + _PACE * self.character_ngrams(character_ids, offsets=character_offsets)
        return logits
