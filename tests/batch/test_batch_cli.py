"""``textnn predict`` of Parquet: folders and files, resuming, other arguments, options of text files."""

from __future__ import annotations

import fcntl
import importlib.util
import os
from pathlib import Path
from typing import Any

import pytest
from batch_samples import reviews
from typer.testing import CliRunner

pa = pytest.importorskip("pyarrow")

import pyarrow.parquet as pq  # noqa: E402

from _textnn_cli import app  # noqa: E402
from textnn.batch import Scorer, files  # noqa: E402

pytestmark = pytest.mark.slow


def predict(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["predict", *map(str, arguments)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three files with 20 reviews each, one of them in a folder of its own."""
    for number, name in enumerate(["a", "b", "day=1/c"]):
        path = tmp_path / f"in/{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        texts, labels = reviews(20, seed=number)
        pq.write_table(pa.table({"id": range(20), "label": labels, "review": texts}), path)
    return tmp_path / "in"


def test_a_folder_becomes_one_with_the_same_files(model: Path, folder: Path, tmp_path: Path) -> None:
    result = predict(model, folder, "-o", tmp_path / "out", "--probabilities")
    assert result.exit_code == 0, result.stderr
    assert result.stderr == (f"{folder}: 3 files, text in column 'review'\n{tmp_path / 'out'}: 60 rows in 3 files\n")
    assert files.find_files(str(tmp_path / "out")) == files.find_files(str(folder))
    for name in files.find_files(str(folder)):
        expected = Scorer(model, "review")(pq.ParquetFile(folder / name).read())
        assert pq.ParquetFile(tmp_path / "out" / name).read().equals(expected)


def test_a_second_run_makes_only_what_is_missing(model: Path, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert predict(model, folder, "-o", out, "--workers", 1, "-q").exit_code == 0
    before = {name: (out / name).stat() for name in files.find_files(str(out))}
    (out / "b.parquet").unlink()
    (out / ".b.parquet.0123456789ab.tmp").touch()  # of a process that was killed
    result = predict(model, folder, "-o", out, "--workers", 1)
    assert (result.exit_code, f"{out}: 2 of 3 files there already\n" in result.stderr) == (0, True)
    after = {name: (out / name).stat() for name in files.find_files(str(out))}
    assert {name for name in before if before[name].st_ino != after[name].st_ino} <= {"b.parquet"}
    assert {name for name in before if before[name].st_mtime_ns != after[name].st_mtime_ns} == {"b.parquet"}
    assert not list(out.glob(".*"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-p"], "--probabilities was False and is True now"),
        (["--no-frozen"], "--frozen was True and is False now"),
        (["--text-column", "label"], "--text-column was 'review' and is 'label' now"),
        (["--prefix", "x"], "--prefix was '' and is 'x' now"),
    ],
)
def test_other_arguments_are_an_error(
    options: list[str], message: str, model: Path, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert predict(model, folder, "-o", out, "--workers", 1, "-q").exit_code == 0
    (out / "a.parquet").unlink()
    result = predict(model, folder, "-o", out, "--workers", 1, *options)
    assert (result.exit_code, message in result.stderr) == (2, True), result.stderr
    assert not (out / "a.parquet").exists(), "nothing is made where a part is another"


def test_one_file_becomes_one(model: Path, folder: Path, tmp_path: Path) -> None:
    (folder / "a.parquet").rename(tmp_path / "table")  # known by its first bytes
    result = predict(model, tmp_path / "table", "-o", tmp_path / "out.parquet", "--text-column", 2, "-q")
    assert (result.exit_code, result.stderr) == (0, "")
    names = ["id", "label", "review", "prediction", "probability"]
    assert pq.read_table(tmp_path / "out.parquet").column_names == names


def test_a_tagger_adds_entities(tagger: Any, tmp_path: Path) -> None:
    tagger.save(tmp_path / "tagger")
    pq.write_table(pa.table({"text": ["Bob met Ann."]}), tmp_path / "in.parquet")
    result = predict(tmp_path / "tagger", tmp_path / "in.parquet", "-o", tmp_path / "out.parquet")
    assert result.exit_code == 0, result.stderr
    (entities,) = pq.read_table(tmp_path / "out.parquet")["entities"].to_pylist()
    assert [entity["text"] for entity in entities] == ["Bob", "Ann"]


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ([], 2, "Parquet is written to a file or a folder"),
        (["-o", "OUT", "--engine", "hadoop"], 2, "expected local or ray, got 'hadoop'"),
        (["-o", "OUT", "--encoding", "gb18030"], 2, "it is for a file of text, got"),
        (["-o", "OUT", "--limit", "3"], 2, "it is for a file of text, got"),
        (["-o", "OUT", "--text-column", "none"], 2, "a.parquet: --text-column: expected a column 'none', got no"),
        (["-o", "OUT", "--text-column", "id"], 2, "a.parquet: --text-column: expected a column of strings, but 'id'"),
        (["-o", "IN/out"], 2, "--output: expected a folder beside FILE, got"),
        (["-o", "MODEL/config.json"], 2, "--output: expected a folder, as FILE is one, got the file"),
    ],
)
def test_what_is_refused_before_any_work(
    options: list[str], code: int, message: str, model: Path, folder: Path, tmp_path: Path
) -> None:
    places = {"OUT": str(tmp_path / "out"), "IN/out": str(folder / "out"), "MODEL/config.json": f"{model}/config.json"}
    result = predict(model, folder, *(places.get(option, option) for option in options))
    shown = " ".join(result.stderr.replace("│", " ").split())  # typer draws a frame
    assert (result.exit_code, message in shown) == (code, True), result.stderr
    assert not list(tmp_path.glob("**/*.tmp"))
    assert not list(tmp_path.glob("out/*"))


def test_a_file_is_not_written_over_itself(model: Path, folder: Path) -> None:
    before = (folder / "a.parquet").read_bytes()
    result = predict(model, folder / "a.parquet", "-o", folder / "a.parquet")
    shown = " ".join(result.stderr.replace("│", " ").split())
    assert (result.exit_code, "--output: expected another file than the input" in shown) == (2, True), result.stderr
    assert (folder / "a.parquet").read_bytes() == before


def test_options_of_parquet_are_refused_for_text(model: Path, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("text\na\n", encoding="utf-8")
    for options in (["--engine", "local"], ["--workers", "2"], ["--prefix", "x"]):
        result = predict(model, tmp_path / "in.csv", *options)
        assert (result.exit_code, "it is for a Parquet file" in result.stderr) == (2, True), result.stderr


def test_columns_that_cannot_be_told_and_names_that_are_taken(model: Path, tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": ["x"], "prediction": ["y"]}), tmp_path / "in.parquet")
    command = (model, tmp_path / "in.parquet", "-o", tmp_path / "out.parquet")
    result = predict(*command)
    assert "cannot tell which column holds the text; give its name (option --text-column)" in result.stderr
    result = predict(*command, "--text-column", "a")
    assert "in.parquet: --prefix: expected one that makes new names, but there is a column" in result.stderr
    assert predict(*command, "--text-column", "a", "--prefix", "my_").exit_code == 0
    assert pq.read_table(tmp_path / "out.parquet").column_names[2:] == ["my_prediction", "my_probability"]


def test_two_commands_do_not_write_to_one_folder(model: Path, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    descriptor = os.open(tmp_path / "out", os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        result = predict(model, folder, "-o", tmp_path / "out")
    finally:
        os.close(descriptor)
    assert (result.exit_code, "out: another process is writing there" in result.stderr) == (1, True)


@pytest.mark.parametrize(("missing", "options"), [("pyarrow", []), ("ray", ["--engine", "ray"])])
def test_what_is_not_installed_is_named(
    missing: str, options: list[str], model: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else find(name))
    result = predict(model, folder, "-o", tmp_path / "out", *options)
    message = {
        "pyarrow": "error: Parquet files need pyarrow: pip install pyarrow\n",
        "ray": "error: --engine ray needs ray[data]: pip install 'ray[data]'\n",
    }
    assert (result.exit_code, result.stderr) == (1, message[missing])


def test_an_interruption_says_how_to_go_on(
    model: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from textnn.batch import local

    score_file = local.score_file

    def stop_at_the_second(scorer: Scorer, job: files.Job, show: files.Show) -> int:
        if job.source.endswith("b.parquet"):
            raise KeyboardInterrupt
        return score_file(scorer, job, show)

    monkeypatch.setattr(local, "score_file", stop_at_the_second)
    result = predict(model, folder, "-o", tmp_path / "out", "--workers", 1)
    assert result.exit_code == 130
    assert f"{tmp_path / 'out'}: 1 of 3 files done; the same command makes the others\n" in result.stderr
    monkeypatch.undo()
    assert predict(model, folder, "-o", tmp_path / "out", "--workers", 1).exit_code == 0
    assert len(files.find_files(str(tmp_path / "out"))) == 3


def test_a_damaged_model_is_an_error_of_the_model(classifier: Any, folder: Path, tmp_path: Path) -> None:
    classifier.save(tmp_path / "model")
    (tmp_path / "model/vocabulary.txt").write_text("x", encoding="utf-8")
    result = predict(tmp_path / "model", folder, "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert f"error: {tmp_path / 'model/vocabulary.txt'}: expected " in result.stderr
