"""Tables as users have them: a header that is not known as one, and columns separated by semicolons."""

from __future__ import annotations

import io
import warnings
from typing import Any

import pytest

from textnn.text import Corpus, CorpusError, iter_records, read_corpus

ROWS = [("好", "pos"), ("差", "neg")] * 6


def table(header: tuple[str, str] | None, delimiter: str = ",") -> str:
    rows = ROWS if header is None else [header, *ROWS]
    return "".join(f"{text}{delimiter}{label}\n" for text, label in rows)


# ---- a header that is read as a text ---------------------------------------------------------------------------------

NUMBERS: dict[str, Any] = {"text": 0, "label": 1}


@pytest.mark.parametrize(
    ("name", "delimiter", "options"),
    [
        ("a.csv", ",", NUMBERS),
        ("a.csv", ";", NUMBERS),
        ("a.tsv", "\t", NUMBERS),
        ("a.txt", "\t", {}),
        ("a.csv", ",", {**NUMBERS, "label_separator": "|"}),
    ],
)
def test_a_first_row_whose_label_no_other_row_has_is_warned_of(
    write: Any, name: str, delimiter: str, options: dict[str, Any]
) -> None:
    path = write(table(("col1", "col2"), delimiter), name)
    with pytest.warns(UserWarning, match=rf"{name}, line 1: .*'col1', .* 'col2'; if it is a header, ask .* by name"):
        corpus = read_corpus(path, **options)
    assert len(corpus) == 1 + len(ROWS)
    assert "no header row, text in column 0, label" in str(corpus.report)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        named = read_corpus(path, text="col1", label="col2")
    assert (len(named), named.report.layout.header) == (len(ROWS), True)
    assert "utf-8, header row" in str(named.report)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(table(None), id="no header"),
        pytest.param("x,rare\n" + table(None) + "y,rare\n", id="the label comes again"),
        pytest.param("x,new\na,pos\nb,neg\nc,neg\n", id="too few rows to tell"),
        pytest.param("".join(f"text {n},{n}\n" for n in range(40)), id="no label repeats"),
        pytest.param(",col2\n" + table(None), id="the first row is left out"),
        pytest.param("text,col2\n" + table(None), id="the header is known"),
    ],
)
def test_other_first_rows_are_not_warned_of(write: Any, content: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_corpus(write(content), **NUMBERS)


def test_a_header_without_rows_is_called_one_also_where_columns_have_numbers(write: Any) -> None:
    with pytest.raises(CorpusError, match="got no row below the header"):
        read_corpus(write("text,label\n"), **NUMBERS)


# ---- semicolons ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.csv", "a.txt"])
@pytest.mark.parametrize(
    ("content", "options"),
    [
        ("text;label\n好, 很;pos\n", {}),
        ('"id";"label";"text"\r\n1;pos;"好, 很"\r\n', {}),
        ("Text ; x\n好, 很;pos\n", {"label": "x"}),
        ("a;b\n好, 很;pos\n", {"text": "a", "label": "b"}),
        ("text;label\n好, 很;pos\n", NUMBERS),
        ("\ntext;label\n好, 很;pos\n", {"label": "1"}),
        (";neg\n好, 很;pos\n", NUMBERS),
    ],
)
def test_columns_may_be_separated_by_semicolons(write: Any, name: str, content: str, options: dict[str, Any]) -> None:
    corpus = read_corpus(write(content, name), **options)
    assert (corpus.texts, corpus.labels) == (["好, 很"], ["pos"])
    assert "csv separated by semicolons, utf-8" in str(corpus.report)


@pytest.mark.parametrize(
    ("content", "options", "text"),
    [
        ("text,label;more\nx;y,1\n", {"label": "label;more"}, "x;y"),
        ("a;b,c\nx;y,1\n", {"text": "a;b", "label": "c"}, "x;y"),
        ("x;y;z,1\n", {"text": 0, "label": 1}, "x;y;z"),
        ("x;1;z,1\n", {"text": "0", "label": "1"}, "x;1;z"),
    ],
)
def test_commas_go_before_semicolons(write: Any, content: str, options: dict[str, Any], text: str) -> None:
    corpus = read_corpus(write(content), **options)
    assert (corpus.texts, corpus.report.layout.delimiter) == ([text], ",")


def test_texts_with_semicolons_of_which_only_the_first_column_is_asked_for_stay_whole(write: Any) -> None:
    assert [record.text for record in iter_records(write("好; 很好\n"), text=0)] == ["好; 很好"]


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (
            "a,b\n1,x\n",
            {},
            r"the text; give its name or its number, the first is 0 \(argument text, option --text-column\); "
            r"no header row was recognised, the first row is: 'a', 'b'$",
        ),
        ("text,b\n", {}, r"the label; give its name .* option --label-column\); the columns: 'text', 'b'$"),
        ("a;b\n1;x\n", {}, r"which column holds the text; .*: 'a', 'b'$"),
        ("a\tb\n1\tx\n", {}, r"which column holds the text; .*: 'a', 'b'$"),
        ("a;b\n1;x\n", {"text": "c"}, "a column 'c' for the text, got the columns 'a', 'b'$"),
        ('text;label\n"x" y;1\n', {}, "line 2: expected a semicolon or the end of the line after a closing quote"),
    ],
)
def test_what_cannot_be_told_says_how_to_tell_it(
    write: Any, content: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(CorpusError, match=message):
        read_corpus(write(content), **options)


# ---- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["star", "stars", "rating", "score", "Star"])
def test_what_shops_call_their_ratings_is_a_label(write: Any, name: str) -> None:
    assert read_corpus(write(f"id,review,{name}\n0,好,5\n")).labels == ["5"]


@pytest.mark.parametrize(
    ("header", "asked", "expected"),
    [
        (
            "review,category,rating",
            {},
            "column 'category' is read as the label, not 'rating'; --label-column (argument",
        ),
        ("评论,类别,评分,标签", {}, "column '标签' is read as the label, not '类别' or '评分'; --label-column"),
        (
            "Content,Review,label",
            {},
            "column 'Review' is read as the text, not 'Content'; --text-column (argument text)",
        ),
        ("review,category,rating", {"label": "rating"}, None),
        ("review,category,rating", {"label": 1}, None),
        ("review,label,id", {}, None),
    ],
)
def test_other_columns_with_usual_names_are_told(header: str, asked: dict[str, Any], expected: str | None) -> None:
    file = io.BytesIO(f"{header}\n{','.join('x' for _ in header.split(','))}\n".encode())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read_corpus(file, format="csv", header=True, **asked)
    told = [str(warning.message) for warning in caught]
    assert len(told) == (expected is not None), told
    assert expected is None or expected in told[0]


# ---- numbers and spellings ------------------------------------------------------------------------------------------


def pairs(corpus: Corpus) -> list[tuple[str, str]]:
    return list(zip(corpus.texts, corpus.labels, strict=True))


@pytest.mark.parametrize("header", [None, False])
def test_digits_are_a_number_also_where_the_first_row_has_the_same_cell(write: Any, header: bool | None) -> None:
    path = write('"1","cold food"\n"2","very good"\n"1","never again"\n')
    corpus = read_corpus(path, text="1", label="0", header=header)
    assert pairs(corpus) == [("cold food", "1"), ("very good", "2"), ("never again", "1")]
    assert pairs(read_corpus(write("1,2\ngood,1\n"), text="0", label="1", header=True)) == [("good", "1")]
    assert pairs(read_corpus(write("0,1\ngood,1\n"), text="0", label="1")) == [("good", "1")]
    twice = write("1,1\ngood,1\nbad,2\n")
    assert [record.text for record in iter_records(twice, text="0")] == ["1", "good", "bad"]
    assert read_corpus(write('{"0": "good", "1": "a"}\n', "a.jsonl"), text="0", label="1").texts == ["good"]


@pytest.mark.parametrize(
    "names",
    ["reviewText,overall", "Review Text,Airline-Sentiment", "text_a,is_spam", "description,星级", "Phrase,类型"],
)
def test_names_are_compared_without_case_spaces_and_hyphens(write: Any, names: str) -> None:
    assert pairs(read_corpus(write(f"id,{names}\n1,good,a\n"))) == [("good", "a")]


def test_a_text_that_begins_with_a_name_of_labels_is_no_header(write: Any) -> None:
    assert len(list(iter_records(write("Overall, a good film\nBad\n", "a.txt")))) == 2
