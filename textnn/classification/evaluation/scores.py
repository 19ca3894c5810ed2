"""What the probabilities say beyond right and wrong: how well they rank, how much they may be believed.

    probabilities [N, K], true classes [N] or [N, K] -> ROC-AUC of each class, log loss
                                                     -> bins of confidence -> expected calibration error
    lengths [N], right or wrong [N]                  -> accuracy by length

N texts, K classes of the classifier. A figure that these texts do not define is None: a ROC-AUC with texts of one class
only, and both ROC-AUC and log loss where a text has a label that the classifier does not know.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from textnn.classification.evaluation.bootstrap import Interval, wilson_interval

Array = np.ndarray[Any, np.dtype[Any]]

BINS = 15
_GROUPS, _GROUP_TEXTS = 10, 20


@dataclass(frozen=True)
class ReliabilityBin:
    """The answers whose confidence is above ``low`` and at most ``high``.

    Attributes
    ----------
    low, high
        The bin's ends; the first one includes 0.
    answers
        How many there are.
    confidence, accuracy
        Their mean confidence and the share of right ones; None without an answer.
    """

    low: float
    high: float
    answers: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True)
class LengthBin:
    """The texts of ``low`` to ``high`` characters or tokens.

    Attributes
    ----------
    low, high
        Lengths of the shortest and the longest.
    texts
        How many there are.
    accuracy, interval
        The share of right ones, and Wilson's 95 % interval of it.
    """

    low: int
    high: int
    texts: int
    accuracy: float
    interval: Interval


@dataclass(frozen=True, eq=False)
class Scores:
    """The probabilities of an evaluation and what they are compared with.

    Attributes
    ----------
    probabilities
        float32 [N, K].
    truth
        Where a text has one label the code of it, int32 [N], K or more for a label that the classifier does not know;
        else whether a text has a label, bool [N, K].
    right
        Whether the prediction is right, bool [N].
    lengths, unit
        int32 [N], in ``"characters"`` or ``"tokens"``.
    """

    probabilities: Array
    truth: Array
    right: Array
    lengths: Array
    unit: str

    @property
    def several(self) -> bool:
        """Whether a text may have several labels."""
        return self.truth.ndim == 2

    @property
    def classes(self) -> int:
        """K, the number of classes that the classifier knows."""
        return int(self.probabilities.shape[1])

    @property
    def known(self) -> bool:
        """Whether the classifier knows the label of every text, which ROC-AUC and log loss need."""
        return self.several or bool((self.truth < self.classes).all())

    def has(self, code: int) -> Array:
        """Return whether each text is of a class, bool [N]."""
        return self.truth[:, code] if self.several else self.truth == code

    def class_roc_auc(self) -> list[float | None]:
        """Return the area under the ROC curve of each class against the rest, [K]."""
        from sklearn.metrics import roc_auc_score

        found: list[float | None] = []
        for code in range(self.classes):
            own = self.has(code)
            defined = self.known and own.any() and not own.all()
            found.append(float(roc_auc_score(own, self.probabilities[:, code])) if defined else None)
        return found

    def log_loss(self) -> float | None:
        """Return the mean negative log probability of the true label, or of each label's true yes or no."""
        if not self.known:
            return None
        if self.several:
            table = self.probabilities.astype(np.float64)
            chosen = np.where(self.truth, table, 1 - table)
        else:
            chosen = self.probabilities[np.arange(len(self.truth)), self.truth].astype(np.float64)
        # As scikit-learn's log_loss does: a probability of 0 for what is true costs 36, not infinity.
        return float(-np.log(np.maximum(chosen, np.finfo(np.float64).eps)).mean())

    def reliability(self) -> list[ReliabilityBin]:
        """Return 15 bins of confidence, of the same width.

        Confidence is the probability of the predicted class, and accuracy the share of right predictions. Where a text
        may have several labels, each text and label is an answer: confidence is the label's probability, and accuracy
        the share of texts that have it.
        """
        if self.several:
            confidence, outcome = self.probabilities.ravel().astype(np.float64), self.truth.ravel()
        else:
            confidence, outcome = self.probabilities.max(axis=1).astype(np.float64), self.right
        # float32 holds 0.6 as a little more: the ends of bins are meant as they are written.
        number = np.clip(np.ceil(confidence * BINS - 1e-5).astype(np.int64) - 1, 0, BINS - 1)
        counts, sums, hits = (np.bincount(number, weights, BINS) for weights in (None, confidence, outcome))
        return [
            ReliabilityBin(
                place / BINS,
                (place + 1) / BINS,
                int(counts[place]),
                float(sums[place] / counts[place]) if counts[place] else None,
                float(hits[place] / counts[place]) if counts[place] else None,
            )
            for place in range(BINS)
        ]

    def length_bins(self) -> list[LengthBin]:
        """Return the accuracy by length, in at most 10 groups of about as many texts, 20 or more if there are."""
        groups = min(_GROUPS, max(1, len(self.lengths) // _GROUP_TEXTS))
        shares = np.arange(1, groups + 1) / groups
        ends = np.unique(np.quantile(self.lengths, shares, method="inverted_cdf"))
        place = np.searchsorted(ends, self.lengths)
        bins = []
        for number in range(len(ends)):
            lengths, right = self.lengths[place == number], self.right[place == number]
            bins.append(
                LengthBin(
                    int(lengths.min()),
                    int(lengths.max()),
                    len(lengths),
                    float(right.mean()),
                    wilson_interval(int(right.sum()), len(right)),
                )
            )
        return bins


def calibration_error(bins: list[ReliabilityBin]) -> float:
    """Return the mean distance of confidence and accuracy over the answers of all bins.

    The expected calibration error of Guo et al., "On Calibration of Modern Neural Networks", 2017, equation 3.
    """
    filled = [(row.answers, abs(row.confidence - row.accuracy)) for row in bins if row.answers]  # type: ignore[operator]
    return sum(answers * gap for answers, gap in filled) / sum(answers for answers, _ in filled)


def mean_defined(values: list[float | None]) -> float | None:
    """Return the mean of the values that are not None, or None if there are none."""
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if defined else None
