"""A wide linear model of n-grams beside a deep one: what is rare is remembered, what is frequent is understood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from textnn.layers import EmbeddingTextConv, NgramBag
from textnn.layers.text_conv import kernel_weights
from textnn.models.base import CHARACTERS, COMMON, WORDS, TextModel, drop_words, scale_embedding
from textnn.models.decomposition import Decomposition, split_bag, split_convolution
from textnn.models.registry import register

# Adam's steps do not depend on the scale of a gradient: what is multiplied by this learns so many times faster. The
# n-grams' weights begin at zero, and most occur in few texts: at the pace of the rest they would hardly matter.
PACE = 8.0


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
        "ngram_buckets": 2**19,
        "ngram_dropout": 0.5,
        "dropout": 0.5,
        "word_dropout": 0.1,
        "label_smoothing": 0.05,
        "ensemble": 3,
        "epochs": 5,
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

    @classmethod
    @torch.no_grad()
    def merge(cls, members: Sequence[WideTextCNN]) -> WideTextCNN:
        """Return one network, for inference, whose logits are the mean of the members'.

        The members stand side by side in its embeddings and channels; n-grams have the mean of their weights.
        """
        first, M = members[0], len(members)
        bags = [bag for bag in (first.word_ngrams, first.character_ngrams) if bag is not None]
        C, K = _channels(first.words), first.output.out_features
        merged = cls(
            first.words.num_embeddings,
            first.characters.num_embeddings,
            K,
            embedding_dim=M * first.words.embedding_dim,
            channels=M * C,
            kernel_sizes=_kernel_sizes(first.words),
            character_kernel_sizes=_kernel_sizes(first.characters),
            word_ngrams=first.word_ngrams.sizes if first.word_ngrams is not None else (),
            character_ngrams=first.character_ngrams.sizes if first.character_ngrams is not None else (),
            ngram_buckets=bags[0].num_embeddings if bags else 0,
            ngram_dropout=0.0,
            dropout=0.0,
            word_dropout=0.0,
            sparse=False,
        ).to(first.output.weight)
        for part in ("words", "characters"):
            _side_by_side(getattr(merged, part), [getattr(member, part) for member in members])
        for part in ("word_ngrams", "character_ngrams"):
            if (bag := getattr(merged, part)) is not None:
                bag.weight.copy_(torch.stack([getattr(member, part).weight for member in members]).mean(dim=0))
        # Features: kernel sizes, members, channels.
        heads = torch.stack([member.output.weight.view(K, -1, C) for member in members], dim=2)
        merged.output.weight.copy_(heads.reshape(K, -1) / M)
        merged.output.bias.copy_(torch.stack([member.output.bias for member in members]).mean(dim=0))
        return merged.eval()

    def word_tables(self) -> list[nn.Parameter]:
        """Return the embedding table of the words' convolution."""
        return [self.get_parameter("words.weight")]

    def forward(self, ids: Tensor, offsets: Tensor, character_ids: Tensor, character_offsets: Tensor) -> Tensor:
        """Return the logits [B, K] of ids and offsets of words, and of characters."""
        words = self.words(drop_words(ids, self.word_dropout, self.training), offsets=offsets)
        dropped = drop_words(character_ids, self.word_dropout, self.training)
        characters = self.characters(dropped, offsets=character_offsets)
        logits: Tensor = self.output(self.dropout(torch.cat([words, characters], dim=1)))  # of [B, C * kernel sizes]
        if self.word_ngrams is not None:
            logits = logits + PACE * self.word_ngrams(ids, offsets=offsets)
        if self.character_ngrams is not None:
            logits = logits + PACE * self.character_ngrams(character_ids, offsets=character_offsets)
        return logits

    @torch.no_grad()
    def decompose(  # type: ignore[override]
        self, ids: Tensor, offsets: Tensor, character_ids: Tensor, character_offsets: Tensor, *, direction: Tensor
    ) -> Decomposition:
        """Return an exact split of ``direction . logits`` of one text; its base is the bias of the last layer."""
        weight = direction @ self.output.weight.double()
        heads = weight.split([len(_kernel_sizes(part)) * _channels(part) for part in (self.words, self.characters)])
        forms = (self.words, self.word_ngrams, ids), (self.characters, self.character_ngrams, character_ids)
        parts = []
        for stream, (head, (convolution, bag, tokens)) in enumerate(zip(heads, forms, strict=True)):
            parts += split_convolution(convolution, tokens, head, stream)
            if bag is not None:
                parts += split_bag(bag, tokens, PACE * direction, stream)
        return Decomposition(float(direction @ self.output.bias.double()), parts)


def _side_by_side(whole: EmbeddingTextConv, parts: Sequence[EmbeddingTextConv]) -> None:
    """Give a layer the weights of several: a token's vectors one after the other, each read by its own channels."""
    whole.weight.copy_(torch.cat([part.weight for part in parts], dim=1))
    weights, biases = kernel_weights(whole.convs)
    own = [kernel_weights(part.convs) for part in parts]
    for size, weight in enumerate(weights):
        kernels = torch.stack([of_part[size] for of_part, _ in own])  # [M, C, D, kernel size]
        weight.copy_(torch.stack([torch.block_diag(*tap) for tap in kernels.unbind(dim=3)], dim=2))
    for size, bias in enumerate(biases or []):
        bias.copy_(torch.cat([of_part[size] for _, of_part in own if of_part is not None]))


def _kernel_sizes(layer: EmbeddingTextConv) -> list[int]:
    return [weight.shape[2] for weight in kernel_weights(layer.convs)[0]]


def _channels(layer: EmbeddingTextConv) -> int:
    """Return the channels of each kernel size."""
    return kernel_weights(layer.convs)[0][0].shape[0]
