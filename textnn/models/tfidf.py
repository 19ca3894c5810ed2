"""A linear model of TF-IDF vectors, solved directly, beside convolutions that are trained by themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from textnn.layers import NgramBag
from textnn.layers.embedding_recurrent import EmbeddingRecurrent
from textnn.layers.ngrams import joint
from textnn.models.base import CHARACTERS, COMMON, WORDS, TextModel, bounds
from textnn.models.decomposition import Decomposition, NgramParts, split_bags
from textnn.models.encoder import PooledEncoder
from textnn.models.registry import register
from textnn.models.streams import TwoStreamCNN, channels, kernel_sizes

SHARE = 0.6
"""What the convolutions' logits are multiplied with before they are added to those of the linear model."""
ENCODER_SHARE = 0.6
"""The same of an encoder that begins with the weights of a language model."""


@register
class TfidfTextCNN(TextModel):
    """A linear model of weighted n-grams beside convolutions over words and over characters.

    The two make different errors, so each learns the labels by itself and their logits are added up: the linear model
    is solved in one go (:mod:`textnn.classification.linear`), the convolutions are trained step by step. With
    few texts the first has most of the say. Trained together, a linear model that knows the training texts by heart
    would leave the convolutions nothing to learn.

    Several networks of convolutions are trained side by side; in training each has its own row of logits. So has a
    recurrent encoder that begins with the weights of a language model, where there is one: ``encoder_cell`` and the
    other options of it are the language model's, and the form that it reads is "words" or "characters".
    """

    name = "tfidf-textcnn"
    streams = (WORDS, CHARACTERS)
    padded = True
    defaults: ClassVar[Mapping[str, Any]] = {
        **COMMON,
        "min_count": 1,
        "max_characters": 2048,
        "character_form": "text",
        "embedding_dim": 128,
        "channels": 64,
        "kernel_sizes": (1, 2, 3),
        "character_kernel_sizes": (2, 3, 4),
        "word_ngrams": (1, 2),
        "character_ngrams": (1, 2, 3, 4),
        "ngram_buckets": 2**19,
        "dropout": 0.5,
        "word_dropout": 0.1,
        "label_smoothing": 0.05,
        "ensemble": 3,
        "epochs": 5,
        "min_steps": 300,
        "full_steps": 7200,
        "schedule": "linear",
        "patience": 0,
        "validation_fraction": 0.05,
        "encoder_cell": "",
        "encoder_reads": CHARACTERS,
        "encoder_dim": 0,
        "encoder_size": 0,
        "encoder_layers": 0,
    }

    # Single characters carry meaning in Chinese; in scripts with spaces, three to six and where words begin and end do.
    spaced_defaults: ClassVar[Mapping[str, Any]] = {
        "character_form": "words",
        "character_kernel_sizes": (3, 4, 5),
        "character_ngrams": (3, 4, 5, 6),
    }

    def __init__(
        self,
        vocabulary_size: int,
        character_vocabulary_size: int,
        classes: int,
        *,
        word_ngrams: Sequence[int],
        character_ngrams: Sequence[int],
        ngram_buckets: int,
        ensemble: int,
        embedding_dim: int,
        channels: int,
        kernel_sizes: Sequence[int],
        character_kernel_sizes: Sequence[int],
        dropout: float,
        word_dropout: float,
        sparse: bool,
        encoder_cell: str = "",
        encoder_reads: str = CHARACTERS,
        encoder_dim: int = 0,
        encoder_size: int = 0,
        encoder_layers: int = 0,
    ) -> None:
        super().__init__()
        self.networks = nn.ModuleList(
            TwoStreamCNN(
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
            for _ in range(ensemble)
        )

        def bag(sizes: Sequence[int]) -> NgramBag | None:
            return NgramBag(ngram_buckets, classes, tuple(sizes), sparse=sparse, weighted=True) if sizes else None

        self.word_ngrams, self.character_ngrams = bag(word_ngrams), bag(character_ngrams)
        self.linear_bias = nn.Parameter(torch.zeros(classes))
        self.learn_linear(False)
        self.language: PooledEncoder | None = None
        self.reads = (WORDS, CHARACTERS).index(encoder_reads)
        if encoder_cell:
            self.language = PooledEncoder(
                encoder_cell,
                (vocabulary_size, character_vocabulary_size)[self.reads],
                classes,
                embedding_dim=encoder_dim,
                hidden_size=encoder_size,
                num_layers=encoder_layers,
                dropout=dropout,
                word_dropout=word_dropout,
                sparse=sparse,
            )

    @property
    def bags(self) -> list[tuple[int, NgramBag]]:
        """The bags of n-grams that there are, with the number of the form that each reads."""
        bags = enumerate((self.word_ngrams, self.character_ngrams))
        return [(stream, bag) for stream, bag in bags if bag is not None]

    def learn_linear(self, by_steps: bool) -> None:
        """Say whether the steps of a training are to change the linear model too, or leave it as it is."""
        for parameter in self.linear_parameters():
            parameter.requires_grad_(by_steps)

    def linear_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the linear model."""
        return [self.linear_bias, *(bag.get_parameter("weight") for _, bag in self.bags)]

    def encoders(self) -> list[EmbeddingRecurrent]:
        """Return the encoder, if there is one."""
        return [] if self.language is None else [self.language.encoder]

    def word_tables(self) -> list[nn.Parameter]:
        """Return the embedding tables of the words' convolutions."""
        return [network.words.get_parameter("weight") for network in self.parts]

    def forward(self, ids: Tensor, offsets: Tensor, character_ids: Tensor, character_offsets: Tensor) -> Tensor:
        """Return the logits [B, K] of ids and offsets of words, and of characters; in training those of each network.

        In a training that leaves the linear model as it is, they are those of the convolutions alone.
        """
        inputs = ids, offsets, character_ids, character_offsets
        logits = torch.stack([network(*inputs) for network in self.parts])  # [networks, B, K]
        forms = (ids, offsets), (character_ids, character_offsets)
        encoded = None if self.language is None else self.language(*forms[self.reads])
        if self.training and encoded is not None:
            logits = torch.cat([logits, encoded[None]])
        logits = logits if self.training and len(logits) > 1 else logits.mean(dim=0)
        if self.training and not self.linear_bias.requires_grad:
            return logits
        if not self.training and encoded is not None:
            logits = logits + ENCODER_SHARE / SHARE * encoded
        sums = [bag.sums(forms[stream][0], **bounds(*forms[stream])) for stream, bag in self.bags]
        linear = self.linear_bias + joint(sums) if sums else self.linear_bias
        return SHARE * logits + linear

    @torch.no_grad()
    def decompose(  # type: ignore[override]
        self, ids: Tensor, offsets: Tensor, character_ids: Tensor, character_offsets: Tensor, *, direction: Tensor
    ) -> Decomposition | None:
        """Return an exact split of ``direction . logits`` of one text; its base is what is said of no text.

        There is none with an encoder.
        """
        if self.language is not None:
            return None
        inputs = (ids, character_ids)
        base, parts = float(direction @ self.linear_bias.double()), list[NgramParts]()
        for network in self.parts:
            own, found = network.split(ids, character_ids, SHARE / len(self.networks) * direction)
            base += own
            parts += found
        return Decomposition(base, [*parts, *split_bags([(bag, inputs[n], n) for n, bag in self.bags], direction)])

    @torch.no_grad()
    def merge(self) -> TfidfTextCNN:
        """Return the same function with one network of convolutions, for inference."""
        if len(self.networks) == 1:
            return self
        first, M = self.parts[0], len(self.networks)
        merged = type(self)(
            first.words.num_embeddings,
            first.characters.num_embeddings,
            first.output.out_features,
            word_ngrams=(),
            character_ngrams=(),
            ngram_buckets=0,
            ensemble=1,
            embedding_dim=M * first.words.embedding_dim,
            channels=M * channels(first.words),
            kernel_sizes=kernel_sizes(first.words),
            character_kernel_sizes=kernel_sizes(first.characters),
            dropout=0.0,
            word_dropout=0.0,
            sparse=False,
        ).to(first.output.weight)
        merged.parts[0].take_means(self.parts)
        merged.word_ngrams, merged.character_ngrams = self.word_ngrams, self.character_ngrams
        merged.linear_bias = self.linear_bias
        merged.language, merged.reads = self.language, self.reads
        return merged.eval()

    def freeze(self, memory_limit: int | None = None, dtype: str | None = None) -> TextModel:
        """Return a frozen form for inference, with one network of convolutions."""
        return super(TfidfTextCNN, self.merge()).freeze(memory_limit, dtype)

    @property
    def parts(self) -> list[TwoStreamCNN]:
        """The networks of convolutions as what they are."""
        return cast("list[TwoStreamCNN]", list(self.networks))
