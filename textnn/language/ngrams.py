"""An n-gram model with interpolated, modified Kneser-Ney smoothing, on arrays: a baseline that needs no network.

    counts of n-grams of order n; of lower orders how many different tokens stand before each n-gram
    p(w | context) = max(c - D(c), 0) / c(context) + gamma(context) * p(w | context without its first token)

with three discounts of each order, for n-grams that occur once, twice, or more often. (Chen and Goodman, "An Empirical
Study of Smoothing Techniques for Language Modeling", 1999, section 3.)

An n-gram of k tokens is a number: the place of (its first token, the number of the rest) among all such pairs, so that
no order is too high. A text is read behind n - 1 marks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


class KneserNey:
    """A model of texts as sequences of ids.

    Parameters
    ----------
    texts
        Of each its ids, between two marks (0).
    vocabulary_size
        V.
    order
        n, the length of the longest n-grams.
    """

    def __init__(self, texts: Sequence[Sequence[int]], vocabulary_size: int, order: int) -> None:
        self.V, self.order = vocabulary_size, order
        flat, target, clean = self._lay_out(texts)
        self.keys: list[Array] = [np.arange(self.V)]
        numbers = [flat]
        for size in range(2, order + 1):
            found = self._pairs(flat, numbers[-1], size, len(self.keys[-1]))
            self.keys.append(np.unique(found[clean]))
            numbers.append(np.searchsorted(self.keys[-1], found).clip(max=len(self.keys[-1]) - 1))
        self.levels = []
        for size in range(1, order + 1):
            own, length = numbers[size - 1], len(self.keys[size - 1])
            counts = np.bincount(own[target], minlength=length).astype(np.float64)
            if size < order:
                is_target = np.zeros(len(self.keys[size]), dtype=bool)
                is_target[numbers[size][target]] = True
                rest = self.keys[size] % length
                counts = np.bincount(rest[is_target], minlength=length).astype(np.float64)
            contexts = len(self.keys[size - 2]) if size > 1 else 1
            of_gram = np.zeros(length, dtype=np.int64)
            if size > 1:
                of_gram[own[target]] = numbers[size - 2][np.flatnonzero(target) - 1]
            self.levels.append(_Level(counts, of_gram, contexts))

    def log_probabilities(self, texts: Sequence[Sequence[int]]) -> Array:
        """Return the log-probability of each token of all texts, their ends among them."""
        flat, target, _ = self._lay_out(texts)
        places = np.flatnonzero(target)
        grams, found = (
            flat,
            self.levels[0].probability(flat[places], np.zeros(len(places), dtype=np.int64), 1.0 / self.V),
        )
        for size in range(2, self.order + 1):
            contexts = grams[places - 1]
            pairs = self._pairs(flat, grams, size, len(self.keys[size - 2]))
            known = self.keys[size - 1]
            there = np.searchsorted(known, pairs).clip(max=len(known) - 1)
            grams = np.where((known[there] == pairs) & (grams >= 0), there, -1)
            found = self.levels[size - 1].probability(grams[places], contexts, found)
        return np.log(found)

    def _lay_out(self, texts: Sequence[Sequence[int]]) -> tuple[Array, Array, Array]:
        """Return all ids, each text behind n - 1 marks; where targets are; and where n-grams within a text end."""
        parts, target = [], []
        before = [0] * (self.order - 1)
        for text in texts:
            parts.append(np.array([*before, *text[1:]], dtype=np.int64))
            target.append(np.arange(len(parts[-1])) >= len(before))
        is_target = np.concatenate(target)
        clean = is_target.copy()
        clean[np.flatnonzero(is_target[1:] & ~is_target[:-1])] = True  # the last mark before each text
        return np.concatenate(parts), is_target, clean

    @staticmethod
    def _pairs(flat: Array, rest: Array, size: int, numbers: int) -> Array:
        first = np.zeros_like(flat)
        first[size - 1 :] = flat[: len(flat) - size + 1]
        return first * numbers + rest


class _Level:
    """N-grams of one length: their counts, and what their contexts leave to shorter ones."""

    def __init__(self, counts: Array, context: Array, contexts: int) -> None:
        seen = counts > 0
        n1, n2, n3, n4 = (float((counts == number).sum()) for number in (1, 2, 3, 4))
        y = n1 / (n1 + 2 * n2) if n1 else 0.5
        following = [(n1, n2), (n2, n3), (n3, n4)]
        raw = [k + 1 - (k + 2) * y * b / a if a else y for k, (a, b) in enumerate(following)]
        self.discounts = np.array([0.0, *(min(max(d, 0.0), k + 1) for k, d in enumerate(raw))])
        kind = np.minimum(counts, 3).astype(np.int64)
        self.counts, self.discount = counts, self.discounts[kind]
        self.total = np.bincount(context[seen], counts[seen], minlength=contexts)
        self.left = np.bincount(context[seen], self.discount[seen], minlength=contexts)

    def probability(self, grams: Array, contexts: Array, shorter: Array | float) -> Array:
        """Return p(w | context), of n-grams and contexts by their numbers, -1 where they are not known."""
        total = np.where(contexts >= 0, self.total[contexts], 0.0)
        counts = np.where(grams >= 0, self.counts[grams] - self.discount[grams], 0.0)
        with np.errstate(invalid="ignore", divide="ignore"):
            own = counts.clip(min=0.0) / total + self.left[contexts] / total * shorter
        return np.where(total > 0, own, shorter)


def perplexity(model: KneserNey, texts: Sequence[Sequence[int]]) -> float:
    """Return exp of minus the mean log-probability of a token."""
    return float(np.exp(-model.log_probabilities(texts).mean()))
