"""Evaluation: the figures are scikit-learn's, the report can be printed and stored."""

from __future__ import annotations

import json

import numpy as np
import pytest
from rich.cells import cell_len
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

from textnn.classification.evaluation import EvaluationReport, MultilabelReport
from textnn.classification.evaluation.tables import shorten


def make_report(classes: int, rows: int = 200, seed: int = 0, worst: int = 10) -> tuple[EvaluationReport, list, list]:
    source = np.random.default_rng(seed)
    names = [f"class {number}" for number in range(classes)]
    probabilities = source.dirichlet(np.ones(classes), size=rows)
    labels = [names[number] for number in source.integers(classes, size=rows)]
    predicted = [names[number] for number in probabilities.argmax(1)]
    texts = [f"text {row}" for row in range(rows)]
    return EvaluationReport.from_predictions(names, labels, probabilities, texts, worst), labels, predicted


@pytest.mark.parametrize("rows", [1, 5, 200])
@pytest.mark.parametrize("classes", [2, 3, 7])
def test_figures_are_those_of_scikit_learn(classes: int, rows: int) -> None:
    report, labels, predicted = make_report(classes, rows)
    case = f"{classes} classes, {rows} rows"
    assert report.accuracy == pytest.approx(accuracy_score(labels, predicted)), case
    np.testing.assert_array_equal(report.confusion, confusion_matrix(labels, predicted, labels=report.classes))
    expected = precision_recall_fscore_support(labels, predicted, labels=report.classes, zero_division=0)
    for number, metrics in enumerate(report.per_class):
        found = (metrics.precision, metrics.recall, metrics.f1, metrics.support)
        assert found == pytest.approx([column[number] for column in expected]), f"{case}, {metrics.label}"
    macro = precision_recall_fscore_support(labels, predicted, average="macro", zero_division=0)
    assert (report.macro.precision, report.macro.recall, report.macro.f1) == pytest.approx(macro[:3]), case
    assert report.texts == report.macro.support == rows


def test_labels_that_the_classifier_does_not_know_are_errors() -> None:
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    report = EvaluationReport.from_predictions(["a", "b"], ["a", "c", "a"], probabilities, ["x", "y", "z"])
    assert report.classes == ["a", "b", "c"]
    assert report.confusion.tolist() == [[2, 0, 0], [0, 0, 0], [0, 1, 0]]
    assert report.accuracy == pytest.approx(2 / 3)
    assert report.errors == 1


def test_worst_errors_are_the_surest_first() -> None:
    probabilities = np.array([[0.9, 0.1], [0.3, 0.7], [0.55, 0.45], [0.05, 0.95]])
    report = EvaluationReport.from_predictions([0, 1], [1, 0, 1, 1], probabilities, ["p", "q", "r", "s"], worst=2)
    first, second = report.worst_errors
    assert (first.row, first.text, first.label, first.predicted, first.probability) == (0, "p", 1, 0, 0.9)
    assert (second.row, second.text, second.probabilities) == (1, "q", [0.3, 0.7])


def test_report_goes_into_json_and_back() -> None:
    report, _, _ = make_report(3)
    stored = json.loads(json.dumps(report.to_dict()))
    assert stored["accuracy"] == report.accuracy
    assert stored["classes"][1]["f1"] == report.per_class[1].f1
    assert stored["confusion_matrix"] == {"labels": report.classes, "rows": report.confusion.tolist()}
    assert len(stored["worst_errors"]) == 10
    again = EvaluationReport.from_confusion(report.classes, np.array(stored["confusion_matrix"]["rows"]))
    assert again.per_class == report.per_class
    scored = {"roc_auc", "log_loss", "calibration_error", "reliability", "lengths", "classes", "worst_errors"}
    for name, value in again.to_dict().items():
        assert name in scored or value == stored[name], name
    assert [again.to_dict()[name] for name in ("roc_auc", "log_loss", "calibration_error", "lengths")] == [None] * 4
    assert "ROC-AUC" in report.summary()
    assert "ROC-AUC" not in again.summary()


def test_labels_of_any_type_go_into_json() -> None:
    report = EvaluationReport.from_predictions([(1, 2), True], [True, (1, 2)], np.array([[1.0, 0], [1, 0]]), ["x", "y"])
    stored = json.loads(json.dumps(report.to_dict()))
    assert [row["label"] for row in stored["classes"]] == ["(1, 2)", True]


def test_printed_tables_are_aligned_also_in_chinese() -> None:
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    report = EvaluationReport.from_predictions(
        ["好评", "bad"], ["好评", "bad", "bad"], probabilities, ["很好", "差", "一\n般"]
    )
    assert str(report).splitlines() == [
        "accuracy 0.6667 (2 of 3 texts), 95 % interval 0.0000 to 1.0000",
        "macro F1 0.6667, 95 % interval 0.0000 to 1.0000",
        "ROC-AUC 1.0000, log loss 0.4149, calibration error 0.3000",
        "always answering 'bad': accuracy 0.6667, within the interval: "
        "these texts do not show that the classifier is better",
        "",
        "  class          precision  recall      F1  texts",
        "  好评              0.5000  1.0000  0.6667      1",
        "  bad               1.0000  0.5000  0.6667      2",
        "  macro average     0.7500  0.7500  0.6667      3",
        "",
        "confusion matrix (rows: true class, columns: predicted class)",
        "        好评  bad",
        "  好评     1    0",
        "  bad      1    1",
        "",
        "the errors it was surest of",
        "  0.600 好评, is bad: 一 般",
    ]


def test_a_matrix_too_wide_for_a_terminal_is_not_printed() -> None:
    assert "confusion matrix" in str(make_report(12)[0])
    assert "confusion matrix" not in str(make_report(13)[0])


def test_long_texts_are_cut_to_the_width() -> None:
    assert shorten("短") == "短"
    cut = shorten("很长的文本" * 50, width=21)
    assert cut.endswith("…")
    assert cell_len(cut) <= 21


@pytest.mark.parametrize(
    ("labels", "rows", "texts", "message"),
    [
        ([], 0, [], "texts: expected at least one text to evaluate, got none"),
        (["a"], 2, ["x", "y"], "labels: expected one for each of 2 texts, got 1 and 2 rows"),
        (["a", "b"], 1, ["x", "y"], "labels: expected one for each of 2 texts, got 2 and 1 rows"),
    ],
)
def test_bad_input_is_an_error(labels: list, rows: int, texts: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EvaluationReport.from_predictions(["a", "b"], labels, np.full((rows, 2), 0.5), texts)


@pytest.mark.parametrize(
    ("confusion", "message"),
    [
        ([[1, 2]], r"expected counts of the shape \[2, 2\], got the shape \[1, 2\]"),
        ([[1, 2, 3], [1, 2, 3]], r"expected counts of the shape \[2, 2\], got the shape \[2, 3\]"),
        ([[1], [1, 2]], r"expected counts of the shape \[2, 2\], got the shape \[2\]"),
        ("ab", r"expected counts of the shape \[2, 2\], got the shape \[\]"),
        ([[1, -1], [0, 1]], "expected counts, whole numbers from 0, got -1"),
        ([[1, 0.5], [0, 1]], "expected counts, whole numbers from 0, got 0.5"),
        ([[1, True], [0, 1]], "expected counts, whole numbers from 0, got True"),
        ([["1", 0], [0, 1]], "expected counts, whole numbers from 0, got '1'"),
        ([[None, 0], [0, 1]], "expected counts, whole numbers from 0, got None"),
        ([[0, 0], [0, 0]], "expected counts of at least one text, got none"),
        ([[2**62, 2**62], [2**62, 1]], r"expected counts of at most 2\*\*53 together, got more"),
        ([[2**53, 0], [0, 1]], r"expected counts of at most 2\*\*53 together, got more"),
        ([[10**500, 0], [0, 1]], r"expected counts of at most 2\*\*53 together, got more"),
    ],
)
def test_a_matrix_that_is_none_is_an_error(confusion: object, message: str) -> None:
    with pytest.raises(ValueError, match=f"^confusion: {message}"):
        EvaluationReport.from_confusion(["a", "b"], confusion)


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.int32, object])
def test_a_matrix_may_have_any_type_of_whole_numbers(dtype: type) -> None:
    report = EvaluationReport.from_confusion(["a", "b"], np.array([[200, 1], [2, 3]], dtype=dtype))
    assert (report.texts, report.errors, report.confusion.dtype) == (206, 3, np.int64)


EVIL = "\x1b]0;pwn\x07\x9b2J\u202e"


@pytest.mark.parametrize("several", [False, True])
def test_nothing_in_a_printed_report_speaks_to_the_terminal(several: bool) -> None:
    names, texts = [EVIL + "a", "b\nc\td"], [f"text {EVIL}"]
    if several:
        probabilities = np.array([[0.1, 0.9]])
        report = MultilabelReport.from_predictions(names, [names[:1]], probabilities, np.full(2, 0.5), texts)
    else:
        report = EvaluationReport.from_predictions(names, names[:1], np.array([[0.1, 0.9]]), texts)
    printed = str(report)
    assert all(line.isprintable() for line in printed.split("\n")), printed
    assert r"is \x1b]0;pwn\x07\x9b2J\u202ea: text \x1b]0;pwn\x07" in printed
    assert r"  b\nc\td  " in printed
    rows = report.summary().partition("precision")[2].split("\n")[1:4]
    assert len({cell_len(line) for line in rows}) == 1  # aligned as shown
    assert names[0] in [row["label"] for row in report.to_dict()["classes"]]  # files get labels as they are


def test_probabilities_and_lengths_are_checked() -> None:
    def make(probabilities: list, **more: list) -> EvaluationReport:
        return EvaluationReport.from_predictions(["a", "b"], ["a"], np.array(probabilities), ["x"], **more)

    with pytest.raises(ValueError, match=r"probabilities: expected the shape \[1, 2\], got \[1, 3\]"):
        make([[0.1, 0.2, 0.7]])
    for wrong in (1.5, -0.1, float("nan")):
        with pytest.raises(ValueError, match="probabilities: expected numbers from 0 to 1"):
            make([[wrong, 0.5]])
    with pytest.raises(ValueError, match=r"lengths: expected one for each of 1 texts, got the shape \[2\]"):
        make([[0.1, 0.9]], lengths=[1, 2])
