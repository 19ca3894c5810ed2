"""Columns by their names, headers of columns, lists in the cells of a table, and NER Annotator's object."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from textnn.tagging import iter_tagged, read_tagged
from textnn.tagging.lists import parse_list
from textnn.text import CorpusError

ROWS = "Ann NNP B-PER\nran VBD O\n\nHi UH O\n"
SENTENCES = [(["Ann", "ran"], ["B-PER", "O"]), (["Hi"], ["O"])]


def read(text: str, **options: Any) -> list[tuple[list[str], list[str]]]:
    return [(s.tokens, s.tags) for s in iter_tagged(io.BytesIO(text.encode()), **options)]


@pytest.mark.parametrize("header", ["Word POS Tag\n", "word pos tag\n\n", "# a comment\n\ntoken pos ner_tags\n"])
@pytest.mark.parametrize("text", [ROWS, ROWS.replace(" ", "\t")])
def test_a_header_of_columns_is_no_sentence(header: str, text: str) -> None:
    header = header.replace(" ", "\t") if "\t" in text and "#" not in header else header
    assert read(header + text, format="conll") == SENTENCES
    without_tags = [(tokens, []) for tokens, _ in SENTENCES]
    assert read(header + text, format="conll", need_tags=False) == without_tags
    assert read(header + text + "\n" + header + text, format="conll") == 2 * SENTENCES, "files put together"


def test_lines_are_those_of_the_file() -> None:
    sentences = list(iter_tagged(io.BytesIO(f"Word POS Tag\n{ROWS}".encode()), "conll"))
    assert [s.line for s in sentences] == [2, 5]


def test_a_first_token_that_is_called_as_a_column_is_a_token() -> None:
    assert read("word NN O\nlist NN O\n") == [(["word", "list"], ["O", "O"])]
    assert read("The O\nword O\n\nlabel O\n") == [(["The", "word"], ["O", "O"]), (["label"], ["O"])]


@pytest.mark.parametrize(("token", "tag"), [("form", "xpos"), (1, "XPOS"), ("1", "4"), ("FORM", "-6")])
def test_columns_by_name_or_number(token: Any, tag: Any) -> None:
    text = "1\tAnn\tann\tPROPN\tNNP" + "\t_" * 5 + "\n"
    assert read(text, token_column=token, tag_column=tag) == [(["Ann"], ["NNP"])]


def test_columns_by_the_names_of_a_header() -> None:
    text = "surface coarse fine\n" + ROWS
    assert read(text, format="conll", tag_column="coarse")[0] == (["Ann", "ran"], ["NNP", "VBD"])
    assert read(text, format="conll", token_column="Surface") == SENTENCES
    table = text.replace("\n\n", "\n,,\n").replace(" ", ",")
    assert read(table, format="csv", token_column="surface", tag_column="fine") == SENTENCES


@pytest.mark.parametrize(
    ("text", "format_", "message"),
    [
        (ROWS, "conll", "line 1: expected a line that names the column 'ner', got 'Ann, NNP, B-PER'"),
        ("1\tAnn" + "\t_" * 8, "conllu", "line 1: expected a line that names the column 'ner', got 'id, form"),
        ("word,tag\nAnn,O\n", "csv", "with tags in column 'ner', got 'word', 'tag'"),
    ],
)
def test_a_name_that_no_column_has(text: str, format_: str, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        read(text, format=format_, tag_column="ner")


@pytest.mark.parametrize("column", [True, 1.0, ["a"]])
def test_a_column_is_a_name_or_a_number(column: Any) -> None:
    with pytest.raises(TypeError, match="tag_column: expected a column's name or number"):
        read(ROWS, tag_column=column)


@pytest.mark.parametrize(
    ("tokens", "tags"),
    [
        ("['我', '们']", "['O', 'B-X']"),  # a column of lists
        ("['我' '们']", "['O' 'B-X']"),  # a column of arrays, as datasets.to_pandas has
        ("['我'\n '们']", "['O'\n 'B-X']"),
        ('[""我"", ""们""]', '[""O"", ""B-X""]'),  # JSON
        (r"['\u6211', '\xe4\'']", "['O', 'B-X']"),
    ],
)
def test_cells_that_are_lists(tokens: str, tags: str) -> None:
    second = "ä'" if "xe4" in tokens else "们"
    text = f'id,tokens,ner_tags\n0,"{tokens}","{tags}"\n1,"[]","[]"\n2,"[\'.\']","[\'O\']"\n'
    assert read(text) == [(["我", second], ["O", "B-X"]), (["."], ["O"])]
    assert read(text, format="csv", need_tags=False) == [(["我", second], []), (["."], [])]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("\"['a', 'b']\",\"['O']\"", "line 3: expected a tag for each of 2 tokens, got 1"),
        ("\"['a']\",[3]", "line 3: expected tags that are strings, got 3; write the names of the tags"),
        ("\"['a']\",O", "line 3: expected a list of tags in column 1, got 'O'"),
        ("\"['a']\"", "line 3: expected a list of tags in column 1, got ''"),
        ("\"['a' ...]\",\"['O' ...]\"", "line 3: expected a list of tokens in column 0"),  # numpy shortened it
    ],
)
def test_lists_that_do_not_fit(row: str, message: str) -> None:
    text = f"tokens,tags\n['a'],['O']\n{row}\n['b'],['O']\n"
    with pytest.raises(CorpusError, match=message):
        read(text)
    sentences, report = read_tagged(io.BytesIO(text.encode()), on_error="skip")
    assert [s.tokens for s in sentences] == [["a"], ["b"]]
    assert message in report.problems[0]


@pytest.mark.parametrize("token", ["[", "]", "[]", "[1]", "['"])
def test_tokens_with_brackets_are_no_lists(token: str) -> None:
    assert read(f"word,tag\n{token},O\nb,O\n") == [([token, "b"], ["O", "O"])]


@pytest.mark.parametrize(
    "text", ["['a'", "'a']", "['a\"]", "[a]", "['a'b]", "['a',,'b']", "[['a']]", "[" * 99 + "]" * 99]
)
def test_what_is_no_list_of_strings(text: str) -> None:
    assert parse_list(text) is None


@pytest.mark.parametrize("indent", [None, 1])
def test_the_object_of_ner_annotator(indent: int | None) -> None:
    annotations = [["Ann ran", {"entities": [[0, 3, "PER"]]}], None, ["Hi there", {"entities": []}]]
    text = json.dumps({"classes": ["PER"], "annotations": annotations}, indent=indent)
    assert read(text) == [(["Ann", "ran"], ["S-PER", "O"]), (["Hi", "there"], ["O", "O"])]
