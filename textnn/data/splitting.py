"""Which texts are trained on and which are held out, also where each process has a share of them.

    keys of all texts -> texts that are the same -> split, stratified by label -> Part(rows of this process, places)

Texts that are the same go to the same side: a text that is trained on says nothing when it is asked again.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from textnn.data.audit import even_space
from textnn.distributed import Group, Numbers, joint_numbers

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, eq=False)
class Part:
    """The texts to train on, or those that are held out.

    Attributes
    ----------
    rows
        This process's texts of the part, as positions in its share.
    places
        For each process the places of its texts within the part, rising: ``places[rank][i]`` is that of ``rows[i]``.
    """

    rows: list[int]
    places: list[Numbers]

    def __len__(self) -> int:
        return sum(map(len, self.places))

    def join(self, values: Array, group: Group) -> Array:
        """Return values [texts of this process, ...] of the texts of the part, all processes' in its order."""
        return _join(self.places, group.gather(values[self.rows]))


class Shares:
    """Texts that the processes of a group have a share of each; their numbers run over the shares in turn.

    Parameters
    ----------
    size
        The number of texts of this process's share.
    group
        The processes.
    start
        The position of its first text among all that this process has.
    """

    def __init__(self, size: int, group: Group, start: int = 0) -> None:
        self._group, self._start = group, start
        sizes = group.gather(size)
        self._numbers = [joint_numbers(sizes, rank) for rank in range(group.size)]

    def __len__(self) -> int:
        return sum(map(len, self._numbers))

    def join(self, values: Array) -> Array:
        """Return values [texts of the share, ...] of all processes, in the order of their numbers."""
        return _join(self._numbers, self._group.gather(values))

    def part(self, chosen: Sequence[int] | Numbers) -> Part:
        """Return the part with the texts of these numbers, in this order."""
        numbers = np.asarray(chosen, dtype=np.int64)
        place = np.full(len(self), -1)
        place[numbers] = np.arange(len(numbers))
        rows, places = [], []
        for number in self._numbers:
            there = np.flatnonzero(place[number] >= 0)
            there = there[np.argsort(place[number[there]])]
            rows.append((there + self._start).tolist())
            places.append(place[number[there]])
        return Part(rows[self._group.rank], places)


def _join(places: Sequence[Numbers], shares: Sequence[Array]) -> Array:
    joint = np.empty((sum(map(len, places)), *shares[0].shape[1:]), dtype=shares[0].dtype)
    for place, share in zip(places, shares, strict=True):
        joint[place] = share
    return joint


def text_keys(texts: Iterable[str]) -> Numbers:
    """Return a number for each text, int64 [texts]; the same for texts that differ in white space at most."""
    digests = (
        hashlib.blake2b(even_space(text).encode("utf-8", "surrogatepass"), digest_size=8).digest() for text in texts
    )
    return np.frombuffer(b"".join(digests), dtype=np.int64)


def split(codes: Array, keys: Numbers, fraction: float, seed: int) -> tuple[Numbers, Numbers]:
    """Split texts into those to train on and those that are held out.

    Parameters
    ----------
    codes
        Class of each text, int64 [texts], or for each class whether a text has it, [texts, classes].
    keys
        int64 [texts]; texts of the same key go to the same side.
    fraction
        Share of the different texts that is held out.
    seed
        The same seed gives the same split.

    Returns
    -------
    training, held_out
        Rows, the first rising, the second in random order. With one label a text both have the same shares of classes
        (a text of several labels counts by its first one); else each label has a text in the training part, if any
        text has it. The second is empty if it would be too small to have each class.
    """
    first, inverse = np.unique(keys, return_index=True, return_inverse=True)[1:]
    # Groups by the first occurrence of their text: with no text twice they are the rows.
    order = np.argsort(first)
    group = np.argsort(order)[inverse.reshape(-1)]
    if codes.ndim == 1:
        held_out = stratified_split(codes[first[order]].tolist(), fraction, seed)[1]
    else:
        labels = np.zeros((len(first), codes.shape[1]), dtype=bool)
        np.logical_or.at(labels, group, codes.astype(bool))
        held_out = _random_split(labels, fraction, seed)
    members = np.split(np.argsort(group, kind="stable"), np.cumsum(np.bincount(group))[:-1]) if len(keys) else []
    chosen = np.concatenate([members[number] for number in held_out]) if held_out else np.empty(0, dtype=np.int64)
    return np.setdiff1d(np.arange(len(keys)), chosen), chosen


def stratified_split(codes: Sequence[int], fraction: float, seed: int) -> tuple[list[int], list[int]]:
    """Split rows into a training and a validation part with the same shares of classes.

    Parameters
    ----------
    codes
        Class of each row.
    fraction
        Share of the validation part.
    seed
        The same seed gives the same split.

    Returns
    -------
    training, validation
        Rows in random order. A class with a single row is in the training part. The validation part is empty if
        ``fraction`` is 0, or if it would be too small to have each class.
    """
    labels = np.asarray(codes)
    counts = np.bincount(labels)
    single = np.flatnonzero(counts[labels] < 2)
    several = np.flatnonzero(counts[labels] >= 2)
    size = math.ceil(fraction * len(labels))
    classes = int((counts >= 2).sum())
    if fraction == 0 or size < classes or len(several) - size < classes:
        return np.random.RandomState(seed).permutation(len(labels)).tolist(), []
    from sklearn.model_selection import train_test_split

    training, validation = train_test_split(several, test_size=size, stratify=labels[several], random_state=seed)
    return [*training.tolist(), *single.tolist()], validation.tolist()


def _random_split(labels: Array, fraction: float, seed: int) -> list[int]:
    """Draw rows of a matrix bool [rows, classes] such that the others still have each label."""
    left = labels.sum(axis=0)
    size = int(fraction * len(labels))
    held_out: list[int] = []
    for row in np.random.RandomState(seed).permutation(len(labels)).tolist():
        if len(held_out) >= size:
            break
        if (left[labels[row]] > 1).all():
            left -= labels[row]
            held_out.append(row)
    return held_out
