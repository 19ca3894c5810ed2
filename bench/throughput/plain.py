"""The default network in plain PyTorch, with the weights of a trained one: what is written by hand where textnn is not.

texts -> jieba -> ids, characters -> padded batches of similar length -> Embedding, Conv1d, ReLU, max; embedding_bag
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from textnn import SentimentClassifier
from textnn.layers import EmbeddingTextConv
from textnn.models.wide import PACE, WideTextCNN
from textnn.text import Vocabulary, split_characters

BATCH = 256

Padded = tuple[Tensor, Tensor]
"""Ids [B, L] and lengths [B]."""


class PaddedConv(nn.Module):
    """``nn.Embedding``, and for each kernel size ``nn.Conv1d``, ReLU and the maximum over a padded batch."""

    def __init__(self, layer: EmbeddingTextConv) -> None:
        super().__init__()
        self.embedding = nn.Embedding.from_pretrained(layer.weight.detach())
        self.convs = layer.convs

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """[B, L], [B] -> [B, channels * kernel sizes]."""
        x = self.embedding(ids).transpose(1, 2)  # [B, D, L]
        features = []
        for conv in self.convs:
            z = conv(x).relu_()  # [B, C, windows]
            windows = (lengths - conv.kernel_size[0] + 1).clamp(min=1)
            outside = torch.arange(z.shape[2]) >= windows[:, None]
            features.append(z.masked_fill_(outside[:, None], 0.0).amax(dim=2))
        return torch.cat(features, dim=1)


class PlainMember(nn.Module):
    """One member of the ensemble."""

    def __init__(self, network: WideTextCNN) -> None:
        super().__init__()
        self.words, self.characters = PaddedConv(network.words), PaddedConv(network.characters)
        self.bags = nn.ModuleList([network.word_ngrams, network.character_ngrams])
        self.output = network.output

    def forward(self, words: Padded, characters: Padded, rows: Sequence[Tensor]) -> Tensor:
        """Words, characters, and the rows of the n-grams of both -> logits [B, classes]."""
        features = torch.cat([self.words(*words), self.characters(*characters)], dim=1)
        logits: Tensor = self.output(features)
        for bag, numbers in zip(self.bags, rows, strict=True):
            total = F.embedding_bag(numbers, bag.weight, mode="sum")
            logits = logits + PACE * total / (numbers > 0).sum(dim=1).clamp(min=1).sqrt()[:, None]
        return logits


def hash_padded(ids: Tensor, lengths: Tensor, sizes: Sequence[int], buckets: int) -> Tensor:
    """Return the rows of all n-grams of padded ids [B, L], [B, n-grams]; 0 where there is none.

    The same numbers as :func:`textnn.reference.hash_ngrams` gives, for all texts at once.
    """
    found = []
    for n in sizes:
        windows = ids.shape[1] - n + 1
        h = torch.full((ids.shape[0], windows), 0x243F6A8885A308D3)
        for k in range(n):
            h = (h ^ ids[:, k : k + windows]) * (0x9E3779B97F4A7C15 - 2**64)
            h ^= (h >> 32) & 0xFFFFFFFF
        h = (h * (0xD6E8FEB86659FD93 - 2**64) >> 32) & 0xFFFFFFFF
        h = ((h * (buckets - 1) >> 32) & 0xFFFFFFFF) + 1
        found.append(h.masked_fill_(torch.arange(windows) > (lengths - n)[:, None], 0))
    return torch.cat(found, dim=1)


class PlainPipeline:
    """jieba and plain PyTorch, with the weights of a trained classifier.

    Parameters
    ----------
    classifier
        Of the default architecture.
    """

    def __init__(self, classifier: SentimentClassifier) -> None:
        import jieba

        jieba.initialize()
        self._cut = jieba.lcut
        members = getattr(classifier.model_, "members", [classifier.model_])
        self._members = nn.ModuleList(PlainMember(member) for member in members).eval()
        self._classes = classifier.classes_
        assert classifier.characters_ is not None
        self._words, self._characters = classifier.vocabulary_, classifier.characters_
        self._limits = classifier.options_["max_length"], classifier.options_["max_characters"]

    @torch.inference_mode()
    def logits(self, texts: Sequence[str]) -> Tensor:
        """Return the logits [texts, classes]."""
        words = [self._words.encode(self._cut(text)[: self._limits[0]]) for text in texts]
        characters = [self._characters.encode(split_characters(text)[: self._limits[1]]) for text in texts]
        order = sorted(range(len(texts)), key=lambda row: len(words[row]))
        logits = torch.empty(len(texts), len(self._classes))
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            forms = _pad([words[row] for row in rows]), _pad([characters[row] for row in rows])
            bags = self._members[0].bags
            # The hash is that of every member, so it is computed once.
            numbers = [hash_padded(*form, bag.sizes, bag.num_embeddings) for form, bag in zip(forms, bags, strict=True)]
            logits[rows] = torch.stack([member(*forms, numbers) for member in self._members]).mean(dim=0)
        return logits

    def predict(self, texts: Sequence[str]) -> list[object]:
        """Return the label of each text."""
        found: list[object] = self._classes[self.logits(texts).argmax(dim=1).numpy()].tolist()
        return found


def _pad(sequences: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
    """Return ids [B, L], L at least 8, and lengths [B]; an empty text has one [PAD]."""
    sequences = [ids or [Vocabulary.PAD_ID] for ids in sequences]
    width = max(8, *map(len, sequences)) if len(sequences) > 1 else max(8, len(sequences[0]))
    flat = itertools.chain.from_iterable([*ids, *[Vocabulary.PAD_ID] * (width - len(ids))] for ids in sequences)
    return torch.tensor(list(flat)).view(len(sequences), width), torch.tensor([len(ids) for ids in sequences])
