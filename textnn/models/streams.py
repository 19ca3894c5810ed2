"""Convolutions over words and over characters, side by side: what the wide architectures have in common.

ids, offsets of words       -> convolution, maximum over time -> features --+
ids, offsets of characters  -> convolution, maximum over time -> features --+-> dropout -> linear -> logits [B, K]
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from textnn.layers import EmbeddingTextConv
from textnn.layers.text_conv import kernel_weights
from textnn.models.base import bounds, drop_words, scale_embedding
from textnn.models.decomposition import NgramParts, split_convolution


class TwoStreamCNN(nn.Module):
    """Convolutions over words and over characters, maximum over time, dropout, one linear layer.

    Words carry meaning, but a tokenizer errs, and half of a vocabulary is too rare to be learnt; characters and their
    convolutions know neither problem.
    (Kim, "Convolutional Neural Networks for Sentence Classification", 2014; Zhang et al., "Character-level
    Convolutional Networks for Text Classification", 2015.)

    Parameters
    ----------
    vocabulary_size, character_vocabulary_size
        Rows of the embedding tables.
    classes
        K.
    embedding_dim, channels
        Of both; channels of each kernel size.
    kernel_sizes, character_kernel_sizes
        Over words and over characters.
    dropout
        Of the features.
    word_dropout
        Share of the words, and of the characters, that become the unknown one in training.
    sparse
        Whether the gradients of the embedding tables are sparse.
    """

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

        self.words = encoder(vocabulary_size, kernel_sizes)
        self.characters = encoder(character_vocabulary_size, character_kernel_sizes)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(channels * (len(kernel_sizes) + len(character_kernel_sizes)), classes)

    def forward(self, ids: Tensor, offsets: Tensor, character_ids: Tensor, character_offsets: Tensor) -> Tensor:
        """Return the logits [B, K] of ids and offsets of words, and of characters."""
        words = self.words(drop_words(ids, self.word_dropout, self.training), **bounds(ids, offsets))
        dropped = drop_words(character_ids, self.word_dropout, self.training)
        characters = self.characters(dropped, **bounds(dropped, character_offsets))
        logits: Tensor = self.output(self.dropout(torch.cat([words, characters], dim=1)))  # of [B, C * kernel sizes]
        return logits

    @torch.no_grad()
    def split(self, ids: Tensor, character_ids: Tensor, direction: Tensor) -> tuple[float, list[NgramParts]]:
        """Split ``direction . logits`` of one text, exactly: the bias of the last layer, and the parts of n-grams."""
        weight = direction @ self.output.weight.double()
        convolutions = self.words, self.characters
        heads = weight.split([len(kernel_sizes(part)) * channels(part) for part in convolutions])
        parts: list[NgramParts] = []
        for stream, (convolution, head, tokens) in enumerate(
            zip(convolutions, heads, (ids, character_ids), strict=True)
        ):
            parts += split_convolution(convolution, tokens, head, stream)
        return float(direction @ self.output.bias.double()), parts

    @torch.no_grad()
    def take_means(self, members: Sequence[TwoStreamCNN]) -> None:
        """Take the weights of several networks, so that the logits are the means of theirs.

        They stand side by side in its embeddings and channels, which have to be as many times as large.
        """
        K, M, C = self.output.out_features, len(members), channels(members[0].words)
        for part in ("words", "characters"):
            _side_by_side(getattr(self, part), [getattr(member, part) for member in members])
        # Features: kernel sizes, members, channels.
        heads = torch.stack([member.output.weight.view(K, -1, C) for member in members], dim=2)
        self.output.weight.copy_(heads.reshape(K, -1) / M)
        self.output.bias.copy_(torch.stack([member.output.bias for member in members]).mean(dim=0))


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


def kernel_sizes(layer: EmbeddingTextConv) -> list[int]:
    """Return the kernel sizes of a convolution."""
    return [weight.shape[2] for weight in kernel_weights(layer.convs)[0]]


def channels(layer: EmbeddingTextConv) -> int:
    """Return the channels of each kernel size of a convolution."""
    return kernel_weights(layer.convs)[0][0].shape[0]
