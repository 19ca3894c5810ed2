"""``textnn evaluate``: pictures, the page, and what is refused before any work; test_cli.py has tables and JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import run, write_csv
from samples import make_reviews

from textnn import SentimentClassifier

pytest.importorskip("matplotlib")


@pytest.mark.parametrize("form", [None, "svg"])
def test_pictures_and_the_page_are_written_beside_the_tables(form: str | None, model: Path, tmp_path: Path) -> None:
    data = write_csv(tmp_path / "test.csv", 50, seed=2)
    plain = run("evaluate", model, data)
    more = [] if form is None else ["--plot-format", form]
    result = run("evaluate", model, data, "--plots", tmp_path / "new" / "plots", "--html", tmp_path / "r.html", *more)
    assert (result.exit_code, result.stdout) == (0, plain.stdout), result.output
    names = ["confusion_matrix", "learning_curves", "length_accuracy", "reliability", "roc"]
    found = sorted(path.name for path in (tmp_path / "new" / "plots").iterdir())
    assert found == [f"{name}.{form or 'png'}" for name in names]
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "<title>model on test.csv</title>" in page
    assert "option embedding_dim" in page
    assert f"{tmp_path / 'r.html'}: the evaluation as a page" in result.stderr


def test_errors_on_the_page_have_their_words_in_colours(model: Path, tmp_path: Path) -> None:
    rows = "".join(f"{label},{text}\n" for text, label in (("房间 很 好", "bad"), ("房间 很 差", "good")))
    result = run("evaluate", model, "-", "--html", tmp_path / "r.html", "-q", stdin="label,review\n" + rows)
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert page.count('style="background-color') >= 2
    assert "<title>model on standard input</title>" in page


def test_texts_with_several_labels(make_classifier: Any, tmp_path: Path) -> None:
    texts, labels = make_reviews(120)
    classifier = make_classifier().fit(texts, [[label, "any"] for label in labels])
    classifier.save(tmp_path / "model")
    rows = "good,很 好\nbad|any,很 差\nnew,一般\n"
    result = run(
        "evaluate", tmp_path / "model", "-", "--html", tmp_path / "r.html", "--plots", tmp_path / "p", "--json",
        stdin="label,review\n" + rows,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    stored = json.loads(result.stdout)
    assert stored["texts"] == 3
    assert len(stored["reliability"]) == 15
    assert (tmp_path / "p" / "confusion_matrix.png").exists()
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert page.count('style="background-color') >= 1


@pytest.mark.parametrize(
    ("output", "codes"), [("softmax", {"good": 1, "bad": (2, "b"), "mixed": 7.5}), ("sigmoid", {"good": 1, "bad": 0})]
)
def test_labels_that_are_no_strings_and_texts_of_unknown_words(
    output: str, codes: dict[str, Any], make_classifier: Any, tmp_path: Path
) -> None:
    texts, labels = make_reviews(200, classes=len(codes))
    classifier = make_classifier(output=output).fit(texts, [codes[label] for label in labels])
    strange = ["", "🙂 <script>", "好" * 5000]
    report = classifier.evaluate([*strange, *texts], [*[codes["bad"]] * 3, *(codes[label] for label in labels)])
    explained = []

    def explain(error: Any) -> str:
        explained.append(error.predicted)
        return classifier.explain(error.text, error.predicted).to_html()

    page = report.to_html(history=classifier.history_, explain=explain)
    assert "<script" not in page
    assert len(explained) == len(report.worst_errors)
    assert [path.name for path in report.plot(tmp_path, classifier.history_)][-1] == "roc.png"
    assert json.dumps(report.to_dict())
    assert np.isfinite(report.log_loss)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--plot-format", "svg"], "it is of the pictures of --plots"),
        (["--plots", "{}/p", "--plot-format", "pdf"], "expected png or svg, got 'pdf'"),
        (["--plots", "{}/test.csv"], "--plots: expected a directory, got the file"),
        (["--html", "-"], "--html: expected the name of a file, got -"),
        (["--html", "{}"], "--html: expected the name of a file"),
        (["--html", "{}/none/r.html"], "--html: expected a file in a directory that exists"),
        (["--html", "{}/test.csv"], "--html: expected another file than the input"),
        (["--html", "{}/new", "--plots", "{}/new"], "--html: expected another name than that of --plots"),
    ],
)
def test_what_would_fail_in_the_end_is_refused_first(arguments: list[str], message: str, tmp_path: Path) -> None:
    data = write_csv(tmp_path / "test.csv", 5)
    before = data.read_bytes()
    # There is no such model: nothing was loaded yet.
    result = run("evaluate", tmp_path / "none", data, *(argument.format(tmp_path) for argument in arguments))
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.stderr.replace("│", " ").split()), result.stderr
    assert data.read_bytes() == before


def test_what_cannot_be_written_is_exit_code_1(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_csv(tmp_path / "test.csv", 30)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("textnn.files.os.fsync", full)
    for arguments in (["--plots", tmp_path / "p"], ["--html", tmp_path / "r.html"]):
        result = run("evaluate", model, data, *arguments)
        assert result.exit_code == 1, result.output
        assert f"error: {arguments[1]}: cannot be written: No space left on device" in result.stderr
    assert not (tmp_path / "r.html").exists()


def test_without_matplotlib_the_command_says_what_to_install(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import textnn.classification.evaluation.plots as plots

    def fail() -> None:
        raise ImportError("pictures need matplotlib: pip install matplotlib")

    monkeypatch.setattr(plots, "need_matplotlib", fail)
    result = run("evaluate", model, write_csv(tmp_path / "t.csv", 9), "--html", tmp_path / "r.html")
    assert (result.exit_code, "pip install matplotlib" in result.stderr) == (1, True), result.output


def test_the_page_comes_from_a_classifier_too(fitted: SentimentClassifier) -> None:
    page = fitted.evaluate(*make_reviews(40, seed=5)).to_html(history=fitted.history_)
    assert page.count("<svg") == 4


def test_errors_have_the_line_of_the_file(model: Path) -> None:
    rows = "label,review\n\nbad,房间 很 好\n,没有 标签\ngood,房间 很 好\n"  # one of them is wrong
    (error,) = json.loads(run("evaluate", model, "-", "--json", "-q", stdin=rows).stdout)["worst_errors"]
    assert (error["row"], error["line"]) in {(0, 3), (1, 5)}
