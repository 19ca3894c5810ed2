"""Corpora: what is read from each format, what is refused and with which message."""

from __future__ import annotations

import csv
import gc
import io
import json
import os
import sys
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textnn.text import CorpusError, CorpusReport, Record, iter_records, read_corpus
from textnn.text.formats import MAX_FIELD

CHINESE = "质量很好，下次还买"


@pytest.fixture
def make(tmp_path):
    """Return a function that writes a file and returns its path."""

    def write(content: str | bytes, name: str = "reviews.csv") -> str:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


# ---- what is read ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "columns"),
    [
        ("a.csv", "cat,label,review\nbook,1,好\nfood,0,差\n", ("review", "label")),
        ("a.csv", "cat,label,review\r\nbook,1,好\r\nfood,0,差\r\n", ("review", "label")),
        ("a.csv", "cat,label,review\rbook,1,好\rfood,0,差\r", ("review", "label")),
        ("a.csv", "cat,label,review\nbook,1,好\nfood,0,差", ("review", "label")),
        ("a.csv", '"cat","label","review"\n"book","1","好"\n"food","0","差"\n', ("review", "label")),
        ("a.csv", "Review , LABEL\n好, 1 \n差,0\n", ("Review", "LABEL")),
        ("A.TSV", "sentiment\ttext\n1\t好\n0\t差\n", ("text", "sentiment")),
        ("a.jsonl", '{"text": "好", "label": 1}\n{"label": 0, "text": "差", "more": []}\n', ("text", "label")),
        ("a.txt", "好\t1\n差\t0\n", (0, 1)),
        ("a.txt", "text\tlabel\n好\t1\n差\t0\n", ("text", "label")),
        ("a.dat", '{"text": "好", "label": 1}\n{"text": "差", "label": 0}\n', ("text", "label")),
        ("a.dat", "label,text\n1,好\n0,差\n", ("text", "label")),
    ],
)
def test_format_and_columns_are_found(make, name, content, columns):
    corpus = read_corpus(make(content, name))
    assert (corpus.texts, corpus.labels) == (["好", "差"], ["1", "0"])
    assert (corpus.report.text_column, corpus.report.label_column) == columns
    assert len(corpus) == 2
    assert corpus.label_counts() == {"1": 1, "0": 1}


@pytest.mark.parametrize(
    ("content", "text", "label"),
    [
        ("a,b,c\n1,x,好\n", "c", "a"),
        ("a,b,c\n1,x,好\n", "c", 0),
        ("1,x,好\n", 2, 0),
        ("1,x,好\n", "2", "0"),
        ("2,1,0\n好,x,1\n", "2", "0"),
        ("label,x,review\n1,x,好\n", 2, 0),
    ],
)
def test_columns_by_name_and_by_number(make, content, text, label):
    corpus = read_corpus(make(content), text=text, label=label)
    assert (corpus.texts, corpus.labels) == (["好"], ["1"]), (content, text, label)


def test_first_usual_name_wins(make):
    corpus = read_corpus(make("comment,text,score,label\nno,yes,5,good\n"))
    assert (corpus.texts, corpus.labels) == (["yes"], ["good"])


def test_quoted_line_breaks_and_line_numbers(make):
    content = 'label,text\n\n1,"a\nb, ""c"""\n\n0,"d\r\ne"\n1,f\n'
    corpus = read_corpus(make(content))
    assert corpus.texts == ["a\nb, " + '"c"', "d\r\ne", "f"]
    assert corpus.lines == [3, 6, 8]
    assert corpus.report.blank_lines == 2


def test_labels_are_strings_whatever_they_look_like(make):
    lines = [json.dumps({"text": "x", "label": label}) for label in (1, 1.5, True, " 好评 ", "-1")]
    assert read_corpus(make("\n".join(lines), "a.jsonl")).labels == ["1", "1.5", "true", "好评", "-1"]


def test_what_is_left_out_is_counted(make):
    content = "label,text\n\n1,好\n,差\n0,\n0,  \n , \n   \n1,好\n"
    corpus = read_corpus(make(content))
    assert corpus.texts == ["好", "好"]
    report = corpus.report
    assert (report.rows, report.kept) == (6, 2)
    assert report.skipped == {"blank lines": 2, "empty texts": 3, "missing labels": 1}
    assert "2 texts (csv, utf-8, text in column 'text', label in column 'label')" in str(report)
    assert "left out: blank lines: 2, empty texts: 3, missing labels: 1" in str(report)


def test_null_and_absent_json_values_are_missing(make):
    content = '{"text": "a", "label": 1}\n{"text": null, "label": 1}\n{"text": "b", "label": null}\n{"text": "c"}\n'
    corpus = read_corpus(make(content, "a.jsonl"))
    assert corpus.texts == ["a"]
    assert corpus.report.skipped == {"empty texts": 1, "missing labels": 2}


def test_limit(make):
    path = make("label,text\n1,a\n0,b\n1,c\n")
    assert read_corpus(path, limit=2).texts == ["a", "b"]
    assert read_corpus(path, limit=9).texts == ["a", "b", "c"]
    with pytest.raises(ValueError, match="limit: expected at least 1, got 0"):
        read_corpus(path, limit=0)


def test_a_field_longer_than_the_csv_module_allows(make):
    text = "很" * (csv.field_size_limit() + 1) if csv.field_size_limit() < MAX_FIELD else "很" * 200_000
    assert read_corpus(make(f"label,text\n1,{text}\n")).texts == [text]


# ---- records one by one ----------------------------------------------------------------------------------------------


def test_records_carry_line_and_row(make):
    records = list(iter_records(make("id,text\n7,a\n8,b\n")))
    assert records == [Record(2, "a", None, {"id": "7", "text": "a"}), Record(3, "b", None, {"id": "8", "text": "b"})]
    assert list(iter_records(make("7,a\n"), text=1)) == [Record(1, "a", None, ["7", "a"])]


def test_plain_lines(make):
    path = make("好，真好\n\n差\n", "a.txt")
    report = CorpusReport()
    assert [record[:3] for record in iter_records(path, report=report)] == [(1, "好，真好", None), (3, "差", None)]
    assert (report.format, report.empty_texts) == ("lines", 1)
    assert [record.text for record in iter_records(path, keep_empty=True)] == ["好，真好", "", "差"]


def test_a_label_is_optional_where_none_is_needed(make):
    assert [r.label for r in iter_records(make("a\t1\nb\n", "a.txt"))] == ["1", None]
    assert [r.label for r in iter_records(make("text\na\n"))] == [None]


def test_empty_texts_can_be_kept(make):
    records = list(iter_records(make("id,text\n1,\n2,b\n"), keep_empty=True))
    assert [record.text for record in records] == ["", "b"]


def test_standard_input_stays_open(monkeypatch):
    stdin = io.TextIOWrapper(io.BytesIO("label,text\n1,好\n".encode("gb18030")), encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", stdin)
    corpus = read_corpus("-")
    assert (corpus.texts, corpus.report.source) == (["好"], "standard input")
    gc.collect()
    assert not stdin.buffer.closed


def test_streams_of_bytes_and_of_text():
    assert read_corpus(io.BytesIO("label,text\n1,好\n".encode())).texts == ["好"]
    assert read_corpus(io.StringIO("label,text\n1,好\n")).texts == ["好"]
    with pytest.raises(TypeError, match="path: expected a path, '-' or an open stream, got int"):
        read_corpus(3)  # type: ignore[arg-type]


def test_a_pipe_is_read_as_it_is_filled():
    """A pipe cannot be rewound; it is read through a sample of its start."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as sink:
        sink.write("label,text\n1,好\n".encode("gb18030"))
    with os.fdopen(reading, "rb", buffering=0) as source:
        assert read_corpus(source).texts == ["好"]


def test_memory_does_not_grow_with_the_file(tmp_path):
    path = tmp_path / "large.csv"
    with path.open("w", encoding="utf-8") as file:
        file.write("label,text\n")
        file.writelines(f"1,{CHINESE * 10} {number}\n" for number in range(20_000))
    assert path.stat().st_size > 5_000_000
    tracemalloc.start()
    assert sum(1 for _ in iter_records(path)) == 20_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_500_000, f"{peak:,} bytes for a file of {path.stat().st_size:,}"


# ---- encodings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 5_000], ids=["small", "large"])
@pytest.mark.parametrize("head", ["", "x\n" * 100_000], ids=["", "ascii-first"])
@pytest.mark.parametrize(
    ("encoding", "found"), [("utf-8", "utf-8"), ("utf-8-sig", "utf-8"), ("gb18030", "gb18030"), ("gbk", "gb18030")]
)
def test_encoding_is_found(make, encoding, found, head, rows):
    content = head.replace("x", "1,x") + f"1,{CHINESE}\n" * rows
    report = CorpusReport()
    path = make(("label,text\n" + content).encode(encoding))
    assert [r.text for r in iter_records(path, report=report)][-1] == CHINESE
    assert report.encoding == found


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-16-le", "big5"])
def test_encoding_as_named(make, encoding):
    content = "label,text\n1,很好\n"
    assert read_corpus(make(content.encode(encoding)), encoding=encoding).texts == ["很好"]


def test_byte_order_mark_is_no_part_of_the_first_name(make):
    path = make(b"\xef\xbb\xbftext,label\na,1\n")
    for encoding in (None, "utf-8", "utf-8-sig"):
        assert read_corpus(path, text="text", encoding=encoding).texts == ["a"], encoding


@pytest.mark.parametrize("encoding", ["no-such", "hex", ""])
def test_unknown_encoding(make, encoding):
    with pytest.raises(ValueError, match="encoding: expected a text encoding"):
        read_corpus(make("label,text\n1,a\n"), encoding=encoding)


def test_damaged_utf8_is_not_taken_for_gb18030(make):
    lines = [f"1,{CHINESE}\n".encode()] * 5_000
    lines[3210] = b"1,\xb5\xc4\xff\n"
    with pytest.raises(CorpusError, match=r"reviews.csv, line 3212: expected UTF-8 or GB18030 text, got the byte 0xb5"):
        read_corpus(make(b"label,text\n" + b"".join(lines)))


def test_a_damaged_file_that_gb18030_would_accept(make):
    content = ("label,text\n1," + "好" * 9).encode() + b"\xb5\n"
    assert content.decode("gb18030"), "the case is of that kind"
    with pytest.raises(CorpusError, match=r"line 2: expected UTF-8 or GB18030 text, got the byte 0xb5"):
        read_corpus(make(content))


def test_records_before_a_bad_byte_are_handed_out(make):
    records = iter_records(make(f"label,text\n1,{CHINESE}\n".encode() + b"1,\xff\n"))
    assert next(records).text == CHINESE
    with pytest.raises(CorpusError, match=r"line 3: .* got the byte 0xff at character 3"):
        next(records)


@pytest.mark.parametrize(
    ("content", "encoding", "message"),
    [
        ("label,text\n1,好\n".encode("utf-16"), None, r"line 1: expected UTF-8 or GB18030 text, got UTF-16 \(name it"),
        ("label,text\n1,a\n".encode("utf-16-le"), None, r"line 1: .* got a NUL byte; .* such as UTF-16"),
        (b"label,text\n1,a\n1,a\0b\n", None, r"line 3: .* got a NUL byte"),
        (b"PK\x03\x04...", None, r"line 1: .* got a ZIP archive \(unpack it first\)"),
        (b"\x1f\x8b...", None, r"line 1: .* got a gzip archive"),
        ("label,text\n1,好的\n".encode("gb18030"), "utf-8", r"line 2: expected utf-8 text, got the byte 0xba"),
        (b"label,text\n1,caf\xe9,\n", None, r"line 2: expected UTF-8 or GB18030 text, got the byte 0xe9"),
        (b"label,text\n1,\xff\xff\n", "gb18030", r"line 2: expected gb18030 text, got the byte 0xff"),
        ("label,text\n1,好\n".encode()[:-3], None, r"line 2: .* got the byte 0xe5"),
        ("label,text\n1,好\n".encode("utf-16")[:-1], "utf-16", r"after line \d: expected utf-16 text, got other bytes"),
    ],
)
def test_what_is_not_text_is_refused(make, content, encoding, message):
    with pytest.raises(CorpusError, match="reviews.csv, " + message):
        read_corpus(make(content), encoding=encoding)


# ---- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        ("a.csv", "", {}, r"a.csv, line 1: expected text, but the file is empty"),
        ("a.csv", b"\xef\xbb\xbf", {}, r"a.csv, line 1: expected text, but the file is empty"),
        ("a.csv", "label,text\n", {}, r"a.csv: expected rows with a text and a label, got no row below the header"),
        ("a.csv", "\n\n", {}, r"a.csv: expected rows with a text and a label, got only blank lines"),
        (
            "a.csv",
            "label,text\n,a\n1,\n",
            {},
            r"got 2 rows of which none is complete \(empty texts: 1, missing labels: 1",
        ),
        ("a.csv", "a,b\n1,x\n", {}, r"a.csv, line 1: cannot tell which column holds the text; .*: 'a', 'b'"),
        ("a.csv", "text,b\nx,1\n", {}, r"a.csv, line 1: cannot tell which column holds the label; .*: 'text', 'b'"),
        ("a.csv", "a,b\nx,1\n", {"text": "c"}, r"line 1: expected a column 'c' for the text, got the columns 'a', 'b'"),
        (
            "a.csv",
            "a,b\nx,1\n",
            {"text": 0, "label": 2},
            r"line 1: expected a column number 2 for the label, got 2 col",
        ),
        ("a.csv", "a,b\nx,1\n", {"text": "a", "label": 0}, r"expected different columns for text and label, got 'a'"),
        ("a.csv", "text,label,text\nx,1,y\n", {}, r"line 1: expected columns with different names, got 'text' more th"),
        ("a.csv", "label,text\n\n1,a\n1,a,b\n", {}, r"a.csv, line 4: expected 2 fields as in the first row, got 3"),
        ("a.csv", "label,text\n1\n", {}, r"a.csv, line 2: expected 2 fields as in the first row, got 1"),
        (
            "a.csv",
            'label,text\n1,a\n1,"a\nb\n',
            {},
            r"a.csv, line 3: expected a closing quote .* got the end of the fil",
        ),
        ("a.csv", 'label,text\n1,"a" b\n', {}, r"a.csv, line 2: expected a comma or the end of the line after a clos"),
        ("a.tsv", 'label\ttext\n1\t"a" b\n', {}, r"a.tsv, line 2: expected a tab .* format 'lecture'"),
        ("a.txt", "a\t1\nb\t1\t2\n", {}, r"a.txt, line 2: expected text<TAB>label, got 2 tabs"),
        ("a.txt", "a\t1\nb\n", {}, r"a.txt, line 2: expected text<TAB>label, got 0 tabs"),
        ("a.txt", "\na\n", {}, r"a.txt, line 2: expected text<TAB>label, a table .* or JSONL, got none of these"),
        ("a.txt", "a\t1\n", {"format": "lecture", "text": 1}, r"expected column 0 for the text in the lecture format"),
        ("a.jsonl", '{"text": "a", "label": 1}\n[1]\n', {}, r"a.jsonl, line 2: expected a JSON object .* got a list"),
        ("a.jsonl", '{"text": "a", "label": 1}\n"a"\n', {}, r"a.jsonl, line 2: expected a JSON object .* got a string"),
        (
            "a.jsonl",
            '{"text": "a", "label": 1}\n\n{"text"\n',
            {},
            r"a.jsonl, line 3: expected a JSON object, got: .* at",
        ),
        ("a.jsonl", '{"text": 1, "label": 1}\n', {}, r"a.jsonl, line 1: expected a string as 'text', got a number"),
        (
            "a.jsonl",
            '{"text": "a", "label": [1]}\n',
            {},
            r"line 1: expected a string or a number as 'label', got a lis",
        ),
        (
            "a.jsonl",
            '{"text": "a", "label": 1}\n{"txt": "a"}\n',
            {},
            r"line 2: expected a value named 'text', got an ob",
        ),
        ("a.jsonl", '{"a": "a"}\n', {"text": "b"}, r"line 1: expected a column 'b' for the text, got the columns 'a'"),
        ("a.jsonl", '{"a": "a"}\n', {"text": 0}, r"line 1: expected a name for the text in JSON, got the number 0"),
        (
            "a.jsonl",
            '{"text": "a", "text": "b"}\n',
            {},
            r"line 1: expected a plain JSON object, got: a name stands twi",
        ),
        ("a.jsonl", '{"text": "\\ud83d", "label": 1}\n', {}, r"line 1: expected text as 'text', got half of a surroga"),
        ("a.jsonl", "[" * 100_000 + "\n", {}, r"a.jsonl, line 1: expected a (plain )?JSON object"),
        ("a.jsonl", '{"text": 1' + "0" * 5000 + "}\n", {}, r"a.jsonl, line 1: expected a"),
    ],
)
def test_bad_files_name_file_line_and_expectation(make, name, content, options, message):
    with pytest.raises(CorpusError, match=message):
        read_corpus(make(content, name), **options)


def test_a_quote_that_is_never_closed_does_not_swallow_a_file_of_any_size(make):
    path = make('label,text\n1,a\n1,"' + "b" * (MAX_FIELD + 10) + "\n")
    with pytest.raises(CorpusError, match=r"line 3: expected fields of at most 16,777,216 .* is a quote not closed"):
        list(iter_records(path))


def test_missing_file_and_directory(tmp_path):
    with pytest.raises(CorpusError, match=r"none.csv: expected a file, but there is none of this name"):
        read_corpus(tmp_path / "none.csv")
    with pytest.raises(CorpusError, match="expected a file, got a directory"):
        read_corpus(tmp_path)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"text": -1}, ValueError, "text: expected a column number from 0, got -1"),
        ({"label": True}, TypeError, "label: expected a column's name or number, got bool"),
        ({"format": "xml"}, ValueError, "format: expected one of csv, tsv, jsonl, lecture, lines, got 'xml'"),
        ({"format": "lines", "need_label": True}, ValueError, "format: 'lines' has no labels"),
    ],
)
def test_arguments_without_meaning_fail_at_the_call(options, error, message):
    with pytest.raises(error, match=message):
        iter_records("never opened", **options)


# ---- round trips -----------------------------------------------------------------------------------------------------

# Any text but NUL and lone surrogates, which are refused; of labels, surrounding white space is dropped.
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), min_size=1).filter(str.strip)
LABEL = TEXT.map(str.strip)
ROWS = st.lists(st.tuples(TEXT, LABEL), min_size=1)


def written(rows: list[tuple[str, str]], delimiter: str) -> str:
    sink = io.StringIO(newline="")
    writer = csv.writer(sink, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerow(["text", "label"])
    writer.writerows(rows)
    return sink.getvalue()


@given(rows=ROWS, kind=st.sampled_from([("csv", ","), ("tsv", "\t")]), bom=st.booleans())
def test_tables_round_trip(rows, kind, bom):
    content = written(rows, kind[1]).encode("utf-8-sig" if bom else "utf-8")
    corpus = read_corpus(io.BytesIO(content), format=kind[0], encoding="utf-8")
    assert list(zip(corpus.texts, corpus.labels, strict=True)) == rows


@given(rows=ROWS)
def test_tables_round_trip_in_gb18030(rows):
    corpus = read_corpus(io.BytesIO(written(rows, ",").encode("gb18030")), format="csv", encoding="gb18030")
    assert list(zip(corpus.texts, corpus.labels, strict=True)) == rows


@given(rows=ROWS, escaped=st.booleans())
def test_jsonl_round_trips(rows, escaped):
    content = "".join(json.dumps({"text": t, "label": b}, ensure_ascii=escaped) + "\n" for t, b in rows)
    corpus = read_corpus(io.BytesIO(content.encode()), format="jsonl", encoding="utf-8")
    assert list(zip(corpus.texts, corpus.labels, strict=True)) == rows
    assert corpus.lines == list(range(1, len(rows) + 1))


ONE_LINE = TEXT.filter(lambda text: not set(text) & set("\t\r\n") and not text.startswith("\ufeff"))


@given(rows=st.lists(st.tuples(ONE_LINE, ONE_LINE.map(str.strip)), min_size=1))
def test_lecture_round_trips(rows):
    content = "".join(f"{text}\t{label}\n" for text, label in rows)
    corpus = read_corpus(io.BytesIO(content.encode()), format="lecture", encoding="utf-8")
    assert list(zip(corpus.texts, corpus.labels, strict=True)) == rows


@given(texts=st.lists(ONE_LINE, min_size=1))
def test_lines_round_trip(texts):
    content = "\n".join(texts).encode()
    assert [r.text for r in iter_records(io.BytesIO(content), format="lines", encoding="utf-8")] == texts


@given(content=st.binary(), kind=st.sampled_from([None, "csv", "tsv", "jsonl", "lecture"]))
def test_any_bytes_give_a_corpus_or_a_clear_error(content, kind):
    try:
        corpus = read_corpus(io.BytesIO(content), format=kind)
    except CorpusError as error:
        message = str(error)
    else:
        assert len(corpus.texts) == len(corpus.labels) == len(corpus.lines) > 0
        return
    assert message.startswith("stream"), message


def test_an_unreadable_file(tmp_path: Path, monkeypatch):
    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(CorpusError, match=r"a.csv: cannot be read: Permission denied"):
        read_corpus(tmp_path / "a.csv")
