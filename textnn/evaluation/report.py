"""Evaluation: how good a classifier is on labelled texts, and where it errs.

    labels, probabilities [rows, classes] -> confusion matrix -> precision, recall, F1 of each class, their means
                                          -> the wrong predictions of which the classifier was surest

Everything but the errors follows from the confusion matrix. Where a figure is 0/0 (the precision of a class that was
never predicted) it is given as 0.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_TEXT_WIDTH = 100
# A matrix of more columns does not fit a terminal; `to_dict` has it.
_MATRIX_CLASSES = 12


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
    row
        Position among the texts.
    text, label, predicted
        The text, its true class and the class it was given.
    probability
        The probability of the class that it was given.
    probabilities
        Those of all classes that the classifier knows, in their order.
    """

    row: int
    text: str
    label: Hashable
    predicted: Hashable
    probability: float
    probabilities: list[float]


@dataclass(frozen=True, eq=False)
class EvaluationReport:
    """What an evaluation found; ``print`` it, or take its parts.

    Attributes
    ----------
    classes
        The classes in the order of the matrix: those of the classifier, then labels that it does not know.
    confusion
        Texts by true class (row) and predicted class (column), int64 [classes, classes].
    per_class
        The figures of each class.
    worst_errors
        The wrong predictions of the highest probability, the surest first.
    """

    classes: list[Hashable]
    confusion: np.ndarray[Any, np.dtype[np.int64]]
    per_class: list[ClassMetrics]
    worst_errors: list[WrongPrediction]

    @property
    def texts(self) -> int:
        """The number of texts."""
        return int(self.confusion.sum())

    @property
    def errors(self) -> int:
        """The number of wrong predictions."""
        return self.texts - int(np.trace(self.confusion))

    @property
    def accuracy(self) -> float:
        """The share of right predictions."""
        return float(np.trace(self.confusion)) / self.texts

    @property
    def macro(self) -> ClassMetrics:
        """The plain means over the classes that occur, as true or as predicted ones."""
        occur = self.confusion.sum(axis=0) + self.confusion.sum(axis=1) > 0
        rows = [metrics for metrics, counts in zip(self.per_class, occur, strict=True) if counts]
        precision, recall, f1 = (
            float(np.mean([getattr(metrics, name) for metrics in rows])) for name in ("precision", "recall", "f1")
        )
        return ClassMetrics("macro average", precision, recall, f1, self.texts)

    @classmethod
    def from_predictions(
        cls,
        classes: Sequence[Hashable],
        labels: Sequence[Hashable],
        probabilities: np.ndarray[Any, Any],
        texts: Sequence[str],
        worst: int = 10,
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

        Raises
        ------
        ValueError
            If there are no rows, or not as many of each.
        """
        if not len(texts) == len(labels) == len(probabilities):
            raise ValueError(
                f"labels: expected one for each of {len(texts)} texts, got {len(labels)} and {len(probabilities)} rows"
            )
        if not len(texts):
            raise ValueError("texts: expected at least one text to evaluate, got none")
        code: dict[Hashable, int] = {label: number for number, label in enumerate(classes)}
        for label in labels:
            code.setdefault(label, len(code))
        true = np.array([code[label] for label in labels])
        predicted = probabilities.argmax(axis=1)
        confusion = np.zeros((len(code), len(code)), dtype=np.int64)
        np.add.at(confusion, (true, predicted), 1)
        names = list(code)
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
        return cls(names, confusion, _class_metrics(names, confusion), errors)

    @classmethod
    def from_confusion(cls, classes: Sequence[Hashable], confusion: np.ndarray[Any, Any]) -> EvaluationReport:
        """Make a report, without errors, of a confusion matrix [classes, classes]."""
        names, counts = list(classes), np.asarray(confusion, dtype=np.int64)
        if counts.shape != (len(names), len(names)) or (counts < 0).any() or not counts.any():
            shape = [len(names), len(names)]
            raise ValueError(f"confusion: expected counts of the shape {shape}, got the shape {list(counts.shape)}")
        return cls(names, counts, _class_metrics(names, counts), [])

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        macro = figures(self.macro)
        return {
            "texts": self.texts,
            "errors": self.errors,
            "accuracy": self.accuracy,
            "macro": {name: macro[name] for name in ("precision", "recall", "f1")},
            "classes": [figures(metrics) for metrics in self.per_class],
            "confusion_matrix": {"labels": [plain_label(c) for c in self.classes], "rows": self.confusion.tolist()},
            "worst_errors": [
                {**vars(error), "label": plain_label(error.label), "predicted": plain_label(error.predicted)}
                for error in self.worst_errors
            ],
        }

    def summary(self) -> str:
        """Return the figures without the errors' texts, as aligned tables."""
        rows = [
            [str(m.label), f"{m.precision:.4f}", f"{m.recall:.4f}", f"{m.f1:.4f}", f"{m.support:,}"]
            for m in [*self.per_class, self.macro]
        ]
        lines = [
            f"accuracy {self.accuracy:.4f} ({self.texts - self.errors:,} of {self.texts:,} texts)",
            "",
            *table(["class", "precision", "recall", "F1", "texts"], rows),
        ]
        if len(self.classes) <= _MATRIX_CLASSES:
            names = [str(label) for label in self.classes]
            counts = [[f"{count:,}" for count in row] for row in self.confusion.tolist()]
            lines += ["", "confusion matrix (rows: true class, columns: predicted class)"]
            lines += table(["", *names], [[name, *row] for name, row in zip(names, counts, strict=True)])
        return "\n".join(lines)

    def __str__(self) -> str:
        if not self.worst_errors:
            return self.summary()
        lines = [self.summary(), "", "the errors it was surest of"]
        for error in self.worst_errors:
            lines.append(f"  {error.probability:.3f} {error.predicted}, is {error.label}: {shorten(error.text)}")
        return "\n".join(lines)


def plain_label(label: Hashable) -> Any:
    """Return a label as a value that JSON knows; any other as its text."""
    return label if label is None or isinstance(label, bool | int | float | str) else str(label)


def shorten(text: str, width: int = _TEXT_WIDTH) -> str:
    """Return a text on one line, cut where it is longer than ``width`` columns of a terminal (Chinese has two each)."""
    from rich.cells import cell_len, set_cell_size

    line = " ".join(text.split())
    return line if cell_len(line) <= width else set_cell_size(line, width - 1).rstrip() + "…"


def class_metrics(label: Hashable, hits: int, predicted: int, support: int) -> ClassMetrics:
    """Return the figures of a class from how often it was predicted rightly, was predicted at all, and was true."""
    f1 = 2 * hits / max(predicted + support, 1)
    return ClassMetrics(label, hits / max(predicted, 1), hits / max(support, 1), f1, support)


def _class_metrics(classes: list[Hashable], confusion: np.ndarray[Any, np.dtype[np.int64]]) -> list[ClassMetrics]:
    counts = np.diagonal(confusion), confusion.sum(axis=0), confusion.sum(axis=1)
    return [class_metrics(*row) for row in zip(classes, *(count.tolist() for count in counts), strict=True)]


def figures(metrics: ClassMetrics) -> dict[str, Any]:
    """Return the figures of a class as plain values, for JSON."""
    return {**vars(metrics), "label": plain_label(metrics.label)}


def table(header: list[str], rows: list[list[str]]) -> list[str]:
    """Align a table for a terminal: first column to the left, numbers to the right, wide characters counted as two."""
    from rich.cells import cell_len

    widths = [max(cell_len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    lines = []
    for row in [header, *rows]:
        pad = [" " * (width - cell_len(cell)) for width, cell in zip(widths, row, strict=True)]
        cells = [row[0] + pad[0], *(space + cell for space, cell in zip(pad[1:], row[1:], strict=True))]
        lines.append(("  " + "  ".join(cells)).rstrip())
    return lines
