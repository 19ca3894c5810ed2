"""The evaluation as a page: everything in it, nothing outside of it, and no markup but its own."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from test_evaluation_plots import AWKWARD, HISTORY, make_report, make_several

from textnn.classification.evaluation import EvaluationReport, MultilabelReport
from textnn.evaluation import model_facts

pytest.importorskip("matplotlib")

ATTACK = "<script>alert(1)</script>\"'&<img src=x onerror=alert(2)>"
EMPTY_TAGS = {"meta", "br", "img", "link"}


class Reader(HTMLParser):
    """Collects tags, ids, references and text, and whether what opens is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attributes]
        if tag not in EMPTY_TAGS:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attributes)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def values(self, name: str) -> list[str]:
        return [value for attribute, value in self.attributes if attribute == name]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.mark.parametrize("report", [make_report(["好评", "差评"]), make_report(list("abcd")), make_several()])
def test_the_page_is_whole_and_needs_nothing_else(report: Any) -> None:
    page = report.to_html("一次评估", {"seed": 0}, HISTORY)
    read = Reader(page)
    assert read.open == []
    assert page.startswith("<!DOCTYPE html>")
    assert read.values("lang") == ["en"]
    assert "<title>一次评估</title>" in page
    assert not {"script", "link", "img", "iframe", "object", "form"} & set(read.tags)
    assert read.values("src") == []
    assert all(value.startswith("#") for name in ("href", "xlink:href") for value in read.values(name))
    assert not re.search(r"@import|url\((?!#)", page)
    ids = read.values("id")
    assert len(ids) == len(set(ids)), "two things have one id"
    assert {value[1:] for value in read.values("xlink:href")} | {*re.findall(r"url\(#([^)]*)\)", page)} <= set(ids)
    assert (
        set(read.values("aria-labelledby")) == {"reliability", "roc", "length_accuracy", "learning_curves"} <= set(ids)
    )
    assert read.tags.count("svg") == 4
    assert "prefers-color-scheme: dark" in page
    assert "#000000" not in page
    for figure in (report.accuracy, report.roc_auc, report.log_loss, report.calibration_error):
        assert f"{figure:.4f}" in read.text
    assert str(report.accuracy_interval) in read.text
    for error in report.worst_errors:
        assert f"texts[{error.row}] " in read.text


def test_the_confusion_matrix_is_a_table_with_heads() -> None:
    report = EvaluationReport.from_confusion(["好评", "差评"], np.array([[3, 1], [0, 0]]))
    read = Reader(report.to_html())
    assert read.tags.count("svg") == 0
    assert {"col", "row"} == set(read.values("scope"))
    assert read.values("style") == [f"--share: {share}" for share in ("0.750", "0.250", "0.000", "0.000")]
    assert "3 75.0% 1 25.0%" in read.text
    wide = make_report([f"class {number}" for number in range(61)], rows=100)
    assert 'class="matrix"' not in wide.to_html()


def test_each_of_several_labels_has_its_confusion_in_a_row() -> None:
    report = make_several()
    page = report.to_html()
    start = page.index('<table class="matrix answers">')
    table = Reader(page[start : page.index("</table>", start) + len("</table>")])
    assert table.values("scope") == ["col", *["colgroup"] * 2, *["col"] * 4, *["row"] * 3]
    shown = [
        f"{name} {_written(found, missed)} {_written(given, left)}"
        for name, found, missed, given, left in _counted(report)
    ]
    assert table.text.endswith(" ".join(shown))
    assert table.values("class").count("right") == 2 * 3
    assert "Confusion of each label" not in make_report(["a", "b"]).to_html()


def test_the_confusion_of_several_labels_needs_no_probabilities() -> None:
    made = make_several()
    report = MultilabelReport.from_counts(made.classes, made.to_counts())
    assert report.to_html().count('class="right"') == 2 * 3


def _counted(report: Any) -> list[tuple[str, int, int, int, int]]:
    """Return label, true positives, false negatives, false positives and true negatives, counted one by one."""
    predicted = report.scores.probabilities >= 0.5
    pairs = [
        list(zip(true, given, strict=True)) for true, given in zip(report.scores.truth.T, predicted.T, strict=True)
    ]
    kinds = [(True, True), (True, False), (False, True), (False, False)]
    return [(name, *map(own.count, kinds)) for name, own in zip(report.classes, pairs, strict=True)]


def _written(one: int, other: int) -> str:
    return " ".join(f"{count:,} {count / max(one + other, 1):.1%}" for count in (one, other))


@pytest.mark.parametrize(("classes", "regions"), [(25, 0), (26, 1)])
def test_a_long_table_has_its_own_scrolling(classes: int, regions: int) -> None:
    page = make_report([f"class {number}" for number in range(classes)], rows=100).to_html()
    assert page.count('class="wide long"') == regions
    assert page.count("<tfoot>") == 1


def test_labels_texts_title_and_facts_are_escaped() -> None:
    names = [ATTACK, "b", *AWKWARD]
    report = EvaluationReport.from_predictions(
        names, ["b"] * 3 + [ATTACK], np.eye(len(names))[[0, 0, 2, 1]], [ATTACK, "\ud800\x00", "", "多" * 9000]
    )
    page = report.to_html(ATTACK, {ATTACK: ATTACK}, HISTORY, language='"><b>')
    assert page.encode("utf-8")
    read = Reader(page)
    assert not {"script", "img", "b"} & set(read.tags)
    assert not [name for name, _ in read.attributes if name.startswith("on")]
    assert ATTACK in read.text
    assert "多" * 4000 + "…" in page
    assert "多" * 4001 not in page


def test_errors_are_explained_by_the_function_and_stay_texts_where_it_cannot() -> None:
    report = make_report(["a", "b"])

    def explain(error: Any) -> str:
        if error.row == report.worst_errors[0].row:
            raise ValueError("it is in the way")
        return f"<em>{error.row}</em>"

    with pytest.warns(UserWarning, match=rf"texts\[{report.worst_errors[0].row}\] is not explained: it is in the way"):
        page = report.to_html(explain=explain)
    assert Reader(page).tags.count("em") == len(report.worst_errors) - 1
    assert report.worst_errors[0].text in page


@pytest.mark.parametrize("made", [make_report(["a", "b"]), make_several()])
def test_an_error_is_found_by_the_same_number_everywhere(made: Any) -> None:
    lines = [2 + 3 * row for row in range(made.texts)]  # a header, and texts of three lines
    report = made.with_lines(lines)
    first = report.worst_errors[0]
    stored = report.to_dict()["worst_errors"][0]
    assert (stored["row"], stored["line"]) == (first.row, first.line) == (first.row, lines[first.row])
    read = Reader(report.to_html())
    assert f" line {first.line} " in read.text
    assert f"The text of line {first.line}" in read.values("aria-label")
    assert "texts[" not in read.text

    def explain(error: Any) -> str:
        if error is first:
            raise ValueError("it is in the way")
        return ""

    with pytest.warns(UserWarning, match=f"line {first.line} is not explained"):
        report.to_html(explain=explain)
    assert made.to_dict()["worst_errors"][0]["line"] is None
    with pytest.raises(ValueError, match=r"lines: expected one for each of \d+ texts, got 1"):
        made.with_lines([1])


def test_facts_of_a_model(fitted: Any) -> None:
    facts = model_facts(fitted)
    assert facts["architecture"] == "textcnn"
    assert facts["tokenizer"] == "whitespace"
    assert facts["seed"] == 0
    assert facts["trained on"] == f"{fitted.n_texts_:,} texts"
    assert facts["option channels"] == 8
    assert {f"option {name}" for name in fitted.options_} <= set(facts)
