"""Searches options of the classifier with scikit-learn: a Pipeline that cleans texts, and GridSearchCV around it.

    python examples/grid_search.py --texts 120

The texts are made up. With texts of your own, put them and their labels where make_reviews() is called.
"""

from __future__ import annotations

import argparse
import random

from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from textnn import SentimentClassifier

WORDS = {"good": ["clean", "friendly", "tasty", "quick"], "bad": ["dirty", "rude", "bland", "late"]}
OTHERS = ["the", "room", "staff", "food", "was", "were", "here", "today", "and", "we"]


def make_reviews(count: int) -> tuple[list[str], list[str]]:
    """Return texts, and the label that one of their words gives away."""
    source = random.Random(0)
    labels = [source.choice(sorted(WORDS)) for _ in range(count)]
    texts = [" ".join([*source.choices(OTHERS, k=6), source.choice(WORDS[label]) + "<br>"]) for label in labels]
    return texts, labels


def clean(texts: list[str]) -> list[str]:
    return [text.replace("<br>", " ") for text in texts]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=400)
    texts, labels = make_reviews(parser.parse_args().texts)
    classifier = SentimentClassifier("textcnn", embedding_dim=8, epochs=20, random_state=0, verbose=0)
    pipeline = Pipeline([("clean", FunctionTransformer(clean)), ("classify", classifier)])
    # n_jobs=1: the classifier itself uses all cores.
    search = GridSearchCV(
        pipeline, {"classify__channels": [8, 16], "classify__learning_rate": [0.01, 0.03]}, cv=2, n_jobs=1
    )
    search.fit(texts, labels)
    print(f"best options: {search.best_params_}, accuracy: {search.best_score_:.3f}")
    print(search.predict(["the staff were rude", "clean room<br>"]))


if __name__ == "__main__":
    main()
