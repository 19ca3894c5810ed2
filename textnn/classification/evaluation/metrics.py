"""What both kinds of report are made of: the figures of a class, the texts that went wrong, checks of what is compared.

labels, probabilities, texts -> ``check_rows`` -> a report: ``ClassMetrics`` of each class, ``WrongPrediction``s
counts, of a saved model too -> ``check_counts`` -> a report: ``ClassMetrics`` of each class
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

_LARGEST_COUNT = 1 << 53


@dataclass(frozen=True)
class ClassMetrics:
    """The figures of one class; ``support`` is the number of texts that have this label."""

    label: Hashable
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class WrongPrediction:
    """A text that was put into a wrong class.

    Attributes
    ----------
    row : int
        Position among the texts, from 0: ``texts[row]``.
    text, label, predicted : str, hashable, hashable
        The text, its true class and the class it was given.
    probability : float
        The probability of the class that it was given.
    probabilities : list of float
        Those of all classes that the classifier knows, in their order.
    line : int or None, default=None
        Where the texts come from a file, the line on which it begins, from 1; else None.

    Examples
    --------
    >>> WrongPrediction(16, "so-so", "good", "bad", 0.7, [0.7, 0.3], line=18).predicted
    'bad'
    """

    row: int
    text: str
    label: Hashable
    predicted: Hashable
    probability: float
    probabilities: list[float]
    line: int | None = None

    @property
    def place(self) -> str:
        """Where the text is found, for a reader: ``"line 19"`` of a file, or ``"texts[17]"``."""
        return f"texts[{self.row}]" if self.line is None else f"line {self.line}"


def class_codes(classes: Sequence[Hashable], labels: Iterable[Hashable]) -> dict[Hashable, int]:
    """Return a number for each class, in their order, and then for each of the labels that is none of them."""
    code = {label: number for number, label in enumerate(classes)}
    for label in labels:
        code.setdefault(label, len(code))
    return code


def class_metrics(label: Hashable, hits: int, predicted: int, support: int) -> ClassMetrics:
    """Return the figures of a class from how often it was predicted rightly, was predicted at all, and was true."""
    f1 = 2 * hits / max(predicted + support, 1)
    return ClassMetrics(label, hits / max(predicted, 1), hits / max(support, 1), f1, support)


def figures(metrics: ClassMetrics) -> dict[str, Any]:
    """Return the figures of a class as plain values, for JSON."""
    return {**vars(metrics), "label": plain_label(metrics.label)}


def plain_label(label: Hashable) -> Any:
    """Return a label as a value that JSON knows; any other, as one that is not finite, as its text."""
    known = label is None or isinstance(label, bool | int | str) or (isinstance(label, float) and math.isfinite(label))
    return label if known else str(label)


def check_counts(name: str, values: Any, shape: tuple[int, ...]) -> Array:
    """Return counts as an array, int64 [shape], whose sum float64 can hold exactly.

    Parameters
    ----------
    name
        What the error calls them.
    values
        An array, or nested lists; they may come from a file.
    shape
        What they have to have.

    Raises
    ------
    ValueError
        If they have another shape, are not whole numbers from 0, or their sum is more than 2**53.
    """
    found = np.asarray(values, dtype=object)
    if found.shape != shape:
        raise ValueError(f"{name}: expected counts of the shape {list(shape)}, got the shape {list(found.shape)}")
    counts = found.ravel().tolist()
    for count in counts:
        if isinstance(count, bool | np.bool_) or not isinstance(count, int | np.integer) or count < 0:
            raise ValueError(f"{name}: expected counts, whole numbers from 0, got {count!r:.80}")
    if sum(map(int, counts)) > _LARGEST_COUNT:
        raise ValueError(f"{name}: expected counts of at most 2**53 together, got more")
    return found.astype(np.int64)


def check_rows(
    classes: Sequence[Hashable],
    labels: Sequence[Any],
    probabilities: Any,
    texts: Sequence[str],
    lengths: Sequence[int] | Array | None,
) -> tuple[Array, Array]:
    """Return the probabilities as an array, and the length of each text in characters where no other is given.

    Parameters
    ----------
    classes
        The classes of the columns.
    labels, probabilities, texts, lengths
        One of each for every text; the second [texts, classes].

    Raises
    ------
    ValueError
        If there are no texts, not as many of each, or the probabilities are not numbers from 0 to 1.
    """
    found = np.asarray(probabilities)
    if not len(texts) == len(labels) == len(found):
        raise ValueError(
            f"labels: expected one for each of {len(texts)} texts, got {len(labels)} and {len(found)} rows"
        )
    if not len(texts):
        raise ValueError("texts: expected at least one text to evaluate, got none")
    shape = (len(texts), len(classes))
    if found.shape != shape:
        raise ValueError(f"probabilities: expected the shape {list(shape)}, got {list(found.shape)}")
    if found.dtype.kind not in "fiub" or not ((found >= 0) & (found <= 1 + 1e-6)).all():
        raise ValueError("probabilities: expected numbers from 0 to 1")
    counted = np.array([len(text) for text in texts] if lengths is None else lengths, dtype=np.int32)
    if counted.shape != (len(texts),):
        raise ValueError(f"lengths: expected one for each of {len(texts)} texts, got the shape {list(counted.shape)}")
    return found, counted
