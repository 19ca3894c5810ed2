"""Figures that need the probabilities, and intervals: scikit-learn's, or worked out by hand; None where undefined."""

from __future__ import annotations

import copy
import json
import pickle
import tracemalloc

import numpy as np
import pytest
from sklearn.metrics import f1_score, log_loss, roc_auc_score

from textnn.classification.evaluation import EvaluationReport, MultilabelReport
from textnn.classification.evaluation.bootstrap import RESAMPLES, accuracy_interval, macro_f1_interval

SCORED = ("roc_auc", "log_loss", "calibration_error")


def draw(classes: int, rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return true codes, and probabilities that know something of them."""
    source = np.random.default_rng(seed)
    codes = source.integers(classes, size=rows)
    logits = source.normal(size=(rows, classes))
    logits[np.arange(rows), codes] += 1
    probabilities = np.exp(logits)
    return codes, probabilities / probabilities.sum(axis=1, keepdims=True)


def make_report(codes: np.ndarray, probabilities: np.ndarray, lengths: list[int] | None = None) -> EvaluationReport:
    names = [f"class {number}" for number in range(probabilities.shape[1])]
    texts = [f"text {row}" for row in range(len(codes))]
    return EvaluationReport.from_predictions(names, [names[c] for c in codes], probabilities, texts, lengths=lengths)


def make_several(rows: int = 150, seed: int = 0) -> tuple[np.ndarray, np.ndarray, MultilabelReport]:
    source = np.random.default_rng(seed)
    truth = source.random((rows, 3)) < [0.2, 0.5, 0.8]
    probabilities = np.clip(truth * 0.3 + source.random((rows, 3)) * 0.7, 0, 1)
    labels = [np.flatnonzero(row).tolist() for row in truth]
    report = MultilabelReport.from_predictions(range(3), labels, probabilities, np.full(3, 0.5), ["x"] * rows)
    return truth, probabilities, report


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_roc_auc_and_log_loss_are_those_of_scikit_learn(classes: int) -> None:
    codes, probabilities = draw(classes, 300)
    report, case = make_report(codes, probabilities), f"{classes} classes"
    given = probabilities[:, 1] if classes == 2 else probabilities
    # Probabilities are kept as float32.
    assert report.roc_auc == pytest.approx(roc_auc_score(codes, given, multi_class="ovr"), abs=1e-6), case
    assert report.log_loss == pytest.approx(log_loss(codes, probabilities), abs=1e-6), case
    for code, area in enumerate(report.class_roc_auc):
        assert area == pytest.approx(roc_auc_score(codes == code, probabilities[:, code]), abs=1e-6), f"{case}, {code}"


def test_of_several_labels_each_has_its_own_area() -> None:
    truth, probabilities, report = make_several()
    expected = roc_auc_score(truth, probabilities, average=None)
    assert report.class_roc_auc == pytest.approx(expected, abs=1e-6)
    assert report.roc_auc == pytest.approx(expected.mean(), abs=1e-6)
    assert report.log_loss == pytest.approx(log_loss(truth.ravel(), probabilities.ravel()), abs=1e-6)


def test_a_certain_answer_that_is_wrong_costs_36_and_not_infinity() -> None:
    report = make_report(np.array([0, 1]), np.array([[0.0, 1.0], [0.0, 1.0]]))
    assert report.log_loss == pytest.approx(log_loss([0, 1], [[0.0, 1.0], [0.0, 1.0]]))


def test_a_class_without_texts_has_no_area_and_the_mean_is_that_of_the_others() -> None:
    codes, probabilities = draw(4, 200)
    codes[codes == 2] = 0
    report = make_report(codes, probabilities)
    areas = report.class_roc_auc
    assert areas[2] is None
    assert report.roc_auc == pytest.approx(np.mean([area for area in areas if area is not None]))


def test_texts_of_one_class_define_no_area() -> None:
    _, probabilities = draw(2, 30)
    report = make_report(np.zeros(30, dtype=int), probabilities)
    assert report.class_roc_auc == [None, None]
    assert report.roc_auc is None
    assert report.log_loss == pytest.approx(-np.log(probabilities[:, 0]).mean(), abs=1e-6)
    assert "ROC-AUC" not in report.summary()


def test_with_a_label_that_the_classifier_does_not_know_only_calibration_is_defined() -> None:
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
    report = EvaluationReport.from_predictions(["a", "b"], ["a", "b", "new"], probabilities, ["x", "y", "z"])
    assert (report.roc_auc, report.log_loss, report.class_roc_auc) == (None, None, [None] * 3)
    assert report.calibration_error == pytest.approx((0.1 + 0.2 + 0.7) / 3)
    # Where a text may have several, the others are as before.
    several = MultilabelReport.from_predictions(
        ["a", "b"], [["a"], ["b", "new"], []], probabilities, np.full(2, 0.5), ["x", "y", "z"]
    )
    assert several.class_roc_auc == [1.0, 1.0, None]
    assert several.roc_auc == 1.0


def test_calibration_error_by_hand() -> None:
    # Bins of 1/15: 0.95 and 0.99 fall into the last, 0.6 into the ninth, as its upper end, 0.7 into the eleventh.
    confidence, right = [0.95, 0.99, 0.6, 0.6, 0.7], [1, 0, 1, 0, 1]
    probabilities = np.array([[value, 1 - value] for value in confidence])
    report = make_report(np.array([0 if value else 1 for value in right]), probabilities)
    assert report.calibration_error == pytest.approx((2 * abs(0.97 - 0.5) + 2 * abs(0.6 - 0.5) + abs(0.7 - 1)) / 5)
    filled = {number: row for number, row in enumerate(report.reliability) if row.answers}
    assert {number: (row.answers, row.accuracy) for number, row in filled.items()} == {
        8: (2, 0.5),
        10: (1, 1.0),
        14: (2, 0.5),
    }
    assert filled[14].confidence == pytest.approx(0.97)
    assert (filled[14].low, filled[14].high) == pytest.approx((14 / 15, 1))
    assert report.reliability[0].accuracy is None


def test_of_several_labels_every_yes_or_no_is_an_answer() -> None:
    truth, probabilities, report = make_several()
    place = np.ceil(probabilities.ravel() * 15).clip(1).astype(int)
    gaps = [abs((probabilities.ravel() - truth.ravel())[place == number].sum()) / truth.size for number in range(1, 16)]
    assert report.calibration_error == pytest.approx(sum(gaps), abs=1e-6)
    assert sum(row.answers for row in report.reliability) == truth.size


def test_probabilities_that_mean_what_they_say_are_calibrated() -> None:
    source = np.random.default_rng(0)
    sure = source.uniform(0.5, 1, 40_000)
    report = make_report((source.random(40_000) > sure).astype(int), np.column_stack([sure, 1 - sure]))
    assert report.calibration_error < 0.01


def test_intervals_are_those_of_drawing_the_texts_themselves() -> None:
    codes, probabilities = draw(3, 120)
    report, predicted = make_report(codes, probabilities), probabilities.argmax(axis=1)
    source = np.random.default_rng(1)
    rows = source.integers(120, size=(RESAMPLES, 120))
    accuracies = (codes[rows] == predicted[rows]).mean(axis=1)
    f1 = [f1_score(codes[row], predicted[row], average="macro", zero_division=0) for row in rows[:600]]
    for interval, values in ((report.accuracy_interval, accuracies), (report.macro_f1_interval, f1)):
        # Two drawings of so many differ by a few hundredths of the interval's width, here 0.18.
        assert interval == pytest.approx(np.quantile(values, [0.025, 0.975]), abs=0.02)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    source = np.random.default_rng(0)
    right = source.binomial(400, 0.8, size=300)
    held = np.mean([low <= 0.8 <= high for low, high in (accuracy_interval(int(count), 400) for count in right)])
    # 0.95, with a deviation of 0.013 over 300 draws.
    assert 0.9 < held < 0.99


@pytest.mark.parametrize("classes", [2, 40])
def test_intervals_are_the_same_each_time_and_in_parts(classes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    confusion = np.random.default_rng(0).integers(0, 4, (classes, classes))
    whole = macro_f1_interval(confusion)
    monkeypatch.setattr("textnn.classification.evaluation.bootstrap._BLOCK", 1000)
    assert macro_f1_interval(confusion) == whole
    low, high = whole
    assert 0 < low < high < 1


@pytest.mark.parametrize(
    ("right", "texts", "interval"),
    [(3, 3, (0.4385, 1)), (0, 3, (0, 0.5615)), (1, 1, (0.2065, 1)), (100, 100, (0.9630, 1))],
)
def test_where_all_drawings_are_the_same_the_accuracy_has_wilsons_interval(
    right: int, texts: int, interval: tuple[float, float]
) -> None:
    assert accuracy_interval(right, texts) == pytest.approx(interval, abs=1e-4)
    confusion = np.array([[right, texts - right], [0, 0]])
    report = EvaluationReport.from_confusion([0, 1], confusion)
    assert report.accuracy_interval == accuracy_interval(right, texts)
    counts = {"counts": [[right, 0, texts - right]], "texts": texts, "exact": right}
    assert MultilabelReport.from_counts([0], counts).accuracy_interval == report.accuracy_interval
    assert report.macro_f1_interval is None
    assert report.to_dict()["macro"]["f1_interval"] is None
    assert f"macro F1 {right / texts:.4f}, without an interval" in report.summary()


def test_one_error_gives_both_intervals_a_width() -> None:
    report = EvaluationReport.from_confusion([0, 1], np.array([[50, 0], [1, 49]]))
    for low, high in (report.accuracy_interval, report.macro_f1_interval):
        assert low < 0.99 < high == 1


def test_three_right_answers_do_not_show_that_the_classifier_is_better() -> None:
    report = EvaluationReport.from_confusion(["a", "b"], np.array([[2, 0], [0, 1]]))
    assert "within the interval: these texts do not show" in report.comparison
    assert "below the whole interval" in EvaluationReport.from_confusion([0, 1], np.diag([50, 50])).comparison


@pytest.mark.parametrize("confusion", [[[2**52, 1], [1, 2**52 - 2]], [[2**53, 0], [0, 0]], [[2**53 - 1, 1], [0, 0]]])
def test_the_largest_counts_give_figures_that_make_sense(confusion: list) -> None:
    report = EvaluationReport.from_confusion([0, 1], confusion)
    assert report.texts == 2**53
    assert 0.99 < report.accuracy_interval.low <= report.accuracy <= report.accuracy_interval.high <= 1
    assert "of 9,007,199,254,740,992 texts" in report.summary()


def test_the_interval_of_many_classes_takes_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of cells and classes would have 80 MB here."""
    monkeypatch.setattr("textnn.classification.evaluation.bootstrap._BLOCK", 1 << 16)
    monkeypatch.setattr("textnn.classification.evaluation.bootstrap.RESAMPLES", 20)
    source = np.random.default_rng(0)
    confusion = np.diag(np.ones(1000, dtype=np.int64))
    confusion[source.integers(1000, size=10_000), source.integers(1000, size=10_000)] = 1
    macro_f1_interval(np.eye(2) + 1)  # loads scipy
    tracemalloc.start()
    try:
        low, high = macro_f1_interval(confusion)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
    assert 0 < low < high < 1


@pytest.mark.parametrize(
    ("confusion", "majority", "finding"),
    [
        ([[90, 10], [5, 95]], 0.5, "below the whole interval"),
        ([[90, 5], [5, 0]], 0.95, "within the interval: these texts do not show"),
        ([[0, 50], [150, 0]], 0.75, "above the whole interval: the classifier is worse"),
    ],
)
def test_the_majority_class_is_compared_with(confusion: list, majority: float, finding: str) -> None:
    report = EvaluationReport.from_confusion(["好", "bad"], np.array(confusion))
    assert report.majority_accuracy == majority
    assert f"always answering {report.majority_class!r}: accuracy {majority:.4f}" in report.comparison
    assert finding in report.comparison
    assert report.comparison in report.summary()


def test_accuracy_by_length() -> None:
    codes, probabilities = draw(2, 400)
    right = probabilities.argmax(axis=1) == codes
    lengths = np.arange(400) % 50 + 1
    bins = make_report(codes, probabilities, lengths.tolist()).length_bins
    assert sum(row.texts for row in bins) == 400
    assert [(row.low, row.high) for row in bins][:2] == [(1, 5), (6, 10)]
    for row in bins:
        inside = (lengths >= row.low) & (lengths <= row.high)
        assert (row.texts, row.accuracy) == (inside.sum(), pytest.approx(right[inside].mean()))
        assert 0 <= row.interval.low <= row.accuracy <= row.interval.high <= 1


@pytest.mark.parametrize("lengths", [[5] * 60, [0] * 55 + [9] * 5, [3]])
def test_lengths_that_are_nearly_all_the_same(lengths: list[int]) -> None:
    codes, probabilities = draw(2, len(lengths))
    bins = make_report(codes, probabilities, lengths).length_bins
    assert [(row.low, row.high) for row in bins] == [(length, length) for length in sorted(set(lengths))]


def test_lengths_are_in_characters_where_none_are_given() -> None:
    report = EvaluationReport.from_predictions([0, 1], [0, 1], np.eye(2), ["", "很好吃"])
    assert (report.scores.lengths.tolist(), report.scores.unit) == ([0, 3], "characters")
    assert report.to_dict()["lengths"]["unit"] == "characters"


@pytest.mark.parametrize("several", [False, True])
def test_reports_are_copied_pickled_and_stored(several: bool) -> None:
    report = make_several()[2] if several else make_report(*draw(3, 50))
    stored = json.loads(json.dumps(report.to_dict()))
    assert all(isinstance(stored[name], float) for name in SCORED), stored
    assert [row["roc_auc"] for row in stored["classes"]] == report.class_roc_auc
    assert len(stored["reliability"]) == 15
    for other in (pickle.loads(pickle.dumps(report)), copy.deepcopy(report)):
        assert other.to_dict() == report.to_dict()
        assert str(other) == str(report)
    assert report.scores.probabilities.dtype == np.float32


def test_a_report_of_counts_has_none_of_it() -> None:
    several = MultilabelReport.from_counts(range(3), make_several()[2].to_counts())
    for report in (several, EvaluationReport.from_confusion([0, 1], np.array([[3, 1], [1, 3]]))):
        assert [getattr(report, name) for name in (*SCORED, "reliability", "length_bins")] == [None] * 5
        assert report.class_roc_auc == [None] * len(report.classes)
    assert several.accuracy_interval == make_several()[2].accuracy_interval


def test_the_validation_part_is_measured_in_tokens(fitted: object) -> None:
    scores = fitted.validation_report_.scores
    assert scores.unit == "tokens"
    assert 1 <= scores.lengths.min() <= scores.lengths.max() <= 16
