"""Evaluation: how good a classifier is on labelled texts, where it errs, how sure it may be of itself."""

from __future__ import annotations

from textnn.evaluation.bootstrap import Interval
from textnn.evaluation.calibration import Calibration
from textnn.evaluation.metrics import ClassMetrics, WrongPrediction
from textnn.evaluation.multilabel import MultilabelReport
from textnn.evaluation.report import EvaluationReport
from textnn.evaluation.scores import LengthBin, ReliabilityBin, Scores

__all__ = [
    "Calibration",
    "ClassMetrics",
    "EvaluationReport",
    "Interval",
    "LengthBin",
    "MultilabelReport",
    "ReliabilityBin",
    "Scores",
    "WrongPrediction",
]
