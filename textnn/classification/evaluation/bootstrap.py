"""How far a figure would move with other texts of the same kind: intervals by resampling.

    cells [C]: how often each kind of answer was given (true class, predicted class) among n texts
      -> n texts drawn with replacement, 2,000 times [R, C]
      -> the figure of each drawing [R] -> its 2.5 % and 97.5 % quantiles

A figure that follows from the cells does not need the texts one by one: n draws with replacement from n texts are n
draws from the multinomial distribution of the cells' shares. (Efron and Tibshirani, "An Introduction to the Bootstrap",
1993, chapter 13: the percentile interval.)

Where all answers are right, or all wrong, every drawing is the same and says nothing: a share then has Wilson's
interval, and the mean F1 has none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

RESAMPLES = 2000
LEVEL = 0.95
_SEED = 0
_BLOCK = 1 << 22  # counts in memory at a time


class Interval(NamedTuple):
    """A 95 % interval, its ends included."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low:.4f} to {self.high:.4f}"


def accuracy_interval(right: int, texts: int) -> Interval:
    """Return the interval of the share of right answers: Wilson's where all are right, or none is."""
    if right in (0, texts):
        return wilson_interval(right, texts)
    return _interval(np.random.default_rng(_SEED).binomial(texts, right / texts, RESAMPLES) / texts)


def wilson_interval(right: int, texts: int) -> Interval:
    """Return Wilson's score interval of a share, which has a width also where all are right, or none is.

    (Wilson, "Probable inference, the law of succession, and statistical inference", 1927.)
    """
    from scipy.stats import binomtest

    interval = binomtest(right, texts).proportion_ci(LEVEL, method="wilson")
    return Interval(float(interval.low), float(interval.high))


def macro_f1_interval(confusion: Any) -> Interval | None:
    """Return the interval of the mean F1 over the classes that occur in a drawing, as true or as predicted ones.

    None where all answers are right, or all wrong.

    Parameters
    ----------
    confusion
        Texts by true and predicted class, [classes, classes], dense or sparse.
    """
    from scipy.sparse import csr_array

    true, predicted = confusion.nonzero()
    right = true == predicted
    if right.all() or not right.any():
        return None
    cells, classes = np.arange(len(true)), confusion.shape[0]
    # [C, classes]: 2 for a cell on the diagonal's class, so that F1 = 2 hits / (true + predicted).
    places = np.tile(cells, 2), np.concatenate([true, predicted])
    either = csr_array((np.ones(2 * len(cells)), places), (len(cells), classes))
    hits = csr_array((np.tile(right, 2).astype(float), places), (len(cells), classes))
    values = []
    for counts in _drawings(np.asarray(confusion[true, predicted]).ravel()):
        occurring = counts @ either
        f1 = np.divide(counts @ hits, occurring, out=np.zeros(occurring.shape), where=occurring > 0)
        values.append(f1.sum(axis=1) / (occurring > 0).sum(axis=1))
    return _interval(np.concatenate(values))


def _drawings(cells: Array) -> Iterator[Array]:
    """Yield how often each cell comes up in the drawings, float64 [r, C], some at a time."""
    source, texts = np.random.default_rng(_SEED), int(cells.sum())
    step = max(1, _BLOCK // len(cells))
    for begin in range(0, RESAMPLES, step):
        yield source.multinomial(texts, cells / texts, min(step, RESAMPLES - begin)).astype(np.float64)


def _interval(values: Array) -> Interval:
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return Interval(float(low), float(high))
