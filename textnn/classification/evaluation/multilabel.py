"""Evaluation where a text may have several labels: how good each label's yes or no is, and all of them together.

labels, probabilities [rows, classes] >= thresholds -> hits, false alarms and misses of each class
                                                    -> precision, recall, F1, their means
                                                    -> rows whose labels are all right
                                                    -> ``Scores`` -> ROC-AUC, log loss, calibration, accuracy by length
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from textnn.classification.evaluation.bootstrap import Interval, accuracy_interval
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
from textnn.classification.evaluation.tables import table

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, eq=False)
class MultilabelReport(ShownReport):
    """What a multi-label evaluation found; ``print`` it, or take its parts. A metric that is 0/0 is given as 0.

    Attributes
    ----------
    classes : list
        The labels: those of the classifier, then those that it does not know.
    counts : ndarray
        True positives, false positives and false negatives of each, int64 [classes, 3].
    texts : int
        The number of texts.
    exact : int
        The number of texts whose labels are all right.
    worst_errors : list of WrongPrediction
        The texts with the most confident wrong yes or no, the most confident first; ``label`` and ``predicted`` are
        tuples of labels.
    scores : Scores or None, default=None
        Probabilities, true labels and lengths of the texts, from which the plots and some metrics are made; None in a
        report that was made from counts, where those metrics are None.

    Examples
    --------
    >>> import numpy as np
    >>> counts = np.array([[8, 2, 1], [5, 0, 5]])
    >>> report = MultilabelReport(["price", "service"], counts, texts=20, exact=14, worst_errors=[])
    >>> report.accuracy, [round(one.recall, 3) for one in report.per_class]
    (0.7, [0.889, 0.5])
    """

    multilabel = True

    classes: list[Hashable]
    counts: np.ndarray[Any, np.dtype[np.int64]]
    texts: int
    exact: int
    worst_errors: list[WrongPrediction]
    scores: Scores | None = field(default=None, repr=False)

    @property
    def errors(self) -> int:
        """The number of texts that have a label too many or too few."""
        return self.texts - self.exact

    @property
    def accuracy(self) -> float:
        """The share of texts whose labels are all right (subset accuracy)."""
        return self.exact / self.texts

    @cached_property
    def accuracy_interval(self) -> Interval:
        """Where the accuracy lies in 95 % of the drawings of as many texts out of these (percentile bootstrap).

        Wilson's 95 % interval where all are right, or all wrong, and all drawings the same.
        """
        return accuracy_interval(self.exact, self.texts)

    @property
    def hamming_loss(self) -> float:
        """The share of wrong answers among all, one for each text and class."""
        return float(self.counts[:, 1:].sum()) / (self.texts * len(self.classes))

    @property
    def confusion(self) -> Array:
        """Texts by whether they have a label (row: no, yes) and were given it (column), int64 [classes, 2, 2]."""
        hits, alarms, misses = self.counts.T
        return np.stack([self.texts - self.counts.sum(axis=1), alarms, misses, hits], axis=1).reshape(-1, 2, 2)

    @property
    def per_class(self) -> list[ClassMetrics]:
        """The figures of each label."""
        return [_metrics(label, row) for label, row in zip(self.classes, self.counts, strict=True)]

    @property
    def micro(self) -> ClassMetrics:
        """The figures over all labels together; ``support`` is the number of labels that texts have."""
        return _metrics("micro average", self.counts.sum(axis=0))

    @property
    def macro(self) -> ClassMetrics:
        """The plain means over the labels; ``support`` is the number of labels that texts have."""
        rows = self.per_class
        precision, recall, f1 = (
            float(np.mean([getattr(row, name) for row in rows])) for name in ("precision", "recall", "f1")
        )
        return ClassMetrics("macro average", precision, recall, f1, sum(row.support for row in rows))

    @classmethod
    def from_predictions(
        cls,
        classes: Sequence[Hashable],
        labels: Sequence[Sequence[Hashable]],
        probabilities: Array,
        thresholds: Array,
        texts: Sequence[str],
        worst: int = 10,
        lengths: Sequence[int] | Array | None = None,
        unit: str = "characters",
    ) -> MultilabelReport:
        """Compare probabilities with labels.

        Parameters
        ----------
        classes
            The classes of the columns of ``probabilities``.
        labels
            The true labels of each row. A label that is none of the classes is a miss wherever it occurs.
        probabilities
            [rows, classes].
        thresholds
            [classes]; a class is predicted from its threshold on.
        texts, worst, lengths, unit
            As in :meth:`EvaluationReport.from_predictions`, which raises the same errors.
        """
        probabilities, counted = check_rows(classes, labels, probabilities, texts, lengths)
        code = class_codes(classes, itertools.chain.from_iterable(labels))
        names = list(code)
        true = np.zeros((len(labels), len(code)), dtype=bool)
        for row, own in enumerate(labels):
            true[row, [code[label] for label in own]] = True
        predicted, sure = np.zeros_like(true), np.zeros(true.shape)
        predicted[:, : len(classes)], sure[:, : len(classes)] = probabilities >= thresholds, probabilities
        counts = np.stack([(true & predicted).sum(0), (~true & predicted).sum(0), (true & ~predicted).sum(0)], axis=1)
        right = (true == predicted).all(axis=1)
        wrong = np.flatnonzero(~right)
        # How sure the classifier was of each wrong answer.
        sure = np.where(true == predicted, 0.0, np.where(predicted, sure, 1 - sure))[wrong].max(axis=1)
        errors = [
            WrongPrediction(
                int(wrong[place]),
                texts[wrong[place]],
                tuple(names[number] for number in np.flatnonzero(true[wrong[place]])),
                tuple(names[number] for number in np.flatnonzero(predicted[wrong[place]])),
                float(sure[place]),
                probabilities[wrong[place]].tolist(),
            )
            for place in np.argsort(-sure, kind="stable")[:worst]
        ]
        scores = Scores(probabilities.astype(np.float32), true[:, : len(classes)], right, counted, unit)
        return cls(names, counts, len(texts), len(texts) - len(wrong), errors, scores)

    @classmethod
    def from_counts(cls, classes: Sequence[Hashable], stored: Any) -> MultilabelReport:
        """Make a report, without errors, of what :meth:`to_counts` gave.

        Raises
        ------
        ValueError
            If it is something else, or its counts contradict each other.
        """
        if not isinstance(stored, Mapping) or not {"counts", "texts", "exact"} <= set(stored):
            raise ValueError(f"counts: expected those of an evaluation, got {stored!r:.80}")
        counts = check_counts("counts", stored["counts"], (len(classes), 3))
        texts, exact = check_counts("texts and exact", [stored["texts"], stored["exact"]], (2,)).tolist()
        if not 0 <= exact <= texts or not texts:
            raise ValueError(f"counts: expected at least one text and no more right ones, got {exact} of {texts}")
        wrong = counts[:, 1] + counts[:, 2]
        # A text counts once for a label: as hit, false alarm, miss, or neither; a wrong one is wrong for some label.
        if (counts[:, 0] + wrong > texts).any() or (wrong > texts - exact).any() or wrong.sum() < texts - exact:
            raise ValueError(f"counts: expected counts that {texts} texts, {exact} of them right, can give, got others")
        return cls(list(classes), counts, texts, exact, [])

    def to_counts(self) -> dict[str, Any]:
        """Return what the figures follow from, for JSON."""
        return {"counts": self.counts.tolist(), "texts": self.texts, "exact": self.exact}

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        means = {name: figures(getattr(self, name)) for name in ("micro", "macro")}
        return {
            "texts": self.texts,
            "errors": self.errors,
            "accuracy": self.accuracy,
            "accuracy_interval": list(self.accuracy_interval),
            "hamming_loss": self.hamming_loss,
            **{name: {key: mean[key] for key in ("precision", "recall", "f1")} for name, mean in means.items()},
            **self._scored_values(),
            "classes": self._class_values(self.per_class),
            "confusion_matrices": self.confusion.tolist(),
            "worst_errors": error_values(self.worst_errors, lambda own: [plain_label(label) for label in own]),
        }

    def summary(self) -> str:
        """Return the figures without the errors' texts, as an aligned table."""
        header, rows = self._class_rows(self.per_class, [self.micro, self.macro])
        right = f"{self.exact:,} of {self.texts:,} texts"
        return "\n".join(
            [
                f"all labels right {self.accuracy:.4f} ({right}), 95 % interval {self.accuracy_interval}, "
                f"Hamming loss {self.hamming_loss:.4f}",
                *self._scored_line(),
                "",
                *table(["label", *header], rows),
            ]
        )

    def label_text(self, label: Any) -> str:
        return " | ".join(map(super().label_text, label)) or "none"


def _metrics(label: Hashable, counts: Array) -> ClassMetrics:
    hits, alarms, misses = (int(count) for count in counts)
    return class_metrics(label, hits, hits + alarms, hits + misses)
