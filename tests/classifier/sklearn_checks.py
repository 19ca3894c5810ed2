"""scikit-learn's common checks for a classifier of texts, and which of them cannot hold.

The checks fit estimators on matrices of numbers. A classifier of texts says by its tags that it takes none, as
scikit-learn's own ``CountVectorizer`` does, and ``check_estimator`` then checks little more than that it can be cloned.
So they run on ``NumberClassifier``: it writes each row of numbers as a text and is a SentimentClassifier in all else.

    X [rows, columns] -> checked by scikit-learn -> "0:-1 1:3 ..." -> SentimentClassifier
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted, validate_data

from textnn import SentimentClassifier


class NumberClassifier(SentimentClassifier):
    """A SentimentClassifier whose texts are made of rows of numbers, a word for each column and whole number."""

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> NumberClassifier:
        super().fit(self._texts(X, y, reset=True), y, sample_weight=sample_weight)
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> NumberClassifier:
        super().partial_fit(self._texts(X, y, reset=not hasattr(self, "model_")), y, classes, sample_weight)
        return self

    def predict_proba(self, X: Any) -> Any:
        check_is_fitted(self, "model_")
        # predict() asks for the probabilities of what it was given.
        return super().predict_proba(X if isinstance(X, list) and X and isinstance(X[0], str) else self._texts(X))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        return super().score(self._texts(X), y, sample_weight)

    def _texts(self, X: Any, y: Any = "no_validation", reset: bool = False) -> list[str]:
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None")
        rows = validate_data(self, X, reset=reset, dtype=np.float64)
        return [" ".join(f"{column}:{np.floor(value):.0f}" for column, value in enumerate(row)) for row in rows]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string, tags.input_tags.two_d_array = False, True
        return tags


def expected_failed_checks(estimator: Any) -> dict[str, str]:
    """Return the checks that fail, each with the reason why it has to."""
    return {
        "check_classifiers_regression_target": "labels may be any hashable values, so numbers with fractions as well",
        "check_classifiers_multilabel_representation_invariance": "a list of lists has the labels of each text; a "
        "matrix of 0 and 1 is an array",
    }
