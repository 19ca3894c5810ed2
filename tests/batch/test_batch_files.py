"""Parquet files scored: types and order kept, a piece at a time, complete or not at all, and not twice."""

from __future__ import annotations

import errno
import json
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pa = pytest.importorskip("pyarrow")

import pyarrow.parquet as pq  # noqa: E402

from textnn.batch import Scorer, files  # noqa: E402
from textnn.batch.files import AccessError, FileError, Job, find_files, plan, remove_left, score_file  # noqa: E402


@pytest.fixture
def source(tmp_path: Path, texts: list[str]) -> str:
    table = pa.table(
        {
            "id": range(300),
            "text": pa.array(texts).dictionary_encode(),
            "large": pa.array(texts, pa.large_string()),
            "nested": [{"a": [row]} for row in range(300)],
        },
        metadata={"mine": "kept"},
    )
    pq.write_table(table, tmp_path / "in.parquet", row_group_size=110)
    return str(tmp_path / "in.parquet")


def score(path: Path, source: str, **arguments: Any) -> tuple[str, list[int]]:
    """Score a file; return the output and the numbers of rows that were shown."""
    shown: list[int] = []
    target = str(Path(source).with_name("out.parquet"))
    scorer = Scorer(path, probabilities=False)
    job, done, rows = plan(scorer, source, target, arguments)
    assert not done
    assert score_file(scorer, job, shown.append) == rows == sum(shown)
    return target, shown


def contents(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_scored_a_piece_at_a_time(
    model: Path, source: str, texts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_ROWS", 40)
    monkeypatch.setattr(files, "_GROUP_ROWS", 100)
    target, shown = score(model, source)
    assert max(shown) == 40
    before, after = pq.read_table(source), pq.read_table(target)
    assert after.select(before.column_names).equals(before)
    assert after["prediction"].to_pylist() == Scorer(model)(before)["prediction"].to_pylist()
    assert after.schema.metadata[b"mine"] == b"kept"
    assert json.loads(after.schema.metadata[b"textnn"])["format"] == "textnn-model"
    assert [pq.ParquetFile(target).metadata.row_group(group).num_rows for group in range(2)] == [110, 110]
    assert contents(Path(target).parent) == ["in.parquet", "out.parquet"]


def test_long_texts_are_read_fewer_at_a_time(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_READ", 50_000)
    monkeypatch.setattr(files, "_GROUP", 100_000)
    rows = [f"{row} 很 好" * 1000 for row in range(20)]
    pq.write_table(pa.table({"text": rows}), tmp_path / "in.parquet", use_dictionary=False)
    target, shown = score(model, str(tmp_path / "in.parquet"))
    assert max(shown) <= 5
    assert pq.ParquetFile(target).metadata.num_row_groups >= 2
    assert pq.read_table(target)["text"].to_pylist() == rows


def test_what_was_read_is_not_held(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, size = 40, 200_000
    monkeypatch.setattr(files, "_READ", size)
    monkeypatch.setattr(files, "_GROUP", size)
    payload = [random.Random(row).randbytes(size) for row in range(rows)]
    pq.write_table(pa.table({"text": ["很 好"] * rows, "payload": payload}), tmp_path / "in.parquet", row_group_size=1)
    job, _, _ = plan(Scorer(model), str(tmp_path / "in.parquet"), str(tmp_path / "out.parquet"), {})
    held, before = [], pa.total_allocated_bytes()
    score_file(Scorer(model), job, lambda rows: held.append(pa.total_allocated_bytes()))
    assert len(held) == rows
    assert max(held) - before < 5 * size


def test_a_file_without_rows(model: Path, tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "in.parquet")
    target, shown = score(model, str(tmp_path / "in.parquet"))
    assert (shown, pq.read_schema(target).names) == ([], ["text", "prediction", "probability"])


def test_a_file_that_is_there_is_made_again_only_where_it_is_another(
    model: Path, other_model: Path, source: str, texts: list[str]
) -> None:
    target, _ = score(model, source, option=1)
    scorer = Scorer(model, probabilities=False)
    assert plan(scorer, source, target, {"option": 1})[1:] == (True, 300)
    with pytest.raises(FileError, match=r"out\.parquet: is there, made otherwise: option was 1 and is 2 now\. Remove"):
        plan(scorer, source, target, {"option": 2})
    with pytest.raises(FileError, match="made otherwise: the model was '"):
        plan(Scorer(other_model), source, target, {"option": 1})
    pq.write_table(pa.table({"text": texts[::-1]}), source)
    with pytest.raises(FileError, match="made otherwise: the size of the input was"):
        plan(scorer, source, target, {"option": 1})


@pytest.mark.parametrize("content", ["another table", "damaged", "a folder"])
def test_what_is_there_and_is_not_ours_is_left_alone(content: str, model: Path, source: str) -> None:
    target = Path(source).with_name("out.parquet")
    if content == "another table":
        pq.write_table(pa.table({"text": ["a"]}), target)
    elif content == "damaged":
        target.write_bytes(b"PAR1")
    else:
        target.mkdir()
    with pytest.raises(FileError, match=r"out\.parquet: is there, and no file that this command wrote"):
        plan(Scorer(model), source, str(target), {})
    assert target.exists()


def test_errors_name_the_file_and_what_the_user_calls_the_argument(model: Path, tmp_path: Path, source: str) -> None:
    options = {"text": "--text-column"}
    with pytest.raises(FileError, match=r"in\.parquet: --text-column: expected a column 'review', got no column"):
        plan(Scorer(model, "review"), source, "out", {}, options)
    with pytest.raises(FileError, match=r"in\.parquet: text: expected a column of strings, but 'id' has the type"):
        plan(Scorer(model, "id"), source, "out", {})
    with pytest.raises(AccessError, match=r"none\.parquet: cannot be read: No such file"):
        plan(Scorer(model), str(tmp_path / "none.parquet"), "out", {})
    for content in (b"", b"PAR1", b"text,label\n" * 9, Path(source).read_bytes()[:-9]):
        (tmp_path / "bad.parquet").write_bytes(content)
        with pytest.raises(FileError, match=r"bad\.parquet: \w"):
            plan(Scorer(model), str(tmp_path / "bad.parquet"), "out", {})


def test_damage_in_the_middle_leaves_no_file(model: Path, source: str) -> None:
    content = bytearray(Path(source).read_bytes())
    content[100:6000] = bytes(5900)
    Path(source).write_bytes(content)
    with pytest.raises(FileError, match=r"in\.parquet: "):
        score(model, source)
    assert contents(Path(source).parent) == ["in.parquet"]


def test_a_disk_that_is_full_leaves_no_file(model: Path, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "no")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(AccessError, match=r"out\.parquet: cannot be written: No space left on device"):
        score(model, source)
    assert contents(Path(source).parent) == ["in.parquet"]


def test_strings_that_are_not_utf8_are_named(model: Path, tmp_path: Path) -> None:
    wrong = pa.array([b"ok", b"\xff"], pa.binary())
    values = pa.StringArray.from_buffers(2, *wrong.buffers()[1:])
    pq.write_table(pa.table({"text": values}), tmp_path / "in.parquet")
    with pytest.raises(FileError, match=r"in\.parquet: text: expected strings in UTF-8"):
        score(model, str(tmp_path / "in.parquet"))


def test_files_of_a_folder(tmp_path: Path) -> None:
    names = ["b.parquet", "a.parquet", "E.PARQUET", "day=1/c.parquet", "_metadata", ".hidden.parquet", "_x.parquet"]
    for name in [*names, "notes.txt", "_temporary/d.parquet", ".cache/e.parquet"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert find_files(str(tmp_path)) == ["E.PARQUET", "a.parquet", "b.parquet", "day=1/c.parquet"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileError, match=r"empty: expected files with names in \.parquet, got none"):
        find_files(str(tmp_path / "empty"))


def test_only_what_is_left_of_this_output_is_removed(tmp_path: Path) -> None:
    end = f"{'0f' * 6}.tmp"
    others = [f".a1.parquet.{end}", ".a[1].parquet.keep", f".a[1].parquet.b.parquet.{end}"]
    for name in (f".a[1].parquet.{end}", *others):
        (tmp_path / name).touch()
    remove_left(Job("", str(tmp_path / "a[1].parquet"), ""))
    assert contents(tmp_path) == sorted(others)


def test_probabilities_are_those_of_the_classifier(model: Path, source: str, classifier: Any, texts: list[str]) -> None:
    target, _ = score(model, source)
    expected = classifier.predict_proba(texts).max(axis=1)
    np.testing.assert_allclose(pq.read_table(target)["probability"], expected, atol=1e-6)


def test_whatever_is_wrong_with_a_file_is_an_error_that_names_it(model: Path, source: str) -> None:
    """Bytes changed and left out, most of them in the footer: an error, or texts that are other texts."""
    content, outcomes = Path(source).read_bytes(), set()
    for seed in range(60):
        draw, damaged = random.Random(seed), bytearray(content)
        for _ in range(draw.choice([1, 3, 20])):
            at = draw.randrange(max(0, len(damaged) - 900), len(damaged))
            if draw.random() < 0.7:
                damaged[at] = draw.randrange(256)
            else:
                del damaged[at : at + draw.randrange(1, 30)]
        Path(source).write_bytes(damaged)
        try:
            Path(score(model, source)[0]).unlink()
            outcomes.add("scored")
        except FileError as error:
            assert str(error).startswith(source)  # noqa: PT017  # either is right
            outcomes.add("refused")
        assert contents(Path(source).parent) == ["in.parquet"]
    assert outcomes == {"scored", "refused"}
