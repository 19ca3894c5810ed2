"""``textnn explain``: in the terminal, as JSON lines, as a page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from commands import run, write_csv
from samples import make_reviews

from textnn import SentimentClassifier


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
    assert "--limit" not in result.stderr
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
        (["--text", "好", "--label", "ugly"], "--label: expected one of 'bad', 'good', got 'ugly'"),
        (
            ["--text", "好", "--method", "magic"],
            "--method: expected one of auto, exact, integrated-gradients, occlusion, got 'magic'",
        ),
        (["file.csv", "--text", "好"], "give a FILE or --text, not both"),
        (["--text", "好", "--json", "--html", "-"], "only one of --json and --html"),
        (["missing.csv"], "missing.csv"),
    ],
)
def test_what_makes_no_sense_is_an_error(model: Path, arguments: list[str], message: str) -> None:
    result = run("explain", model, *arguments)
    assert result.exit_code in (1, 2)
    assert message in " ".join(result.stderr.replace("│", " ").split())


def test_a_page_that_cannot_be_written_is_refused_before_any_work(tmp_path: Path) -> None:
    data = write_csv(tmp_path / "texts.csv", 3)
    for page, message in (
        (tmp_path / "none" / "page.html", "expected a file in a directory that exists"),
        (tmp_path, "expected the name of a file"),
        (data, "expected another file than the input"),
    ):
        result = run("explain", tmp_path / "no model", data, "--html", page)
        assert (result.exit_code, result.stdout) == (2, "")
        assert f"--html: {message}, got {page}" in result.stderr


def test_twenty_texts_are_shown_and_all_are_written_as_json(model: Path, tmp_path: Path) -> None:
    data = write_csv(tmp_path / "texts.csv", 25)
    cut = "the first 20 texts; --limit N explains more, --limit 0 all"
    for arguments, count, told in (
        ([], 20, True),
        (["--limit", "0"], 25, False),
        (["--limit", "20"], 20, False),
        (["--limit", "3"], 3, False),
    ):
        result = run("explain", model, data, *arguments)
        assert (result.stdout.count("method: exact"), cut in result.stderr) == (count, told)
    for arguments, count in (([], 25), (["--limit", "4"], 4)):
        result = run("explain", model, data, "--json", *arguments)
        assert (len(result.stdout.splitlines()), "--limit" in result.stderr) == (count, False)
    exactly = run("explain", model, write_csv(tmp_path / "twenty.csv", 20))
    assert (exactly.stdout.count("method: exact"), "--limit" in exactly.stderr) == (20, False)


def test_rows_without_a_text_are_told(model: Path, tmp_path: Path) -> None:
    (tmp_path / "some.csv").write_text('label,text\ngood,很 好\ngood,\nbad," "\nbad,很 差\n', encoding="utf-8")
    result = run("explain", model, tmp_path / "some.csv", "--json")
    assert [json.loads(line)["line"] for line in result.stdout.splitlines()] == [2, 5]
    assert "some.csv: 2 texts" in result.stderr
    assert "left out: empty texts: 2" in result.stderr
    first = run("explain", model, tmp_path / "some.csv", "--json", "--limit", 1)
    assert "some.csv: 1 texts" in first.stderr


def test_all_predicted_labels_of_a_text_are_explained(make_classifier: Any, tmp_path: Path) -> None:
    texts, names = make_reviews(120)
    classifier = make_classifier(epochs=2).fit(texts, [[name, "all"] if name == "good" else ["all"] for name in names])
    table = classifier.predict_proba(texts[:1])[0]
    classes = classifier.classes_.tolist()
    least = min(classes, key=lambda name: table[classes.index(name)])

    def explained(thresholds: list[float], *arguments: str) -> list[str]:
        classifier.thresholds_[:] = thresholds
        classifier.save(tmp_path / "model")
        result = run("explain", tmp_path / "model", "--text", texts[0], "--json", *arguments)
        assert result.exit_code == 0, result.output
        return [json.loads(line)["label"] for line in result.stdout.splitlines()]

    assert explained([0.0001, 0.0001]) == classes
    only = [0.0001 if name == least else 0.9999 for name in classes]
    assert explained(only) == [least]  # though another one is more probable
    assert explained([0.9999, 0.9999]) == [name for name in classes if name != least]
    assert explained([0.9999, 0.9999], "--label", "good", "--label", "all", "--label", "good") == ["good", "all"]


def test_a_file_without_texts(model: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("\n\n", encoding="utf-8")
    result = run("explain", model, tmp_path / "empty.txt")
    assert result.exit_code == 2
    assert "expected at least one text" in result.stderr


def test_a_method_that_is_not_for_the_model_is_named_as_the_option(make_classifier: Any, tmp_path: Path) -> None:
    make_classifier("lstm", epochs=1).fit(*make_reviews(40)).save(tmp_path / "model")
    result = run("explain", tmp_path / "model", "--text", "很 好", "--method", "exact")
    assert result.exit_code == 2
    assert result.stderr == "error: --method: 'exact' is not for the architecture 'lstm'; write 'auto'\n"
