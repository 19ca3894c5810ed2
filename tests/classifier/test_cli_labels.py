"""``textnn train`` and ``evaluate`` on texts that may have several labels, from a file to the end.

test_cli_remarks.py has what they say of labels that look like a mistake.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from commands import QUICK, run
from samples import make_reviews

from textnn import SentimentClassifier

SEPARATOR = ["--label-separator", ";"]
SMALL = [*QUICK, "-a", "textcnn", "--channels", "8"]

TABLE, LISTS, ONE = "label,text\na;b,x\nb,y\n", '{"text": "x", "label": ["a"]}\n', '{"text": "y", "label": "a"}\n'


def make_texts(count: int = 120, seed: int = 0) -> tuple[list[str], list[list[str]]]:
    """Return reviews whose labels are their sentiment and their length; short bad ones have none."""
    texts, labels = make_reviews(count, seed=seed)
    sizes = [len(text.split()) for text in texts]
    several = [[label, *(["long"] if size > 5 else [])] for label, size in zip(labels, sizes, strict=True)]
    return texts, [[] if found == ["bad"] else found for found in several]


def write(path: Path, count: int = 120, seed: int = 0) -> Path:
    rows = list(zip(*make_texts(count, seed), strict=True))
    with path.open("w", encoding="utf-8", newline="") as file:
        if path.suffix == ".jsonl":
            file.writelines(json.dumps({"text": text, "labels": labels}) + "\n" for text, labels in rows)
        else:
            csv.writer(file).writerows([("text", "labels"), *((text, " ; ".join(labels)) for text, labels in rows)])
    return path


def weights(model: Path) -> bytes:
    return (model / "model.safetensors").read_bytes()


def test_cells_and_lists_train_the_model_that_python_trains(tmp_path: Path) -> None:
    cells = run("train", write(tmp_path / "a.csv"), "-o", tmp_path / "cells", *SMALL, *SEPARATOR)
    lists = run("train", write(tmp_path / "a.jsonl"), "-o", tmp_path / "lists", *SMALL, "-q")
    assert cells.exit_code == lists.exit_code == 0, cells.output + lists.output
    texts, labels = make_texts()
    options = {"tokenizer": "whitespace", "embedding_dim": 8, "channels": 8, "epochs": 2}
    SentimentClassifier("textcnn", random_state=0, verbose=0, **options).fit(texts, labels).save(tmp_path / "python")
    assert weights(tmp_path / "cells") == weights(tmp_path / "lists") == weights(tmp_path / "python")
    classes = SentimentClassifier.load(tmp_path / "cells").classes_.tolist()
    assert classes == ["bad", "good", "long"]
    none, mean = sum(not found for found in labels), sum(map(len, labels)) / 120
    assert f"labels: 3, {mean:.2f} a text; texts without one: {none}" in cells.stderr
    assert "a.csv: 120 texts (csv, utf-8, header row, text in column 'text', labels in column 'labels')" in cells.stderr
    assert "all labels right" in cells.stdout
    assert "macro average" in cells.stdout
    assert "warning" not in cells.stderr


@pytest.mark.parametrize("validation", ["b.csv", "b.jsonl"])
def test_a_validation_file_is_read_the_same_way(validation: str, tmp_path: Path) -> None:
    held_out = write(tmp_path / validation, 30, seed=1)
    options = ["--validation", held_out, "--threshold", "auto", "-q"]
    result = run("train", write(tmp_path / "a.csv"), "-o", tmp_path / "m", *SMALL, *SEPARATOR, *options)
    assert (result.exit_code, result.stdout) == (0, ""), result.output
    classifier = SentimentClassifier.load(tmp_path / "m")
    assert classifier.validation_report_ is not None
    assert classifier.validation_report_.texts == 30
    assert classifier.threshold == "auto"


def test_evaluate_takes_the_files_that_train_takes_and_what_predict_writes(tmp_path: Path) -> None:
    table, lines, model = write(tmp_path / "a.csv"), write(tmp_path / "a.jsonl"), tmp_path / "m"
    assert run("train", lines, "-o", model, *SMALL, "-q", "--epochs", 8).exit_code == 0
    reports = [
        json.loads(run("evaluate", model, *arguments, "--json").stdout)
        for arguments in ((table, *SEPARATOR), (lines,), (lines, *SEPARATOR))
    ]
    for error in (error for report in reports for error in report["worst_errors"]):
        assert error.pop("line") - error["row"] in (1, 2)  # the table has a header
    assert reports[0] == reports[1] == reports[2]
    assert reports[0]["texts"] == 120
    for name in ("p.csv", "p.jsonl"):
        assert run("predict", model, lines, "-o", tmp_path / name).exit_code == 0
        own = run("evaluate", model, tmp_path / name, "--label-column", "prediction", "--json")
        assert json.loads(own.stdout)["errors"] == 0, name


def test_evaluate_says_where_it_split_labels_that_the_model_does_not_know(tmp_path: Path) -> None:
    assert run("train", write(tmp_path / "a.jsonl"), "-o", tmp_path / "m", *SMALL, "-q").exit_code == 0
    result = run("evaluate", tmp_path / "m", write(tmp_path / "a.csv"))
    assert result.exit_code == 0, result.output
    assert (
        "count as errors: 'bad ; long', 'good ; long'; they were split at '|', see --label-separator" in result.stderr
    )


def test_evaluate_refuses_several_labels_where_the_model_has_one(model: Path, tmp_path: Path) -> None:
    result = run("evaluate", model, write(tmp_path / "a.csv"), *SEPARATOR)
    assert (result.exit_code, result.stderr) == (
        2,
        "error: --label-separator: the model has one label a text, got ';'\n",
    )
    result = run("evaluate", model, write(tmp_path / "a.jsonl"))
    assert result.exit_code == 2
    assert "a.jsonl: expected one label a text, as the model was trained with, got lists of labels" in result.stderr


def test_a_separator_of_nothing_is_wrong_usage(tmp_path: Path) -> None:
    for arguments in (["train", "a.csv", "-o", "m"], ["evaluate", "m", "a.csv"]):
        result = run(*arguments, "--label-separator", "")
        assert (result.exit_code, "expected at least one character" in result.stderr) == (2, True), result.output


@pytest.mark.parametrize("label", ["good", ""])
def test_a_separator_that_never_occurs_is_asked_about_and_taken(label: str, tmp_path: Path) -> None:
    rows = "".join(f"{name},{text}\n" for name in ("a;b", label) for text in ("很 好", "很 差") * 9)
    options = [*SMALL, "--label-separator", "|", "-q"]
    result = run("train", "-", "-o", tmp_path / "m", *options, stdin=f"label,text\n{rows}")
    assert result.exit_code == 0, result.output
    assert "warning: standard input: no text has several labels; is '|' what stands between them?" in result.stderr
    assert SentimentClassifier.load(tmp_path / "m").multilabel_


def test_one_label_in_all_is_enough_where_texts_may_have_none(tmp_path: Path) -> None:
    lines = "".join(json.dumps({"text": f"t {number}", "label": ["a"][number % 2 :]}) + "\n" for number in range(40))
    result = run("train", "-", "-o", tmp_path / "m", *SMALL, stdin=lines)
    assert result.exit_code == 0, result.output
    assert "labels: 1, 0.50 a text; texts without one: 20" in result.stderr


@pytest.mark.parametrize(
    ("content", "validation", "options", "message"),
    [
        ("label,text\n,x\n;,y\n", None, SEPARATOR, "a: expected at least one label in column 'label', got none"),
        (f"{LISTS}{ONE}", None, [], "a, line 2: expected a list of labels as in the rows before, got one label"),
        (TABLE, "label,text\nb,x\na;c,y\n", SEPARATOR, "b, line 3: expected one of the labels of the training texts"),
        (TABLE, LISTS, [], "b: expected one label a text as in the training texts, got lists of labels"),
        (LISTS, TABLE, [], "b: expected lists of labels as in the training texts, got one label a text"),
    ],
)
def test_files_that_do_not_fit_are_named(
    content: str, validation: str | None, options: list[str], message: str, tmp_path: Path
) -> None:
    (tmp_path / "a").write_text(content, encoding="utf-8")
    if validation is not None:
        (tmp_path / "b").write_text(validation, encoding="utf-8")
        options = [*options, "--validation", str(tmp_path / "b")]
    result = run("train", tmp_path / "a", "-o", tmp_path / "m", *SMALL, *options)
    assert result.exit_code == 2, result.output
    assert message in result.stderr.splitlines()[-1], result.stderr
    assert not (tmp_path / "m").exists()


def test_a_message_does_not_quote_a_label_in_full(tmp_path: Path) -> None:
    long = "x" * 5000
    (tmp_path / "a").write_text("label,text\n" + f"{long},t\nb,u\n" * 20, encoding="utf-8")
    (tmp_path / "b").write_text(f"label,text\n{long}y,t\n", encoding="utf-8")
    for options in (["--class-weight", f"{long}z=2"], ["--validation", str(tmp_path / "b")]):
        result = run("train", tmp_path / "a", "-o", tmp_path / "m", *SMALL, *options)
        assert result.exit_code == 2
        assert len(result.stderr.splitlines()[-1]) < 1000


def test_a_label_with_the_sign_between_labels_is_warned_of(tmp_path: Path) -> None:
    rows = [{"text": f"t {n}", "label": ["a|b"] if n % 2 else ["c"]} for n in range(40)]
    result = run("train", "-", "-o", tmp_path / "m", *SMALL, stdin="".join(json.dumps(row) + "\n" for row in rows))
    assert result.exit_code == 0, result.output
    (tmp_path / "new.txt").write_text("t 1\n", encoding="utf-8")
    for kind, warned in (("csv", True), ("jsonl", False)):
        found = run("predict", tmp_path / "m", tmp_path / "new.txt", "--format", kind)
        assert ("warning: labels with '|' cannot be told from several labels in CSV" in found.stderr) is warned


def test_a_training_that_is_gone_on_with_ends_in_the_same_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from textnn.bundle import BundleError

    def fail(*_: object) -> None:
        raise BundleError("no space")

    data = write(tmp_path / "a.csv")
    options = [*SMALL, *SEPARATOR, "--class-weight", "long=2", "--class-weight", "bad=0.5", "--threshold", "0.4"]
    with monkeypatch.context() as patch:
        patch.setattr(SentimentClassifier, "save", fail)
        assert run("train", data, "-o", tmp_path / "m", *options).exit_code == 1
    other = run("train", data, "-o", tmp_path / "m", *options[:-2], "--threshold", "0.3", "--resume")
    assert (other.exit_code, "threshold was 0.4 and is 0.3 now" in other.stderr) == (2, True), other.output
    result = run("train", data, "-o", tmp_path / "m", *options, "--resume")
    assert (result.exit_code, "resumed after" in result.stderr) == (0, True), result.output
    assert run("train", data, "-o", tmp_path / "whole", *options).exit_code == 0
    assert weights(tmp_path / "m") == weights(tmp_path / "whole")
