"""Who takes part: the default classifier, TF-IDF, and classifiers that begin with a language model."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from textnn import LanguageModel, SentimentClassifier
from textnn.training.checkpoint import Checkpoint

from ..accuracy.corpora import Part, Split
from ..accuracy.opponents import TfIdf
from ..accuracy.tokens import Tokens

DEFAULT, TFIDF = "default", "TF-IDF, linear SVM"
ALONE, JOINT = "language model alone", "default, joined with it"
PRETRAINED = (ALONE, JOINT)
"""Those that need the language model."""
LANGUAGE_MODEL = {"level": "char", "epochs": 4, "batch_size": 64, "learning_rate": 0.003, "max_vocabulary": 4000}


def train_language_model(pool: Part, directory: Path) -> None:
    """Train a language model of characters on all texts that are no test texts, and save it."""
    options: dict[str, Any] = {**LANGUAGE_MODEL, "precision": "bfloat16", "validation_fraction": 0.02}
    state = Checkpoint(directory.with_name(f".{directory.name}.checkpoint"), resume=True)
    model = LanguageModel(random_state=0, **options).fit(pool.texts, checkpoint=state)
    model.save(directory)
    state.remove()


def _textnn(split: Split, seed: int, architecture: str, model: Path | None, precision: str) -> dict[str, Any]:
    both = split.training + split.validation
    start = time.process_time()
    options: dict[str, Any] = {"random_state": seed, "verbose": 0, "precision": precision, "pretrained": model}
    classifier = SentimentClassifier(architecture, **options).fit(both.texts, both.labels)
    seconds = time.process_time() - start
    return {"accuracy": classifier.score(split.test.texts, split.test.labels), "seconds": seconds}


def default(split: Split, seed: int, model: Path) -> dict[str, Any]:
    """Train the classifier that ``SentimentClassifier()`` is."""
    return _textnn(split, seed, "tfidf-textcnn", None, "float32")


def joint(split: Split, seed: int, model: Path) -> dict[str, Any]:
    """Train ``SentimentClassifier(pretrained=...)``."""
    return _textnn(split, seed, "tfidf-textcnn", model, "bfloat16")


def alone(split: Split, seed: int, model: Path) -> dict[str, Any]:
    """Train the language model's encoder by itself."""
    return _textnn(split, seed, LanguageModel.load(model).cell, model, "bfloat16")


def tfidf(split: Split, seed: int, model: Path) -> dict[str, Any]:
    """Train a linear support vector machine on TF-IDF of words and characters; its C is chosen."""
    words = Tokens("rjieba").prepare([*split.training.texts, *split.validation.texts, *split.test.texts])
    outcome = TfIdf("both", "LinearSVC", "rjieba").run(split, words, seed, 1)
    right = [one == other for one, other in zip(outcome.predicted, split.test.labels, strict=True)]
    return {"accuracy": sum(right) / len(right), "seconds": outcome.seconds}


CONTESTANTS: Mapping[str, Callable[[Split, int, Path], dict[str, Any]]] = {
    TFIDF: tfidf,
    DEFAULT: default,
    ALONE: alone,
    JOINT: joint,
}
