"""Files as users have them: from spreadsheets, pandas, databases, other tools; each is read, or refused with a way out.

``tests/cases`` has small ones after public reports about other tools.
"""

from __future__ import annotations

import io
import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from text_tables import CHINESE, Write, pairs, table

from textnn.text import CorpusError, CorpusReport, iter_records, read_corpus

CASES = Path(__file__).parent.parent / "cases"

# ---- the cases -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "count", "first", "layout"),
    [
        (
            "nameless_columns.csv",
            {},
            20,
            ("很好0", "good"),
            "csv, utf-8, header row, text in column 'text', label in co",
        ),
        (
            "sep_line.csv",
            {},
            20,
            ("很好0", "good"),
            "csv separated by semicolons, utf-8, header row, text in column 't",
        ),
        ("array.json", {}, 12, ("很好0", "1"), "json, utf-8, text in column 'text', label in column 'label'"),
        (
            "label_first.txt",
            {},
            24,
            ("第0场比赛结束", "体育"),
            "lecture, utf-8, no header row, text in column 1, label in",
        ),
        ("fasttext_comma.txt", {"delimiter": ","}, 20, ("第 0 号 基金 上涨", "财经"), "fasttext separated by commas"),
        (
            "spam_cp1252.csv",
            {"encoding": "cp1252", "text": 1, "label": 0, "header": True},
            24,
            ("See you at 0", "ham"),
            "csv, cp1252, header row, text in column 'v2', label in column 'v1'",
        ),
        ("spam_cp1252.csv", {"encoding": "cp1252", "text": "v2", "label": "v1"}, 24, ("See you at 0", "ham"), "cp1252"),
        ("western_quotes.csv", {"encoding": "cp1252"}, 20, ("It’s great no. 0", "good"), "csv, cp1252, header row"),
    ],
)
def test_cases_are_read(name: str, options: dict[str, Any], count: int, first: tuple[str, str], layout: str) -> None:
    corpus = read_corpus(CASES / name, **options)
    assert (len(corpus), pairs(corpus)[0]) == (count, first)
    assert layout in str(corpus.report)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("spam_cp1252.csv", r"got what looks like cp1252 \(Western, Windows\); .* \(option --encoding cp1252\)"),
        ("western_quotes.csv", r"got what looks like cp1252 \(Western, Windows\); .* \(option --encoding cp1252\)"),
        ("workbook.xlsx", "expected text, got an Excel workbook: save it as CSV UTF-8"),
    ],
)
def test_cases_are_refused_with_the_way_out(name: str, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        read_corpus(CASES / name)


def test_a_header_by_number_that_was_not_asked_for_is_warned_of() -> None:
    with pytest.warns(UserWarning, match=r"'v2', with a label that no other row has.* \(or --header\)"):
        read_corpus(CASES / "spam_cp1252.csv", encoding="cp1252", text=1, label=0)


# ---- layouts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("orient", ["split", "records", "index", "columns", "table", "list"])
def test_json_as_pandas_writes_it_in_each_orient(write: Write, orient: str, indent: int | None) -> None:
    rows = [{"text": text, "label": label} for text, label in CHINESE]
    content: Any = {
        "split": {"columns": ["text", "label"], "index": [0, 1, 2, 3], "data": [list(row.values()) for row in rows]},
        "records": rows,
        "index": {str(number): row for number, row in enumerate(rows)},
        "columns": {name: {str(number): row[name] for number, row in enumerate(rows)} for name in ("text", "label")},
        "table": {"schema": {"fields": []}, "data": rows},
        "list": {name: [row[name] for row in rows] for name in ("text", "label")},
    }[orient]
    for name in ("a.json", "a.txt"):
        assert pairs(read_corpus(write(json.dumps(content, indent=indent), name))) == CHINESE, name


def test_json_without_names_needs_numbers(write: Write) -> None:
    path = write(json.dumps(CHINESE), "a.json")
    with pytest.raises(CorpusError, match=r"row 1: cannot tell which column holds the text; .*--text-column"):
        read_corpus(path)
    assert pairs(read_corpus(path, text=0, label=1)) == CHINESE


def test_pandas_itself(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    rows = [*CHINESE, ('a "b", c', "好"), ("zwei\nZeilen", "差"), ("Reiter\there", "好")]
    frame = pandas.DataFrame(rows, columns=["text", "label"])
    for orient in ("split", "records", "index", "columns", "table"):
        frame.to_json(tmp_path / "a.json", orient=orient)
        assert pairs(read_corpus(tmp_path / "a.json")) == rows, orient
    frame.to_json(tmp_path / "a.json", orient="records", lines=True)
    assert pairs(read_corpus(tmp_path / "a.json")) == rows
    for delimiter in ",;\t|":
        for encoding in ("utf-8", "utf-8-sig", "gb18030", "utf-16"):
            frame.to_csv(tmp_path / "a.csv", sep=delimiter, encoding=encoding)
            assert pairs(read_corpus(tmp_path / "a.csv")) == rows, (delimiter, encoding)
    frame.to_csv(tmp_path / "a.csv", header=False, index=False)
    assert pairs(read_corpus(tmp_path / "a.csv", text=0, label=1)) == rows


def test_an_array_of_json_is_read_as_a_stream() -> None:
    class Endless(io.RawIOBase):
        def __init__(self) -> None:
            self.given = 0

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            row = b'{"text": "a",\n"label": 1},\n'
            part = b"[" if self.given == 0 else row * max(1, len(buffer) // len(row))
            self.given += len(part)
            buffer[: len(part)] = part
            return len(part)

    source: Any = Endless()
    records = iter_records(source, format="json")
    assert [next(records).text for _ in range(10_000)] == ["a"] * 10_000
    assert source.given < 2_000_000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"text": "a", "label": 1}', r"row 2: expected the end of the JSON array, \], got the end of the file"),
        ('[{"text": "a", "label": 1} {"text"', "row 1: expected a comma or ] behind a row, got"),
        (
            '[{"text": "a", "label": 1}, {"text": ]',
            "row 2: expected a JSON object, got: Expecting value at character 10 of the row",
        ),
        ('[{"text": "a", "label": 1}] x', "row 1: expected nothing behind the JSON array, got 'x'"),
        ('[{"text": "a", "text": 1}]', "row 1: expected a plain JSON object, got: a name stands twice"),
        ('[{"text": "a", "label": 1}, "b"]', "row 2: expected a JSON object such as .*, got a string"),
        ('[{"text": "a", "label": 1}, ["b", 1]]', "row 2: expected an object as in the first row, got another"),
        (
            '{"answer":\n 3}',
            "expected JSON rows or columns, got one object with 'answer'; write it as JSON l",
        ),
        ('{"text":\n', "expected a JSON object, got: Expecting value"),
        ("[" + "[" * 10**5, "expected a plain JSON object, got lists or objects nested without end"),
    ],
)
def test_damaged_json_is_refused_with_its_row(write: Write, content: str, message: str) -> None:
    with pytest.raises(CorpusError, match=message.replace("] ", r"\] ")):
        read_corpus(write(content, "a.json"))


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"PK\x03\x04" + b"\0" * 26 + b"[Content_Types].xml", "an Excel workbook: save it as CSV UTF-8"),
        (b"PK\x03\x04" + b"\0" * 26 + b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet", "an Excel workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook: save it as CSV UTF-8"),
        (b"PAR1\x15\x04", "Parquet: write it as CSV"),
        (b"SQLite format 3\0\x10\0", "an SQLite database: export the table as CSV"),
        (b"BZh91AY", "a bzip2 archive"),
        (b"<!DOCTYPE html>\n<html><body>", "a web page: save the table as CSV"),
        (b"\n  <table border='1'>\n<tr>", "a web page"),
        (b"-- MySQL dump 10.13\n", "an SQL dump: export the table as CSV"),
        (b"INSERT INTO reviews VALUES (1, 'a');\n", "an SQL dump"),
    ],
)
@pytest.mark.parametrize("name", ["a.csv", "a.txt"])
def test_what_is_no_table_is_named(write: Write, content: bytes, what: str, name: str) -> None:
    with pytest.raises(CorpusError, match=f"line [12]: expected (text|a table), got {what}"):
        read_corpus(write(content, name))


@pytest.mark.parametrize(
    ("content", "name", "rows"),
    [
        ('"sep=;"\ntext;label\na;1\n', "a.csv", [("a", "1")]),
        ("sep=|\ntext|label\na|1\n", "a.csv", [("a", "1")]),
        ("\ufeffsep=\t\ntext\tlabel\na\t1\n", "a.csv", [("a", "1")]),
        ("sep=;\ntext;label\na;1\n", "a.txt", [("a", "1")]),
        ("id,,text,label,,x,x\n1,,a,1,,,\n", "a.csv", [("a", "1")]),
        (
            'text\tlabel\n"quoted" then not\t1\nan " inch\t0\n',
            "a.tsv",
            [('"quoted" then not', "1"), ('an " inch', "0")],
        ),
        ('text\tlabel\n"open\t1\nmore\t0\nclose"\t1\n', "a.tsv", [('"open', "1"), ("more", "0"), ('close"', "1")]),
        ('text\tlabel\n"a\tb"\t1\n"c ""d"""\t0\n', "a.tsv", [("a\tb", "1"), ('c "d"', "0")]),
        ('text\tlabel\n"two\nlines"\t1\nb\t0\n', "a.tsv", [("two\nlines", "1"), ("b", "0")]),
        ("好\t1\n\\N\t0\n差\t\\N\n行\t0\n", "a.txt", [("好", "1"), ("行", "0")]),
    ],
)
def test_layouts_that_are_read(write: Write, content: str, name: str, rows: list[tuple[str, str]]) -> None:
    assert pairs(read_corpus(write(content, name))) == rows


def test_nameless_and_repeated_columns_keep_their_cells(write: Write) -> None:
    (record,) = iter_records(write("id,,text,x,x\n1,2,a,3,4\n"))
    assert record.row == {"id": "1", "column 1": "2", "text": "a", "x": "3", "x'": "4"}


@pytest.mark.parametrize("sort", [False, True])
def test_labels_before_texts_are_found_and_texts_before_labels_stay(write: Write, sort: bool) -> None:
    rows = [(f"第{number}篇文章的内容", "体育" if number % 2 else "财经") for number in range(30)]
    rows.sort(key=lambda row: row[1] if sort else "")
    swapped = [(label, text) for text, label in rows]
    one, other = (read_corpus(write(table(each, "\t", header=False), "a.txt")) for each in (rows, swapped))
    assert pairs(one) == pairs(other) == rows
    doubled = [(label, f"文章{number // 2}的内容，有时重复") for number in range(40) for label in ("体育", "财经")]
    assert read_corpus(write(table(doubled, "\t", header=False), "a.txt")).label_counts() == {"体育": 40, "财经": 40}
    asked = read_corpus(write(table(swapped, "\t", header=False), "a.txt"), text=0, label=1)
    assert pairs(asked) == swapped


@pytest.mark.parametrize(("header", "count"), [(None, 4), (True, 4), (False, 5)])
def test_a_header_is_as_asked_for(write: Write, header: bool | None, count: int) -> None:
    corpus = read_corpus(write(table(CHINESE)), text=0, label=1, header=header)
    assert (len(corpus), corpus.report.layout.header) == (count, header is not False)


def test_who_names_a_delimiter_has_a_table(write: Write) -> None:
    corpus = read_corpus(write("a#1\nb#2\n", "a.txt"), text=0, label=1, delimiter="#")
    assert (pairs(corpus), corpus.report.layout.format) == ([("a", "1"), ("b", "2")], "csv")


def test_a_text_without_a_label_below_a_header_of_the_lectures_format(write: Write) -> None:
    records = iter_records(write("words\tkind\n好\t1\n差\n", "a.txt"), format="lecture", header=True)
    assert [record[1:] for record in records] == [
        ("好", "1", {"words": "好", "kind": "1"}),
        ("差", None, {"words": "差"}),
    ]


def test_a_table_without_a_header_has_no_names(write: Write) -> None:
    with pytest.raises(
        CorpusError, match="expected a column 'text' for the text, got no header row but 'text', 'label'"
    ):
        read_corpus(write(table(CHINESE)), text="text", header=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"delimiter": ",,"}, "delimiter: expected one character that is no quote or line break, got ',,'"),
        ({"encoding_errors": "ignore"}, "encoding_errors: expected one of strict, replace, got 'ignore'"),
        ({"on_error": "go"}, "on_error: expected one of stop, skip, got 'go'"),
    ],
)
def test_options_without_meaning_fail_at_the_call(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        iter_records("never opened", **options)


@pytest.mark.parametrize(
    ("content", "name", "kept", "problems"),
    [
        (
            "text,label\na,1\nb,1,2\nc,0\n",
            "a.csv",
            ["a", "c"],
            ["line 3: expected 2 fields as in the first row, got 3"],
        ),
        ('text,label\na,1\n"b"x,1\nc,0\n', "a.csv", ["a", "c"], ["line 3: expected a comma or the end of the line"]),
        ('{"text": "a"}\n{"text": \n{"text": 3}\n{"text": "c"}\n', "a.jsonl", ["a", "c"], ["line 2: ", "line 3: "]),
        (
            '[{"text": "a"}, 5, {"x": 1}, {"text": "c"}]',
            "a.json",
            ["a", "c"],
            ["row 2: ", "row 3: expected a value nam"],
        ),
        ("a\t1\nb\t1\t2\nc\t1\n", "a.txt", ["a", "c"], ["line 2: expected text<TAB>label, got 2 tabs"]),
    ],
)
def test_bad_rows_are_left_out_and_told_on_request(
    write: Write, content: str, name: str, kept: list[str], problems: list[str]
) -> None:
    report = CorpusReport()
    assert [record.text for record in iter_records(write(content, name), on_error="skip", report=report)] == kept
    assert report.bad_rows == len(report.problems) == len(problems)
    for found, expected in zip(report.problems, problems, strict=True):
        assert expected in found
    with pytest.raises(CorpusError):
        list(iter_records(write(content, name)))


def test_one_column_and_its_name(write: Write) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [record.text for record in iter_records(io.BytesIO("text\n好\n差\n".encode()))] == ["好", "差"]
        assert [record.text for record in iter_records(io.BytesIO("评论\r\n好, 很\r\n".encode()))] == ["好, 很"]
        assert [record.text for record in iter_records(io.BytesIO("好\n差\n".encode()))] == ["好", "差"]
        assert [record.text for record in iter_records(io.BytesIO(b"text\n"))] == ["text"]
