"""What is fitted on the held-out texts after training: a temperature, and thresholds for several labels a text.

    logits, labels of the validation part -> temperature -> probabilities -> thresholds

Neither changes the network. The temperature makes probabilities mean what they say: of predictions with 0.9, nine in
ten are to be right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from torch import Tensor

from textnn.classification.objectives import Objective

Array = np.ndarray[Any, np.dtype[Any]]

FEWEST_TEXTS = 100
"""Below this many held-out texts a temperature would be little more than chance."""

_LOWEST, _HIGHEST = 0.05, 20.0


@dataclass(frozen=True)
class Calibration:
    """A temperature, and what it did to the held-out texts that it was fitted on.

    Attributes
    ----------
    temperature : float
        What logits are divided by; above 1 where the network was overconfident.
    loss, calibrated_loss : float
        Mean negative log likelihood of the labels without it and with it.
    texts : int
        How many texts it was fitted on.

    Examples
    --------
    >>> found = Calibration(temperature=1.3, loss=0.47, calibrated_loss=0.43, texts=100)
    >>> found.calibrated_loss < found.loss
    True
    """

    temperature: float
    loss: float
    calibrated_loss: float
    texts: int

    @classmethod
    def from_dict(cls, stored: Any) -> Calibration | None:
        """Return what ``dataclasses.asdict`` gave, or None for None.

        Raises
        ------
        ValueError
            If it is something else.
        """
        if stored is None:
            return None
        names = {field.name for field in fields(cls)}
        if not isinstance(stored, dict) or set(stored) != names:
            raise ValueError(f"expected 'calibration' to have {', '.join(sorted(names))}, got {stored!r:.80}")
        if not all(isinstance(value, int | float) for value in stored.values()):
            raise ValueError(f"expected 'calibration' to have numbers, got {stored!r:.80}")
        return cls(**stored)


def fit_temperature(
    objective: Objective, logits: Tensor, labels: Tensor, weights: Tensor | None = None
) -> Calibration | None:
    """Return the temperature of the least loss, or None for fewer than 100 texts.

    Where every text is predicted right the likelihood alone would ask for probabilities of 0 and 1. So the targets are
    the expectations of them after one more text of each class, which is what Platt used ("Probabilistic outputs for
    support vector machines", 1999, section 2.2). The temperature is from 1/20 to 20.
    (Guo et al., "On Calibration of Modern Neural Networks", 2017, section 4.2.)

    Parameters
    ----------
    objective
        Says what the loss is.
    logits, labels, weights
        [texts, K], labels as the objective takes them, and float [texts] or None.
    """
    from scipy.optimize import minimize_scalar

    texts = len(logits)
    if texts < FEWEST_TEXTS:
        return None
    answers = 2 if labels.dim() == 2 else max(2, logits.shape[1])
    smoothing = answers / (texts + answers)
    logits = logits.double()
    found = minimize_scalar(
        lambda exponent: objective.measure(logits / math.exp(exponent), labels, weights, smoothing)[0],
        bounds=(math.log(_LOWEST), math.log(_HIGHEST)),
        method="bounded",
        options={"xatol": 1e-4},
    )
    temperature = float(math.exp(found.x))
    before, after = (objective.measure(logits / divisor, labels, weights)[0] for divisor in (1.0, temperature))
    return Calibration(temperature, before, after, texts)


def best_thresholds(probabilities: Array, labels: Array) -> Array:
    """Return for each class the threshold of the best F1, float64 [classes].

    It lies half-way between two probabilities, and of several that are as good it is the one closest to 0.5. A class
    that none of the texts has gets 0.5.

    Parameters
    ----------
    probabilities
        [texts, classes]; a class is predicted from its threshold on.
    labels
        Whether a text has a class, [texts, classes].
    """
    return np.array([_best_threshold(*columns) for columns in zip(probabilities.T, labels.T != 0, strict=True)])


def _best_threshold(probabilities: Array, labels: Array) -> float:
    if not labels.any():
        return 0.5
    order = np.argsort(-probabilities, kind="stable")
    ordered = probabilities[order]
    # Cutting after place p predicts p + 1 texts; only between different probabilities is there a place to cut.
    places = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
    hits = np.cumsum(labels[order])[places]
    f1 = 2 * hits / (places + 1 + labels.sum())
    below = np.append(ordered[1:], 0.0)[places]
    thresholds = (ordered[places] + below) / 2
    best = np.flatnonzero(f1 >= f1.max() - 1e-12)
    # 0.5 itself, where it cuts at one of the best places.
    inside = best[(below[best] < 0.5) & (ordered[places[best]] >= 0.5)]
    return 0.5 if len(inside) else float(thresholds[best[np.abs(thresholds[best] - 0.5).argmin()]])
