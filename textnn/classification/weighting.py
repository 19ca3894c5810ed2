"""How much each text counts: weights of texts times weights of classes.

sample_weight [texts], class_weight -> weight of each text, a mean of 1 over the training part; None where all are equal
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from textnn.data.labels import Classes

Array = np.ndarray[Any, np.dtype[Any]]


def check_weights(sample_weight: Any, texts: int, argument: str = "sample_weight") -> Array:
    """Return the weights of texts, float64 [texts]; 1 for each where there are none.

    Parameters
    ----------
    sample_weight
        A number for each text, one number for all, or None. Numbers from 0.
    texts
        The number of texts.
    argument
        The name to use in messages.

    Raises
    ------
    TypeError, ValueError
        If it is something else.
    """
    if sample_weight is None:
        return np.ones(texts)
    try:
        weights = np.asarray(sample_weight, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{argument}: expected a number for each text, got {type(sample_weight).__name__}") from error
    if weights.ndim == 0:
        weights = np.full(texts, float(weights))
    if weights.shape != (texts,):
        shape = list(weights.shape)
        raise ValueError(f"{argument}: expected one number for each of {texts:,} texts, got the shape {shape}")
    wrong = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if len(wrong):
        raise ValueError(f"{argument}[{wrong[0]}]: expected a number from 0, got {weights[wrong[0]]:g}")
    return weights


def class_factors(class_weight: Any, classes: Classes, codes: Array, weights: Array) -> Array | None:
    """Return what each class's texts count, float64 [classes], or None where all count the same.

    Parameters
    ----------
    class_weight
        None; a dictionary from labels to numbers from 0, in which a label that is missing has 1; or ``"balanced"``:
        each class counts the same in sum, as in :func:`sklearn.utils.class_weight.compute_class_weight`.
    classes
        The labels.
    codes
        Class of each text, int64 [texts]. Or [texts, classes], whether a text has a class: then it is the texts with
        the class that are weighted against those without, and ``"balanced"`` makes them count the same in sum.
    weights
        Those of the texts, float64 [texts].

    Raises
    ------
    TypeError, ValueError
        If ``class_weight`` is something else.
    """
    if class_weight is None:
        return None
    if isinstance(class_weight, Mapping):
        return _from_dictionary(class_weight, classes)
    if not isinstance(class_weight, str) or class_weight != "balanced":
        raise ValueError(f"class_weight: expected None, 'balanced' or a dictionary of weights, got {class_weight!r}")
    if codes.ndim == 1:
        sums = np.bincount(codes, weights, minlength=len(classes))
        return weights.sum() / (np.count_nonzero(sums) * np.where(sums > 0, sums, 1.0))
    sums = (codes * weights[:, None]).sum(axis=0, dtype=np.float64)
    others = weights.sum() - sums
    return np.divide(others, sums, out=np.ones_like(sums), where=(sums > 0) & (others > 0))


def row_weights(
    weights: Sequence[Array], codes: Sequence[Array], factors: Array | None, mean: float
) -> list[Array | None]:
    """Return the weights of each part's texts, float32 [texts]; None for each part where all texts count the same.

    Parameters
    ----------
    weights, codes
        Of each text of each part.
    factors
        Of each class, or None.
    mean
        What they are divided by.
    """
    found = [w if factors is None else w * factors[code] for w, code in zip(weights, codes, strict=True)]
    if np.ptp(np.concatenate(found)) == 0:
        return [None] * len(found)
    return [(part / mean).astype(np.float32) for part in found]


def _from_dictionary(class_weight: Mapping[Any, Any], classes: Classes) -> Array:
    labels = classes.tolist()
    for label, weight in class_weight.items():
        if label not in labels:
            known = ", ".join(map(repr, labels[:20]))
            raise ValueError(f"class_weight: expected labels among the classes {known}, got {label!r}")
        if isinstance(weight, bool | str) or not hasattr(weight, "__float__"):
            raise TypeError(f"class_weight[{label!r}]: expected a number, got {type(weight).__name__} {weight!r}")
        if not 0 <= float(weight) < np.inf:
            raise ValueError(f"class_weight[{label!r}]: expected a number from 0, got {float(weight):g}")
    return np.array([float(class_weight.get(label, 1.0)) for label in labels])
