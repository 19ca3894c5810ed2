"""What the tests of scoring at scale share: small saved models of each task, and reviews to score."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from batch_samples import reviews, small

from textnn import LanguageModel, SentimentClassifier, SequenceTagger

NAMES = ["Ann", "Bob", "Eve", "Max"]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def texts() -> list[str]:
    return reviews(300, seed=1)[0]


@pytest.fixture(scope="session")
def classifier() -> SentimentClassifier:
    return small().fit(*reviews(200))


@pytest.fixture(scope="session")
def model(classifier: SentimentClassifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved classifier; not to be changed."""
    path = tmp_path_factory.mktemp("models") / "classifier"
    classifier.save(path)
    return path


@pytest.fixture(scope="session")
def other_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "other"
    small().fit(*reviews(200, seed=7)).save(path)
    return path


@pytest.fixture(scope="session")
def tagger() -> SequenceTagger:
    X = [["then", one, "ran", "."] for one in NAMES] + [[one, "met", two, "."] for one in NAMES for two in NAMES]
    y = [["B-PER" if token in NAMES else "O" for token in tokens] for tokens in X]
    return SequenceTagger("ngram-crf", random_state=0, verbose=0, validation_fraction=0.0).fit(X, y)


@pytest.fixture(scope="session")
def language_model() -> LanguageModel:
    sizes = {"embedding_dim": 8, "hidden_size": 8, "epochs": 1}
    return LanguageModel("word", random_state=0, verbose=0, validation_fraction=0.0, **sizes).fit(reviews(50)[0])
