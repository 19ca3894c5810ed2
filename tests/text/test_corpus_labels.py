"""Corpora of which a text may have several labels: cells with a separator, and lists in JSONL."""

from __future__ import annotations

import io
import json

import pytest

from textnn.text import CorpusError, Record, iter_records, read_corpus

ROWS = [("好", ["a", "b"]), ("差", []), ("行", ["b"])]


def stream(content: str, name: str = "a.csv") -> io.BytesIO:
    source = io.BytesIO(content.encode())
    source.name = name
    return source


def json_rows(*labels: object) -> str:
    texts = [text for text, _ in ROWS]
    return "\n".join(json.dumps({"text": text, "label": label}) for text, label in zip(texts, labels, strict=False))


def jsonl(*labels: object) -> io.BytesIO:
    return stream(json_rows(*labels), "a.jsonl")


@pytest.mark.parametrize(
    ("content", "kind", "separator"),
    [
        ("label,text\na;b,好\n,差\nb,行\n", "csv", ";"),
        ("label,text\n a ;; b;a ,好\n ; ,差\nb;,行\n", "csv", ";"),
        ('label,text\n"a,b",好\n,差\nb,行\n', "csv", ","),
        ("label\ttext\na b\t好\n\t差\n b \t行\n", "tsv", " "),
        ("好\ta<>b\n差\t\n行\tb\n", "lecture", "<>"),
        (json_rows("a;b", "", "b"), "jsonl", ";"),
        (json_rows(["a", "b"], [], ["b"]), "jsonl", ";"),
        (json_rows(["a", "b"], [], ["b"]), "jsonl", None),
        (json_rows([" a", "b ", "a"], [""], ["b"]), "jsonl", None),
    ],
)
def test_the_labels_of_a_text_are_the_different_ones_without_spaces_and_may_be_none(content, kind, separator):
    corpus = read_corpus(stream(content), format=kind, label_separator=separator)
    assert list(zip(corpus.texts, corpus.labels, strict=True)) == ROWS
    assert corpus.several
    assert corpus.label_counts() == {"b": 2, "a": 1}
    assert corpus.report.skipped == {}
    assert "labels in column" in str(corpus.report)


def test_without_a_separator_a_cell_is_one_label_and_an_empty_one_is_missing():
    corpus = read_corpus(stream("label,text\na;b,好\n,差\n"), format="csv")
    assert (corpus.labels, corpus.several) == (["a;b"], False)
    assert corpus.report.skipped == {"missing labels": 1}


def test_a_json_value_that_is_null_or_absent_is_missing_and_a_list_that_is_empty_is_not():
    content = '{"text": "w", "label": null}\n{"text": "x", "label": []}\n{"text": "y", "label": ["a"]}\n{"text": "z"}\n'
    corpus = read_corpus(stream(content), format="jsonl")
    assert (corpus.texts, corpus.labels) == (["x", "y"], [[], ["a"]])
    assert corpus.report.skipped == {"missing labels": 2}


def test_labels_in_json_lists_are_strings_whatever_they_look_like():
    assert read_corpus(jsonl([1, 1.5, True, "x"])).labels == [["1", "1.5", "true", "x"]]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ((["a"], "b"), "line 2: expected a list of labels as in the rows before, got one label"),
        (("a", "b", ["b"]), "line 3: expected one label as in the rows before, got a list of labels"),
        ((None, ["a"], 1), "line 3: expected a list of labels as in the rows before, got one label"),
        ((["a", None],), "line 1: expected a string or a number in the list 'label', got null"),
        ((["a"], [["b"]]), "line 2: expected a string or a number in the list 'label', got a list"),
        ((["a", {}],), "line 1: expected a string or a number in the list 'label', got an object"),
        (([float("nan")],), "line 1: expected a string or a number in the list 'label', got NaN"),
        ((["a", "\ud800"],), "line 1: expected text as 'label', got half of a surrogate pair"),
    ],
)
def test_what_is_no_list_of_labels_is_refused_with_its_line(labels, message):
    with pytest.raises(CorpusError) as error:
        read_corpus(jsonl(*labels), format="jsonl")
    assert str(error.value).startswith(f"a.jsonl, {message}")


def test_who_needs_no_labels_may_have_one_kind_and_the_other():
    assert [record.label for record in iter_records(jsonl(["a"], "b"), format="jsonl")] == [["a"], "b"]


def test_with_a_separator_lists_and_strings_go_together():
    assert read_corpus(jsonl(["a", "b;c"], "b;c"), format="jsonl", label_separator=";").labels == [
        ["a", "b;c"],
        ["b", "c"],
    ]


def test_an_empty_separator_is_refused_by_the_call():
    with pytest.raises(ValueError, match="label_separator: expected at least one character, got ''"):
        iter_records(stream("label,text\na,b\n"), label_separator="")


def test_records_have_the_list_and_the_row_as_it_stands():
    row = {"label": "a;b", "text": "好"}
    assert [*iter_records(stream("label,text\na;b,好\n"), format="csv", label_separator=";")] == [
        Record(2, "好", ["a", "b"], row)
    ]
