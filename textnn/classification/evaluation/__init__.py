"""Evaluation: how good a classifier is on labelled texts, where it errs, how sure it may be of itself."""

from __future__ import annotations

from textnn.classification.evaluation.bootstrap import Interval
from textnn.classification.evaluation.calibration import Calibration
from textnn.classification.evaluation.metrics import ClassMetrics, WrongPrediction
from textnn.classification.evaluation.multilabel import MultilabelReport
from textnn.classification.evaluation.report import EvaluationReport
from textnn.classification.evaluation.scores import LengthBin, ReliabilityBin, Scores

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
