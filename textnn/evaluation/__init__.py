"""Evaluation: how good a classifier is on labelled texts, where it errs, how sure it may be of itself."""

from __future__ import annotations

from textnn.evaluation.calibration import Calibration
from textnn.evaluation.multilabel import MultilabelReport
from textnn.evaluation.report import ClassMetrics, EvaluationReport, WrongPrediction

__all__ = ["Calibration", "ClassMetrics", "EvaluationReport", "MultilabelReport", "WrongPrediction"]
