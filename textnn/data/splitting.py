"""Which texts are trained on and which are held out.

    keys of all texts -> texts that are the same -> split, stratified by label -> rows of both parts

Texts that are the same go to the same side: a text that is trained on says nothing when it is asked again.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from textnn.data.audit import even_space

Array = np.ndarray[Any, np.dtype[Any]]
Numbers = np.ndarray[Any, np.dtype[np.int64]]


def text_keys(texts: Iterable[str]) -> Numbers:
    """Return a number for each text, int64 [texts]; the same for texts that differ in white space at most."""
    return string_keys(map(even_space, texts))


def string_keys(strings: Iterable[str]) -> Numbers:
    """Return a number for each string, int64 [strings]; the same for the same."""
    digests = (hashlib.blake2b(each.encode("utf-8", "surrogatepass"), digest_size=8).digest() for each in strings)
    return np.frombuffer(b"".join(digests), dtype=np.int64)


def hold_out(keys: Numbers, fraction: float, seed: int) -> tuple[list[int], list[int]]:
    """Return the rows to train on and those that are held out, of texts without classes; as :func:`split` does."""
    training, held_out = split(np.zeros(len(keys), dtype=np.int64), keys, fraction, seed)
    return training.tolist(), sorted(held_out.tolist())


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
