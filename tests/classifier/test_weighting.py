"""Weights: what sample_weight and class_weight mean, in training and in the figures that choose the best epoch."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from samples import make_reviews
from sklearn.metrics import recall_score
from sklearn.utils.class_weight import compute_class_weight

from textnn import SentimentClassifier
from textnn.classification.weighting import check_weights, class_factors

pytestmark = pytest.mark.filterwarnings("ignore:training|labels:UserWarning")

CLASSES = np.array(["a", "b", "c"])


def same(one: SentimentClassifier, other: SentimentClassifier) -> bool:
    weights = (classifier.model_.state_dict().values() for classifier in (one, other))
    return one.vocabulary_ == other.vocabulary_ and all(map(torch.equal, *weights))


def test_equal_weights_are_no_weights(make_classifier: Any, reviews: Any) -> None:
    plain = make_classifier().fit(*reviews)
    assert same(plain, make_classifier().fit(*reviews, sample_weight=np.full(200, 0.3)))
    assert same(plain, make_classifier(class_weight={"good": 5, "bad": 5}).fit(*reviews))
    assert not same(plain, make_classifier().fit(*reviews, sample_weight=np.linspace(0.1, 1, 200)))


def test_weights_matter_only_in_proportion(make_classifier: Any, reviews: Any) -> None:
    weights = np.random.RandomState(0).rand(200)
    first, second = (make_classifier().fit(*reviews, sample_weight=weights * scale) for scale in (1, 1024))
    assert same(first, second)


@pytest.mark.parametrize("validation", [False, True])
def test_a_text_of_weight_0_is_as_good_as_absent(validation: bool, make_classifier: Any, reviews: Any) -> None:
    """Its words and its label are unknown, it is not held out, it does not change the order of the others."""
    texts, labels = reviews
    more = ["秘密 很 好", "秘密 秘密"], ["secret", "good"]
    mixed = [*texts[:50], more[0][0], *texts[50:], more[0][1]], [*labels[:50], more[1][0], *labels[50:], more[1][1]]
    weights = [*np.ones(50), 0, *np.ones(150), 0]
    held_out = make_reviews(20, seed=9) if validation else None
    expected = make_classifier(min_count=1).fit(texts, labels, held_out)
    found = make_classifier(min_count=1).fit(*mixed, held_out, sample_weight=weights)
    assert same(found, expected)
    assert "秘密" not in found.vocabulary_
    assert found.classes_.tolist() == ["bad", "good"]
    assert (found.n_texts_, found.validation_report_.texts) == (expected.n_texts_, expected.validation_report_.texts)


def test_a_text_of_weight_n_is_a_text_n_times(make_classifier: Any, reviews: Any) -> None:
    """From the same weights, without dropout and in one batch: the same loss, and the same step."""
    base = make_classifier(dropout=0.0, word_dropout=0.0, batch_size=10000).fit(*reviews)
    texts, labels = make_reviews(40, seed=3)
    times = np.random.RandomState(1).randint(0, 4, len(texts))
    weighted = copy.deepcopy(base).partial_fit(texts, labels, sample_weight=times)
    repeated = copy.deepcopy(base).partial_fit(np.repeat(texts, times), np.repeat(labels, times))
    plain = copy.deepcopy(base).partial_fit(texts, labels)
    assert weighted.history_[-1]["loss"] == pytest.approx(repeated.history_[-1]["loss"], rel=1e-6)
    assert plain.history_[-1]["loss"] != pytest.approx(repeated.history_[-1]["loss"], rel=1e-3)
    np.testing.assert_allclose(weighted.predict_proba(texts), repeated.predict_proba(texts), atol=1e-5)


def test_the_best_epoch_is_chosen_by_weighted_figures(make_classifier: Any) -> None:
    """The validation part is weighted as the training part is."""
    texts, labels = make_reviews(300)
    weights = np.where(np.array(labels) == "good", 3.0, 1.0)
    classifier = make_classifier(calibrate=False).fit(texts, labels, sample_weight=weights)
    best = classifier.history_[classifier.best_epoch_ - 1]
    rows = classifier.validation_report_.confusion
    share = (rows[0, 0] + 3 * rows[1, 1]) / (rows[0].sum() + 3 * rows[1].sum())
    assert best["validation_accuracy"] == pytest.approx(share)


def test_score_is_weighted(make_classifier: Any, reviews: Any) -> None:
    texts, labels = ["很 好", "很 差"], ["good", "good"]
    fitted = make_classifier(epochs=15, patience=0).fit(*reviews)
    assert fitted.predict(texts).tolist() == ["good", "bad"]
    assert fitted.score(texts, labels) == 0.5
    assert fitted.score(texts, labels, sample_weight=[3, 1]) == 0.75
    with pytest.raises(ValueError, match="sample_weight: expected a number above 0 for at least one text, got zeros"):
        fitted.score(texts, labels, sample_weight=[0, 0])


def test_class_weights_are_weights_of_the_texts(make_classifier: Any, reviews: Any) -> None:
    texts, labels = reviews
    factors = {"good": 4.0, "bad": 0.5}
    expected = make_classifier().fit(texts, labels, sample_weight=[factors[label] for label in labels])
    assert same(expected, make_classifier(class_weight=factors).fit(texts, labels))
    halved = make_classifier(class_weight={"good": 4.0}).fit(texts, labels, sample_weight=np.full(200, 0.5))
    assert same(halved, make_classifier(class_weight={"good": 8.0, "bad": 2.0}).fit(texts, labels))


def test_a_rare_class_is_found_when_the_classes_are_balanced(make_classifier: Any) -> None:
    source = np.random.RandomState(0)
    labels = source.choice(["rare", "usual"], 600, p=[0.06, 0.94])
    # A word that half of the rare texts have, and a few of the usual ones.
    texts = [
        " ".join([*source.choice(list("abcdefgh"), 5), *(["sign"] if source.rand() < share else [])])
        for share in np.where(labels == "rare", 0.9, 0.08)
    ]
    recall = {}
    for weight in (None, "balanced"):
        classifier = make_classifier(class_weight=weight, epochs=12, patience=0).fit(texts, labels)
        recall[weight] = recall_score(labels, classifier.predict(texts), pos_label="rare")
    assert recall["balanced"] > 0.8 > recall[None] + 0.1, recall


@pytest.mark.parametrize("weighted", [False, True])
def test_balanced_factors_are_those_of_scikit_learn(weighted: bool) -> None:
    codes = np.array([0, 1, 1, 2, 1, 0, 1])
    weights = np.array([1.0, 2, 0, 3, 1, 1, 1]) if weighted else np.ones(7)
    repeated = np.repeat(codes, weights.astype(int))
    expected = compute_class_weight("balanced", classes=np.arange(3), y=repeated)
    np.testing.assert_allclose(class_factors("balanced", CLASSES, codes, weights), expected)


def test_balanced_labels_of_which_a_text_has_several_count_the_same_with_and_without() -> None:
    codes = np.array([[1, 0, 1], [1, 0, 1], [1, 0, 0], [0, 0, 1]], dtype=np.float32)
    weights = np.array([1.0, 1.0, 2.0, 1.0])
    factors = class_factors("balanced", CLASSES, codes, weights)
    # 4 with and 1 without; none with, which leaves nothing to balance; 3 and 2.
    np.testing.assert_allclose(factors, [1 / 4, 1, 2 / 3])


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ("equal", "class_weight: expected None, 'balanced' or a dictionary of weights, got 'equal'"),
        (3, "class_weight: expected None, 'balanced' or a dictionary of weights, got 3"),
        ({"d": 1}, "class_weight: expected labels among the classes 'a', 'b', 'c', got 'd'"),
        ({"a": "x"}, r"class_weight\['a'\]: expected a number, got str 'x'"),
        ({"a": -1}, r"class_weight\['a'\]: expected a number from 0, got -1"),
        ({"a": float("nan")}, r"class_weight\['a'\]: expected a number from 0, got nan"),
    ],
)
def test_a_bad_class_weight_is_an_error(class_weight: Any, message: str, make_classifier: Any) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        class_factors(class_weight, CLASSES, np.array([0, 1, 2]), np.ones(3))
    with pytest.raises((ValueError, TypeError), match=message):
        make_classifier(class_weight=class_weight, min_count=1).fit(["x", "y", "z"], ["a", "b", "c"])


@pytest.mark.parametrize("weights", [{"good": 0, "bad": 0}, {"good": 1e308, "bad": 1e308}])
def test_class_weights_by_which_no_text_counts_or_without_a_sum_are_an_error(
    weights: Any, make_classifier: Any, reviews: Any
) -> None:
    with pytest.raises(
        ValueError, match="class_weight: expected weights whose mean over the texts is finite and above 0"
    ):
        make_classifier(class_weight=weights).fit(*reviews)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, 2], r"sample_weight: expected one number for each of 3 texts, got the shape \[2\]"),
        (np.ones((3, 1)), r"sample_weight: expected one number for each of 3 texts, got the shape \[3, 1\]"),
        ([1, -2, 1], r"sample_weight\[1\]: expected a number from 0, got -2"),
        ([1, 1, float("inf")], r"sample_weight\[2\]: expected a number from 0, got inf"),
        (["a", "b", "c"], "sample_weight: expected a number for each text, got list"),
        (0, "sample_weight: expected a number above 0 for at least one text, got zeros only"),
    ],
)
def test_bad_weights_are_an_error(weights: Any, message: str, make_classifier: Any) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        make_classifier().fit(["x", "y", "z"], ["a", "b", "a"], sample_weight=weights)


def test_one_number_is_the_weight_of_all() -> None:
    assert check_weights(2, 3).tolist() == [2, 2, 2]
    assert check_weights(None, 2).tolist() == [1, 1]
