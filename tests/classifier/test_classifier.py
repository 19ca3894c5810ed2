"""SentimentClassifier: scikit-learn's contract, labels of any type, repeatability, errors that name the argument."""

from __future__ import annotations

import inspect
import random
from typing import Any

import numpy as np
import pytest
import torch
from samples import make_reviews
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError

import textnn
from textnn import SentimentClassifier
from textnn.models import ARCHITECTURES
from textnn.text import JiebaTokenizer

NAMES = list(ARCHITECTURES)

# Some texts of so few words occur twice.
pytestmark = pytest.mark.filterwarnings("ignore:training|labels|validation:UserWarning")


def weights(classifier: SentimentClassifier) -> list[torch.Tensor]:
    return list(classifier.model_.state_dict().values())


def test_it_is_public() -> None:
    assert textnn.SentimentClassifier is SentimentClassifier


@pytest.mark.parametrize("name", NAMES)
def test_every_architecture_learns(name: str, make_classifier: Any, reviews: Any) -> None:
    classifier = make_classifier(name, epochs=20, patience=0)
    assert classifier.fit(*reviews) is classifier
    new_texts, new_labels = make_reviews(100, seed=1)
    assert classifier.score(new_texts, new_labels) > 0.95, f"{name}: {classifier.history_[-1]}"


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_probabilities_sum_to_one_and_the_prediction_is_the_largest(
    name: str, classes: int, make_classifier: Any
) -> None:
    texts, labels = make_reviews(90, classes)
    classifier = make_classifier(name, epochs=1).fit(texts, labels)
    asked = [*texts, "", "   ", "unknown words only", "好 " * 3000]
    probabilities = classifier.predict_proba(asked)
    assert probabilities.shape == (len(asked), classes)
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=0, atol=1e-12, err_msg=name)
    expected = classifier.classes_[probabilities.argmax(axis=1)]
    assert classifier.predict(asked).tolist() == expected.tolist(), name


@pytest.mark.parametrize(
    "names",
    [("neg", "pos"), (0, 1), (-1, 1), (False, True), (0.5, 1.5), ("好", "差"), (("a", 1), ("b", 2)), (1, "1")],
    ids=str,
)
def test_labels_keep_their_type(names: tuple, make_classifier: Any, reviews: Any) -> None:
    texts, labels = reviews
    named = [names[label == "good"] for label in labels]
    classifier = make_classifier(epochs=15).fit(texts, named)
    assert classifier.classes_.tolist() == list(names)
    predicted = classifier.predict(texts).tolist()
    assert {type(label) for label in predicted} <= {type(name) for name in names}
    assert classifier.score(texts, named) == np.mean([a == b for a, b in zip(predicted, named, strict=True)]) > 0.9
    assert classifier.evaluate(texts, named).accuracy == classifier.score(texts, named)


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_gives_the_same_weights_to_the_bit(name: str, make_classifier: Any, reviews: Any) -> None:
    first = make_classifier(name).fit(*reviews)
    torch.rand(3)
    np.random.default_rng()
    second = clone(first).fit(*reviews)
    other = clone(first).set_params(random_state=1).fit(*reviews)
    assert all(map(torch.equal, weights(first), weights(second))), name
    assert not all(map(torch.equal, weights(first), weights(other))), name
    assert (first.predict_proba(reviews[0]) == second.predict_proba(reviews[0])).all(), name


def test_without_a_seed_fits_differ_but_can_be_repeated(make_classifier: Any, reviews: Any) -> None:
    first, second = (make_classifier(random_state=None).fit(*reviews) for _ in range(2))
    assert first.seed_ != second.seed_
    again = make_classifier(random_state=first.seed_).fit(*reviews)
    assert all(map(torch.equal, weights(first), weights(again)))


def test_global_random_states_are_left_alone(make_classifier: Any, reviews: Any) -> None:
    states = torch.random.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    make_classifier().fit(*reviews).predict(reviews[0])
    assert torch.equal(torch.random.get_rng_state(), states[0])
    assert (np.random.get_state()[1] == states[1]).all()  # noqa: NPY002
    assert random.getstate() == states[2]


# scikit-learn


def test_constructor_only_stores() -> None:
    given = {name: object() for name in inspect.signature(SentimentClassifier).parameters}
    classifier = SentimentClassifier(**given)  # type: ignore[arg-type]
    assert all(getattr(classifier, name) is value for name, value in given.items())
    assert {name for name in vars(classifier) if name.endswith("_")} == set()


def test_it_is_a_classifier_of_strings_for_scikit_learn(make_classifier: Any) -> None:
    classifier = make_classifier()
    assert is_classifier(classifier)
    assert clone(classifier).get_params() == classifier.get_params()
    assert "SentimentClassifier(" in repr(classifier)


def test_few_texts_train_without_a_validation_part(make_classifier: Any) -> None:
    classifier = make_classifier(validation_fraction=0.1).fit(["很 好", "很 差"], ["good", "bad"])
    assert classifier.validation_report_ is None
    assert len(classifier.history_) == classifier.best_epoch_ == 3
    assert classifier.history_[0]["validation_accuracy"] is None
    assert classifier.n_texts_ == 2


# validation


def test_validation_part_is_held_out_stratified(make_classifier: Any, reviews: Any) -> None:
    # Of texts that are all different: those that are the same stay together, which changes the sizes.
    texts, labels = zip(*dict(zip(*make_reviews(230), strict=True)).items(), strict=True)
    classifier = make_classifier(validation_fraction=0.2).fit(texts[:200], labels[:200])
    report = classifier.validation_report_
    assert (classifier.n_texts_, report.texts) == (160, 40)
    best = classifier.history_[classifier.best_epoch_ - 1]
    assert report.accuracy == pytest.approx(best["validation_accuracy"])
    share = np.mean([label == "good" for label in labels[:200]])
    assert report.per_class[1].support == pytest.approx(40 * share, abs=1)


def test_validation_data_may_be_given(make_classifier: Any, reviews: Any) -> None:
    held_out = make_reviews(30, seed=6)
    classifier = make_classifier().fit(*reviews, validation_data=held_out)
    assert classifier.n_texts_ == 200
    assert classifier.validation_report_.texts == 30
    assert classifier.score(*held_out) == classifier.validation_report_.accuracy


def test_vocabulary_comes_from_the_training_texts_alone(make_classifier: Any, reviews: Any) -> None:
    classifier = make_classifier(min_count=1).fit(*reviews, validation_data=(["秘密 很 好", "很 差"], ["good", "bad"]))
    assert "秘密" not in classifier.vocabulary_
    assert "很" in classifier.vocabulary_


def test_lecture_recipe_trains_all_its_epochs_and_keeps_the_last_weights(make_classifier: Any, reviews: Any) -> None:
    classifier = make_classifier("lecture-lstm", epochs=None).fit(*reviews)
    assert [epoch["epoch"] for epoch in classifier.history_] == [1, 2, 3, 4, 5]
    assert classifier.best_epoch_ == 5
    assert all(epoch["validation_accuracy"] is not None for epoch in classifier.history_)


def test_evaluation_lists_the_errors_with_their_texts(fitted: SentimentClassifier) -> None:
    report = fitted.evaluate(["很 好 的", "很 差 的", "很 差"], ["bad", "bad", "bad"], worst=5)
    wrong = [error.text for error in report.worst_errors]
    predicted = fitted.predict(["很 好 的", "很 差 的", "很 差"]).tolist()
    assert len(wrong) == predicted.count("good") == report.errors
    unknown = fitted.evaluate(["很 好"], ["never seen"])
    assert (unknown.accuracy, unknown.classes) == (0, ["bad", "good", "never seen"])


# tokenizers


def test_tokenizer_may_be_a_function_or_a_tokenizer(make_classifier: Any, reviews: Any) -> None:
    by_name = make_classifier(stop_words=["的"]).fit(*reviews).predict_proba(reviews[0])
    by_function = make_classifier(tokenizer=str.split, stop_words=["的"]).fit(*reviews).predict_proba(reviews[0])
    assert (by_name == by_function).all()
    tokenizer = JiebaTokenizer(["物流很好"])
    classifier = make_classifier(tokenizer=tokenizer).fit(["物流很好", "物流很差"] * 3, [1, 0] * 3)
    assert classifier.tokenizer_ is tokenizer
    assert "物流很好" in classifier.vocabulary_


def test_texts_are_cut_at_the_length(make_classifier: Any, reviews: Any) -> None:
    classifier = make_classifier(max_length=2).fit(*reviews)
    one, other = classifier.predict_proba(["的 了 很 好", "的 了 很 差"])
    assert (one == other).all()


# errors


@pytest.mark.parametrize(
    ("texts", "labels", "error", "message"),
    [
        ("one text", ["a"], TypeError, r"X: expected a list of strings, got one string; write \[text\]"),
        (b"bytes", ["a"], TypeError, "X: expected a list of strings, got one string"),
        (3, ["a"], TypeError, "X: expected a list of strings, got int"),
        (["x", float("nan")], ["a", "b"], TypeError, r"X\[1\]: expected a string, got float nan"),
        (["x", ["y"]], ["a", "b"], TypeError, r"X\[1\]: expected a string, got list"),
        (
            np.array([["x"], ["y"]]),
            ["a", "b"],
            ValueError,
            r"X: expected a vector of strings, got the shape \(2, 1",
        ),
        (["x", "y"], ["a"], ValueError, "y: expected one for each of 2 texts, got 1"),
        (["x", "y"], "ab", TypeError, "y: expected a list of labels, got str"),
        (["x", "y"], ["a", None], ValueError, r"y\[1\]: expected a label, got a missing value, None"),
        (["x", "y"], ["a", "a"], ValueError, "y: expected at least two classes, got only one class, 'a'"),
        ([], [], ValueError, "X: expected at least one text, got none"),
    ],
)
def test_bad_training_data_is_an_error(texts: Any, labels: Any, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        SentimentClassifier(tokenizer="char", verbose=0).fit(texts, labels)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"architecture": "cnn"}, "architecture: expected one of .* got 'cnn'"),
        (
            {"tokenizer": "mecab"},
            "tokenizer: expected one of jieba, .*, the directory of a saved segmenter or a function, got 'mecab'",
        ),
        ({"architecture": "textcnn", "hidden_size": 10}, "hidden_size: the architecture 'textcnn' has no such option"),
        ({"epochs": 0}, "epochs: expected an integer from 1"),
        ({"random_state": -1}, "random_state: expected an integer from 0"),
        ({"random_state": "x"}, "random_state: expected an integer, a RandomState or None, got str"),
        ({"device": "abacus"}, "device: 'abacus' cannot be used"),
        ({"device": "meta"}, "device: 'meta' cannot be used"),
        ({"stop_words": "/no/such/file"}, "stop_words: cannot read the file /no/such/file"),
    ],
)
def test_a_bad_parameter_is_an_error_at_fit(parameters: dict, message: str, reviews: Any) -> None:
    classifier = SentimentClassifier(**{"tokenizer": "whitespace", "verbose": 0, **parameters})
    with pytest.raises((ValueError, TypeError), match=message):
        classifier.fit(*reviews)


@pytest.mark.parametrize(
    ("validation_data", "message"),
    [
        (["很 好"], r"validation_data: expected a pair \(texts, labels\), got list"),
        (([], []), "validation_data: expected at least one text, got none"),
        ((["x"], ["a", "b"]), "validation_data labels: expected one for each of 1 texts, got 2"),
        ((["x"], ["a"]), r"validation_data labels\[0\]: expected one of the classes 'bad', 'good', got 'a'"),
        (("x", ["a"]), "validation_data texts: expected a list of strings, got one string"),
    ],
)
def test_bad_validation_data_is_an_error(
    validation_data: Any, message: str, make_classifier: Any, reviews: Any
) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        make_classifier().fit(*reviews, validation_data=validation_data)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "save"])
def test_before_fit_there_is_nothing_to_use(method: str) -> None:
    with pytest.raises(NotFittedError):
        getattr(SentimentClassifier(), method)(["text"])


def test_no_texts_have_no_predictions(fitted: SentimentClassifier) -> None:
    assert fitted.predict([]).shape == (0,)
    assert fitted.predict_proba([]).shape == (0, 2)
    with pytest.raises(ValueError, match="X: expected at least one text"):
        fitted.score([], [])
    with pytest.raises(TypeError, match="X: expected a list of strings, got one string"):
        fitted.predict("很 好")


def test_a_failed_fit_leaves_the_classifier_as_it_was(make_classifier: Any, reviews: Any) -> None:
    classifier = make_classifier().fit(*reviews)
    before = classifier.predict_proba(reviews[0])
    model = classifier.model_
    with pytest.raises(ValueError, match="at least two classes"):
        classifier.fit(["x", "y"], ["a", "a"])
    with pytest.raises(RuntimeError, match="the loss became"):
        classifier.set_params(learning_rate=1e30, min_count=1).fit(["x", "y"], ["a", "b"])
    assert classifier.model_ is model
    assert (classifier.predict_proba(reviews[0]) == before).all()


def test_fit_is_silent_or_writes_to_standard_error(
    make_classifier: Any, reviews: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    texts, labels = zip(*dict(zip(*reviews, strict=True)).items(), strict=True)
    make_classifier(verbose=0).fit(texts, labels)
    assert capfd.readouterr() == ("", "")
    make_classifier(verbose=1).fit(texts, labels)
    out, err = capfd.readouterr()
    lines = err.splitlines()
    assert (out, len(lines)) == ("", 4)
    assert lines[0] == "tokenizer: whitespace"


# one logit


@pytest.mark.parametrize("name", NAMES)
def test_a_sigmoid_learns_what_a_softmax_learns(name: str, make_classifier: Any, reviews: Any) -> None:
    classifier = make_classifier(name, epochs=20, patience=0, output="sigmoid").fit(*reviews)
    texts, labels = make_reviews(100, seed=1)
    assert classifier.score(texts, labels) > 0.95
    probabilities = classifier.predict_proba(texts)
    assert probabilities.shape == (100, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=0, atol=1e-12)
    assert classifier.predict(texts).tolist() == classifier.classes_[probabilities.argmax(axis=1)].tolist()
    biases = [value for name, value in classifier.model_.state_dict().items() if name.endswith("output.bias")]
    assert {value.shape for value in biases} == {(1,)}


def test_a_sigmoid_is_saved_and_frozen(make_classifier: Any, reviews: Any, tmp_path: Any) -> None:
    classifier = make_classifier(output="sigmoid").fit(*reviews)
    live = classifier.predict_proba(reviews[0])
    classifier.save(tmp_path / "model")
    loaded = SentimentClassifier.load(tmp_path / "model")
    assert (loaded.predict_proba(reviews[0]) == live).all()
    np.testing.assert_allclose(loaded.freeze().predict_proba(reviews[0]), live, rtol=0, atol=1e-6)


def test_a_sigmoid_is_for_two_classes(make_classifier: Any) -> None:
    texts, labels = make_reviews(60, classes=3)
    with pytest.raises(ValueError, match="output: 'sigmoid' is for two classes, got 3; write output='softmax'"):
        make_classifier(output="sigmoid").fit(texts, labels)
    with pytest.raises(ValueError, match="output: expected one of 'softmax', 'sigmoid', got 'tanh'"):
        make_classifier(output="tanh").fit(texts, labels)
