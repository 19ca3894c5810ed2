"""The reports of a classifier's evaluation, by their public names."""

from __future__ import annotations

from textnn.classification.evaluation import (
    Calibration,
    ClassMetrics,
    EvaluationReport,
    Interval,
    LengthBin,
    MultilabelReport,
    ReliabilityBin,
    Scores,
    WrongPrediction,
)
from textnn.classification.facts import model_facts

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
    "model_facts",
]
