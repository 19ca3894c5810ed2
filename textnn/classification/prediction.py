"""What a fitted classifier does: texts in; probabilities, labels and evaluations out.

texts -> tokens -> ids -> logits -> / temperature -> probabilities -> classes[argmax]
                                                                   -> classes at or above their thresholds
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from textnn.circumstances import warn
from textnn.classification.evaluation.judging import Report
from textnn.classification.evaluation.multilabel import MultilabelReport
from textnn.classification.evaluation.report import EvaluationReport
from textnn.classification.state import Array, State
from textnn.classification.weighting import check_weights
from textnn.data.inputs import check_texts, iter_texts
from textnn.data.suspects import LabelWarning, unknown_labels
from textnn.data.targets import LABEL, MATRIX, check_kind, decode, read_targets
from textnn.models import predictor


def predict_proba(state: State, texts: Iterable[str]) -> Array:
    """Return the probability of each class, float64 [texts, classes]."""
    texts = check_texts(texts, "X")
    if len(texts) > predictor.CHUNK:
        return np.concatenate(list(stream_proba(state, texts)))
    if not texts:
        return np.empty((0, len(state.classes)))
    return state.objective.probabilities(state.predictor.logits(texts), state.temperature)


def stream_proba(state: State, texts: Iterable[str]) -> Iterator[Array]:
    """Yield the probabilities of any number of texts, a chunk at a time, in constant memory."""
    objective, temperature = state.objective, state.temperature
    return (objective.probabilities(logits, temperature) for logits in state.predictor.stream(iter_texts(texts, "X")))


def choose(state: State, probabilities: Array) -> Any:
    """Return the most probable class of each text, [texts]; or its labels, as the classifier was given them."""
    if state.thresholds is None:
        return state.classes[probabilities.argmax(axis=1)]
    chosen = (probabilities >= state.thresholds).astype(np.int64)
    return chosen if state.label_kind == MATRIX else decode(chosen, state.classes)


def score(
    state: State, texts: Iterable[str], labels: Any, sample_weight: Any, predict: Callable[[list[str]], Any]
) -> float:
    """Return the share of texts, weighted if asked for, whose label was predicted, or all of whose labels were."""
    texts = check_texts(texts, "X")
    if not texts:
        raise ValueError("X: expected at least one text to score, got none")
    true = _labels(state, labels, len(texts))
    weights = check_weights(sample_weight, len(texts))
    if not weights.any():
        raise ValueError("sample_weight: expected a number above 0 for at least one text, got zeros only")
    predicted = predict(texts)
    if state.label_kind == LABEL:
        right = [one == other for one, other in zip(predicted.tolist(), true, strict=True)]
    else:
        found = decode(predicted, state.classes) if state.label_kind == MATRIX else predicted
        right = [set(one) == set(other) for one, other in zip(found, true, strict=True)]
    return float(np.average(right, weights=weights))


def evaluate(
    state: State, texts: Iterable[str], labels: Any, worst: int, predict_proba: Callable[[list[str]], Array]
) -> Report:
    """Compare the predictions with labels; ``worst`` errors are listed."""
    texts = check_texts(texts, "X")
    if not texts:
        raise ValueError("X: expected at least one text to evaluate, got none")
    true, names = _labels(state, labels, len(texts)), state.classes.tolist()
    probabilities = predict_proba(texts)
    if state.thresholds is None:
        return EvaluationReport.from_predictions(names, true, probabilities, texts, worst)
    return MultilabelReport.from_predictions(names, true, probabilities, state.thresholds, texts, worst)


def _labels(state: State, labels: Any, texts: int) -> list[Any]:
    """Return the label of each text, or the labels, to compare with; warn of those that are none of the classes."""
    targets = read_targets(labels, texts, "y")
    check_kind(targets, state.label_kind, "y")
    if targets.kind == MATRIX:
        return decode(targets.encode(state.classes, "y"), state.classes)
    for message in unknown_labels(targets.names(), state.classes.tolist()):
        warn(message, LabelWarning)
    return targets.values
