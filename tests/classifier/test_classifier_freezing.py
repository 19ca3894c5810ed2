"""A frozen classifier predicts as the live one, and a fit, a saved model and a pickle have the live weights."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from textnn import SentimentClassifier
from textnn.models import ARCHITECTURES


@pytest.mark.parametrize("given", [{}, {"memory_limit": 5000}, {"memory_limit": 0}, {"dtype": "int16"}], ids=str)
def test_a_frozen_classifier_predicts_the_same(given: Any, make_classifier: Any, reviews: Any) -> None:
    classifier = make_classifier().fit(*reviews)
    live = classifier.predict_proba(reviews[0])
    assert classifier.freeze(**given) is classifier
    assert classifier.frozen_ is not classifier.model_
    np.testing.assert_allclose(classifier.predict_proba(reviews[0]), live, rtol=0, atol=1e-4)
    assert classifier.predict(reviews[0]).tolist() == classifier.classes_[live.argmax(axis=1)].tolist()


def test_a_fit_begins_with_live_weights_again(make_classifier: Any, reviews: Any) -> None:
    classifier = make_classifier().fit(*reviews).freeze()
    classifier.fit(*reviews)
    assert classifier.frozen_ is None
    fresh = make_classifier().fit(*reviews)
    assert (classifier.predict_proba(reviews[0]) == fresh.predict_proba(reviews[0])).all()


@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if "textcnn" not in name])
def test_what_cannot_be_frozen_predicts_as_before(name: str, make_classifier: Any, reviews: Any) -> None:
    classifier = make_classifier(name, epochs=1).fit(*reviews)
    live = classifier.predict_proba(reviews[0])
    with pytest.warns(UserWarning, match=f"the architecture '{name}' has nothing to freeze"):
        classifier.freeze()
    assert (classifier.predict_proba(reviews[0]) == live).all()


@pytest.mark.parametrize("name", ["lecture-lstm", "lstm", "bilstm"])
def test_an_lstm_frozen_in_int8_predicts_nearly_the_same(
    name: str, make_classifier: Any, reviews: Any, tmp_path: Any
) -> None:
    classifier = make_classifier(architecture=name).fit(*reviews)
    live = classifier.predict_proba(reviews[0])
    classifier.save(tmp_path / "model")
    frozen = SentimentClassifier.load(tmp_path / "model", frozen="int8").predict_proba(reviews[0])
    np.testing.assert_allclose(frozen, live, atol=0.03)
    assert not (frozen == live).all()
    with pytest.raises(ValueError, match=r"dtype must be one of 'float32', .*'int8', 'bfloat16', got 'int4'"):
        classifier.freeze(dtype="int4")
    with pytest.warns(
        UserWarning, match=rf"'{name}' has nothing to freeze in 'int16'; .* frozen in 'bfloat16', 'int8'"
    ):
        classifier.freeze(dtype="int16")


@pytest.mark.parametrize("name", ["rnn", "gru", "bigru", "lstm", "lecture-lstm"])
def test_a_recurrent_layer_frozen_in_bfloat16_predicts_nearly_the_same(
    name: str, make_classifier: Any, reviews: Any, tmp_path: Any
) -> None:
    classifier = make_classifier(architecture=name).fit(*reviews)
    live = classifier.predict_proba(reviews[0])
    classifier.save(tmp_path / "model")
    frozen = SentimentClassifier.load(tmp_path / "model", frozen="bfloat16").predict_proba(reviews[0])
    np.testing.assert_allclose(frozen, live, atol=0.03)
    assert not (frozen == live).all()
    with pytest.warns(UserWarning, match=rf"'{name}' has nothing to freeze in 'int16'; .* frozen in 'bfloat16'"):
        classifier.freeze(dtype="int16")


def test_a_frozen_classifier_is_saved_with_its_live_weights(make_classifier: Any, reviews: Any, tmp_path: Any) -> None:
    classifier = make_classifier().fit(*reviews)
    live = classifier.predict_proba(reviews[0])
    frozen = classifier.freeze(dtype="int8").predict_proba(reviews[0])
    assert not (frozen == live).all()
    classifier.save(tmp_path / "model")
    assert (SentimentClassifier.load(tmp_path / "model").predict_proba(reviews[0]) == live).all()
    loaded = SentimentClassifier.load(tmp_path / "model", frozen=False)
    np.testing.assert_allclose(loaded.predict_proba(reviews[0]), live, rtol=0, atol=1e-6)


def test_a_frozen_classifier_can_be_pickled(make_classifier: Any, reviews: Any) -> None:
    classifier = make_classifier().fit(*reviews).freeze()
    copy = pickle.loads(pickle.dumps(classifier))
    assert (copy.predict_proba(reviews[0]) == classifier.predict_proba(reviews[0])).all()
