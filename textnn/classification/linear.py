"""A linear model of TF-IDF vectors of hashed n-grams, solved at once: what any network on text has to beat.

    ids -> distinct buckets of each text -> importance: inverse document frequency * sqrt(log-count ratio)   (fixed)
        -> vectors of length 1 -> a logistic regression for each output -> rows of the bags' tables, bias

The importance of an n-gram tells how rare it is, and how unevenly it falls on the classes: what is as frequent in one
class as in the others can say little, and gets little room to say it (Wang and Manning, "Baselines and Bigrams: Simple,
Good Sentiment and Topic Classification", 2012; the root, and one length for all classes, are this package's). Each
output then scales the n-grams once more by the ratio of its own class.
"""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from textnn.classification.objectives import Multilabel, Objective, Sigmoid
from textnn.functional import hash_ngrams
from textnn.layers import NgramBag
from textnn.text import RaggedBatch, RaggedDataset

Array = np.ndarray[Any, np.dtype[Any]]

COST = 100.0
"""C of the logistic regressions: the inverse of their regularisation."""

ROOM = 8
"""Buckets for each n-gram of the training texts: so many others there are for those of new texts, which say nothing."""

LARGEST_TABLE = 1 << 25
"""Values of a table at most, unless its size is asked for: with many classes n-grams have to share rows."""

MOST_NGRAMS = 1 << 28
"""N-grams of all texts that the solution looks at, at 50 bytes each; beyond, it takes every second text, or third."""

# Its random numbers come from one generator for the whole process.
_liblinear = threading.Lock()
_TEXTS = 1 << 12  # that are hashed at a time
_MARKS = 1 << 24


class LinearPart(Protocol):
    """What has a linear part to be solved: weighted bags, with the number of the form that each reads, and a bias."""

    @property
    def bags(self) -> Sequence[tuple[int, NgramBag]]:
        """The bags, each with the number of the form of a text that it reads."""

    @property
    def linear_bias(self) -> nn.Parameter:
        """Of each output, [K]."""


@dataclass(frozen=True, eq=False)
class Features:
    """The distinct n-grams of texts, as columns that only n-grams which occur have.

    Attributes
    ----------
    matrix
        1 where a text has an n-gram, scipy.sparse CSR float64 [texts, columns].
    buckets
        For each bag the buckets of its columns, rising, int64; the columns of the first bag come first.
    """

    matrix: Any
    buckets: Sequence[Array]


def suit_buckets(sizes: Sequence[Sequence[int]], data: RaggedDataset | None, most: int, outputs: int) -> int:
    """Return how many rows the tables of bags need for these texts: ``most``, or a power of two below.

    Parameters
    ----------
    sizes
        Lengths of the n-grams of each form of the texts.
    data
        The texts; None where others will come that are not known yet.
    most
        Rows at most.
    outputs
        Columns of a table.
    """
    most = max(2, min(most, 1 << (max(2, LARGEST_TABLE // outputs).bit_length() - 1)))
    if data is None:
        return most
    largest = 0
    for form, lengths in enumerate(sizes):
        if not lengths:
            continue
        marks = torch.zeros(_MARKS, dtype=torch.bool)
        for rows in torch.arange(len(data)).split(_TEXTS):
            inputs = data.batch(rows).inputs[2 * form :]
            marks[hash_ngrams(inputs[0], list(lengths), _MARKS, offsets=inputs[1]).flatten()] = True
        # Several n-grams may share a mark: so many are behind a share of marks, in the mean.
        share = min(int(marks[1:].sum()) / (_MARKS - 1), 0.999)
        largest = max(largest, round(-_MARKS * math.log1p(-share)))
    return min(most, 1 << max(12, (ROOM * largest - 1).bit_length()))


def find_features(bags: Sequence[tuple[int, NgramBag]], data: RaggedDataset) -> Features:
    """Find the distinct n-grams of texts.

    Parameters
    ----------
    bags
        Weighted bags, with the number of the form of the texts that each reads.
    data
        The texts.
    """
    from scipy import sparse

    counts: list[Array] = []
    columns: list[list[Array]] = [[] for _ in bags]
    for rows in torch.arange(len(data)).split(_TEXTS):
        for place, found in enumerate(_rows_read(bags, data.batch(rows))):
            starts, buckets = found
            columns[place].append(buckets)
            counts.append(starts)
    blocks, known = [], []
    for place in range(len(bags)):
        lengths = np.concatenate(counts[place :: len(bags)]) if counts else np.empty(0, dtype=np.int64)
        joined = np.concatenate(columns[place]) if columns[place] else np.empty(0, dtype=np.int32)
        buckets = np.flatnonzero(np.bincount(joined, minlength=1))
        place_of = np.zeros(int(buckets[-1]) + 1 if len(buckets) else 1, dtype=np.int32)
        place_of[buckets] = np.arange(len(buckets), dtype=np.int32)
        ends = np.concatenate([[0], np.cumsum(lengths)])
        shape = (len(data), len(buckets))
        blocks.append(sparse.csr_matrix((np.ones(len(joined)), place_of[joined], ends), shape=shape))
        known.append(buckets)
    return Features(sparse.hstack(blocks, format="csr"), known)


def _rows_read(bags: Sequence[tuple[int, NgramBag]], batch: RaggedBatch) -> list[tuple[Array, Array]]:
    """Return for each bag the number of distinct n-grams of each text, and their buckets, int32."""
    found = []
    inputs = batch.inputs
    for form, bag in bags:
        ids, offsets = inputs[2 * form], inputs[2 * form + 1]
        rows = bag.rows_read(ids, offsets=offsets)
        kept = rows > 0
        ends = torch.cat([kept.sum(1).cumsum(0), rows.new_zeros(1)])  # the last one is what stands before token 0
        after = torch.cat([offsets[1:], offsets.new_full((1,), len(ids))]) - 1
        lengths = ends[after] - ends[offsets - 1]
        found.append((lengths.numpy(), rows[kept].to(torch.int32).numpy()))
    return found


@torch.no_grad()
def solve(
    model: LinearPart, data: RaggedDataset, objective: Objective, progress: Callable[[], None] = lambda: None
) -> None:
    """Give the linear part of a network the importance and the weights that suit labelled texts best.

    Parameters
    ----------
    model
        Its bags have tables with a column for each output.
    data
        Texts with labels, and weights perhaps.
    objective
        Says what the outputs are.
    progress
        Called after each output.
    """
    bags, outputs = model.bags, len(model.linear_bias)
    data = _bounded(bags, data)
    features = find_features(bags, data)
    assert data.labels is not None
    answers = _answers(data.labels.numpy(), outputs, objective)  # [texts, problems]
    weights = np.ones(len(data)) if data.weights is None else data.weights.double().numpy()
    ratios = np.stack([_log_count_ratio(features.matrix, answer, weights) for answer in answers.T])
    spread = np.sqrt((ratios**2).mean(axis=0))
    frequency = features.matrix.T @ weights
    importance = (np.log((1 + weights.sum()) / (1 + frequency)) + 1) * np.sqrt(spread)
    scaled = features.matrix
    scaled.data = importance[scaled.indices]
    norms = np.sqrt(np.bincount(_rows_of(scaled), scaled.data**2, scaled.shape[0]))
    scaled.data /= np.where(norms > 0, norms, 1.0)[_rows_of(scaled)]
    own = np.sqrt(np.divide(np.abs(ratios), spread, out=np.ones_like(ratios), where=spread > 0))
    table, bias = np.zeros((features.matrix.shape[1], outputs)), np.zeros(outputs)
    positive = objective.positive_weights if isinstance(objective, Multilabel) else None
    for number, answer in enumerate(answers.T):
        factor = 1.0 if positive is None else float(positive[number])
        found, intercept = _regression(scaled, answer, weights * np.where(answer, factor, 1.0), own[number])
        if len(answers.T) == outputs:
            table[:, number], bias[number] = found, intercept
        else:  # two classes with a logit each
            table[:, 0], table[:, 1] = -found / 2, found / 2
            bias[:] = -intercept / 2, intercept / 2
        progress()
    start = 0
    for (_, bag), buckets in zip(bags, features.buckets, strict=True):
        end = start + len(buckets)
        rows = torch.from_numpy(buckets)
        bag.importance.zero_()
        bag.weight.zero_()
        bag.importance[rows] = torch.from_numpy(importance[start:end]).to(bag.importance)
        bag.weight[rows] = torch.from_numpy(table[start:end]).to(bag.weight)
        start = end
    model.linear_bias.copy_(torch.from_numpy(bias))


def _answers(labels: Array, outputs: int, objective: Objective) -> Array:
    """Return the yes and no of each problem, bool [texts, problems]: one for each output, but one for two classes."""
    if labels.ndim == 2:
        return labels != 0
    if isinstance(objective, Sigmoid) or outputs == 2:
        return labels[:, None] == 1
    return labels[:, None] == np.arange(outputs)


def _log_count_ratio(matrix: Any, answer: Array, weights: Array) -> Array:
    """Return how much more frequent each n-gram is in texts with the answer yes, as the logarithm of a ratio."""
    yes, no = (1 + matrix.T @ (weights * rows) for rows in (answer, ~answer))
    ratio: Array = np.log((yes / yes.sum()) / (no / no.sum()))
    return ratio


def _regression(matrix: Any, answer: Array, weights: Array, own: Array) -> tuple[Array, float]:
    """Return weights of the columns and the intercept of one problem, whose columns are scaled by ``own`` before."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    counts = weights > 0
    share = float(np.average(answer, weights=weights))
    if share in (0.0, 1.0):  # nothing to tell apart; as sure as one text of the other kind would leave it
        return np.zeros(matrix.shape[1]), float(np.log(counts.sum() + 1.0)) * (1 if share else -1)
    values = matrix.data
    matrix.data = values * own[matrix.indices]
    unit = float(np.sqrt((matrix.data**2).sum() / matrix.shape[0])) or 1.0
    matrix.data /= unit
    # There are many more columns than texts, so coordinates of the dual problem are quickest: 20 to 40 times (Yu, Huang
    # and Lin, "Dual Coordinate Descent Methods for Logistic Regression and Maximum Entropy Models", 2011).
    model = LogisticRegression(C=COST, solver="liblinear", dual=True, tol=0.1, random_state=0)
    with _liblinear, warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(matrix, answer, sample_weight=weights)
    matrix.data = values
    return model.coef_[0] * own / unit, float(model.intercept_[0])


def _rows_of(matrix: Any) -> Array:
    """Return the row of each value."""
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))


def _bounded(bags: Sequence[tuple[int, NgramBag]], data: RaggedDataset) -> RaggedDataset:
    """Return the texts, or so many of them, evenly taken, that their n-grams fit into memory."""
    forms = (data, *data.others)
    ngrams = sum(int(forms[form].lengths.sum()) * len(bag.sizes) for form, bag in bags)
    step = -(-ngrams // MOST_NGRAMS)
    return data if step <= 1 else data.take(torch.arange(0, len(data), step))
