"""``textnn predict``: what it writes, constant memory, progress; test_cli_resume.py has ``--resume``."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from commands import run, write_csv
from samples import make_reviews

from _textnn_cli.predict import CHUNK, _predict
from _textnn_cli.progress import progress
from _textnn_cli.rows import KINDS, Output, choose
from textnn import SentimentClassifier
from textnn.models import predictor as prediction
from textnn.text import Record


def read_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_predict_writes_a_row_for_each_text(model: Path, fitted: SentimentClassifier) -> None:
    result = run("predict", model, "--text", "很 好", "-t", "很 差, 失望")
    assert result.exit_code == 0, result.output
    rows = read_csv(result.stdout)
    assert [row["text"] for row in rows] == ["很 好", "很 差, 失望"]
    assert [row["prediction"] for row in rows] == fitted.predict(["很 好", "很 差, 失望"]).tolist()
    for row, expected in zip(rows, fitted.predict_proba(["很 好", "很 差, 失望"]).max(axis=1), strict=True):
        assert float(row["probability"]) == pytest.approx(expected, abs=1e-6)


def test_predict_from_frozen_weights(model: Path) -> None:
    texts = ["--text", "房间 很 好", "--text", "很 差"]
    live, frozen = (read_csv(run("predict", model, *texts, *more).stdout) for more in (["--no-frozen"], ["--frozen"]))
    assert len(live) == 2
    for one, other in zip(live, frozen, strict=True):
        assert one["prediction"] == other["prediction"]
        assert abs(float(one["probability"]) - float(other["probability"])) < 2e-6


def test_predict_from_integers(model: Path) -> None:
    texts = ["--text", "房间 很 好", "--text", "很 差"]
    live, frozen = (read_csv(run("predict", model, *texts, *more).stdout) for more in ([], ["--dtype", "int8"]))
    for one, other in zip(live, frozen, strict=True):
        assert one["prediction"] == other["prediction"]
        assert 0 < abs(float(one["probability"]) - float(other["probability"])) < 0.03
    failed = run("predict", model, *texts, "--dtype", "int4")
    assert (failed.exit_code, "dtype must be one of 'float32'" in failed.stderr) == (2, True)


def test_what_cannot_be_frozen_predicts_without_a_word_unless_a_dtype_was_asked_for(
    make_classifier: Any, reviews: Any, tmp_path: Path
) -> None:
    classifier = make_classifier("lstm", epochs=1).fit(*reviews)
    classifier.save(tmp_path / "lstm")
    result = run("predict", tmp_path / "lstm", "--text", "很 好")
    assert (result.exit_code, result.stderr) == (0, "")
    assert float(read_csv(result.stdout)[0]["probability"]) == pytest.approx(
        classifier.predict_proba(["很 好"]).max(), abs=2e-6
    )
    result = run("predict", tmp_path / "lstm", "--text", "很 好", "--dtype", "int16")
    assert (result.exit_code, "warning: the architecture 'lstm' has nothing to freeze in 'int16'" in result.stderr) == (
        0,
        True,
    )


def test_a_dtype_belongs_to_frozen_weights(model: Path) -> None:
    result = run("predict", model, "--text", "x", "--no-frozen", "--dtype", "int8")
    assert (result.exit_code, "only frozen weights have a dtype" in result.stderr) == (2, True)


def test_another_tokenizer_is_used_on_request_with_a_warning(model: Path, tmp_path: Path) -> None:
    data, text = write_csv(tmp_path / "test.csv", 20), "很好 房间"
    own, other = (run("predict", model, "-t", text, *more) for more in ([], ["--tokenizer", "char"]))
    assert (own.exit_code, own.stderr, other.exit_code) == (0, "", 0)
    with pytest.warns(UserWarning, match="tokens may differ"):
        expected = SentimentClassifier.load(model, tokenizer="char")
    assert float(read_csv(other.stdout)[0]["probability"]) == pytest.approx(
        expected.predict_proba([text]).max(), abs=2e-6
    )
    assert other.stdout != own.stdout
    evaluated = run("evaluate", model, data, "--tokenizer", "char")
    assert evaluated.exit_code == 0
    for result in (other, evaluated):
        assert "warning: " in result.stderr
        assert "trained with the tokenizer 'whitespace'" in result.stderr
    for arguments in (["predict", model, "-t", text], ["evaluate", model, data]):
        result = run(*arguments, "--tokenizer", "scissors")
        assert (result.exit_code, "got 'scissors'" in result.stderr) == (2, True), result.stderr


@pytest.mark.parametrize("source", ["file", "pipe", "dash"])
@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_predict_reads_files_and_pipes_and_writes_csv_and_jsonl(
    source: str, form: str, model: Path, fitted: SentimentClassifier, tmp_path: Path
) -> None:
    data = write_csv(tmp_path / "new.csv", 30)
    texts = make_reviews(30)[0]
    where = {"file": [data], "pipe": [], "dash": ["-"]}[source]
    given = None if source == "file" else data.read_text(encoding="utf-8")
    result = run("predict", model, *where, "--format", form, "--probabilities", stdin=given)
    assert result.exit_code == 0, result.output
    rows = read_csv(result.stdout) if form == "csv" else [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["text"] for row in rows] == texts
    assert [int(row["line"]) for row in rows] == list(range(2, 32))
    assert [row["prediction"] for row in rows] == fitted.predict(texts).tolist()
    expected = fitted.predict_proba(texts)
    for row, (bad, good) in zip(rows, expected.tolist(), strict=True):
        if form == "csv":
            found = [float(row["probability of bad"]), float(row["probability of good"])]
            assert found == pytest.approx([bad, good], abs=1e-6)
        else:
            assert row["probabilities"] == {"bad": bad, "good": good}


def test_output_file_has_the_format_of_its_suffix(model: Path, tmp_path: Path) -> None:
    data = write_csv(tmp_path / "new.csv", 5)
    for name, first in (("out.csv", "line,text"), ("out.jsonl", '{"line": 2'), ("out", "line,text")):
        result = run("predict", model, data, "--output", tmp_path / name)
        assert (result.exit_code, result.stdout) == (0, ""), result.output
        assert (tmp_path / name).read_text(encoding="utf-8").startswith(first), name
        assert f"{name}: 5 texts" in result.stderr


def test_lines_of_json_are_not_written_under_the_name_of_a_json_file_unless_asked_for(
    model: Path, tmp_path: Path
) -> None:
    arguments = ["predict", model, "-t", "很 好", "-o", tmp_path / "out.json"]
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert "--output: expected a name in .csv, .tsv or .jsonl, got" in result.stderr
    assert not (tmp_path / "out.json").exists()
    assert run(*arguments, "--format", "jsonl").exit_code == 0
    assert json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["text"] == "很 好"


@pytest.mark.parametrize("command", ["predict", "explain"])
@pytest.mark.parametrize("text", ["房间 很 干净", "很 好 " * 500])
def test_a_text_in_the_place_of_a_file_is_told_its_option(command: str, text: str) -> None:
    result = run(command, "model", text)
    assert result.exit_code == 2, result.output
    assert result.stderr == f"error: {text}: expected a file, but there is none of this name; for a text use --text\n"


def test_predict_says_how_it_reads_a_file(model: Path, tmp_path: Path) -> None:
    (tmp_path / "new.txt").write_text("很 好\n", encoding="utf-8")
    assert run("predict", model, tmp_path / "new.txt").stderr == f"{tmp_path / 'new.txt'}: lines, utf-8\n"
    told = run("predict", model, stdin="review,n\n很 好,1\n").stderr
    assert told.startswith("standard input: csv, ")
    assert told.endswith(", text in column 'review'\n")
    assert run("predict", model, tmp_path / "new.txt", "-q").stderr == ""


@pytest.mark.parametrize(
    ("lines", "what", "advice"),
    [
        (["好", "__label__good 好", "__label__bad 差"], "begin with '__label__'", "fasttext"),
        (["很 好,good", "很, 差,bad", "还行"], "end in a comma and a label of the model", "csv --text-column 0"),
        (["还行", "很 好\tgood", "很 差\tbad"], "end in a tab and a label of the model", "lecture"),
    ],
)
def test_plain_lines_that_hold_their_label_are_warned_of(lines: list[str], what: str, advice: str, model: Path) -> None:
    for copies in (1, 100):  # few lines, and more than are looked at
        result = run("predict", model, "-q", stdin="\n\n".join(lines * copies))
        assert result.exit_code == 0, result.output
        told = f"most lines {what}, and are taken as texts as they stand; --input-format {advice} splits them"
        assert result.stderr == f"warning: standard input: {told}\n"
        assert len(read_csv(result.stdout)) == 2 * len(lines) * copies - 1
    asked = run("predict", model, "-q", "--input-format", "lines", stdin="\n".join(lines))
    assert (asked.exit_code, asked.stderr) == (0, "")


@pytest.mark.parametrize("lines", [["好,good", "还行", "还,行"], ["很 好, 很 good", "good"], ["", " "]])
def test_plain_lines_of_texts_are_not_warned_of(lines: list[str], model: Path) -> None:
    assert run("predict", model, "-q", stdin="\n".join(lines)).stderr == ""


def test_texts_without_content_keep_their_row_but_have_no_prediction(model: Path) -> None:
    result = run("predict", model, "-", "-f", "jsonl", "-p", stdin="很 好\n\n  \n很 差\n")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["line"] for row in rows] == [1, 2, 3, 4]
    assert [row["prediction"] is None for row in rows] == [False, True, True, False]
    assert rows[1]["probability"] is rows[1]["probabilities"] is None
    assert "2 of 4 texts are empty and have no prediction" in result.stderr
    assert run("predict", model, "-q", "-p", stdin="\n很 好\n").stdout.splitlines()[1] == "1,,,,,"


def test_predict_holds_a_few_chunks_in_memory(fitted: SentimentClassifier) -> None:
    taken = 0

    def endless() -> Iterator[Record]:
        nonlocal taken
        while True:
            taken += 1
            yield Record(taken, "很 好", None, [])

    rows = _predict(fitted, endless())
    most = (torch.get_num_threads() + 2) * prediction.CHUNK  # one for each thread, one waiting, one being read
    for number in range(1, 2 * CHUNK + 2):
        assert next(rows)[0] == number
        assert taken <= number + most


def test_a_bad_line_far_down_leaves_no_output_file(model: Path, tmp_path: Path) -> None:
    data = tmp_path / "new.jsonl"
    data.write_text('{"text": "很 好"}\n' * (2 * CHUNK) + "oops\n", encoding="utf-8")
    (tmp_path / "out.csv").write_text("an older result")
    result = run("predict", model, data, "-o", tmp_path / "out.csv")
    assert result.exit_code == 2
    assert f"new.jsonl, line {2 * CHUNK + 1}: expected a JSON object" in result.stderr
    assert (tmp_path / "out.csv").read_text() == "an older result"
    assert {path.name for path in tmp_path.iterdir()} == {"model", "new.jsonl", "out.csv"}


def test_the_input_is_not_overwritten(model: Path, tmp_path: Path) -> None:
    data = write_csv(tmp_path / "new.csv", 5)
    before = data.read_bytes()
    result = run("predict", model, data, "-o", data)
    assert result.exit_code == 2
    assert "--output: expected another file than the input" in result.stderr
    assert data.read_bytes() == before


def test_an_output_that_cannot_be_written_is_exit_code_1(model: Path, tmp_path: Path) -> None:
    result = run("predict", model, "-t", "x", "-o", tmp_path / "none" / "out.csv")
    assert result.exit_code == 1
    assert "none/out.csv: cannot be written: No such file or directory" in result.stderr


# several labels a text


def test_several_labels_a_text() -> None:
    classes, thresholds = np.array(["价格", "卫生", 3], dtype=object), np.array([0.5, 0.25, 0.5])
    classifier: Any = SimpleNamespace(multilabel_=True, classes_=classes, thresholds_=thresholds)
    table = np.array([[0.5, 0.3, 0.9], [0.4, 0.2, 0.1], [0.1, 0.25, 0.7]])
    found = list(choose(classifier, table))
    assert found == [(["价格", "卫生", 3], None), ([], None), (["卫生", 3], None)]
    classifier.stream_proba = lambda texts: iter([table[: len(list(texts))]])
    rows = list(_predict(classifier, [Record(n, text, None, []) for n, text in enumerate(["好", "差", " "], 1)]))
    written = {}
    for kind in KINDS:
        stream = io.StringIO()
        write = Output(kind, probabilities=True).writer(stream, classes.tolist())
        for row in rows:
            write(row)
        written[kind] = stream.getvalue().splitlines()
    assert written["csv"] == [
        "line,text,prediction,probability,probability of 价格,probability of 卫生,probability of 3",
        "1,好,价格|卫生|3,,0.500000,0.300000,0.900000",
        "2,差,,,0.400000,0.200000,0.100000",
        '3," ",,,,,',
    ]
    assert [json.loads(line)["prediction"] for line in written["jsonl"]] == [["价格", "卫生", 3], [], None]
    assert json.loads(written["jsonl"][0]) == {
        "line": 1,
        "text": "好",
        "prediction": ["价格", "卫生", 3],
        "probability": None,
        "probabilities": {"价格": 0.5, "卫生": 0.3, "3": 0.9},
    }


# progress


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("screen", "wanted", "seen"), [(True, True, True), (True, False, False), (False, True, False)])
def test_progress_is_shown_on_a_terminal(
    screen: bool, wanted: bool, seen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = Screen() if screen else io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    with progress(4096, wanted) as show:
        show(12288)
    assert ("12,288 texts, " in stream.getvalue() and " texts/s" in stream.getvalue()) == seen
    assert seen or not stream.getvalue()


def test_the_first_texts_of_a_file_are_enough_if_asked(model: Path, tmp_path: Path) -> None:
    data, out = write_csv(tmp_path / "a.csv", 30), tmp_path / "out.csv"
    assert run("predict", model, data, "-o", out).exit_code == 0
    whole = out.read_text(encoding="utf-8").splitlines()
    some = run("predict", model, data, "-o", out, "--limit", 7)
    assert some.exit_code == 0, some.output
    assert f"{out}: 7 texts" in some.stderr
    assert out.read_text(encoding="utf-8").splitlines() == whole[:8]
    refused = run("predict", model, "--text", "x", "--limit", 1)
    assert (refused.exit_code, "it is of a FILE, got --text" in refused.stderr) == (2, True)
    report = run("evaluate", model, data, "--limit", 7, "--json")
    assert json.loads(report.stdout)["texts"] == 7


@pytest.mark.parametrize("name", ["out.txt", "out.TXT", "out.dat", "out.json"])
def test_a_name_of_another_kind_of_file_needs_a_format(name: str, model: Path, tmp_path: Path) -> None:
    result = run("predict", model, "--text", "x", "-o", tmp_path / name)
    assert result.exit_code == 2
    assert f"--output: expected a name in .csv, .tsv or .jsonl, got {tmp_path / name}, or --format" in result.stderr
    assert run("predict", model, "--text", "x", "-o", tmp_path / name, "-f", "csv").exit_code == 0


def test_texts_that_are_words_for_a_missing_value_are_told(model: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\nNULL,good\n很 好,good\n#N/A,bad\n", encoding="utf-8")
    for command in ("predict", "evaluate"):
        told = run(command, model, tmp_path / "a.csv").stderr
        assert "warning: texts: 2 of 3 look like missing values: '#N/A' (1), 'NULL' (1)" in told
