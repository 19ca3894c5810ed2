"""``textnn explain``: in the terminal, as JSON lines, as a page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from commands import run, write_csv
from samples import make_reviews

from textnn.classifier import SentimentClassifier


def test_explain_shows_texts_with_numbers(model: Path) -> None:
    result = run("explain", model, "--text", "房间 很 好", "-t", "退货")
    assert result.exit_code == 0, result.output
    assert result.stdout.count("probability 0.") == 2
    assert "[+" in result.stdout
    assert result.stdout.count("method: exact") == 2


def test_explain_as_json_lines(model: Path, fitted: SentimentClassifier) -> None:
    result = run(
        "explain", model, "--text", "房间 很 好", "--text", "<b>", "--json", "--label", "bad", "--method", "occlusion"
    )
    assert result.exit_code == 0, result.output
    found = [json.loads(line) for line in result.stdout.splitlines()]
    for number, (one, text) in enumerate(zip(found, ["房间 很 好", "<b>"], strict=True), 1):
        expected = fitted.explain(text, "bad", "occlusion").to_dict()
        assert one == {"line": number, **expected}
        assert one["label"] == "bad"


def test_explain_a_file_as_a_page(model: Path, tmp_path: Path) -> None:
    data, page = write_csv(tmp_path / "texts.csv", 30), tmp_path / "page.html"
    result = run("explain", model, data, "--html", page, "--limit", 3)
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert page.read_text(encoding="utf-8").count("<section>") == 3
    assert "the first 3 texts; --limit N explains more" in result.stderr
    assert "page.html: 3 texts" in result.stderr
    quiet = run("explain", model, data, "--html", page, "--limit", 30, "--quiet")
    assert (quiet.exit_code, quiet.stderr) == (0, "")
    assert page.read_text(encoding="utf-8").count("<section>") == 30


def test_explain_reads_standard_input(model: Path) -> None:
    result = run("explain", model, "--json", stdin="很 好\n很 差\n")
    assert [json.loads(line)["text"] for line in result.stdout.splitlines()] == ["很 好", "很 差"]


def test_labels_that_are_numbers(make_classifier: Any, tmp_path: Path) -> None:
    texts, labels = make_reviews(60)
    make_classifier(epochs=1).fit(texts, [int(label == "good") for label in labels]).save(tmp_path / "model")
    result = run("explain", tmp_path / "model", "--text", "很 好", "--label", "0", "--json")
    assert json.loads(result.stdout)["label"] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--text", "好", "--label", "ugly"], "label: expected one of 'bad', 'good', got 'ugly'"),
        (["--text", "好", "--method", "magic"], "method: expected 'auto', 'exact'"),
        (["file.csv", "--text", "好"], "give a FILE or --text, not both"),
        (["--text", "好", "--json", "--html", "-"], "only one of --json and --html"),
        (["missing.csv"], "missing.csv"),
    ],
)
def test_what_makes_no_sense_is_an_error(model: Path, arguments: list[str], message: str) -> None:
    result = run("explain", model, *arguments)
    assert result.exit_code in (1, 2)
    assert message in " ".join(result.stderr.replace("│", " ").split())


def test_a_page_that_cannot_be_written_leaves_nothing(model: Path, tmp_path: Path) -> None:
    result = run("explain", model, "--text", "好", "--html", tmp_path / "none" / "page.html")
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr


def test_a_file_without_texts(model: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("\n\n", encoding="utf-8")
    result = run("explain", model, tmp_path / "empty.txt")
    assert result.exit_code == 2
    assert "expected at least one text" in result.stderr
