"""Whole classifiers under autocast to bfloat16 on the CPU: every architecture trains, predicts, stays near float32."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from samples import make_reviews

from textnn import SentimentClassifier
from textnn.models import ARCHITECTURES

TEXTS, LABELS = make_reviews(60)


@pytest.mark.parametrize("architecture", list(ARCHITECTURES))
def test_training_and_prediction(make_classifier: Callable[..., SentimentClassifier], architecture: str) -> None:
    classifier = make_classifier(architecture, random_state=0)
    with torch.autocast("cpu", torch.bfloat16):
        classifier.fit(TEXTS, LABELS)
        under = classifier.predict_proba(TEXTS)
        labels = classifier.predict(TEXTS)
    weights = classifier.state_.model.state_dict().values()
    assert all(w.dtype == torch.float32 and w.isfinite().all() for w in weights if w.is_floating_point())
    assert np.abs(under.sum(axis=1) - 1).max() < 1e-3
    assert (labels == classifier.classes_[under.argmax(axis=1)]).all()
    outside = classifier.predict_proba(TEXTS)
    assert 0 < np.abs(under - outside).max() < 0.03


@pytest.mark.parametrize("architecture", ["textcnn", "lstm"])
def test_autocast_reaches_training(make_classifier: Callable[..., SentimentClassifier], architecture: str) -> None:
    fitted = []
    for half in (True, False):
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            fitted.append(make_classifier(architecture, random_state=0).fit(TEXTS, LABELS))
    first, second = (dict(c.state_.model.state_dict()) for c in fitted)
    assert not all(first[name].equal(second[name]) for name in first)
