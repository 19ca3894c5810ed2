"""Files as users have them through the commands: what is read, what is written, where it goes."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from commands import ENVIRONMENT, QUICK, run, write_csv

from textnn.text import LABEL_NAMES, TEXT_NAMES, iter_records

CASES = Path(__file__).parent.parent / "cases"


def shell(command: str, model: Path, folder: Path) -> Any:
    """Run a command line in a shell; $textnn is the program, $model a model."""
    environment = {**ENVIRONMENT, "textnn": f"{sys.executable} -m textnn", "model": str(model), "folder": str(folder)}
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment, check=False)


# ---- what is written can be read -------------------------------------------------------------------------------------

TEXTS = ["好\r坏", "第一行\n第二行", "a\0b", "\x1a结束", 'say "so", now', "tab\there", " space "]
TEXTS += ["\ufeffmark", "\u2028x\x85"]


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl"])
def test_whatever_the_texts_are_textnn_reads_what_it_wrote(kind: str, model: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "texts.jsonl", tmp_path / f"out.{kind}"
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    result = run("predict", model, source, "-o", out)
    assert result.exit_code == 0, result.output
    expected = TEXTS if kind == "jsonl" else [text.replace("\0", "\ufffd") for text in TEXTS]
    assert [record.text for record in iter_records(out)] == expected
    if kind == "jsonl":
        assert len(out.read_text().splitlines()) == len(TEXTS)
        return
    delimiter = "," if kind == "csv" else "\t"
    with out.open(encoding="utf-8", newline="") as stream:
        assert [row["text"] for row in csv.DictReader(stream, delimiter=delimiter)] == expected
    pandas = pytest.importorskip("pandas")
    assert pandas.read_csv(out, sep=delimiter)["text"].tolist() == expected


def test_the_case_of_control_characters(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    assert run("predict", model, CASES / "control.jsonl", "-o", out).exit_code == 0
    assert [record.text for record in iter_records(out)] == ["好\r坏", "第一行\n第二行", "a\ufffdb", "\x1a结束"]


def test_formulas_are_disarmed_on_request(model: Path, tmp_path: Path) -> None:
    source = tmp_path / "a.csv"
    source.write_text('text,note\n=1+1,+x\n"@SUM(A1)",-2\n好,plain\n', encoding="utf-8")
    plain = run("predict", model, source, "--keep-columns").stdout
    assert [row["text"] for row in csv.DictReader(io.StringIO(plain))] == ["=1+1", "@SUM(A1)", "好"]
    safe = list(
        csv.DictReader(io.StringIO(run("predict", model, source, "--keep-columns", "--spreadsheet-safe").stdout))
    )
    assert [(row["text"], row["note"]) for row in safe] == [("'=1+1", "'+x"), ("'@SUM(A1)", "'-2"), ("好", "plain")]
    refused = run("predict", model, source, "--spreadsheet-safe", "-f", "jsonl")
    assert (refused.exit_code, "--spreadsheet-safe: expected a table to write" in refused.stderr) == (2, True)


def test_other_columns_are_kept_on_request(model: Path, tmp_path: Path) -> None:
    source = tmp_path / "a.csv"
    source.write_text("id,text,,line\n7,好,x,y\n8,,z,\n", encoding="utf-8")
    rows = list(csv.reader(io.StringIO(run("predict", model, source, "--keep-columns").stdout)))
    assert rows[0] == ["line", "text", "prediction", "probability", "id", "column 2", "line of the input"]
    assert [row[4:] for row in rows[1:]] == [["7", "x", "y"], ["8", "z", ""]]
    found = run("predict", model, source, "--keep-columns", "-f", "jsonl").stdout.splitlines()
    others = {"id": "7", "column 2": "x", "line of the input": "y"}
    assert others.items() <= json.loads(found[0]).items()
    lines = run("predict", model, "-", "--keep-columns", stdin="好\n差\n")
    assert (lines.exit_code, "--keep-columns: expected a table or JSON" in lines.stderr) == (2, True)
    ragged = tmp_path / "a.jsonl"
    ragged.write_text('{"text": "a", "x": 1}\n{"text": "b", "x": [2], "y": null}\n')
    refused = run("predict", model, ragged, "--keep-columns")
    assert refused.exit_code == 2
    assert "does not have 'y', which line 2 has; write --format jsonl" in refused.stderr
    found = run("predict", model, ragged, "--keep-columns", "-f", "jsonl").stdout.splitlines()
    assert {"x": [2], "y": None}.items() <= json.loads(found[1]).items()


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl"])
def test_predictions_with_the_other_columns_can_be_evaluated(kind: str, model: Path, tmp_path: Path) -> None:
    out = tmp_path / f"out.{kind}"
    assert run("predict", model, write_csv(tmp_path / "a.csv", 20), "--keep-columns", "-o", out).exit_code == 0
    result = run("evaluate", model, out)
    assert (result.exit_code, "label in column 'label'" in result.stderr) == (0, True), result.output


def test_a_number_is_a_column_also_where_the_first_row_has_it(model: Path, tmp_path: Path) -> None:
    data = tmp_path / "polarity.csv"
    data.write_text('"1","很 差"\n"2","很 好"\n', encoding="utf-8")
    for header in ([], ["--no-header"]):
        result = run("predict", model, data, "--text-column", 1, *header)
        assert [row["text"] for row in csv.DictReader(io.StringIO(result.stdout))] == ["很 差", "很 好"]


def test_doubts_of_a_file_are_told(model: Path, tmp_path: Path) -> None:
    data = tmp_path / "a.tsv"
    data.write_text('text\tlabel\nsay \\"so\\"\ta\nx\\ty\tb\n', encoding="utf-8")
    told = f"warning: {data}: 2 of 2 texts have backslashes"
    for limit in ([], ["--limit", 2]):
        assert told in run("predict", model, data, *limit).stderr
    assert told in run("train", data, "-o", tmp_path / "m", *QUICK, "--min-count", 1).stderr
    undone = run("predict", model, data, "--escape")
    assert [row["text"] for row in csv.DictReader(io.StringIO(undone.stdout))] == ['say "so"', "x\ty"]
    assert told not in undone.stderr


def test_excel_gets_its_mark(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    assert run("predict", model, "-t", "好", "-o", out, "--output-encoding", "utf-8-sig").exit_code == 0
    assert out.read_bytes().startswith(b"\xef\xbb\xbfline,text,")
    assert [record.text for record in iter_records(out)] == ["好"]
    refused = run("predict", model, "-t", "好", "--output-encoding", "gbk")
    assert (refused.exit_code, "expected utf-8 or utf-8-sig, got 'gbk'" in refused.stderr) == (2, True)


@pytest.mark.parametrize(
    ("name", "begin"),
    [("out.csv", "line,text,"), ("out.tsv", "line\ttext\t"), ("out.jsonl", '{"line": 1'), ("out", "line,text,")],
)
def test_the_ending_of_the_output_says_its_format(name: str, begin: str, model: Path, tmp_path: Path) -> None:
    assert run("predict", model, "-t", "好", "-o", tmp_path / name).exit_code == 0
    assert (tmp_path / name).read_text(encoding="utf-8").startswith(begin)


@pytest.mark.parametrize("name", ["out.csv.gz", "out.xlsx", "out.parquet", "out.json", "out.html"])
def test_endings_of_other_formats_are_refused(name: str, model: Path, tmp_path: Path) -> None:
    result = run("predict", model, "-t", "好", "-o", tmp_path / name)
    assert (result.exit_code, "--output: expected a name in .csv, .tsv or .jsonl" in result.stderr) == (2, True)
    assert not list(tmp_path.glob("out*"))


@pytest.mark.slow
def test_outputs_that_are_no_files(model: Path, tmp_path: Path) -> None:
    data = write_csv(tmp_path / "reviews.csv", 40)
    plain = run("predict", model, data).stdout
    commands = {
        f"$textnn predict $model {data} -q -o /dev/stdout": "",
        f"echo 1 > $folder/a; $textnn predict $model {data} -q -o /dev/stdout >> $folder/a; cat $folder/a": "1\n",
        f"$textnn predict $model {data} -q -o /dev/fd/3 3> $folder/b; cat $folder/b": "",
    }
    for command, before in commands.items():
        result = shell(command, model, tmp_path)
        assert (result.returncode, result.stderr, result.stdout) == (0, "", before + plain), command
    result = shell(f"$textnn predict $model {data} -q -o >(gzip > $folder/c.gz); wait $!", model, tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert gzip.decompress((tmp_path / "c.gz").read_bytes()).decode() == plain


@pytest.mark.slow
def test_closed_and_full_streams(model: Path, tmp_path: Path) -> None:
    data = write_csv(tmp_path / "reviews.csv", 40)
    closed = shell(f"$textnn predict $model {data} >&-", model, tmp_path)
    assert closed.returncode == 1
    assert closed.stderr.splitlines()[-1] == "error: standard output: cannot be written: it is closed"
    silent = shell(f"$textnn predict $model {data} 2>&-", model, tmp_path)
    assert (silent.returncode, silent.stdout) == (0, run("predict", model, data).stdout)
    no_input = shell("$textnn predict $model - <&-", model, tmp_path)
    assert (no_input.returncode, "Traceback" in no_input.stderr) == (2, False)
    full = shell(f"$textnn predict $model {data} -q > /dev/full", model, tmp_path)
    assert full.returncode == 1
    assert full.stderr == "error: standard output: cannot be written: No space left on device\n"


# ---- what is read ----------------------------------------------------------------------------------------------------


def test_one_column_on_standard_input_does_not_have_its_header_predicted(model: Path) -> None:
    result = run("predict", model, stdin="text\n好\n差\n")
    assert [row["text"] for row in csv.DictReader(io.StringIO(result.stdout))] == ["好", "差"]
    assert "csv, utf-8, header row, text in column 'text'" in result.stderr


def test_options_override_what_would_be_found(tmp_path: Path) -> None:
    data = tmp_path / "a.txt"
    rows = "".join(
        f"{label}|It\x92s {word} no. {n}\n" for n in range(20) for label, word in (("p", "good"), ("n", "bad"))
    )
    data.write_bytes(b"kind|words\n" + rows.encode("latin-1") + b"p|x|y\n")
    options = ["--input-format", "csv", "--delimiter", "|", "--encoding", "cp1252", "--header", "--on-error", "skip"]
    result = run("train", data, "-o", tmp_path / "m", *QUICK, *options, "--text-column", 1, "--label-column", 0)
    assert result.exit_code == 0, result.output
    layout = "csv separated by |, cp1252, header row, text in column 'words', label in column 'kind'"
    assert f"{data}: 40 texts ({layout}); left out: bad rows: 1" in result.stderr
    assert f"warning: left out: {data}, line 42: expected 2 fields as in the first row, got 3" in result.stderr
    stopped = run("train", data, "-o", tmp_path / "m", *QUICK, *options[:-2], "--text-column", 1, "--label-column", 0)
    assert (stopped.exit_code, "line 42: expected 2 fields" in stopped.stderr) == (2, True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--encoding-errors", "drop"], "--encoding-errors: expected one of strict, replace, got 'drop'"),
        (["--on-error", "go"], "--on-error: expected one of stop, skip, got 'go'"),
        (["--delimiter", "ab"], "--delimiter: expected one character"),
        (["--input-format", "xml"], "--input-format: expected one of csv, tsv"),
        (["--encoding", "klingon"], "--encoding: expected a text encoding"),
    ],
)
def test_options_without_meaning_are_named(options: list[str], message: str, model: Path, tmp_path: Path) -> None:
    data = write_csv(tmp_path / "reviews.csv", 10)
    for command in (["train", data, "-o", tmp_path / "m"], ["predict", model, data], ["evaluate", model, data]):
        result = run(*command, *options)
        assert (result.exit_code, message in result.stderr) == (2, True), result.stderr


def test_damaged_bytes_are_counted(model: Path, tmp_path: Path) -> None:
    data = tmp_path / "a.csv"
    data.write_bytes("text\n很好很好很好\n".encode() + b"\xff\xfe\n")
    result = run("predict", model, data, "--encoding-errors", "replace")
    assert result.exit_code == 0
    assert f"warning: {data}: 2 bytes are no utf-8; read as U+FFFD" in result.stderr


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "float_labels.csv",
            "labels that differ in their spelling only: '0' and '0.0', '1' and '1.0' and '１'",
        ),
        ("fasttext_comma.txt", "labels such as '财经,第' have punctuation in them; does it end them? --delimiter says"),
    ],
)
def test_labels_that_look_like_a_mistake(name: str, message: str, tmp_path: Path) -> None:
    result = run("train", CASES / name, "-o", tmp_path / "m", *QUICK, "--min-count", 1)
    assert result.exit_code == 0, result.output
    assert f"warning: {CASES / name}: {message}" in result.stderr


def test_as_many_labels_as_texts(tmp_path: Path) -> None:
    data = tmp_path / "a.tsv"
    data.write_text("".join(f"体育\t第{n}场 比赛\n" for n in range(30)) + "财经\tx\n", encoding="utf-8")
    result = run("train", data, "-o", tmp_path / "m", *QUICK, "--text-column", 0, "--label-column", 1, "--min-count", 1)
    assert "31 labels for 31 texts: is it the right column (--label-column)?" in result.stderr


def test_evaluate_says_which_labels_may_be_meant(tmp_path: Path) -> None:
    data, other = tmp_path / "a.csv", tmp_path / "b.csv"
    data.write_text("text,label\n" + "good x,1\nbad y,0\n" * 20)
    other.write_text("text,label\n" + "good x,1.0\nbad y,0\n" * 5)
    assert run("train", data, "-o", tmp_path / "m", *QUICK).exit_code == 0
    result = run("evaluate", tmp_path / "m", other)
    assert result.exit_code == 0
    assert "labels are read in the model's spelling: '1.0' as '1'" in result.stderr
    assert "accuracy 1.0000" in result.stdout
    again = run("train", data, "-o", tmp_path / "n", *QUICK, "--validation", other)
    assert f"{other}: labels are read in the spelling of the training texts: '1.0' as '1'" in again.stderr, again.output
    other.write_text("text,label\n" + "good x,1.0\ngood x,1\nbad y,0\n" * 5)
    assert "do they stand for labels of the model: '1.0' for '1'?" in run("evaluate", tmp_path / "m", other).stderr


def test_explaining_nothing_is_refused(model: Path) -> None:
    for text in ("", "\u200b"):
        result = run("explain", model, "--text", text)
        assert (result.exit_code, "--text: expected a text in which something can be" in result.stderr) == (2, True)


def test_texts_in_which_nothing_can_be_seen_have_no_prediction(model: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(run("predict", model, "-t", "\u200b", "-t", "好").stdout)))
    assert [bool(row["prediction"]) for row in rows] == [False, True]


def test_options_that_other_files_need_too_are_told_after_the_training(tmp_path: Path) -> None:
    data = tmp_path / "a.txt"
    data.write_text("".join(f"{n}\tcafé good {n}\tgood\n{n}\tcafé bad\tbad\n" for n in range(20)), encoding="cp1252")
    options = ["--encoding", "cp1252", "--text-column", 1, "--no-header"]
    trained = run("train", data, "-o", tmp_path / "m", *QUICK, *options, "--label-column", 2)
    assert trained.exit_code == 0, trained.output
    words = "--text-column 1 --encoding cp1252 --no-header"
    assert trained.stdout.endswith(f"       textnn predict {tmp_path / 'm'} FILE {words}\n")
    again = run("predict", tmp_path / "m", data, *words.split())
    assert (again.exit_code, again.stdout.count("\n")) == (0, 41), again.output


@pytest.mark.parametrize("command", ["predict", "explain"])
def test_another_column_that_may_hold_the_texts_is_told(command: str, model: Path, tmp_path: Path) -> None:
    data = tmp_path / "a.csv"
    data.write_text("content,review\nx,很 好\n", encoding="utf-8")
    message = f"warning: {data}: column 'review' is read as the text, not 'content'; --text-column"
    assert message in run(command, model, data).stderr
    assert "warning" not in run(command, model, data, "--text-column", "content").stderr


def test_the_names_that_the_help_lists_are_those_that_are_found() -> None:
    help_of_train = " ".join(run("train", "--help").output.split())
    for place, known in (("Name the columns ", TEXT_NAMES), (" and label ", LABEL_NAMES)):
        listed = help_of_train.partition(place)[2].partition(")")[0]
        names = re.findall(r"[^\s,()]+", listed.replace("(or ", ""))
        assert len(names) > 4, listed
        assert set(names) <= {*known, "label"}, names
