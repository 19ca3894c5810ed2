"""Bad corpora and bad arguments: an error that names file, line and expectation, whatever the bytes are."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textnn.text import CorpusError, iter_records, read_corpus
from textnn.text.sources import MAX_FIELD


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
        ("a.csv", "text,label,text\nx,1,y\n", {}, r"line 1: expected one column 'text' for the text, got several"),
        ("a.csv", "label,text\n\n1,a\n1,a,b\n", {}, r"a.csv, line 4: expected 2 fields as in the first row, got 3"),
        ("a.csv", "label,text\n1\n", {}, r"a.csv, line 2: expected 2 fields as in the first row, got 1"),
        (
            "a.csv",
            'label,text\n1,a\n1,"a\nb\n',
            {},
            r"a.csv, line 3: expected a closing quote .* got the end of the fil",
        ),
        ("a.csv", 'label,text\n1,"a" b\n', {}, r"a.csv, line 2: expected a comma or the end of the line after a clos"),
        ("a.tsv", 'label\ttext\n1\t"a" b\n', {"quoting": True}, r"a.tsv, line 2: expected a tab .* --no-quoting"),
        ("a.txt", "a\t1\nb\t1\t2\n", {}, r"a.txt, line 2: expected text<TAB>label, got 2 tabs"),
        ("a.txt", "a\t1\nb\n", {}, r"a.txt, line 2: expected text<TAB>label, got 0 tabs"),
        (
            "a.txt",
            "\na\n",
            {},
            r"a.txt, line 2: expected text<TAB>label, a table .* JSON or __label__..., got none of these",
        ),
        ("a.txt", "a\t1\n", {"format": "lecture", "text": 1}, r"cannot tell which column holds the label"),
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
            '{"text": "a", "label": {"a": 1}}\n',
            {},
            r"line 1: expected a string or a number as 'label', got an ob",
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
def test_bad_files_name_file_line_and_expectation(write, name, content, options, message):
    with pytest.raises(CorpusError, match=message):
        read_corpus(write(content, name), **options)


def test_a_quote_that_is_never_closed_does_not_swallow_a_file_of_any_size(write):
    path = write('label,text\n1,a\n1,"' + "b" * (MAX_FIELD + 10) + "\n")
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
        (
            {"format": "xml"},
            ValueError,
            "format: expected one of csv, tsv, jsonl, json, lecture, fasttext, lines, got 'xml'",
        ),
        ({"format": "lines", "need_label": True}, ValueError, "format: 'lines' has no labels"),
    ],
)
def test_arguments_without_meaning_fail_at_the_call(options, error, message):
    with pytest.raises(error, match=message):
        iter_records("never opened", **options)


@given(content=st.binary(), kind=st.sampled_from([None, "csv", "tsv", "jsonl", "lecture", "fasttext"]))
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
