"""The figures of several labels a text, from labels and probabilities alone, and the thresholds that suit them best."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, hamming_loss, multilabel_confusion_matrix, precision_recall_fscore_support

from textnn.classification.evaluation.calibration import best_thresholds
from textnn.classification.evaluation.multilabel import MultilabelReport

# thresholds


def test_best_thresholds() -> None:
    probabilities = np.array([[0.9, 0.1, 0.8], [0.4, 0.2, 0.6], [0.3, 0.3, 0.6], [0.2, 0.4, 0.1]])
    labels = np.array([[1, 0, 1], [1, 0, 0], [0, 0, 0], [0, 0, 1]])
    # Between 0.4 and 0.3; none has it; only the first: F1 2/3, as with all four, but 0.7 is nearer to 0.5 than 0.05.
    assert best_thresholds(probabilities, labels).tolist() == pytest.approx([0.35, 0.5, 0.7])


@pytest.mark.parametrize("seed", range(20))
def test_no_other_threshold_is_better(seed: int) -> None:
    source = np.random.RandomState(seed)
    probabilities = source.rand(30, 1).round(1)
    labels = (source.rand(30, 1) < probabilities).astype(int)

    def f1(threshold: float) -> float:
        predicted = probabilities >= threshold
        return 2 * (predicted & (labels == 1)).sum() / max(predicted.sum() + labels.sum(), 1)

    (found,) = best_thresholds(probabilities, labels)
    assert f1(found) >= max(f1(threshold) for threshold in np.linspace(0.001, 1, 200)) - 1e-12


# figures


@pytest.mark.parametrize("seed", range(3))
def test_figures_are_those_of_scikit_learn(seed: int) -> None:
    source = np.random.RandomState(seed)
    true, probabilities = source.randint(0, 2, (50, 4)), source.rand(50, 4)
    true[:, 3] = 0
    predicted = probabilities >= 0.6
    labels = [np.flatnonzero(row).tolist() for row in true]
    report = MultilabelReport.from_predictions(range(4), labels, probabilities, np.full(4, 0.6), ["x"] * 50)
    assert report.accuracy == pytest.approx(accuracy_score(true, predicted))
    assert report.hamming_loss == pytest.approx(hamming_loss(true, predicted))
    for average, found in (("micro", report.micro), ("macro", report.macro)):
        expected = precision_recall_fscore_support(true, predicted, average=average, zero_division=0)
        assert (found.precision, found.recall, found.f1) == pytest.approx(expected[:3]), average
    expected = precision_recall_fscore_support(true, predicted, zero_division=0)
    for number, row in enumerate(report.per_class):
        assert (row.precision, row.recall, row.f1, row.support) == pytest.approx([c[number] for c in expected]), number
    np.testing.assert_array_equal(report.confusion, multilabel_confusion_matrix(true, predicted))
    assert report.to_dict()["confusion_matrices"] == report.confusion.tolist()
    again = MultilabelReport.from_counts(range(4), json.loads(json.dumps(report.to_counts())))
    for name in ("per_class", "accuracy_interval"):
        assert getattr(again, name) == getattr(report, name), name
    assert again.to_counts() == report.to_counts()


def test_the_surest_errors_come_first_and_an_unknown_label_is_a_miss() -> None:
    probabilities = np.array([[0.9, 0.2], [0.6, 0.99], [0.2, 0.3]])
    labels = [["b"], ["a", "b", "new"], []]
    report = MultilabelReport.from_predictions(["a", "b"], labels, probabilities, np.array([0.5, 0.5]), ["x", "y", "z"])
    assert report.classes == ["a", "b", "new"]
    assert report.counts.tolist() == [[1, 1, 0], [1, 0, 1], [0, 0, 1]]
    assert (report.exact, report.errors) == (1, 2)
    first, second = report.worst_errors
    assert (first.text, first.label, first.predicted, first.probability) == ("y", ("a", "b", "new"), ("a", "b"), 1.0)
    assert (second.text, second.label, second.predicted, second.probability) == ("x", ("b",), ("a",), 0.9)
    assert "a | b, is a | b | new: y" in str(report)
    assert json.loads(json.dumps(report.to_dict()))["worst_errors"][1]["predicted"] == ["a"]


# counts, as they are stored


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"texts": 2**70}, r"texts and exact: expected counts of at most 2\*\*53 together"),
        ({"counts": [[2**62] * 3] * 2}, r"counts: expected counts of at most 2\*\*53 together"),
        ({"counts": [[5, 5, 5], [0, 0, 0]], "texts": 1, "exact": 0}, "expected counts that 1 texts, 0 of them right"),
        ({"counts": [[8, 0, 0], [11, 0, 0]], "exact": 10}, "expected counts that 10 texts, 10 of them right"),
        ({"counts": [[6, 3, 0], [0, 0, 0]]}, "expected counts that 10 texts, 8 of them right"),
        ({"counts": [[6, 1, 0], [0, 0, 0]]}, "expected counts that 10 texts, 8 of them right"),
        ({"counts": [[6, 1, 0]]}, r"counts: expected counts of the shape \[2, 3\], got the shape \[1, 3\]"),
        ({"counts": "x"}, r"counts: expected counts of the shape \[2, 3\]"),
        ({"counts": [[1, 1, 0.5], [0, 0, 0]]}, "counts: expected counts, whole numbers from 0, got 0.5"),
        ({"exact": 11}, "no more right ones, got 11 of 10"),
        ({"texts": 0, "exact": 0, "counts": [[0, 0, 0]] * 2}, "expected at least one text"),
        ({"texts": 10.5}, "texts and exact: expected counts, whole numbers from 0, got 10.5"),
        ({"texts": [1]}, "texts and exact: expected counts"),
        ({"texts": None}, "texts and exact: expected counts, whole numbers from 0, got None"),
    ],
)
def test_counts_that_no_evaluation_gives_are_refused(change: dict[str, Any], message: str) -> None:
    good = {"counts": [[6, 1, 1], [2, 0, 1]], "texts": 10, "exact": 8}
    assert MultilabelReport.from_counts(["a", "b"], good).to_counts() == good
    with pytest.raises(ValueError, match=message):
        MultilabelReport.from_counts(["a", "b"], {**good, **change})
    for wrong in (None, [], "x", {key: value for key, value in good.items() if key != "exact"}):
        with pytest.raises(ValueError, match="counts: expected those of an evaluation, got"):
            MultilabelReport.from_counts(["a", "b"], wrong)
