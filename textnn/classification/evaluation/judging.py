"""What the held-out texts say about a network that has been trained.

validation part -> logits -> temperature -> probabilities -> thresholds, report
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from textnn.circumstances import warn
from textnn.classification.evaluation.calibration import Calibration, best_thresholds, fit_temperature
from textnn.classification.evaluation.multilabel import MultilabelReport
from textnn.classification.evaluation.report import EvaluationReport, dense_rows
from textnn.classification.objectives import Objective
from textnn.data.targets import LABEL, decode
from textnn.models import TextModel
from textnn.text import RaggedDataset
from textnn.training.loop import predict_logits

Array = np.ndarray[Any, np.dtype[Any]]

Report = EvaluationReport | MultilabelReport


@dataclass(frozen=True)
class Judged:
    """What the held-out texts gave.

    Attributes
    ----------
    calibration
        The temperature, or None where none was fitted.
    thresholds
        Of the classes, float64 [classes], where a text may have several; else None.
    report
        On the held-out texts, or None without any.
    """

    calibration: Calibration | None
    thresholds: Array | None
    report: Report | None

    @property
    def temperature(self) -> float:
        """What logits are to be divided by."""
        return 1.0 if self.calibration is None else self.calibration.temperature


def judge(
    model: TextModel,
    validation: RaggedDataset,
    objective: Objective,
    kind: str,
    classes: Array,
    texts: Sequence[str],
    device: torch.device,
    *,
    calibrate: bool,
    threshold: float | str,
) -> Judged:
    """Fit what is fitted on the held-out texts, and measure the network on them.

    Parameters
    ----------
    model, objective
        The network, and what it was trained for.
    validation, texts
        What is held out, as ids and as strings; there may be nothing.
    kind, classes
        Of the labels; see :class:`textnn.data.targets.Targets`.
    device
        Where the network is.
    calibrate
        Whether to fit a temperature.
    threshold
        Of all labels, or ``"auto"`` for the one of the best F1 of each.
    """
    thresholds = None if kind == LABEL else np.full(len(classes), 0.5 if threshold == "auto" else float(threshold))
    if not len(validation):
        if thresholds is not None and threshold == "auto":
            message = "threshold: 'auto' needs texts that are held out, and there are none; it is 0.5 for each label"
            warn(message)
        return Judged(None, thresholds, None)
    assert validation.labels is not None
    logits, labels = predict_logits(model, validation, device=device), validation.labels
    calibration = fit_temperature(objective, logits, labels, validation.weights) if calibrate else None
    probabilities = objective.probabilities(logits, 1.0 if calibration is None else calibration.temperature)
    codes = labels.numpy()
    if thresholds is not None and threshold == "auto":
        thresholds = best_thresholds(probabilities, codes)
    names = classes.tolist()
    report: Report
    lengths: dict[str, Any] = {"lengths": validation.lengths.numpy(), "unit": "tokens"}
    if thresholds is None:
        true = [names[code] for code in codes]
        report = EvaluationReport.from_predictions(names, true, probabilities, texts, **lengths)
    else:
        several = decode(codes, classes)
        report = MultilabelReport.from_predictions(names, several, probabilities, thresholds, texts, **lengths)
    return Judged(calibration, thresholds, report)


def report_counts(report: Report | None) -> dict[str, Any]:
    """Return what a report's figures follow from, for JSON."""
    if isinstance(report, MultilabelReport):
        return {"validation_counts": report.to_counts()}
    return {"validation_confusion": None if report is None else dense_rows(report.confusion)}


def report_from_counts(classes: Sequence[Any], stored: Mapping[str, Any]) -> Report | None:
    """Return the report, without errors, that gave what :func:`report_counts` returned.

    Raises
    ------
    ValueError
        If it is something else.
    """
    if "validation_counts" in stored:
        return MultilabelReport.from_counts(classes, stored["validation_counts"])
    confusion = stored.get("validation_confusion")
    return None if confusion is None else EvaluationReport.from_confusion(classes, confusion)
