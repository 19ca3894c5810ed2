"""Evaluation: how good a classifier is on labelled texts, and where it errs.

    labels, probabilities [rows, classes] -> confusion matrix -> precision, recall, F1 of each class, their means
                                                              -> intervals, comparison with the most frequent class
                                          -> ``Scores`` -> ROC-AUC, log loss, calibration, accuracy by length
                                          -> the wrong predictions of which the classifier was surest

A confusion matrix is enough for all but the scores and the errors. Where a figure is 0/0 (the precision of a class that
was never predicted) it is given as 0.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from textnn.classification.evaluation.bootstrap import Interval, accuracy_interval, macro_f1_interval
from textnn.classification.evaluation.metrics import (
    ClassMetrics,
    WrongPrediction,
    check_counts,
    check_rows,
    class_codes,
    class_metrics,
    figures,
    plain_label,
)
from textnn.classification.evaluation.scored import error_values
from textnn.classification.evaluation.scores import Scores
from textnn.classification.evaluation.shown import ShownReport
from textnn.classification.evaluation.tables import shorten, table

# A matrix of more columns does not fit a terminal; `to_dict` has it.
_MATRIX_CLASSES = 12

DENSE_CLASSES = 2000
"""A confusion matrix of more classes is sparse: of 100,000 it would else take 80 GB."""


@dataclass(frozen=True, eq=False)
class EvaluationReport(ShownReport):
    """What an evaluation found; ``print`` it, or take its parts.

    Attributes
    ----------
    classes : list
        The classes in the order of the matrix: those of the classifier, then labels that it does not know.
    confusion : ndarray or csr_array
        Texts by true class (row) and predicted class (column), int64 [classes, classes]; of more than 2,000 classes a
        sparse matrix of scipy's, ``csr_array``.
    per_class : list of ClassMetrics
        The metrics of each class.
    worst_errors : list of WrongPrediction
        The wrong predictions of the highest probability, the most confident first.
    scores : Scores or None
        Probabilities, true classes and lengths of the texts, from which the plots and some metrics are made; None in a
        report that was made from a confusion matrix, where those metrics are None.

    Examples
    --------
    >>> import numpy as np
    >>> probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
    >>> labels, texts = ["bad", "good", "good"], ["dirty", "clean", "so-so"]
    >>> report = EvaluationReport.from_predictions(["bad", "good"], labels, probabilities, texts)
    >>> round(report.accuracy, 3), report.confusion.tolist(), report.worst_errors[0].text
    (0.667, [[1, 0], [1, 1]], 'so-so')
    """

    multilabel = False

    classes: list[Hashable]
    confusion: Any
    per_class: list[ClassMetrics]
    worst_errors: list[WrongPrediction]
    scores: Scores | None = field(default=None, repr=False)

    @property
    def texts(self) -> int:
        """The number of texts."""
        return int(self.confusion.sum())

    @property
    def errors(self) -> int:
        """The number of wrong predictions."""
        return self.texts - int(self.confusion.trace())

    @property
    def accuracy(self) -> float:
        """The share of right predictions."""
        return float(self.confusion.trace()) / self.texts

    @property
    def macro(self) -> ClassMetrics:
        """The plain means over the classes that occur, as true or as predicted ones."""
        occur = self.confusion.sum(axis=0) + self.confusion.sum(axis=1) > 0
        rows = [metrics for metrics, counts in zip(self.per_class, occur, strict=True) if counts]
        precision, recall, f1 = (
            float(np.mean([getattr(metrics, name) for metrics in rows])) for name in ("precision", "recall", "f1")
        )
        return ClassMetrics("macro average", precision, recall, f1, self.texts)

    @cached_property
    def accuracy_interval(self) -> Interval:
        """Where the accuracy lies in 95 % of the drawings of as many texts out of these (percentile bootstrap).

        Wilson's 95 % interval where all are right, or all wrong, and all drawings the same.
        """
        return accuracy_interval(self.texts - self.errors, self.texts)

    @cached_property
    def macro_f1_interval(self) -> Interval | None:
        """The bootstrap's interval for the macro average of F1; None where all are right, or all wrong."""
        return macro_f1_interval(self.confusion)

    @property
    def majority_class(self) -> Hashable:
        """The most frequent true class of these texts, the first of several."""
        return self.classes[int(self.confusion.sum(axis=1).argmax())]

    @property
    def majority_accuracy(self) -> float:
        """The accuracy of answering :attr:`majority_class` to every text."""
        return float(self.confusion.sum(axis=1).max()) / self.texts

    @property
    def comparison(self) -> str:
        """A sentence on the accuracy beside that of the most frequent class."""
        low, high = self.accuracy_interval
        label, share = shorten(str(self.majority_class), 40), f"{self.majority_accuracy:.4f}"
        if low > self.majority_accuracy:
            finding = "below the whole interval"
        elif high < self.majority_accuracy:
            finding = "above the whole interval: the classifier is worse than that"
        else:
            finding = "within the interval: these texts do not show that the classifier is better"
        return f"always answering {label!r}: accuracy {share}, {finding}"

    @classmethod
    def from_predictions(
        cls,
        classes: Sequence[Hashable],
        labels: Sequence[Hashable],
        probabilities: np.ndarray[Any, Any],
        texts: Sequence[str],
        worst: int = 10,
        lengths: Sequence[int] | np.ndarray[Any, Any] | None = None,
        unit: str = "characters",
    ) -> EvaluationReport:
        """Compare probabilities with labels.

        Parameters
        ----------
        classes
            The classes of the columns of ``probabilities``.
        labels, texts
            The true label of each row, and its text.
        probabilities
            [rows, classes]; the predicted class is the one of the largest.
        worst
            How many errors to list.
        lengths, unit
            The length of each text, and what is counted; in characters where it is not given.

        Raises
        ------
        ValueError
            If there are no rows, not as many of each, or the probabilities are not numbers from 0 to 1.
        """
        probabilities, counted = check_rows(classes, labels, probabilities, texts, lengths)
        code = class_codes(classes, labels)
        true = np.array([code[label] for label in labels], dtype=np.int32)
        predicted = probabilities.argmax(axis=1)
        names, shape = list(code), (len(code), len(code))
        confusion: Any = csr_array((np.ones(len(true), np.int64), (true, predicted)), shape)
        if len(code) <= DENSE_CLASSES:
            confusion = confusion.toarray()
        wrong = np.flatnonzero(true != predicted)
        surest = wrong[np.argsort(-probabilities[wrong, predicted[wrong]], kind="stable")][:worst]
        errors = [
            WrongPrediction(
                int(row),
                texts[row],
                names[true[row]],
                names[predicted[row]],
                float(probabilities[row, predicted[row]]),
                probabilities[row].tolist(),
            )
            for row in surest
        ]
        scores = Scores(probabilities.astype(np.float32), true, true == predicted, counted, unit)
        return cls(names, confusion, _class_metrics(names, confusion), errors, scores)

    @classmethod
    def from_confusion(cls, classes: Sequence[Hashable], confusion: np.ndarray[Any, Any]) -> EvaluationReport:
        """Make a report, without errors, of a confusion matrix [classes, classes].

        Raises
        ------
        ValueError
            If it has another shape, holds anything but whole numbers from 0, no text, or more than 2**53.
        """
        names = list(classes)
        counts = check_counts("confusion", confusion, (len(names), len(names)))
        if not counts.any():
            raise ValueError("confusion: expected counts of at least one text, got none")
        return cls(names, counts, _class_metrics(names, counts), [])

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        macro = figures(self.macro)
        return {
            "texts": self.texts,
            "errors": self.errors,
            "accuracy": self.accuracy,
            "accuracy_interval": list(self.accuracy_interval),
            "majority": {"label": plain_label(self.majority_class), "accuracy": self.majority_accuracy},
            "comparison": self.comparison,
            "macro": {
                **{name: macro[name] for name in ("precision", "recall", "f1")},
                "f1_interval": None if self.macro_f1_interval is None else list(self.macro_f1_interval),
            },
            **self._scored_values(),
            "classes": self._class_values(self.per_class),
            "confusion_matrix": {"labels": [plain_label(c) for c in self.classes], "rows": dense_rows(self.confusion)},
            "worst_errors": error_values(self.worst_errors),
        }

    def summary(self) -> str:
        """Return the figures without the errors' texts, as aligned tables."""
        header, rows = self._class_rows(self.per_class, [self.macro])
        right, f1 = f"{self.texts - self.errors:,} of {self.texts:,} texts", self.macro_f1_interval
        lines = [
            f"accuracy {self.accuracy:.4f} ({right}), 95 % interval {self.accuracy_interval}",
            f"macro F1 {self.macro.f1:.4f}, " + (f"95 % interval {f1}" if f1 else "without an interval"),
            *self._scored_line(),
            self.comparison,
            "",
            *table(["class", *header], rows),
        ]
        if len(self.classes) <= _MATRIX_CLASSES:
            names = [str(label) for label in self.classes]
            counts = [[f"{count:,}" for count in row] for row in self.confusion.tolist()]
            lines += ["", "confusion matrix (rows: true class, columns: predicted class)"]
            lines += table(["", *names], [[name, *row] for name, row in zip(names, counts, strict=True)])
        return "\n".join(lines)


def dense_rows(confusion: Any) -> list[list[int]] | None:
    """Return a confusion matrix for JSON, None of one of so many classes that it is sparse."""
    return confusion.tolist() if isinstance(confusion, np.ndarray) else None


def _class_metrics(classes: list[Hashable], confusion: Any) -> list[ClassMetrics]:
    counts = confusion.diagonal(), confusion.sum(axis=0), confusion.sum(axis=1)
    return [class_metrics(*row) for row in zip(classes, *(count.tolist() for count in counts), strict=True)]
