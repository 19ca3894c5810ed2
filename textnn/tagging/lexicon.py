"""Words that a segmenter has seen, as features of each character: the longest known word that begins at it, that ends
at it and that goes across it.

    words of the training text -> Lexicon;  ids [N], lengths [rows] -> three lengths from 0 to 6 a character [N, 3]

In training, a word that occurs in no other sentence than its own is none: so the network meets unknown words there as
often as in new texts, and learns what to think of a word that it knows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

SHORTEST, LONGEST = 2, 6
"""Characters of the words that are looked for."""
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
    counts
        How often each word occurs in the training text, where it is to be left out of its own sentence.
    """

    def __init__(
        self,
        words: Sequence[str],
        encode: Callable[[str], Sequence[int]],
        unknown: int,
        counts: Sequence[int] | None = None,
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
        order = np.argsort(keys)
        self._keys = keys[order]
        own = np.ones(len(known), dtype=np.int64) if counts is None else np.asarray(counts, dtype=np.int64)[known]
        self._counts = own[order]

    @classmethod
    def of(cls, sentences: Iterable[Iterable[str]], encode: Callable[[str], Sequence[int]], unknown: int) -> Lexicon:
        """Return the lexicon of sentences of words, the most frequent first."""
        counts = Counter(word for words in sentences for word in words if SHORTEST <= len(word) <= LONGEST)
        ranked = counts.most_common()
        return cls([word for word, _ in ranked], encode, unknown, [count for _, count in ranked])

    def __len__(self) -> int:
        return len(self.words)

    def find(self, ids: Array, lengths: Array, own: Array | None = None) -> Array:
        """Return what is known of each character, int32 [N, 3].

        Parameters
        ----------
        ids
            Of all sentences, int64 [N].
        lengths
            Of the sentences, [rows].
        own
            Length of the word that begins at each character, 0 where none does, [N]: in training, its occurrences in a
            sentence do not count there.
        """
        found = np.zeros((len(ids), 3), dtype=np.int32)
        if not len(self._keys):
            return found
        ends = np.repeat(np.cumsum(lengths), lengths)
        sentence = np.repeat(np.arange(len(lengths)), lengths)
        for length, place, key in _windows(ids, ends):
            at = np.searchsorted(self._keys, key).clip(max=len(self._keys) - 1)
            hit = self._keys[at] == key
            place, at = place[hit], at[hit]
            if own is not None:
                at_once, which = np.unique(sentence[place] * len(self._keys) + at, return_inverse=True)
                here = np.bincount(which, weights=own[place] == length, minlength=len(at_once))[which]
                place = place[self._counts[at] > here]
            found[place, BEGINS] = length
            found[place + length - 1, ENDS] = length
            for inner in range(1, length - 1):
                found[place + inner, ACROSS] = length
        return found


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
