"""What both kinds of report have in common: the figures that follow from probabilities, pictures and the page.

``Scores``, where a report was made of predictions -> ROC-AUC, log loss, calibration, accuracy by length
report -> ``plots`` -> files;  report -> ``page`` -> HTML
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import cached_property
from typing import Any, ClassVar, TypeVar, cast

from textnn.classification.evaluation.metrics import WrongPrediction, figures, plain_label
from textnn.classification.evaluation.scores import LengthBin, ReliabilityBin, Scores, calibration_error, mean_defined
from textnn.classification.evaluation.tables import shorten

Report = TypeVar("Report", bound="ScoredReport")


class ScoredReport:
    """The figures of a report that need the probabilities; each is None in a report made of counts.

    Attributes
    ----------
    multilabel
        Whether a text may have several labels.
    """

    multilabel: ClassVar[bool]

    classes: list[Hashable]
    worst_errors: list[WrongPrediction]
    scores: Scores | None

    @cached_property
    def class_roc_auc(self) -> list[float | None]:
        """The area under the ROC curve of each class against the rest; None where these texts do not define it.

        It is the probability that a text of the class gets a higher probability for it than another text.
        """
        found = [] if self.scores is None else self.scores.class_roc_auc()
        return found + [None] * (len(self.classes) - len(found))

    @property
    def roc_auc(self) -> float | None:
        """The mean of :attr:`class_roc_auc` over the classes that have one; of two classes, that of each of them."""
        return mean_defined(self.class_roc_auc)

    @cached_property
    def log_loss(self) -> float | None:
        """The mean negative logarithm of the probability that the truth was given, in nats."""
        return None if self.scores is None else self.scores.log_loss()

    @cached_property
    def reliability(self) -> list[ReliabilityBin] | None:
        """What came of the answers of each confidence, in 15 bins; see :meth:`Scores.reliability`."""
        return None if self.scores is None else self.scores.reliability()

    @property
    def calibration_error(self) -> float | None:
        """The expected calibration error (Guo et al., 2017): how far confidence and accuracy are apart."""
        return None if self.reliability is None else calibration_error(self.reliability)

    @cached_property
    def length_bins(self) -> list[LengthBin] | None:
        """The accuracy of short and of long texts."""
        return None if self.scores is None else self.scores.length_bins()

    def with_lines(self: Report, lines: Sequence[int]) -> Report:
        """Return the report with the line of the file beside each error: what a reader of the file looks for.

        Parameters
        ----------
        lines
            The line on which each of the texts begins, from 1, as :func:`textnn.text.read_corpus` tells them.

        Raises
        ------
        ValueError
            If there are not as many as texts.
        """
        own = cast(Any, self)
        if len(lines) != own.texts:
            raise ValueError(f"lines: expected one for each of {own.texts:,} texts, got {len(lines):,}")
        errors = [dataclasses.replace(error, line=int(lines[error.row])) for error in self.worst_errors]
        return cast(Report, dataclasses.replace(own, worst_errors=errors))

    def label_text(self, label: Any) -> str:
        """Return what an error was given, or should have been, for a reader."""
        return str(label) or "(empty)"

    def summary(self) -> str:
        """Return the figures without the errors' texts, as aligned tables."""
        raise NotImplementedError

    def __str__(self) -> str:
        lines = [self.summary()]
        if self.worst_errors:
            lines += ["", "the errors it was surest of"]
        for error in self.worst_errors:
            predicted, label = (shorten(self.label_text(found)) for found in (error.predicted, error.label))
            lines.append(f"  {error.probability:.3f} {predicted}, is {label}: {shorten(error.text)}")
        return "\n".join(lines)

    def _scored_values(self) -> dict[str, Any]:
        """Return the figures that need the probabilities as plain values, for JSON."""
        bins, lengths = self.reliability, self.length_bins
        return {
            "roc_auc": self.roc_auc,
            "log_loss": self.log_loss,
            "calibration_error": self.calibration_error,
            "reliability": None if bins is None else [vars(row) for row in bins],
            "lengths": None
            if self.scores is None or lengths is None
            else {
                "unit": self.scores.unit,
                "bins": [{**vars(row), "interval": list(row.interval)} for row in lengths],
            },
        }

    def _class_values(self, metrics: Iterable[Any]) -> list[dict[str, Any]]:
        """Return the figures of each class as plain values, for JSON."""
        return [{**figures(row), "roc_auc": roc_auc} for row, roc_auc in zip(metrics, self.class_roc_auc, strict=True)]

    def _scored_line(self) -> list[str]:
        """Return a line with the figures that are defined, or none."""
        named = {"ROC-AUC": self.roc_auc, "log loss": self.log_loss, "calibration error": self.calibration_error}
        found = [f"{name} {value:.4f}" for name, value in named.items() if value is not None]
        return [", ".join(found)] if found else []

    def _class_rows(self, metrics: Sequence[Any], means: Sequence[Any]) -> tuple[list[str], list[list[str]]]:
        """Return head and rows of the table of all classes, with ROC-AUC where classes differ in it."""
        rows = [
            [str(m.label), f"{m.precision:.4f}", f"{m.recall:.4f}", f"{m.f1:.4f}", f"{m.support:,}"]
            for m in [*metrics, *means]
        ]
        header = ["precision", "recall", "F1", "texts"]
        if self.scores is None or self.roc_auc is None or not (self.scores.several or self.scores.classes > 2):
            return header, rows
        values = [*self.class_roc_auc, *[None] * (len(means) - 1), self.roc_auc]
        for row, value in zip(rows, values, strict=True):
            row.insert(4, "" if value is None else f"{value:.4f}")
        return [*header[:3], "ROC-AUC", header[3]], rows


def error_values(errors: Iterable[WrongPrediction], name: Callable[[Any], Any] = plain_label) -> list[dict[str, Any]]:
    """Return errors as plain values, for JSON; ``name`` does so with a label."""
    return [{**vars(error), "label": name(error.label), "predicted": name(error.predicted)} for error in errors]
