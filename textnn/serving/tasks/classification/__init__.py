"""A classifier: labels, probabilities, explanations."""

from __future__ import annotations

from textnn.serving.tasks.classification.paths import Classification

__all__ = ["Classification"]
