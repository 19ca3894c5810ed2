"""Mistakes in files of users: what is told of them, what is read all the same."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from textnn.text import Corpus, CorpusError, CorpusReport, iter_records, read_corpus
from textnn.text.pairs import PairReport, iter_pairs

Write = Callable[..., str]


def pairs(corpus: Corpus) -> list[tuple[str, str]]:
    return list(zip(corpus.texts, corpus.labels, strict=True))


def doubts(path: str, **options: Any) -> tuple[Corpus, list[str]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        corpus = read_corpus(path, **options)
    return corpus, [str(warning.message) for warning in caught]


@pytest.mark.parametrize(
    ("header", "row", "stray"),
    [
        ("text,label", "{0},{1}", '"so called,a\nfine,b\nend",a'),
        ("label,text", "{1},{0}", 'a,"so called\nb,fine\na,end"'),
    ],
)
def test_rows_that_a_stray_quote_takes_in_are_told(write: Write, header: str, row: str, stray: str) -> None:
    rows = [row.format("good", "a"), row.format("bad", "b")] * 5
    content = "\n".join([header, *rows, stray, *rows]) + "\n"
    corpus, told = doubts(write(content))
    assert len(corpus) == 21
    assert len(told) == 1
    assert "look like rows of the table: 2, the first in the row of line 12; if a quote" in told[0]
    corpus, told = doubts(write(content), quoting=False)
    assert (len(corpus), told) == (23, [])
    letters = "text,label\n" + '"Dear all,\nit was good, really\nbye",a\nbad,b\n' * 5
    assert doubts(write(letters))[1] == []
    assert doubts(write("label,text\n" + 'a,"good\nreally, it was"\nb,bad\n' * 5))[1] == []


@pytest.mark.parametrize(
    ("content", "name", "texts", "line"),
    [
        ('text\tlabel\nsay \\"so\\"\ta\nx\\ty\\\\n\tb\n', "a.tsv", ['say "so"', "x\ty\\n"], 3),
        ('text,label\n"say \\"so\\", ok",a\nx\\, y,b\n', "a.csv", ['say "so", ok', "x, y"], 3),
        ("one\\ntwo\ta\nthree\\\nfour\\\tfive\tb\n\\N\ta\n", "a.txt", ["one\ntwo", "three\nfour\tfive"], 2),
    ],
)
def test_backslashes_are_undone_on_request_and_told_otherwise(
    write: Write, content: str, name: str, texts: list[str], line: int
) -> None:
    corpus, told = doubts(write(content, name), escape=True)
    assert (corpus.texts, corpus.labels, told) == (texts, ["a", "b"], [])
    assert "backslashes undone" in str(corpus.report)
    assert corpus.lines == [corpus.lines[0], line]
    kept, told = doubts(write("text\tlabel\n" + 'say \\"so\\"\ta\nno\tb\n' * 3, "a.tsv"))
    assert kept.texts[0] == 'say \\"so\\"'
    assert "3 of 6 texts have backslashes" in told[0]
    assert doubts(write("text\tlabel\n" + "no\tb\n" * 300 + 'say \\"so\\"\ta\n', "a.tsv"))[1] == []


def test_lines_that_all_end_in_backslashes_are_read_in_time_that_grows_with_them(write: Write) -> None:
    path = write("text\tlabel\n" + "good \\\n" * 100_000 + "bad\ta\n", "a.tsv")
    assert len(read_corpus(path, escape=True, quoting=False, on_error="skip").texts[0]) > 500_000


@pytest.mark.parametrize("above", ["客户评论汇总表,,\n", ",,\n", "\n,,\n", "Report,,\n2024,,\n"])
def test_a_title_above_the_header_is_left_out_and_told(write: Write, above: str) -> None:
    path = write(f"{above}编号,评论,标签\n1,好,a\n2,差,b\n")
    corpus, told = doubts(path)
    assert (pairs(corpus), corpus.report.layout.header) == ([("好", "a"), ("差", "b")], True)
    assert told == [f"{path}: line {above.count(chr(10)) + 1} is read as the header; the rows above are left out"]
    assert pairs(doubts(path, text="评论", label="标签")[0]) == pairs(corpus)


def test_headers_within_a_file_are_left_out_and_counted(write: Write) -> None:
    corpus = read_corpus(write("text,label\ngood,a\ntext,label\nbad,b\n"))
    assert pairs(corpus) == [("good", "a"), ("bad", "b")]
    assert "left out: repeated headers: 1" in str(corpus.report)


def test_empty_cells_at_the_end_of_a_row_may_be_too_many_or_missing(write: Write) -> None:
    assert pairs(read_corpus(write("text;label\ngood;a;;; \nbad;b\n"))) == [("good", "a"), ("bad", "b")]
    assert pairs(read_corpus(write("text,label,note\ngood,a\nbad,b,x\n"))) == [("good", "a"), ("bad", "b")]
    for row in ("good", "good,a,,x"):
        with pytest.raises(CorpusError, match="line 2: expected 2 fields as in the first row"):
            read_corpus(write(f"text,label\n{row}\n"))
    with pytest.raises(CorpusError, match="got only bad rows: 2"):
        read_corpus(write("text,label\ngood,x,a\nbad,x,b\n"), on_error="skip")


def test_a_json_list_in_a_cell_is_a_list_of_labels_where_there_may_be_several(write: Write) -> None:
    path = write('text,label\na,"[""price"",""service""]"\nb,price;food\nc,[x\n')
    assert read_corpus(path, label_separator=";").labels == [["price", "service"], ["price", "food"], ["[x"]]


@pytest.mark.parametrize(
    ("content", "name", "rows", "kind"),
    [
        ("体育\t球队赢了比赛\n财经\t股市今天上涨\n" * 5, "a.tsv", ("球队赢了比赛", "体育"), "lecture"),
        ("球队赢了比赛\t体育\n股市今天上涨\t财经\n" * 5, "a.csv", ("球队赢了比赛", "体育"), "lecture"),
        ("I like it __label__a\nI do not __label__b\n", "a.txt", ("I like it", "a"), "fasttext"),
        ("I like it\t__label__a\nI do not\t__label__b\n", "a.txt", ("I like it", "a"), "fasttext"),
        ("__label__a , I like it\n__label__b , no\n", "a.txt", ("I like it", "a"), "fasttext"),
        ("__label__a\u3000I like it\n__label__b\u3000no\n", "a.txt", ("I like it", "a"), "fasttext"),
        ('label, text\n"a", "I like it, yes"\n"b", "no, no"\n', "a.csv", ("I like it, yes", "a"), "csv"),
        (
            '{"columns": ["text", "label"], "index": [0], "data": [["I like it", "a"]]}\n',
            "a.jsonl",
            ("I like it", "a"),
            "json",
        ),
    ],
)
def test_layouts_that_are_found(write: Write, content: str, name: str, rows: tuple[str, str], kind: str) -> None:
    if kind == "lecture":
        texts = [content.replace("赢了", f"赢了{number}").replace("今天", f"{number}月") for number in range(5)]
        content, rows = "".join(texts), ("球队赢了0比赛", "体育")
    corpus = read_corpus(write(content, name))
    assert (pairs(corpus)[0], corpus.report.layout.format) == (rows, kind)


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("--\n-- PostgreSQL database dump\n--\n", "a.sql", "got an SQL dump"),
        ("+----+------+\n| id | text |\n+----+------+\n", "a.txt", "a table that is drawn with lines: export it"),
        ("┌────┬──────┐\n│ id │ text │\n", "a.txt", "a table that is drawn with lines"),
        (" id | text \n----+------\n  1 | good \n", "a.txt", "a table that is drawn with lines"),
        ("| text | label |\n|------|:-----:|\n| good | 1 |\n", "a.md", "a table that is drawn with lines"),
        ("<TR><TH>text</TH>\n", "a.html", "a web page: save the table as CSV"),
        ("('good', 1)\n('bad', 'x')\n", "a.txt", "tuples of Python: write them as CSV"),
        (
            '{"index": {"_id": 0}}\n{"text": "good"}\n',
            "a.json",
            "Elasticsearch's bulk rows: leave the action lines out",
        ),
        ("{'text': 'good', 'label': True}\n", "a.json", "in Python's notation: write it with json.dumps"),
        ("[{'text': 'good', 'label': True}]\n", "a.json", "in Python's notation: write it with json.dumps"),
        ('{"text": NaN, "label": 1}\n', "a.jsonl", "expected a string as 'text', got NaN; write null"),
        ("".join(f"{n}\ttext no. {n}\n" for n in range(9)), "a.txt", r"got numbers; .*--text-column 1 \(text=1\)$"),
    ],
)
def test_what_is_no_corpus_says_what_to_do_also_where_labels_are_not_needed(
    write: Write, content: str, name: str, message: str
) -> None:
    path = write(content, name)
    for read in (read_corpus, lambda path: list(iter_records(path))):
        with pytest.raises(CorpusError, match=message):
            read(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1 ||| good film\n0 ||| bad film\n", r"'\|\|\|' seems to separate its cells: make it a tab, such as with sed"),
        ("7_!_a_!_good\n8_!_b_!_bad\n", "'_!_' seems to separate its cells"),
        ("1 good film\n0 bad film\n" * 5, "begin with a label and a blank, make it a tab, such as with sed 's/ /"),
        ("Headline,Cat\ngood film,1\nbad film,0\n", r"if it is a table, say so: --input-format csv \(format='csv'\)$"),
        ('Headline;Cat\n"good; old film";1\nbad film;0\n', "if it is a table, say so"),
        ("good\nbad; old film\n", "got none of these$"),
    ],
)
def test_lines_without_a_known_label_say_how_to_make_a_table(write: Write, content: str, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        read_corpus(write(content, "a.txt"))


SEEMS = "its lines look like a table and are read as texts; if it is one, say so: --input-format csv (format='csv')"


@pytest.mark.parametrize(
    ("content", "doubts"),
    [
        ("Headline,Cat\ngood film,1\nbad film,0\n", [SEEMS]),
        ('Headline;Cat\n"good; old film";new\n"bad film";old\n', [SEEMS]),
        ("Headline,Cat\ngood film,1\n", []),
        ("a bright moon, by my bed\nis it frost, on the ground\n" * 9, []),
        ('he said "no, thanks", then\nshe left, without a word\n', []),
        ("1,2\n3,4\n5,6\n", []),
    ],
)
def test_a_stream_that_looks_like_a_table_is_doubted_where_it_is_read_as_lines(content: str, doubts: list[str]) -> None:
    """The name of a file ends in .csv; what comes from a pipe has no name."""
    for read, report in ((iter_records, CorpusReport()), (iter_pairs, PairReport())):
        more: Any = {} if read is iter_records else {"need_target": False}
        found = list(read(io.BytesIO(content.encode()), report=report, **more))  # type: ignore[arg-type]
        assert (len(found), report.layout.format) == (content.count("\n"), "lines")
        assert report.doubts == doubts
        rest = iter_records(io.BytesIO(content.encode()), format="lines", report=(asked := CorpusReport()))
        assert list(rest)
        assert not asked.doubts


def test_numbers_in_front_of_texts_to_translate_name_the_column_of_sources() -> None:
    content = "".join(f"{n}\ttext no. {n}\n" for n in range(9)).encode()
    with pytest.raises(CorpusError, match=r"got numbers; say where .*: --source-column 1 \(source=1\)$"):
        list(iter_pairs(io.BytesIO(content), need_target=False))
    assert [pair.source for pair in iter_pairs(io.BytesIO(content), "1", need_target=False)][:1] == ["text no. 0"]


def test_a_folder_says_how_to_make_a_file(write: Write) -> None:
    folder = str(Path(write("x")).parent)
    with pytest.raises(CorpusError, match="got a directory; if it has a folder for each class, write a file of lines"):
        read_corpus(folder)
