"""A wide linear model of n-grams beside a deep one: what is rare is remembered, what is frequent is understood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from textnn.layers import NgramBag
from textnn.models.base import CHARACTERS, COMMON, WORDS, TextModel, bounds
from textnn.models.decomposition import Decomposition, split_bags
from textnn.models.registry import register
from textnn.models.streams import TwoStreamCNN, channels, kernel_sizes

# Adam's steps do not depend on the scale of a gradient: what is multiplied by this learns so many times faster. The
# n-grams' weights begin at zero, and most occur in few texts: at the pace of the rest they would hardly matter.
PACE = 8.0


@register
class WideTextCNN(TwoStreamCNN, TextModel):
    """Convolutions over words and over characters, trained together with a linear model of their n-grams.

    The n-grams are those of a linear classifier, which is hard to beat on short texts: each has a weight a class in a
    hashed table, and the logits of both parts are added up.
    (Cheng et al., "Wide & Deep Learning for Recommender Systems", 2016.)
    """

    name = "wide-textcnn"
    streams = (WORDS, CHARACTERS)
    padded = True
    defaults: ClassVar[Mapping[str, Any]] = {
        **COMMON,
        "max_characters": 2048,
        "embedding_dim": 128,
        "channels": 64,
        "kernel_sizes": (1, 2, 3),
        "character_kernel_sizes": (2, 3, 4),
        "word_ngrams": (1, 2),
        "character_ngrams": (2, 3, 4),
        "ngram_buckets": 2**19,
        "ngram_dropout": 0.5,
        "dropout": 0.5,
        "word_dropout": 0.1,
        "label_smoothing": 0.05,
        "ensemble": 3,
        "epochs": 5,
        "min_steps": 0,
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
        super().__init__(
            vocabulary_size,
            character_vocabulary_size,
            classes,
            embedding_dim=embedding_dim,
            channels=channels,
            kernel_sizes=kernel_sizes,
            character_kernel_sizes=character_kernel_sizes,
            dropout=dropout,
            word_dropout=word_dropout,
            sparse=sparse,
        )

        def bag(sizes: Sequence[int]) -> NgramBag | None:
            return NgramBag(ngram_buckets, classes, tuple(sizes), ngram_dropout, sparse=sparse) if sizes else None

        self.word_ngrams, self.character_ngrams = bag(word_ngrams), bag(character_ngrams)

    @classmethod
    @torch.no_grad()
    def merge(cls, members: Sequence[WideTextCNN]) -> WideTextCNN:
        """Return one network, for inference, whose logits are the mean of the members'."""
        first, M = members[0], len(members)
        bags = [bag for bag in (first.word_ngrams, first.character_ngrams) if bag is not None]
        merged = cls(
            first.words.num_embeddings,
            first.characters.num_embeddings,
            first.output.out_features,
            embedding_dim=M * first.words.embedding_dim,
            channels=M * channels(first.words),
            kernel_sizes=kernel_sizes(first.words),
            character_kernel_sizes=kernel_sizes(first.characters),
            word_ngrams=first.word_ngrams.sizes if first.word_ngrams is not None else (),
            character_ngrams=first.character_ngrams.sizes if first.character_ngrams is not None else (),
            ngram_buckets=bags[0].num_embeddings if bags else 0,
            ngram_dropout=0.0,
            dropout=0.0,
            word_dropout=0.0,
            sparse=False,
        ).to(first.output.weight)
        merged.take_means(members)
        for part in ("word_ngrams", "character_ngrams"):
            if (bag := getattr(merged, part)) is not None:
                bag.weight.copy_(torch.stack([getattr(member, part).weight for member in members]).mean(dim=0))
        return merged.eval()

    def word_tables(self) -> list[nn.Parameter]:
        """Return the embedding table of the words' convolution."""
        return [self.get_parameter("words.weight")]

    def forward(self, ids: Tensor, offsets: Tensor, character_ids: Tensor, character_offsets: Tensor) -> Tensor:
        """Return the logits [B, K] of ids and offsets of words, and of characters."""
        logits = TwoStreamCNN.forward(self, ids, offsets, character_ids, character_offsets)
        if self.word_ngrams is not None:
            logits = logits + PACE * self.word_ngrams(ids, **bounds(ids, offsets))
        if self.character_ngrams is not None:
            logits = logits + PACE * self.character_ngrams(character_ids, **bounds(character_ids, character_offsets))
        return logits

    @torch.no_grad()
    def decompose(  # type: ignore[override]
        self, ids: Tensor, offsets: Tensor, character_ids: Tensor, character_offsets: Tensor, *, direction: Tensor
    ) -> Decomposition:
        """Return an exact split of ``direction . logits`` of one text; its base is the bias of the last layer."""
        base, parts = self.split(ids, character_ids, direction)
        forms = (self.word_ngrams, ids), (self.character_ngrams, character_ids)
        parts += split_bags([(bag, tokens, stream) for stream, (bag, tokens) in enumerate(forms)], PACE * direction)
        return Decomposition(base, parts)
