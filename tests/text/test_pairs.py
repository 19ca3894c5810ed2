"""Files of pairs of texts: columns found or asked for, what is left out, and what is refused."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from textnn.text import CorpusError
from textnn.text.pairs import PairReport, iter_pairs

ROWS = [("Hi.", "你好。"), ("How are you, Tom?", "汤姆，你好吗？"), ("Run!", "跑！")]


def table(delimiter: str = "\t", header: str | None = None, more: str = "") -> bytes:
    lines = [] if header is None else [header]
    quote = '"' if delimiter == "," else ""
    lines += [delimiter.join(f"{quote}{cell}{quote}" for cell in row) + more for row in ROWS]
    return ("\n".join(lines) + "\n").encode()


def read(content: bytes, *columns: Any, **options: Any) -> list[tuple[str, str]]:
    return [(pair.source, pair.target) for pair in iter_pairs(io.BytesIO(content), *columns, **options)]


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        (table(), ()),
        (table(more="\tCC-BY 2.0 (France) Attribution: tatoeba.org"), ()),
        (table(header="source\ttarget"), ()),
        (table(header="en\tzh"), ()),
        (table(header="English\tChinese"), ()),
        (table(",", header="source,translation"), ()),
        (table(",", header="a,b"), ("a", "b")),
        (table(header="a\tb"), ("a", "b")),
        (table(), (0, 1)),
        (table(), ("0", "1")),
        ("".join(json.dumps({"source": s, "target": t, "id": 1}) + "\n" for s, t in ROWS).encode(), ()),
        ("".join(json.dumps({"x": s, "y": t}) + "\n" for s, t in ROWS).encode(), ()),
        (json.dumps([{"en": s, "zh": t, "n": None} for s, t in ROWS]).encode(), ()),
        (("\ufeff" + table().decode()).encode("utf-8"), ()),
        (table().decode().replace("\n", "\r\n").encode("utf-16"), ()),
    ],
)
def test_pairs_are_found(content: bytes, columns: tuple[Any, ...]) -> None:
    assert read(content, *columns) == ROWS


def test_columns_may_be_exchanged() -> None:
    exchanged = [(target, source) for source, target in ROWS]
    assert read(table(), 1, 0) == exchanged
    assert read(table(header="source\ttarget"), "target", "source") == exchanged
    assert read(table(header="zh\ten")) == ROWS, "the first language is the source"


def test_a_sentence_is_no_header() -> None:
    assert read(b"To\tFrom\nHi\tx\n") == [("To", "From"), ("Hi", "x")]
    assert read(b"source\ttarget\nHi\tx\n", header=False) == [("source", "target"), ("Hi", "x")]


def test_many_targets_of_few_kinds_are_no_labels() -> None:
    content = "".join(f"sentence {number}\t{'好' if number % 2 else '坏'}\n" for number in range(20)).encode()
    assert read(content)[:2] == [("sentence 0", "坏"), ("sentence 1", "好")]
    numbered = "".join(f"{number}\t数{number}\n" for number in range(20)).encode()
    assert read(numbered)[3] == ("3", "数3")


def test_what_is_left_out_is_counted() -> None:
    report = PairReport()
    content = table() + "a\t\n\t空\n \tb\n\nlast\t末\n".encode()
    pairs = list(iter_pairs(io.BytesIO(content), report=report))
    assert [pair.line for pair in pairs] == [1, 2, 3, 8]
    assert "stream: 4 pairs (tsv, utf-8, no header row, source in column 0, target in column 1)" in str(report)
    assert "left out: incomplete pairs: 3" in str(report)
    report = PairReport()
    content = b'{"source": "a", "target": "b"}\n{"source": "a"}\n{"source": 1, "target": "c"}\n'
    assert len(list(iter_pairs(io.BytesIO(content), on_error="skip", report=report))) == 1
    assert report.bad_rows == 2
    assert "expected a value named 'target', got an object with 'source'" in report.problems[0]


def test_texts_alone_may_be_lines() -> None:
    content = b"Hi, Tom.\n\nRun!\n"
    pairs = list(iter_pairs(io.BytesIO(content), need_target=False))
    assert [pair[:3] for pair in pairs] == [(1, "Hi, Tom.", ""), (2, "", ""), (3, "Run!", "")]
    assert read(table(), need_target=False) == [(source, "") for source, _ in ROWS]
    assert read(table(header="source\ttarget"), need_target=False) == [(source, "") for source, _ in ROWS]
    assert read(table(",", header="id,en"), "en", need_target=False) == [(target, "") for _, target in ROWS]


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (b"note,text\nx,Hi\n", {}),
        (b"id\ten\n1\tHi\n", {}),
        (b"en\tnote\nHi\tx\n", {}),
        (b"it\tnote\nHi\tx\n", {"header": True}),
        (b"text,en,zh\nx,Hi,y\n", {}),  # as it was learnt
        (b'{"source": "Hi"}\n', {}),
        (b'{"text": "Hi"}\n', {}),
        (b'{"sentence": "Hi"}\n', {}),
        (b'{"id": "1", "source": "Hi"}\n', {}),
        (b'{"id": "1", "en": "Hi", "x": "y"}\n', {}),
        (b'{"a": "Hi", "b": "y"}\n', {}),
        ("Hi\t你好\n".encode(), {}),  # Hindi is no header
        (b"Hi\tx\n", {"header": False}),
        (b"Hi\n", {}),
    ],
)
def test_a_source_alone_is_found_by_its_name(content: bytes, options: dict[str, Any]) -> None:
    assert read(content, need_target=False, **options) == [("Hi", "")]


def test_without_usual_names_the_first_column_is_the_source() -> None:
    assert read(b"zh\ten\nHi\tx\n", need_target=False, header=False) == [("zh", ""), ("Hi", "")]
    with pytest.raises(CorpusError, match="cannot tell which value is the source; name it; they are: 'a', 'b', 'c'"):
        read(b'{"a": "x", "b": "y", "c": "z"}\n', need_target=False)


@pytest.mark.parametrize(
    ("content", "columns", "message"),
    [
        (b"one\ntwo\n", (), "line 1: expected two columns with a tab between them, a table or JSON"),
        (b"a\tb\nc\n", (), "line 2: expected 2 fields as in the first row, got 1"),
        (b"a\tb\nc\td\te\n", (), "line 2: expected 2 fields as in the first row, got 3"),
        (b"a\tb\n", (0, 5), "line 1: expected a column number 5 for the target, got 2 columns: 'a', 'b'"),
        (b"a\tb\n", (1, 1), "line 1: expected different columns for source and target, got 'b' for both"),
        (b"a\tb\n", ("x", "b"), "line 1: expected a column 'x' for the source, got the columns 'a', 'b'"),
        (b'{"a": "x", "b": "y", "c": "z"}\n', (), "cannot tell which values are source and target; name them"),
        (b'{"a": "x", "b": 2}\n', (), "expected a string as 'b', got a number 2"),
        (b'{"a": "x", "b": "y"}\n', ("a", 1), "expected a name for the target in JSON, got the number 1"),
        (b'{"a": "\\ud800", "b": "y"}\n', (), "got half of a surrogate pair"),
        (b"\xff\xfe\x00a\tb\n", (), ""),
        (b"", (), "the file is empty"),
    ],
)
def test_what_makes_no_sense_is_refused(content: bytes, columns: tuple[Any, ...], message: str) -> None:
    with pytest.raises(CorpusError) as error:
        read(content, *columns)
    assert message in str(error.value)


def test_arguments_are_checked_at_once(tmp_path: Path) -> None:
    for options, message in (
        ({"source": -1}, "source: expected a column number from 0, got -1"),
        ({"target": -1}, "target: expected a column number from 0, got -1"),
        ({"format": "lines"}, "format: 'lines' has no pairs of texts"),
        ({"format": "fasttext", "need_target": False}, "format: 'fasttext' has no pairs"),
        ({"on_error": "go"}, "on_error: expected one of stop, skip"),
    ):
        with pytest.raises(ValueError, match=message):
            iter_pairs(tmp_path / "none", **options)  # type: ignore[arg-type]
