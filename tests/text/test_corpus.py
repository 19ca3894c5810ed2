"""Corpora: which texts and labels are read from each format, one by one or all, and that rows come back as written."""

from __future__ import annotations

import csv
import gc
import io
import json
import os
import sys
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textnn.text import CorpusReport, Record, is_blank, iter_records, read_corpus
from textnn.text.sources import MAX_FIELD

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
def test_format_and_columns_are_found(write, name, content, columns):
    corpus = read_corpus(write(content, name))
    assert (corpus.texts, corpus.labels) == (["好", "差"], ["1", "0"])
    assert (corpus.report.layout.text, corpus.report.layout.label) == columns
    assert len(corpus) == 2
    assert corpus.label_counts() == {"1": 1, "0": 1}


@pytest.mark.parametrize(
    ("content", "text", "label"),
    [
        ("a,b,c\n1,x,好\n", "c", "a"),
        ("a,b,c\n1,x,好\n", "c", 0),
        ("1,x,好\n", 2, 0),
        ("1,x,好\n", "2", "0"),
        ("0,1,2\n1,x,好\n", "2", "0"),
        ("label,x,review\n1,x,好\n", 2, 0),
    ],
)
def test_columns_by_name_and_by_number(write, content, text, label):
    corpus = read_corpus(write(content), text=text, label=label)
    assert (corpus.texts, corpus.labels) == (["好"], ["1"]), (content, text, label)


@pytest.mark.parametrize("label", ["0", "1"])
def test_digits_are_numbers_of_columns_also_where_the_first_label_is_one_of_them(write, label):
    corpus = read_corpus(write(f"好,{label}\n差,2\n"), text="0", label="1")
    assert (corpus.texts, corpus.labels) == (["好", "差"], [label, "2"])


def test_first_usual_name_wins(write):
    corpus = read_corpus(write("comment,text,score,label\nno,yes,5,good\n"))
    assert (corpus.texts, corpus.labels) == (["yes"], ["good"])


def test_quoted_line_breaks_and_line_numbers(write):
    content = 'label,text\n\n1,"a\nb, ""c"""\n\n0,"d\r\ne"\n1,f\n'
    corpus = read_corpus(write(content))
    assert corpus.texts == ["a\nb, " + '"c"', "d\r\ne", "f"]
    assert corpus.lines == [3, 6, 8]
    assert corpus.report.blank_lines == 2


def test_labels_are_strings_whatever_they_look_like(write):
    lines = [json.dumps({"text": "x", "label": label}) for label in (1, 1.5, True, " 好评 ", "-1")]
    assert read_corpus(write("\n".join(lines), "a.jsonl")).labels == ["1", "1.5", "true", "好评", "-1"]


def test_what_is_left_out_is_counted(write):
    content = "label,text\n\n1,好\n,差\n0,\n0,  \n , \n   \n1,好\n"
    corpus = read_corpus(write(content))
    assert corpus.texts == ["好", "好"]
    report = corpus.report
    assert (report.rows, report.kept) == (6, 2)
    assert report.skipped == {"blank lines": 2, "empty texts": 3, "missing labels": 1}
    assert "2 texts (csv, utf-8, header row, text in column 'text', label in column 'label')" in str(report)
    assert "left out: blank lines: 2, empty texts: 3, missing labels: 1" in str(report)


def test_null_and_absent_json_values_are_missing(write):
    content = '{"text": "a", "label": 1}\n{"text": null, "label": 1}\n{"text": "b", "label": null}\n{"text": "c"}\n'
    corpus = read_corpus(write(content, "a.jsonl"))
    assert corpus.texts == ["a"]
    assert corpus.report.skipped == {"empty texts": 1, "missing labels": 2}


def test_limit(write):
    path = write("label,text\n1,a\n0,b\n1,c\n")
    assert read_corpus(path, limit=2).texts == ["a", "b"]
    assert read_corpus(path, limit=9).texts == ["a", "b", "c"]
    with pytest.raises(ValueError, match="limit: expected at least 1, got 0"):
        read_corpus(path, limit=0)


def test_a_field_longer_than_the_csv_module_allows(write):
    text = "很" * (csv.field_size_limit() + 1) if csv.field_size_limit() < MAX_FIELD else "很" * 200_000
    assert read_corpus(write(f"label,text\n1,{text}\n")).texts == [text]


# ---- records one by one ----------------------------------------------------------------------------------------------


def test_records_carry_line_and_row(write):
    records = list(iter_records(write("id,text\n7,a\n8,b\n")))
    assert records == [Record(2, "a", None, {"id": "7", "text": "a"}), Record(3, "b", None, {"id": "8", "text": "b"})]
    assert list(iter_records(write("7,a\n"), text=1)) == [Record(1, "a", None, ["7", "a"])]


def test_plain_lines(write):
    path = write("好，真好\n\n差\n", "a.txt")
    report = CorpusReport()
    assert [record[:3] for record in iter_records(path, report=report)] == [(1, "好，真好", None), (3, "差", None)]
    assert (report.layout.format, report.empty_texts) == ("lines", 1)
    assert [record.text for record in iter_records(path, keep_empty=True)] == ["好，真好", "", "差"]


def test_a_label_is_optional_where_none_is_needed(write):
    assert [r.label for r in iter_records(write("a\t1\nb\n", "a.txt"))] == ["1", None]
    assert [r.label for r in iter_records(write("text\na\n"))] == [None]


def test_empty_texts_can_be_kept(write):
    records = list(iter_records(write("id,text\n1,\n2,b\n"), keep_empty=True))
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
        file.writelines(f"1,{'质量很好，下次还买' * 10} {number}\n" for number in range(20_000))
    assert path.stat().st_size > 5_000_000
    tracemalloc.start()
    assert sum(1 for _ in iter_records(path)) == 20_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_500_000, f"{peak:,} bytes for a file of {path.stat().st_size:,}"


# ---- round trips -----------------------------------------------------------------------------------------------------

# Any text in which something can be seen, but NUL and lone surrogates, which are refused, and what databases write for
# NULL; of labels, surrounding white space is dropped.
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), min_size=1)
TEXT = TEXT.filter(lambda text: not is_blank(text) and text.strip() != r"\N")
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
