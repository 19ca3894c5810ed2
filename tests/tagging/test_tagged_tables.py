"""Tables of tokens: CSV and TSV with a header, with the name of a sentence in each row or in its first one."""

from __future__ import annotations

import io
from typing import Any

import pytest

from textnn.tagging import iter_tagged, read_tagged
from textnn.tagging.tables import find_columns, table_delimiter
from textnn.text import CorpusError

KAGGLE = """Sentence #,Word,POS,Tag
Sentence: 1,Ann,NNP,B-PER
,said,VBD,O
,",",",",O
Sentence: 2,\"\"\"\",``,O
,Hi,UH,O
"""
EXPECTED = [(["Ann", "said", ","], ["B-PER", "O", "O"]), (['"', "Hi"], ["O", "O"])]


def read(text: str | bytes, **options: Any) -> list[tuple[list[str], list[str]]]:
    data = text if isinstance(text, bytes) else text.encode()
    return [(s.tokens, s.tags) for s in iter_tagged(io.BytesIO(data), **options)]


@pytest.mark.parametrize(
    "text",
    [
        KAGGLE,
        KAGGLE.replace("\n", "\r\n"),
        KAGGLE.replace(",said", "Sentence: 1,said").replace(",Hi", "Sentence: 2,Hi"),  # the name in each row
        "\ufeff" + KAGGLE.replace("Sentence #", "sentence_id").replace("Tag", "ner_tags"),
        "".join(f"{n},{line}\n" for n, line in enumerate(KAGGLE.splitlines())).replace("0,S", ",S", 1),  # pandas' index
    ],
)
def test_the_name_of_a_sentence_stands_in_each_row_or_in_the_first(text: str) -> None:
    assert read(text) == EXPECTED
    assert read(text, format="csv") == EXPECTED


def test_lines_are_those_of_the_file_and_the_report_says_what_it_is() -> None:
    sentences, report = read_tagged(io.BytesIO(KAGGLE.encode()))
    assert [s.line for s in sentences] == [2, 5]
    assert "2 sentences, 5 tokens, 2 tags (csv, utf-8, BIO); left out: nothing" in str(report)


@pytest.mark.parametrize("between", [",", "", " , "])
def test_without_names_empty_rows_part_sentences(between: str) -> None:
    assert read(f"token,label\nAnn,B-PER\nran,O\n{between}\nHi,O\n") == [
        (["Ann", "ran"], ["B-PER", "O"]),
        (["Hi"], ["O"]),
    ]


@pytest.mark.parametrize("delimiter", ["\t", ";"])
def test_other_separators(delimiter: str) -> None:
    assert read(f"sent{delimiter}word{delimiter}pos\n1{delimiter}Ann{delimiter}NNP\n2{delimiter}Hi{delimiter}UH\n") == [
        (["Ann"], ["NNP"]),
        (["Hi"], ["UH"]),
    ]


def test_a_quote_within_tabs_is_a_token() -> None:
    assert read('sentence\tword\ttag\n1\t"\tO\n1\tAnn\tB-PER\n') == [(['"', "Ann"], ["O", "B-PER"])]


def test_columns_that_are_asked_for() -> None:
    assert read(KAGGLE, tag_column=2)[0] == (["Ann", "said", ","], ["NNP", "VBD", ","])
    assert read(KAGGLE, need_tags=False, format="csv")[1] == (['"', "Hi"], [])
    with pytest.raises(CorpusError, match="expected tokens and tags in different columns, got column 1 for both"):
        read(KAGGLE, tag_column=1)
    with pytest.raises(CorpusError, match=r"line 1: expected the header of a table .* with tags in column 9"):
        read(KAGGLE, tag_column=9)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (",x,y", "line 7: expected tags in column 3, got nothing"),
        (",,NN,O", "line 7: expected tokens in column 1, got nothing"),
        (",a,NN,O,O", "line 7: expected 4 cells as in the header, got 5"),
        (',"a,NN,O', "line 7: expected a closing quote"),
    ],
)
def test_a_bad_row_is_named_or_its_sentence_left_out(row: str, message: str) -> None:
    text = f"{KAGGLE}{row}\nSentence: 3,Bob,NNP,B-PER\n"
    with pytest.raises(CorpusError, match=message):
        read(text)
    sentences, report = read_tagged(io.BytesIO(text.encode()), on_error="skip")
    assert (sentences[0].tokens, sentences[-1].tokens) == (["Ann", "said", ","], ["Bob"])
    assert report.bad_rows == 1
    assert message in report.problems[0]


def test_another_table_is_refused_with_its_columns() -> None:
    with pytest.raises(CorpusError, match="with columns such as sentence, word and tag, got 'text', 'label'"):
        read("text,label\ngood,1\n", format="csv")


def test_headers() -> None:
    assert find_columns(["id", " NER Tag", "Token"]) == (None, 2, 1)
    assert table_delimiter("Word,Tag") == ","
    assert table_delimiter("Word,Tag", tagged=False) is None
    assert table_delimiter("sentence_id\tToken\n", tagged=False) == "\t"
    assert table_delimiter("review,label") is None
