"""Training that goes on: warm_start, and partial_fit on texts that come in parts."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from samples import make_reviews

from textnn import SentimentClassifier

pytestmark = pytest.mark.filterwarnings("ignore:training|labels:UserWarning")


def weights(classifier: SentimentClassifier) -> list[torch.Tensor]:
    return list(classifier.model_.state_dict().values())


# warm_start


def test_a_warm_start_goes_on_from_the_weights_there_are(make_classifier: Any) -> None:
    first, second = make_reviews(200), make_reviews(200, seed=2)
    cold = make_classifier(epochs=2, patience=0)
    warm = make_classifier(epochs=2, patience=0, warm_start=True)
    cold.fit(*first).fit(*second)
    before = weights(warm.fit(*first))
    vocabulary, tokenizer = warm.vocabulary_, warm.tokenizer_
    assert warm.fit(["新词 " + text for text in second[0]], second[1]) is warm
    assert warm.history_[0]["loss"] < cold.history_[0]["loss"]
    assert len(warm.history_) == 2
    assert warm.vocabulary_ is vocabulary
    assert warm.tokenizer_ is tokenizer
    assert "新词" not in warm.vocabulary_
    assert not any(map(torch.equal, before, weights(warm)))


def test_the_first_fit_of_a_warm_start_is_a_fit(make_classifier: Any, reviews: Any) -> None:
    cold, warm = (make_classifier(warm_start=warm).fit(*reviews) for warm in (False, True))
    assert all(map(torch.equal, weights(cold), weights(warm)))


def test_options_of_the_training_may_change_in_between(make_classifier: Any, reviews: Any) -> None:
    classifier = make_classifier(warm_start=True).fit(*reviews)
    classifier.set_params(learning_rate=1e-12, dropout=0.1, epochs=1).fit(*reviews)
    assert classifier.options_["dropout"] == 0.1
    assert len(classifier.history_) == 1


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            ["good", "bad", "new"],
            "expected the classes that the classifier was fitted with, 'bad', 'good', got 'new' as",
        ),
        (["good", "good", "good"], "expected the classes .* 'bad', 'good', got no 'bad'"),
        ([["good"], ["bad"], []], "y: expected one label a text, as the classifier was fitted with, got another"),
    ],
)
def test_the_classes_of_a_warm_start_have_to_be_the_same(
    labels: list, message: str, make_classifier: Any, reviews: Any
) -> None:
    classifier = make_classifier(warm_start=True).fit(*reviews)
    before = copy.deepcopy(weights(classifier))
    with pytest.raises(ValueError, match=message):
        classifier.fit(["很 好", "很 差", "一般"], labels)
    assert all(map(torch.equal, before, weights(classifier)))


def test_the_network_of_a_warm_start_has_to_be_the_same(make_classifier: Any, reviews: Any) -> None:
    classifier = make_classifier(warm_start=True).fit(*reviews)
    with pytest.raises(ValueError, match=r"the network: expected the one .* got another: channels 9 instead of 8"):
        classifier.set_params(channels=9).fit(*reviews)
    classifier.set_params(channels=None, embedding_dim=None, architecture="lecture-lstm")
    with pytest.raises(
        ValueError, match="architecture: expected 'textcnn', as the classifier was fitted with, got 'lec"
    ):
        classifier.fit(*reviews)


# partial_fit


def test_parts_teach_what_the_whole_teaches(make_classifier: Any) -> None:
    texts, labels = make_reviews(600)
    classifier = make_classifier(min_count=1, batch_size=10)
    for start in range(0, 600, 100):
        assert classifier.partial_fit(texts[start : start + 100], labels[start : start + 100]) is classifier
    assert classifier.score(*make_reviews(100, seed=7)) > 0.95
    assert classifier.n_texts_ == 600
    assert [epoch["epoch"] for epoch in classifier.history_] == [1, 2, 3, 4, 5, 6]
    assert classifier.best_epoch_ == 6
    assert classifier.validation_report_ is None
    assert classifier.seed_ == 0


def test_parts_can_be_repeated_to_the_bit(make_classifier: Any) -> None:
    parts = [make_reviews(60, seed=seed) for seed in range(3)]
    first, second = make_classifier(), make_classifier()
    for part in parts:
        first.partial_fit(*part)
        second.partial_fit(*part)
    assert all(map(torch.equal, weights(first), weights(second)))


def test_each_pass_over_the_same_texts_draws_anew(make_classifier: Any, reviews: Any) -> None:
    classifier = make_classifier(learning_rate=1e-30).partial_fit(*reviews)
    # Weights that do not move have another loss only by another dropout.
    classifier.partial_fit(*reviews).partial_fit(*reviews)
    assert len({epoch["loss"] for epoch in classifier.history_}) == 3


def test_the_first_part_may_lack_classes_that_are_named(make_classifier: Any) -> None:
    classifier = make_classifier().partial_fit(["很 好"] * 5, ["good"] * 5, classes=["bad", "good", "mixed"])
    assert classifier.predict_proba(["x"]).shape == (1, 3)
    classifier.partial_fit(["很 差"] * 3, ["bad"] * 3).partial_fit(
        ["一般"], ["mixed"], classes=["mixed", "bad", "good"]
    )
    assert classifier.classes_.tolist() == ["bad", "good", "mixed"]
    assert classifier.n_texts_ == 9


def test_words_of_later_parts_stay_unknown(make_classifier: Any, reviews: Any) -> None:
    classifier = make_classifier().partial_fit(*reviews)
    size = len(classifier.vocabulary_)
    classifier.partial_fit(["新词 很 好"] * 20, ["good"] * 20)
    assert len(classifier.vocabulary_) == size
    assert "新词" not in classifier.vocabulary_


def test_parts_follow_a_fit(make_classifier: Any) -> None:
    texts, labels = make_reviews(1200)
    classifier = make_classifier(validation_fraction=0.2).fit(texts, labels)
    temperature, texts_before, epochs = classifier.temperature_, classifier.n_texts_, len(classifier.history_)
    assert temperature != 1
    classifier.partial_fit(texts[:50], labels[:50])
    assert (classifier.temperature_, classifier.n_texts_) == (temperature, texts_before + 50)
    assert len(classifier.history_) == epochs + 1


def test_a_frozen_classifier_goes_on_with_live_weights(make_classifier: Any, reviews: Any) -> None:
    classifier = make_classifier().fit(*reviews).freeze()
    before = classifier.predict_proba(reviews[0])
    classifier.partial_fit(*reviews)
    assert classifier.frozen_ is None
    assert not np.allclose(classifier.predict_proba(reviews[0]), before)


def test_a_loaded_classifier_goes_on(make_classifier: Any, reviews: Any, tmp_path: Any) -> None:
    classifier = make_classifier().fit(*reviews)
    classifier.save(tmp_path / "model")
    loaded = SentimentClassifier.load(tmp_path / "model").set_params(verbose=0)
    more = make_reviews(50, seed=4)
    assert all(map(torch.equal, weights(classifier.partial_fit(*more)), weights(loaded.partial_fit(*more))))


@pytest.mark.parametrize(
    ("labels", "classes", "message"),
    [
        (["good", "new"], None, "expected the classes .* 'bad', 'good', got 'new' as well"),
        (
            ["good", "bad"],
            ["good", "bad", "new"],
            r"classes: expected those of the first call, \['bad', 'good'\], or None",
        ),
    ],
)
def test_labels_of_later_parts_have_to_be_known(
    labels: list, classes: Any, message: str, make_classifier: Any, reviews: Any
) -> None:
    classifier = make_classifier().partial_fit(*reviews)
    with pytest.raises(ValueError, match=message):
        classifier.partial_fit(["很 好", "很 差"], labels, classes=classes)
    assert len(classifier.history_) == 1


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (["a"], "classes: expected at least two classes, got only one class, 'a'"),
        (["a", "c"], r"y\[1\]: expected one of the classes 'a', 'c', got 'b'"),
        ("ab", "classes: expected a list of labels, got str"),
    ],
)
def test_bad_classes_of_the_first_part_are_an_error(classes: Any, message: str, make_classifier: Any) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        make_classifier().partial_fit(["x", "y"], ["a", "b"], classes=classes)
