"""scikit-learn's contract: its common checks, and its pipelines, searches and meta-estimators on texts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import sklearn
from samples import make_reviews
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn_checks import NumberClassifier, expected_failed_checks

from textnn import SentimentClassifier

# Some texts of so few words occur twice.
pytestmark = pytest.mark.filterwarnings("ignore:training|labels:UserWarning")

needs_check_estimator = pytest.mark.skipif(
    not hasattr(sklearn, "__version__") or tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 6),
    reason="check_estimator knows of expected failures since scikit-learn 1.6",
)


@needs_check_estimator
def test_common_checks_hold_but_for_those_that_cannot() -> None:
    from sklearn.utils.estimator_checks import check_estimator

    # Without dropout, and with all texts in one batch, a weight of 2 has to be the same as a text twice.
    estimator = NumberClassifier(
        "textcnn",
        "whitespace",
        min_count=1,
        embedding_dim=8,
        channels=8,
        dropout=0.0,
        word_dropout=0.0,
        epochs=5,
        learning_rate=0.02,
        validation_fraction=0.0,
        random_state=0,
        verbose=0,
    )
    expected = expected_failed_checks(estimator)
    results = check_estimator(estimator, on_fail=None, on_skip=None, expected_failed_checks=expected)
    assert len(results) > 50
    failed = {result["check_name"]: str(result["exception"]) for result in results if result["status"] == "failed"}
    assert failed == {}
    found = {result["check_name"] for result in results if result["status"] == "xfail"}
    assert found == set(expected), "a check that is expected to fail does not"


@needs_check_estimator
def test_the_tags_say_that_it_takes_texts(make_classifier: Any) -> None:
    from sklearn.exceptions import SkipTestWarning
    from sklearn.utils import get_tags
    from sklearn.utils.estimator_checks import check_estimator

    tags = get_tags(make_classifier())
    assert tags.input_tags.string
    assert not tags.input_tags.two_d_array
    assert tags.target_tags.required
    assert tags.classifier_tags.multi_class
    assert tags.classifier_tags.multi_label
    with pytest.warns(SkipTestWarning, match="which requires input"):
        results = check_estimator(make_classifier())
    assert {result["status"] for result in results} == {"passed"}


def without_spaces_at_the_ends(texts: Any) -> list[str]:
    return [text.strip() for text in texts]


@pytest.mark.slow
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_search_through_a_pipeline(n_jobs: int, make_classifier: Any) -> None:
    texts, labels = make_reviews(90)
    pipeline = Pipeline(
        [
            ("clean", FunctionTransformer(without_spaces_at_the_ends)),
            ("classify", make_classifier(epochs=30, patience=0)),
        ]
    )
    search = GridSearchCV(pipeline, {"classify__learning_rate": [1e-9, 0.01]}, cv=2, n_jobs=n_jobs).fit(texts, labels)
    assert search.best_params_ == {"classify__learning_rate": 0.01}
    assert search.score(texts, labels) > 0.9
    assert search.predict(["  很 好  "]).tolist() == ["good"]
    assert search.classes_.tolist() == ["bad", "good"]


def test_cross_validation(make_classifier: Any) -> None:
    texts, labels = make_reviews(90)
    classifier = make_classifier(epochs=30, patience=0)
    scores = cross_val_score(classifier, texts, labels, cv=3)
    assert scores.shape == (3,)
    assert scores.min() > 0.8, scores
    predicted = cross_val_predict(classifier, texts, labels, cv=3)
    probabilities = cross_val_predict(classifier, texts, labels, cv=3, method="predict_proba")
    assert np.mean(predicted == labels) == pytest.approx(scores.mean())
    assert (np.array(["bad", "good"])[probabilities.argmax(1)] == predicted).all()


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_calibration_by_scikit_learn(method: str, make_classifier: Any) -> None:
    texts, labels = make_reviews(90)
    calibrated = CalibratedClassifierCV(make_classifier(epochs=20, patience=0), method=method, cv=3).fit(texts, labels)
    assert calibrated.score(texts, labels) > 0.9
    np.testing.assert_allclose(calibrated.predict_proba(texts).sum(1), 1)


def test_one_against_the_rest(make_classifier: Any) -> None:
    """Also what cross_val_score makes of it: the texts reach each classifier as they are."""
    texts, labels = make_reviews(120, classes=3)
    classifier = OneVsRestClassifier(make_classifier(epochs=30, patience=0, batch_size=16))
    assert cross_val_score(classifier, np.array(texts, dtype=object), labels, cv=2).min() > 0.8


def test_weights_go_through_a_pipeline_and_a_search(make_classifier: Any) -> None:
    texts, labels = make_reviews(60)
    weights = np.linspace(0, 1, len(texts))
    expected = make_classifier().fit(texts, labels, sample_weight=weights).predict_proba(texts)
    pipeline = Pipeline([("classify", make_classifier())]).fit(texts, labels, classify__sample_weight=weights)
    assert (pipeline.predict_proba(texts) == expected).all()
    search = GridSearchCV(make_classifier(), {"epochs": [3]}, cv=2).fit(texts, labels, sample_weight=weights)
    assert (search.predict_proba(texts) == expected).all()


class Series:
    """What texts and labels have in common with a series of pandas: a shape, an index, values one by one."""

    def __init__(self, values: list[Any]) -> None:
        self.values, self.index = values, range(len(values))

    @property
    def shape(self) -> tuple[int]:
        return (len(self.values),)

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values)

    def __getitem__(self, key: Any) -> Any:
        raise KeyError(key)  # its labels need not be positions


class Column:
    """A column of a table that only numpy can read."""

    def __init__(self, values: list[Any]) -> None:
        self.values = values

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.array(self.values, dtype=dtype)


CONTAINERS = [list, tuple, np.array, lambda values: np.array(values, dtype=object), iter, Series, Column]


@pytest.mark.parametrize("container", CONTAINERS)
def test_texts_and_labels_may_be_any_collection(container: Any, make_classifier: Any, reviews: Any) -> None:
    texts, labels = reviews
    expected = make_classifier().fit(texts, labels)
    classifier = make_classifier().fit(container(texts), container(labels))
    assert classifier.predict(container(texts)).tolist() == expected.predict(texts).tolist()
    assert classifier.score(container(texts), container(labels)) == expected.score(texts, labels)


def test_a_column_is_a_vector_with_the_warning_of_scikit_learn(make_classifier: Any, reviews: Any) -> None:
    texts, labels = reviews
    with pytest.warns(sklearn.exceptions.DataConversionWarning, match="A column-vector y was passed"):
        classifier = make_classifier().fit(texts, np.array(labels)[:, None])
    assert not classifier.multilabel_
    assert classifier.predict(texts).tolist() == make_classifier().fit(texts, labels).predict(texts).tolist()


def test_a_clone_has_the_parameters_and_nothing_of_the_fit(make_classifier: Any, reviews: Any) -> None:
    given = {"class_weight": {"good": 2.0}, "output": "sigmoid", "threshold": "auto", "calibrate": False}
    classifier = make_classifier(**given).fit(*reviews)
    copy = clone(classifier)
    assert {name: copy.get_params()[name] for name in given} == given
    assert not hasattr(copy, "model_")
    assert isinstance(copy, SentimentClassifier)
