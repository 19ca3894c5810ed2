"""Several labels a text: lists, sets and matrices of them, thresholds, saved models, errors."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from saved_models import edit_config
from scipy import sparse
from sklearn.metrics import accuracy_score, hamming_loss
from sklearn.model_selection import cross_val_predict, cross_val_score

from textnn import SentimentClassifier
from textnn.bundle import BundleError
from textnn.data.splitting import split
from textnn.data.targets import read_targets

pytestmark = pytest.mark.filterwarnings("ignore:training|labels:UserWarning")

WORDS = {"price": ["便宜", "贵"], "quality": ["结实", "坏"], "service": ["客服", "物流"]}
LABELS = list(WORDS)


def make_texts(count: int, seed: int = 0) -> tuple[list[str], list[list[str]]]:
    """Texts of 3 to 8 words, and the labels, from none to all, that their words give away."""
    source = random.Random(seed)
    texts, labels = [], []
    for _ in range(count):
        own = [label for label in LABELS if source.random() < 0.4]
        words = [source.choice(WORDS[label]) for label in own] + source.choices(
            "的了我他她它们很", k=source.randint(3, 5)
        )
        source.shuffle(words)
        texts.append(" ".join(words))
        labels.append(own)
    return texts, labels


def to_matrix(labels: list[list[str]]) -> np.ndarray:
    return np.array([[label in own for label in LABELS] for own in labels], dtype=np.int64)


@pytest.fixture(scope="module")
def corpus() -> tuple[list[str], list[list[str]]]:
    return make_texts(400)


@pytest.fixture(scope="module")
def several(make_classifier: Any, corpus: Any) -> SentimentClassifier:
    """A classifier fitted with lists; not to be changed."""
    return make_classifier(epochs=20, batch_size=16).fit(*corpus)


def test_it_learns_and_predicts_lists(several: SentimentClassifier) -> None:
    assert several.multilabel_
    assert several.classes_.tolist() == LABELS
    assert several.thresholds_.tolist() == [0.5, 0.5, 0.5]
    texts, labels = make_texts(100, seed=1)
    assert several.score(texts, labels) > 0.9
    predicted = several.predict(texts)
    assert isinstance(predicted, list)
    assert [] in predicted
    assert ["price", "quality", "service"] in predicted


def test_probabilities_stand_each_for_itself(several: SentimentClassifier) -> None:
    texts, _ = make_texts(50, seed=1)
    probabilities = several.predict_proba(texts)
    assert probabilities.shape == (50, 3)
    assert not np.allclose(probabilities.sum(axis=1), 1, atol=0.1)
    chosen = [[label for label, p in zip(LABELS, row, strict=True) if p >= 0.5] for row in probabilities]
    assert several.predict(texts) == chosen
    assert several.predict([]) == []


MATRICES = [
    np.asarray,
    lambda matrix: matrix.astype(bool),
    lambda matrix: matrix.astype(float),
    lambda matrix: matrix.astype(object),
    sparse.csr_matrix,
    sparse.csr_array,
    sparse.coo_array,
]


@pytest.mark.parametrize("make", MATRICES)
def test_a_matrix_gives_a_matrix(make: Any, make_classifier: Any, corpus: Any) -> None:
    texts, labels = corpus
    matrix = to_matrix(labels)
    lists = make_classifier().fit(texts, labels)
    classifier = make_classifier().fit(texts, make(matrix))
    assert classifier.classes_.tolist() == [0, 1, 2]
    assert (classifier.predict_proba(texts) == lists.predict_proba(texts)).all()
    predicted = classifier.predict(texts)
    assert (predicted.dtype, predicted.shape) == (np.int64, (400, 3))
    assert (predicted == to_matrix(lists.predict(texts))).all()
    assert classifier.score(texts, make(matrix)) == accuracy_score(matrix, predicted) == lists.score(texts, labels)


@pytest.mark.parametrize("make", [list, set, lambda own: np.array(own, dtype=object)])
def test_the_labels_of_a_text_may_be_any_collection(make: Any, make_classifier: Any, corpus: Any) -> None:
    texts, labels = corpus
    expected = make_classifier().fit(texts, labels).predict_proba(texts)
    column = np.empty(len(labels), dtype=object)
    column[:] = [make(own) for own in labels]
    for given in ([make(own) for own in labels], column):
        assert (make_classifier().fit(texts, given).predict_proba(texts) == expected).all()


def test_tuples_stay_single_labels(make_classifier: Any) -> None:
    classifier = make_classifier().fit(["x", "y"] * 5, [("a", 1), ("b", 2)] * 5)
    assert not classifier.multilabel_
    assert classifier.classes_.tolist() == [("a", 1), ("b", 2)]


def test_one_label_alone_is_enough(make_classifier: Any) -> None:
    texts, labels = make_texts(200)
    own = [[label for label in labels_ if label == "price"] for labels_ in labels]
    classifier = make_classifier(epochs=20, batch_size=16).fit(texts, own)
    assert classifier.predict_proba(texts).shape == (200, 1)
    assert classifier.score(texts, own) > 0.9


def test_numbers_and_mixed_labels_keep_their_type(make_classifier: Any) -> None:
    classifier = make_classifier().fit(["x", "y", "z"] * 9, [[1], ["1"], [1, "1", ("a", 2)]] * 9)
    assert classifier.classes_.tolist() == [1, "1", ("a", 2)]
    assert classifier.thresholds_.shape == (3,)


def test_scikit_learn_validates_with_matrices(make_classifier: Any, corpus: Any) -> None:
    texts, labels = corpus
    classifier = make_classifier(epochs=15, batch_size=16, patience=0)
    assert cross_val_score(classifier, texts, to_matrix(labels), cv=2).min() > 0.7
    predicted = cross_val_predict(classifier, texts, to_matrix(labels), cv=2)
    assert hamming_loss(to_matrix(labels), predicted) < 0.1


def test_weights_of_labels_are_for_texts_that_have_them(make_classifier: Any, corpus: Any) -> None:
    texts, labels = corpus
    rare = [[label for label in own if label == "price" and number % 5 == 0] for number, own in enumerate(labels)]
    predicted = [
        sum(map(len, make_classifier(class_weight=weight, epochs=4, patience=0).fit(texts, rare).predict(texts)))
        for weight in (None, "balanced", {"price": 0.01})
    ]
    assert predicted[1] > predicted[0] + 20, predicted
    assert predicted[2] == 0, predicted


# thresholds


def test_a_threshold_may_be_given(make_classifier: Any, corpus: Any) -> None:
    texts, _ = corpus
    low, high = (make_classifier(threshold=threshold).fit(*corpus) for threshold in (0.2, 0.9))
    assert (low.predict_proba(texts) == high.predict_proba(texts)).all()
    assert sum(map(len, low.predict(texts))) > sum(map(len, high.predict(texts)))
    assert low.predict(texts) == [
        [label for label, p in zip(LABELS, row, strict=True) if p >= 0.2] for row in low.predict_proba(texts)
    ]


def test_the_thresholds_of_the_best_f1_are_found_on_the_validation_part(make_classifier: Any) -> None:
    texts, labels = make_texts(600)
    # After one epoch no probability is near 1: with 0.5 hardly a label is predicted.
    plain, best = (make_classifier(epochs=1, threshold=threshold).fit(texts, labels) for threshold in (0.5, "auto"))
    assert best.validation_report_.macro.f1 > plain.validation_report_.macro.f1 + 0.1
    assert ((best.thresholds_ > 0) & (best.thresholds_ < 1)).all()
    assert best.predict(texts) == [
        [label for label, p, least in zip(LABELS, row, best.thresholds_, strict=True) if p >= least]
        for row in best.predict_proba(texts)
    ]


def test_without_held_out_texts_the_threshold_is_a_half(make_classifier: Any, corpus: Any) -> None:
    with pytest.warns(UserWarning, match="threshold: 'auto' needs texts that are held out, and there are none") as seen:
        classifier = make_classifier(threshold="auto", validation_fraction=0).fit(*corpus)
    assert any(warning.filename == __file__ for warning in seen)
    assert classifier.thresholds_.tolist() == [0.5] * 3


# evaluated, and split


def test_evaluation(several: SentimentClassifier) -> None:
    texts, labels = make_texts(80, seed=3)
    report = several.evaluate(texts, labels)
    assert report.accuracy == several.score(texts, labels)
    assert several.evaluate(texts, to_matrix(labels)).to_dict() == report.to_dict()
    assert several.validation_report_.texts == len(set(make_texts(400)[0])) // 10
    with pytest.raises(ValueError, match="X: expected at least one text to evaluate, got none"):
        several.evaluate([], [])


def test_every_label_keeps_a_text_to_be_trained_on() -> None:
    source = np.random.RandomState(0)
    for seed in range(30):
        codes = (source.rand(40, 12) < 0.06).astype(np.float32)
        codes[:2, 0] = 1
        training, held_out = split(codes, np.arange(40), 0.5, seed)
        assert sorted([*training, *held_out]) == list(range(40))
        assert (codes[training].any(axis=0) == codes.any(axis=0)).all(), seed
    assert len(split(codes, np.arange(40), 0.25, 0)[1]) == 10


# saved


@pytest.mark.parametrize("kind", ["lists", "matrix"])
def test_a_saved_model_predicts_the_same(kind: str, make_classifier: Any, corpus: Any, tmp_path: Any) -> None:
    texts, labels = corpus
    classifier = make_classifier(threshold="auto").fit(texts, labels if kind == "lists" else to_matrix(labels))
    classifier.save(tmp_path / "model", classifier.evaluate(texts, labels if kind == "lists" else to_matrix(labels)))
    loaded = SentimentClassifier.load(tmp_path / "model")
    assert loaded.multilabel_
    assert loaded.thresholds_.tolist() == classifier.thresholds_.tolist()
    assert np.array_equal(loaded.predict_proba(texts), classifier.predict_proba(texts))
    assert np.array_equal(
        to_matrix(loaded.predict(texts)) if kind == "lists" else loaded.predict(texts),
        to_matrix(classifier.predict(texts)) if kind == "lists" else classifier.predict(texts),
    )
    assert loaded.validation_report_.to_counts() == classifier.validation_report_.to_counts()
    assert "all labels right" in (tmp_path / "model" / "README.md").read_text(encoding="utf-8")


def test_a_saved_model_of_one_label(make_classifier: Any, tmp_path: Any) -> None:
    classifier = make_classifier().fit(["x", "y"] * 9, [["a"], []] * 9)
    classifier.save(tmp_path / "model")
    assert SentimentClassifier.load(tmp_path / "model").classes_.tolist() == ["a"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": "many"}, "expected 'labels' to be one of label, lists, matrix, got 'many'"),
        ({"thresholds": [0.5]}, r"expected 'thresholds' to be 3 numbers, got \[0.5\]"),
        ({"thresholds": None}, "expected 'thresholds' to be 3 numbers, got None"),
        ({"temperature": 0}, "expected 'temperature' to be a number above 0, got 0"),
        ({"temperature": "1"}, "expected 'temperature' to be a number above 0, got '1'"),
    ],
)
def test_a_tampered_configuration_is_refused(
    change: dict, message: str, several: SentimentClassifier, tmp_path: Any
) -> None:
    several.save(tmp_path / "model")
    edit_config(tmp_path / "model", lambda config: config["prediction"].update(change))
    with pytest.raises(BundleError, match=message):
        SentimentClassifier.load(tmp_path / "model")


# errors


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([["a"], "b", ["a"]], r"y\[1\]: expected a list of labels as other texts have, got str"),
        ([["a"], ["b", None], []], r"y\[1\]\[1\]: expected a label, got a missing value, None"),
        ([["a"], ["b", "b"], []], r"y\[1\]: expected different labels, got 'b' twice; a matrix of 0 and 1 has to"),
        ([["a"], [["b"]], []], r"y\[1\]\[0\]: expected one hashable label a text .*, got list"),
        ([["a"], []], "y: expected one list for each of 3 texts, got 2"),
        ([[], [], []], "y: expected at least one class, got none"),
        (np.zeros((2, 2)), r"y: expected one row for each of 3 texts, got the shape \(2, 2\)"),
        (np.zeros((3, 0)), "y: expected at least one class, got none"),
        (np.full((3, 2), 2), r"y\[0, 0\]: expected a matrix of 0 and 1 or one label a text, got .*2"),
        (np.array([[0, 1], [1, np.nan], [0, 0]]), r"y\[1, 1\]: expected a matrix of 0 and 1 .*, got .*nan"),
        (np.array([["a", "b"]] * 3), r"y\[0, 0\]: expected a matrix of 0 and 1 or one label a text, got .*'a'"),
        (np.zeros((3, 2, 2)), r"y: expected a vector with one label a text, got the shape \(3, 2, 2\)"),
        ({"a": 1}, "y: expected one for each of 3 texts, got 1"),
    ],
)
def test_bad_labels_are_an_error(labels: Any, message: str, make_classifier: Any) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        make_classifier().fit(["x", "y", "z"], labels)


def test_labels_have_to_be_of_the_kind_of_the_fit(several: SentimentClassifier, fitted: SentimentClassifier) -> None:
    with pytest.raises(ValueError, match="y: expected a list of labels for each text, as the classifier was fitted"):
        several.score(["x"], ["price"])
    with pytest.raises(ValueError, match="y: expected a matrix of 3 columns, got 2"):
        several.evaluate(["x"], np.array([[0, 1]]))
    with pytest.raises(ValueError, match="y: expected one label a text, as the classifier was fitted with"):
        fitted.score(["x"], [["good"]])


def test_validation_data_has_to_be_of_the_same_kind(make_classifier: Any, corpus: Any) -> None:
    with pytest.raises(ValueError, match="validation_data labels: expected a list of labels for each text"):
        make_classifier().fit(*corpus, validation_data=(["x"], ["price"]))
    with pytest.raises(
        ValueError, match=r"validation_data labels\[0\]\[1\]: expected one of the classes 'price'.*'new'"
    ):
        make_classifier().fit(*corpus, validation_data=(["x"], [["price", "new"]]))


@pytest.mark.parametrize(
    ("threshold", "message"),
    [
        (0, "threshold: expected a number between 0 and 1 or 'auto', got 0"),
        (1.0, "threshold: expected a number between 0 and 1 or 'auto', got 1"),
        ("best", "threshold: expected a number or 'auto', got str 'best'"),
        (None, "threshold: expected a number or 'auto', got NoneType None"),
    ],
)
def test_a_bad_threshold_is_an_error(threshold: Any, message: str, make_classifier: Any, corpus: Any) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        make_classifier(threshold=threshold).fit(*corpus)


def test_a_dense_matrix_and_lists_say_the_same() -> None:
    matrix, lists = read_targets(np.array([[1, 0], [1, 1], [0, 0]])), read_targets([[0], [1, 0], []])
    assert matrix.several
    assert lists.several
    assert (matrix.encode(np.arange(2)) == lists.encode(np.arange(2))).all()
    assert matrix.sorted_values(np.arange(2)) == lists.sorted_values(np.arange(2)) == [(0,), (0, 1), ()]
