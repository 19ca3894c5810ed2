"""Small models of characters that train in a moment."""

from __future__ import annotations

import sys
from pathlib import Path

from textnn import SentimentClassifier

sys.path.append(str(Path(__file__).parents[1] / "classifier"))

from samples import make_reviews

SMALL = {"architecture": "textcnn", "embedding_dim": 8, "channels": 8, "tokenizer": "char", "min_count": 1}


def train(labels: list[object] | None = None, **parameters: object) -> SentimentClassifier:
    """Train a small model of characters on reviews of the classes "good" and "bad", or of other labels."""
    texts, names = make_reviews(200)
    options = {**SMALL, "epochs": 8, "learning_rate": 0.02, "random_state": 0, "verbose": 0, **parameters}
    return SentimentClassifier(**options).fit([text.replace(" ", "") for text in texts], labels or names)
