"""Words or names that a tagger has seen, as features of each character.

Of each the length of the longest known one that begins at it, that ends at it and that goes across it.

    words of the training text -> Lexicon;  ids [N], lengths [rows] -> three lengths from 0 to 6 a character [N, 3]

In training a word counts as known where another of ten parts of the text has it: so unknown words occur there as often
as in new texts, and the network learns what to think of one that it knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

SHORTEST, LONGEST = 2, 6
"""Characters of the words that are looked for."""
PARTS = 10
BEGINS, ENDS, ACROSS = range(3)
_START, _PRIME = np.uint64(14695981039346656037), np.uint64(1099511628211)  # FNV-1a


class Lexicon:
    """Words, to be found in ids.

    Parameters
    ----------
    words
        Strings, each once.
    encode
        From characters to ids; words with an unknown one are not looked for.
    unknown
        The id of unknown characters.
    parts
        In which of the ``PARTS`` of the training text each word occurs: the sum of 1 << part.
    """

    def __init__(
        self,
        words: Sequence[str],
        encode: Callable[[str], Sequence[int]],
        unknown: int,
        parts: Sequence[int] | None = None,
    ) -> None:
        self.words = list(words)
        ids = [encode(word) for word in self.words]
        known = [n for n, each in enumerate(ids) if SHORTEST <= len(each) <= LONGEST and unknown not in each]
        lengths = np.array([len(ids[n]) for n in known], dtype=np.int64)
        flat = np.fromiter(chain.from_iterable(ids[n] for n in known), dtype=np.int64)
        starts = np.cumsum(lengths) - lengths
        keys = np.zeros(len(known), dtype=np.uint64)
        for length, place, key in _windows(flat, np.repeat(starts + lengths, lengths)):
            at = np.searchsorted(starts, place)
            inside = at < len(starts)
            inside[inside] = (starts[at[inside]] == place[inside]) & (lengths[at[inside]] == length)
            keys[at[inside]] = key[inside]
        everywhere = [-1] * len(self.words) if parts is None else parts
        # Words that fold to the same ids are one.
        self._keys, which = np.unique(keys, return_inverse=True)
        self._parts = np.zeros(len(self._keys), dtype=np.int64)
        np.bitwise_or.at(self._parts, which, np.asarray(everywhere, dtype=np.int64)[known])

    @classmethod
    def of(cls, sentences: Sequence[Iterable[str]], encode: Callable[[str], Sequence[int]], unknown: int) -> Lexicon:
        """Return the lexicon of sentences of words, in the order of their first appearance."""
        parts: dict[str, int] = {}
        for part, words in zip(parts_of(len(sentences)).tolist(), sentences, strict=True):
            for word in words:
                if SHORTEST <= len(word) <= LONGEST:
                    parts[word] = parts.get(word, 0) | 1 << part
        return cls(list(parts), encode, unknown, list(parts.values()))

    def __len__(self) -> int:
        return len(self.words)

    @property
    def keys(self) -> Array:
        """The numbers of the words that are looked for, uint64 [words], rising."""
        return self._keys

    def find(self, ids: Array, lengths: Array, training: bool = False) -> Array:
        """Return what is known of each character, int32 [N, 3].

        Parameters
        ----------
        ids
            Of all sentences, int64 [N].
        lengths
            Of the sentences, [rows].
        training
            Whether these are the sentences that the lexicon was made of, all and in their order.
        """
        found = np.zeros((len(ids), 3), dtype=np.int32)
        if not len(self._keys):
            return found
        ends = np.repeat(np.cumsum(lengths), lengths)
        own = np.repeat(np.int64(1) << parts_of(len(lengths)), lengths)
        for length, place, key in _windows(ids, ends):
            at = np.searchsorted(self._keys, key).clip(max=len(self._keys) - 1)
            hit = self._keys[at] == key
            place, at = place[hit], at[hit]
            if training:
                place = place[self._parts[at] & ~own[place] != 0]
            found[place, BEGINS] = length
            found[place + length - 1, ENDS] = length
            for inner in range(1, length - 1):
                found[place + inner, ACROSS] = length
        return found


def parts_of(sentences: int) -> Array:
    """Return which part of a text each of its sentences belongs to, int64 [sentences]."""
    return np.arange(sentences) * PARTS // max(sentences, 1)


def _windows(ids: Array, ends: Array) -> Iterator[tuple[int, Array, Array]]:
    """Yield each length with the places of the windows of so many ids that end within their sentence, and keys."""
    place = np.arange(len(ids))
    key = np.full(len(ids), _START)
    with np.errstate(over="ignore"):
        for length in range(1, LONGEST + 1):
            inside = place + length <= ends[place]
            place, key = place[inside], key[inside]
            key = (key ^ (ids[place + length - 1] + 1).astype(np.uint64)) * _PRIME
            if length >= SHORTEST:
                yield length, place, key


def lexicon_settings() -> dict[str, Any]:
    """Return all that finding words follows from beside their keys, for exported models, which do it alone."""
    return {"shortest": SHORTEST, "longest": LONGEST, "start": int(_START), "prime": int(_PRIME)}
