"""The default network in plain PyTorch, with the weights of a trained one: what is written by hand where textnn is not.

texts -> jieba -> ids, characters -> padded batches of similar length -> PlainNetwork: Embedding, Conv1d, maximum
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from textnn import SentimentClassifier
from textnn.export import PlainNetwork
from textnn.text import Vocabulary, split_characters

BATCH = 256


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
        # Each by itself: a sixth faster here than all as one with convolutions in groups.
        members = getattr(classifier.model_, "members", [classifier.model_])
        self._members = [PlainNetwork(member) for member in members]
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
            logits[rows] = torch.stack([member(*forms[0], *forms[1]) for member in self._members]).mean(dim=0)
        return logits

    def predict(self, texts: Sequence[str]) -> list[object]:
        """Return the label of each text."""
        found: list[object] = self._classes[self.logits(texts).argmax(dim=1).numpy()].tolist()
        return found


def _pad(sequences: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
    """Return ids [B, L] and lengths [B]; an empty text has one [PAD]."""
    sequences = [ids or [Vocabulary.PAD_ID] for ids in sequences]
    width = max(map(len, sequences))
    flat = itertools.chain.from_iterable([*ids, *[Vocabulary.PAD_ID] * (width - len(ids))] for ids in sequences)
    return torch.tensor(list(flat)).view(len(sequences), width), torch.tensor([len(ids) for ids in sequences])
