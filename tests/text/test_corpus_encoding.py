"""The encoding of a corpus: found, or as named; bytes that are no text are refused with their line."""

from __future__ import annotations

import pytest

from textnn.text import CorpusError, CorpusReport, iter_records, read_corpus

CHINESE = "质量很好，下次还买"


@pytest.mark.parametrize("rows", [1, 5_000], ids=["small", "large"])
@pytest.mark.parametrize("head", ["", "x\n" * 100_000], ids=["", "ascii-first"])
@pytest.mark.parametrize(
    ("encoding", "found"), [("utf-8", "utf-8"), ("utf-8-sig", "utf-8"), ("gb18030", "gb18030"), ("gbk", "gb18030")]
)
def test_encoding_is_found(write, encoding, found, head, rows):
    content = head.replace("x", "1,x") + f"1,{CHINESE}\n" * rows
    report = CorpusReport()
    path = write(("label,text\n" + content).encode(encoding))
    assert [r.text for r in iter_records(path, report=report)][-1] == CHINESE
    assert report.layout.encoding == found


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-16-le", "big5"])
def test_encoding_as_named(write, encoding):
    content = "label,text\n1,很好\n"
    assert read_corpus(write(content.encode(encoding)), encoding=encoding).texts == ["很好"]


def test_byte_order_mark_is_no_part_of_the_first_name(write):
    path = write(b"\xef\xbb\xbftext,label\na,1\n")
    for encoding in (None, "utf-8", "utf-8-sig"):
        assert read_corpus(path, text="text", encoding=encoding).texts == ["a"], encoding


@pytest.mark.parametrize("encoding", ["no-such", "hex", ""])
def test_unknown_encoding(write, encoding):
    with pytest.raises(ValueError, match="encoding: expected a text encoding"):
        read_corpus(write("label,text\n1,a\n"), encoding=encoding)


def test_damaged_utf8_is_not_taken_for_gb18030(write):
    lines = [f"1,{CHINESE}\n".encode()] * 5_000
    lines[3210] = b"1,\xb5\xc4\xff\n"
    with pytest.raises(CorpusError, match=r"reviews.csv, line 3212: expected utf-8 text, got the byte 0xb5"):
        read_corpus(write(b"label,text\n" + b"".join(lines)))


def test_a_damaged_file_that_gb18030_would_accept(write):
    content = ("label,text\n1," + "好" * 9).encode() + b"\xb5\n"
    assert content.decode("gb18030"), "the case is of that kind"
    with pytest.raises(CorpusError, match=r"line 2: expected utf-8 text, got the byte 0xb5"):
        read_corpus(write(content))


def test_records_before_a_bad_byte_are_handed_out(write):
    lines = [f"1,{CHINESE}\n".encode()] * 10_000 + [b"1,\xff\n"]
    records = iter_records(write(b"label,text\n" + b"".join(lines)))
    assert next(records).text == CHINESE
    with pytest.raises(CorpusError, match=r"line 10002: .* got the byte 0xff at character 3"):
        list(records)


@pytest.mark.parametrize(
    ("content", "encoding", "message"),
    [
        ("label,text\n1,a\n".encode("utf-16-le"), "utf-8", r"line 1: .* got a NUL byte; .* such as UTF-16"),
        (b"label,text\n1,a\n1,a\0b\n", None, r"line 3: .* got a NUL byte"),
        (b"PK\x03\x04...", None, r"line 1: .* got a ZIP archive \(unpack it first\)"),
        (b"\x1f\x8b...", None, r"line 1: .* got a gzip archive"),
        ("label,text\n1,好的\n".encode("gb18030"), "utf-8", r"line 2: expected utf-8 text, got the byte 0xba"),
        (
            b"label,text\n1,caf\xe9,\n",
            None,
            r"expected UTF-8.*looks like cp1252 \(Western, Windows\); if it is, name it \(option --encoding cp1252\)",
        ),
        (b"label,text\n1,\xff\xff\n", "gb18030", r"line 2: expected gb18030 text, got the byte 0xff"),
        ("label,text\n1,很好\n".encode()[:-3], None, r"line 2: .* got the byte 0xe5"),
        ("label,text\n1,好\n".encode("utf-16")[:-1], "utf-16", r"after line \d: expected utf-16 text, got other bytes"),
    ],
)
def test_what_is_not_text_is_refused(write, content, encoding, message):
    with pytest.raises(CorpusError, match="reviews.csv(, |: )" + message):
        read_corpus(write(content), encoding=encoding)
