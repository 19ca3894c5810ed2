"""Corpora in fastText's format for training: words, of which those that begin with __label__ are labels."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textnn.text import CorpusError, CorpusReport, is_blank, iter_records, read_corpus

ONE = "__label__good I like it\n\n__label__bad no  good\n"
SEVERAL = "__label__a x\n__label__b __label__a y\nz\n"


@pytest.mark.parametrize(("name", "kind"), [("a.txt", None), ("a", None), ("a.csv", "fasttext")])
def test_it_is_found_by_the_prefix_of_the_first_line_or_named(write: Any, name: str, kind: str | None) -> None:
    corpus = read_corpus(write("\n" + ONE, name), format=kind)
    assert (corpus.texts, corpus.labels, corpus.lines) == (["I like it", "no  good"], ["good", "bad"], [2, 4])
    assert corpus.report.skipped == {"blank lines": 2}
    assert "2 texts (fasttext, utf-8, label in column '__label__')" in str(corpus.report)


def test_the_suffix_of_a_table_goes_before_the_prefix(write: Any) -> None:
    assert read_corpus(write("text,label\n__label__,1\n")).texts == ["__label__"]


@pytest.mark.parametrize(
    ("line", "text", "labels"),
    [
        ("__label__a x y", "x y", ["a"]),
        ("  __label__a\t__label__b  x\r", "x", ["a", "b"]),
        ("x y __label__a", "x y", ["a"]),
        ("x __label__a y", "x y", ["a"]),
        ("__label__a __label__b __label__a x", "x", ["a", "b"]),
        ("__label__a,b;c x", "x", ["a,b;c"]),
        ("__label__好评 很 好", "很 好", ["好评"]),
        ("__label__New\u00a0York x", "x", ["New\u00a0York"]),
        ("__label__a not__label__b", "not__label__b", ["a"]),
        ("__label__ x", "x", None),
        ("x", "x", None),
    ],
)
def test_words_with_the_prefix_are_labels_and_all_else_is_text(line: str, text: str, labels: list[str] | None) -> None:
    (record,) = iter_records(io.BytesIO((line + "\n").encode()), format="fasttext")
    assert (record.text, record.label, record.row) == (text, labels, [line.rstrip("\r")])


def test_predicting_takes_the_labels_off_the_texts(write: Any) -> None:
    assert [record.text for record in iter_records(write(SEVERAL, "a.txt"))] == ["x", "y", "z"]


def test_a_text_has_a_list_of_labels_if_any_text_has_several(write: Any) -> None:
    corpus = read_corpus(write(SEVERAL, "a.txt"))
    assert (corpus.labels, corpus.several) == ([["a"], ["b", "a"]], True)
    corpus = read_corpus(write(ONE, "b.txt"))
    assert (corpus.labels, corpus.several) == (["good", "bad"], False)


def test_a_line_without_a_label_is_left_out_as_fasttext_does_unless_a_separator_says_there_may_be_none(
    write: Any,
) -> None:
    path = write(SEVERAL, "a.txt")
    assert read_corpus(path).report.skipped == {"missing labels": 1}
    corpus = read_corpus(path, label_separator="__label__")
    assert (corpus.texts, corpus.labels) == (["x", "y", "z"], [["a"], ["b", "a"], []])
    assert corpus.report.skipped == {}


def test_a_separator_says_that_there_may_be_several_labels_and_splits_none(write: Any) -> None:
    corpus = read_corpus(write("__label__a|b x\n__label__c y\n", "a.txt"), label_separator="|")
    assert (corpus.labels, corpus.several) == ([["a|b"], ["c"]], True)


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (ONE, {"text": "x"}, "a.txt, line 1: expected a table for the text column 'x', got the format 'fasttext'"),
        (ONE, {"label": 1}, "a.txt, line 1: expected a table for the label column 1, got the format 'fasttext'"),
        (
            "__label__\n",
            {},
            r"a.txt: expected rows with a text and a label, got 1 rows of which none .*\(empty texts: 1",
        ),
        (
            "x\ny\n",
            {"format": "fasttext"},
            r"a.txt: expected rows with a text and a label, .* \(missing labels: 2\)",
        ),
    ],
)
def test_what_cannot_be_read_is_refused(write: Any, content: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        read_corpus(write(content, "a.txt"), **options)


WORD = st.text(st.characters(exclude_categories=("Cs", "Cc", "Z")), min_size=1)
WORD = WORD.filter(lambda word: not word.startswith(("__label__", "\ufeff")) and not is_blank(word))
LINES = st.lists(st.tuples(st.lists(WORD, min_size=1, unique=True), st.lists(WORD, min_size=1)), min_size=1)


@given(rows=LINES)
def test_it_round_trips(rows: list[tuple[list[str], list[str]]]) -> None:
    lines = [" ".join([*(f"__label__{label}" for label in labels), *words]) for labels, words in rows]
    report = CorpusReport()
    records = iter_records(io.BytesIO("\n".join(lines).encode()), encoding="utf-8", need_label=True, report=report)
    assert [(record.label, record.text) for record in records] == [(labels, " ".join(words)) for labels, words in rows]
    assert (report.layout.format, report.several) == ("fasttext", True)
