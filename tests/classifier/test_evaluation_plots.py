"""Pictures of evaluations: what is written, where, in which fonts, and what stays as it was."""

from __future__ import annotations

import importlib.util
import logging
import re
import warnings
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from textnn import fonts
from textnn.classification.evaluation import EvaluationReport, MultilabelReport, plots

matplotlib = pytest.importorskip("matplotlib")

HISTORY = [
    {"epoch": 1, "loss": 0.7, "accuracy": 0.6, "validation_loss": 0.6, "validation_accuracy": 0.7, "seconds": 1.0},
    {"epoch": 2, "loss": 0.4, "accuracy": 0.8, "validation_loss": None, "validation_accuracy": None, "seconds": 1.0},
]
AWKWARD = ["$x^", "_hidden", "<script>alert(1)</script>", "a&b", "", None, (1, "b"), "line\nbreak\x00", "\ud800", "-->"]


def make_report(names: list, rows: int = 60, seed: int = 0) -> EvaluationReport:
    source = np.random.default_rng(seed)
    codes = source.integers(len(names), size=rows)
    probabilities = source.dirichlet(np.ones(len(names)), size=rows)
    texts = ["字" * int(count) for count in source.integers(40, size=rows)]
    return EvaluationReport.from_predictions(names, [names[code] for code in codes], probabilities, texts)


def make_several() -> MultilabelReport:
    source = np.random.default_rng(0)
    names = ["price", "service", "none of them has it"]
    labels = [[name for name in names[:2] if source.random() < 0.4] for _ in range(50)]
    return MultilabelReport.from_predictions(
        names, labels, source.random((50, 3)), np.full(3, 0.5), ["字" * n for n in range(50)]
    )


def texts_of(svg: bytes) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("}text")]


@pytest.mark.parametrize("report", [make_report(["a", "b"]), make_report(list("abcd")), make_several()])
@pytest.mark.parametrize("form", plots.FORMATS)
def test_all_pictures_are_written_and_nothing_else_is_touched(report: object, form: str, tmp_path: Path) -> None:
    (tmp_path / "in" / "it").mkdir(parents=True)
    (tmp_path / "in" / "mine.txt").write_text("mine")
    (tmp_path / "in" / f"roc.{form}").write_text("the one of before")
    before = dict(matplotlib.rcParams)
    written = report.plot(tmp_path / "in", HISTORY, form)
    assert [path.name for path in written] == [f"{name}.{form}" for name in plots.PICTURES]
    assert {path.name for path in (tmp_path / "in").iterdir()} == {path.name for path in written} | {"it", "mine.txt"}
    for path in written:
        start = {"png": b"\x89PNG\r\n", "svg": b"<?xml"}[form]
        assert path.read_bytes().startswith(start), path.name
    assert dict(matplotlib.rcParams) == before


def test_pyplot_and_its_figures_are_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    monkeypatch.setattr(pyplot, "figure", lambda *_, **__: pytest.fail("pyplot made a figure"))
    with matplotlib.rc_context({"font.size": 40, "axes.facecolor": "red"}):
        own = plots.draw("roc", make_report(["a", "b"]), format="svg")
    assert own == plots.draw("roc", make_report(["a", "b"]), format="svg"), "a user's settings changed the picture"
    assert pyplot.get_fignums() == []


def test_what_the_pictures_say() -> None:
    report = make_report(["good", "bad"])
    found = {name: texts_of(plots.draw(name, report, HISTORY, "svg")) for name in plots.PICTURES}
    assert {f"{count:,}" for count in report.confusion.ravel()} <= set(found["confusion_matrix"])
    assert {"good", "bad", "true class", "predicted class"} <= set(found["confusion_matrix"])
    assert {"training", "validation", "epoch", "Loss", "Accuracy"} <= set(found["learning_curves"])
    assert f"Calibration error {report.calibration_error:.4f}" in found["reliability"]
    assert {str(row.texts) for row in report.length_bins} <= set(found["length_accuracy"])
    assert f"all texts, {report.accuracy:.4f}" in found["length_accuracy"]
    assert f"ROC-AUC {report.roc_auc:.4f}" in found["roc"]
    # Of two classes one curve says it all.
    assert sum(text.endswith("  bad") or text.endswith("  good") for text in found["roc"]) == 1


def test_shares_of_few_texts_are_grey_and_counted() -> None:
    confidence = np.array([0.55] * 9 + [0.75] * 10)
    texts = [""] * len(confidence)
    report = EvaluationReport.from_predictions(["a", "b"], ["a"] * 19, np.stack([confidence, 1 - confidence], 1), texts)
    few, enough = (
        plots.draw("reliability", one, format="svg").decode() for one in (report, make_report(["a", "b"], 900))
    )
    assert {"found, fewer than 10 texts", "9"} <= set(texts_of(few.encode()))
    # A bar above, its number below, and the mark in the legend.
    assert (
        len(re.findall(rf"fill: {plots.GREY}[^>]*/>", few)) == len(re.findall(rf"fill: {plots.BLUE}[^>]*/>", few)) == 3
    )
    assert f"fill: {plots.GREY}" not in enough
    assert "fewer" not in enough


@pytest.mark.parametrize("report", [make_report(["a", "b"]), make_several()])
def test_pictures_that_stand_side_by_side_have_one_size(report: object) -> None:
    sizes = {
        ElementTree.fromstring(plots.draw(name, report, HISTORY, "svg")).get("viewBox")
        for name in plots.PICTURES
        if name != "confusion_matrix"
    }
    assert len(sizes) == 1


def test_of_many_classes_those_with_the_most_texts_are_shown() -> None:
    names = [f"class {number}" for number in range(60)]
    report = make_report(names, rows=800)
    shown = texts_of(plots.draw("confusion_matrix", report, format="svg"))
    assert "36 others" in shown
    counts, labels = plots._merged(report)
    assert (counts.sum(), len(labels)) == (800, 25)
    assert counts.trace() >= 800 - report.errors
    most = names[int(report.confusion.sum(axis=0).argmax())]
    assert most in labels
    legend = [text for text in texts_of(plots.draw("roc", report, format="svg")) if "  class" in text]
    assert len(legend) == 8


@pytest.mark.parametrize("form", plots.FORMATS)
def test_labels_are_shown_as_they_are_written(form: str, caplog: pytest.LogCaptureFixture) -> None:
    report = make_report(AWKWARD, rows=200)
    # The curves are of the eight classes with the most texts.
    few = make_report(AWKWARD[:8], rows=200)
    for name, given in (("confusion_matrix", report), ("roc", few)):
        with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
            warnings.simplefilter("error")
            content = plots.draw(name, given, format=form)
        if form == "svg":
            shown = texts_of(content)
            for label in ["$x^", "_hidden", "<script>alert(1)<…", "a&b", "(empty)", "None", "(1, 'b')", "\ufffd"]:
                assert any(text.endswith(label) for text in shown), f"{name}, {label}: {shown}"
    assert caplog.records == []


def test_a_picture_that_lacks_something_is_left_out_with_a_warning(tmp_path: Path) -> None:
    counts = EvaluationReport.from_confusion(["a", "b"], np.array([[3, 1], [1, 3]]))
    with pytest.warns(UserWarning, match="is left out") as caught:
        written = counts.plot(tmp_path)
    assert [path.name for path in written] == ["confusion_matrix.png"]
    messages = [str(one.message) for one in caught]
    assert "learning_curves.png is left out: it needs the figures of the epochs, and there are none" in messages
    assert len(messages) == 4
    one_class = EvaluationReport.from_predictions(["a", "b"], ["a"], np.array([[0.9, 0.1]]), ["x"])
    with pytest.raises(plots.PictureError, match="it needs texts of two classes or more"):
        plots.draw("roc", one_class)


def test_bad_arguments() -> None:
    report = make_report(["a", "b"])
    with pytest.raises(ValueError, match="format: expected one of png, svg, got 'pdf'"):
        report.plot("nowhere", HISTORY, "pdf")
    assert not Path("nowhere").exists()
    with pytest.raises(ValueError, match=r"name: expected one of confusion_matrix, .*, got 'pie'"):
        plots.draw("pie", report)


def test_without_matplotlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "matplotlib" else find(name))
    with pytest.raises(ImportError, match=r"^pictures need matplotlib: pip install matplotlib$"):
        make_report(["a", "b"]).plot(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_failing_write_leaves_the_file_of_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "confusion_matrix.png").write_text("before")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("textnn.files.os.fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        make_report(["a", "b"]).plot(tmp_path, HISTORY)
    assert [path.name for path in tmp_path.iterdir()] == ["confusion_matrix.png"]
    assert (tmp_path / "confusion_matrix.png").read_text() == "before"


# fonts


def test_matplotlibs_own_font_is_enough_for_latin() -> None:
    assert fonts.find_families(["good", "naïve café"]) == (["DejaVu Sans"], "")


def test_chinese_labels_are_drawn_in_a_font_that_has_them() -> None:
    families, missing = fonts.find_families(["好评", "差评"])
    if missing:
        pytest.skip("no known Chinese font is installed")
    assert len(families) == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        content = plots.draw("confusion_matrix", make_report(["好评", "差评"]))
    # Boxes for all characters would be the same picture for any other two labels.
    assert content != plots.draw("confusion_matrix", make_report(["中文", "的字"]))


def test_a_font_that_was_installed_after_matplotlib_made_its_list_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.font_manager import fontManager

    if fonts.find_families(["好"])[1]:
        pytest.skip("no known Chinese font is installed")
    files = {entry.fname for entry in fontManager.ttflist if entry.name in fonts._FAMILIES}
    old = [entry for entry in fontManager.ttflist if entry.fname not in files]
    monkeypatch.setattr(fontManager, "ttflist", old)
    fonts._add_new_fonts.cache_clear()
    families, missing = fonts.find_families(["好"])
    assert (len(families), missing) == (2, "")


def test_where_no_font_has_a_label_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(fonts, "_FAMILIES", ())
    fonts._add_new_fonts.cache_clear()
    report = make_report(["好评", "差评"])
    with pytest.warns(UserWarning, match="no known font has '好差评'.*install Noto Sans CJK") as caught:
        written = report.plot(tmp_path, HISTORY)
    fonts._add_new_fonts.cache_clear()
    # Of the pictures with labels, and no word of matplotlib's about each glyph.
    assert [str(one.message).split(":")[0] for one in caught] == ["confusion_matrix.png", "roc.png"]
    assert len(written) == 5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "好评" in texts_of(plots.draw("confusion_matrix", report, format="svg"))
