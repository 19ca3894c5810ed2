"""Words that a segmenter is told: where one stands in a text, it is cut out as a word.

text -> leftmost, longest words of the dictionary -> letters (B, M, E, S) that are forced -> emissions of others: -inf
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from textnn.functional import crf_decode
from textnn.tagging.encoding import Tokens
from textnn.tagging.prediction import FORCED
from textnn.tagging.state import State
from textnn.text import RaggedBatch

_LETTERS = "BMES"


class Dictionary:
    """Words by their first character, for :func:`textnn.tagging.prediction.stream`.

    Parameters
    ----------
    words
        Strings without white space.

    Raises
    ------
    TypeError
        If one is no string, or the words are one string or no collection.
    ValueError
        If one is empty or has white space in it.
    """

    def __init__(self, words: Iterable[str]) -> None:
        if isinstance(words, str | bytes) or not isinstance(words, Iterable):
            kind = "one string" if isinstance(words, str) else type(words).__name__
            raise TypeError(f"dictionary: expected a list of words, got {kind}")
        self._words: set[str] = set()
        lengths: dict[str, set[int]] = {}
        for number, word in enumerate(words):
            if not isinstance(word, str):
                raise TypeError(f"dictionary[{number}]: expected a string, got {type(word).__name__}")
            if not word or word.split() != [word]:
                raise ValueError(f"dictionary[{number}]: expected a word without white space, got {word!r:.60}")
            self._words.add(word)
            lengths.setdefault(word[0], set()).add(len(word))
        self._lengths = {first: sorted(found, reverse=True) for first, found in lengths.items()}

    def find(self, text: str) -> list[tuple[int, int]]:
        """Return the places of words in a text: the leftmost first, of those that begin there the longest.

        Examples
        --------
        >>> Dictionary(["长江", "长江大桥", "大桥"]).find("过长江大桥")
        [(1, 5)]
        """
        found, place = [], 0
        while place < len(text):
            for length in self._lengths.get(text[place], ()):
                if text[place : place + length] in self._words:
                    found.append((place, place + length))
                    place += length - 1
                    break
            place += 1
        return found

    def __call__(self, sentences: Sequence[Tokens]) -> Tensor:
        """Return for each character 1 + the place in ``BMES`` of the letter that it must have, 0: any; int64 [N]."""
        forced = np.zeros(sum(map(len, sentences)), dtype=np.int64)
        begin = 0
        for tokens in sentences:
            for start, end in self.find("".join(tokens)):
                if end - start == 1:
                    forced[begin + start] = 1 + _LETTERS.index("S")
                else:
                    forced[begin + start : begin + end] = 1 + _LETTERS.index("M")
                    forced[begin + start], forced[begin + end - 1] = 1 + _LETTERS.index("B"), 1 + _LETTERS.index("E")
            begin += len(tokens)
        return torch.from_numpy(forced)


def forced_tags(state: State, emissions: Tensor, batch: RaggedBatch) -> Tensor:
    """Return the best tags of each sentence that have the letters ``batch.aligned[FORCED]``, int64 [N]."""
    names = [name[0].replace("I", "M") for name in state.tags.names]
    letters = torch.tensor([1 + _LETTERS.index(name) for name in names], device=emissions.device)
    forced = batch.aligned[FORCED][:, None]
    emissions = emissions.masked_fill((forced > 0) & (forced != letters), float("-inf"))
    return crf_decode(emissions, *state.model.crf.scores(), offsets=batch.offsets)[0]
