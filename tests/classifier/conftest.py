"""What the tests of the classifier share: reviews and small classifiers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from samples import SMALL, make_reviews

from textnn import SentimentClassifier


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """The networks are so small that a second thread costs time, much of it where other programs run too."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def reviews() -> tuple[list[str], list[str]]:
    """Two hundred reviews of two classes."""
    return make_reviews(200)


@pytest.fixture(scope="session")
def make_classifier() -> Callable[..., SentimentClassifier]:
    """Make a small classifier; parameters as for SentimentClassifier."""

    def make(architecture: str = "textcnn", **parameters: Any) -> SentimentClassifier:
        small = {"tokenizer": "whitespace", "epochs": 3, "random_state": 0, "verbose": 0, "learning_rate": 0.01}
        return SentimentClassifier(architecture, **{**small, **SMALL[architecture], **parameters})

    return make


@pytest.fixture(scope="session")
def fitted(
    make_classifier: Callable[..., SentimentClassifier], reviews: tuple[list[str], list[str]]
) -> SentimentClassifier:
    """A small fitted textcnn; not to be changed."""
    return make_classifier(stop_words=["了"]).fit(*reviews)


@pytest.fixture
def model(fitted: SentimentClassifier, tmp_path: Path) -> Path:
    """A saved model."""
    fitted.save(tmp_path / "model")
    return tmp_path / "model"
