"""From bytes to rows: opening a source, its encoding, its format, and what is one row of it.

    path, "-" or stream -> what is no text refused -> encoding (``charset``) -> lines -> Layout -> rows: (line, cells)

==========  ==================================================================================================
csv, tsv    tables with quoted cells, which may hold line breaks; CSV is separated by commas, semicolons, tabs or |
jsonl       one JSON object a line
json        an array of objects, read as a stream; or one object as pandas writes it, by columns or by rows
lecture     two columns and a tab between them, no header, no quotes
fasttext    words, of which those that begin with ``__label__`` are labels, as fastText reads them
lines       one text a line, no labels
==========  ==================================================================================================

All but an object of JSON is read in constant memory. Bytes that do not fit the encoding are decoded to marks (Python's
"surrogateescape"): a decoder works on blocks and would complain thousands of lines early, the mark sits where the byte
was.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import os
import re
import stat
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from textnn.reading import printable
from textnn.text.charset import recognise
from textnn.text.documents import json_lines, json_rows
from textnn.text.layout import Layout, Row, find_format, is_quoted

Source = str | os.PathLike[str] | IO[Any]
"""A path, "-" for standard input, or an open stream of bytes or text."""

SAMPLE_SIZE = 1 << 16
LONGEST_LINE = 1 << 25
"""Characters in a line at most. A file without line breaks would else be read into memory whole."""
MAX_FIELD = 1 << 24
"""Characters in one cell of a table at most. A quote that is never closed would else swallow a file of any size."""

_BAD_BYTE = re.compile("[\udc80-\udcff]")
_EXCEL = "an Excel workbook: save it as CSV UTF-8"
_FOREIGN = (
    (b"PK\x03\x04", "a ZIP archive (unpack it first)"),
    (b"\x1f\x8b", "a gzip archive (unpack it first)"),
    (b"BZh", "a bzip2 archive (unpack it first)"),
    (b"\xfd7zXZ", "an xz archive (unpack it first)"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive (unpack it first)"),
    (b"\xd0\xcf\x11\xe0", f"{_EXCEL} (or another document of Microsoft Office)"),
    (b"PAR1", "Parquet: write it as CSV, such as with pandas.read_parquet(...).to_csv(...)"),
    (b"ARROW1", "an Arrow file: write it as CSV"),
    (b"SQLite format 3\0", "an SQLite database: export the table as CSV"),
    (b"%PDF", "a PDF: write its texts as CSV"),
    (b"\x89HDF", "an HDF5 file: write it as CSV"),
    (b"\x80\x04\x95", "a pickle: write it as CSV"),
    (b"\x80\x05\x95", "a pickle: write it as CSV"),
)


class CorpusError(ValueError):
    """A corpus that cannot be read: the message is "FILE, line N: expected ..., got ..."."""


class Reading:
    """A source that is being read: what is known of it, and what is done about a bad row.

    Attributes
    ----------
    name, suffix
        The file's path as given, or a name for the stream; and its ending.
    layout
        What was found.
    head, rows
        The first lines, for who has to find out more, and all rows.
    unit
        What the numbers of rows count: lines, or rows of JSON.
    blank_lines, replaced, bad, problems
        Blank lines so far, bytes that were replaced, bad rows that were left out, and the messages of the first ones.
    """

    def __init__(self, name: str, suffix: str, layout: Layout, skip: bool) -> None:
        self.name, self.suffix, self.layout = name, suffix, layout
        self.head: list[str] = []
        self.blank_lines = self.replaced = self.bad = 0
        self.problems: list[str] = []
        self.skips = skip
        self.expected, self.advice, self.unit = "", "", "line"
        self.rows: Iterator[Row] = iter(())

    def error(self, line: int, message: str) -> CorpusError:
        """Make the error for a line, counted from 1; what the message quotes of the file is cut and made printable."""
        return CorpusError(f"{self.name}, {self.unit} {line}: {printable(message)}")

    def refuse(self, line: int, message: str) -> None:
        """Raise the error of a row, or count it where bad rows are left out."""
        error = self.error(line, message)
        if not self.skips:
            raise error
        self.bad += 1
        if len(self.problems) < 5:
            self.problems.append(str(error))

    def bad_text(self, text: str) -> str | None:
        """Return what is wrong with some text, or None."""
        if "\0" in text:
            damage = "the file is damaged, not text, or in another encoding such as UTF-16"
            return f"expected {self.expected}, got a NUL byte; {damage}"
        if not text.isascii() and (found := _BAD_BYTE.search(text)):
            byte = f"the byte 0x{ord(found[0]) - 0xDC00:02x} at character {found.start() + 1}"
            return f"expected {self.expected}, got {byte}{self.advice}"
        return None


@contextmanager
def open_rows(source: Source, asked: Layout, names: Collection[str], skip: bool, labelled: bool) -> Iterator[Reading]:
    """Open a source for reading its rows once.

    Parameters
    ----------
    source
        A path, ``"-"`` for standard input, or a stream of bytes or text; a stream is left open.
    asked
        What the user asks for, checked.
    names
        The names of columns that show a header, in lower case.
    skip
        Whether bad rows are left out and counted.
    labelled
        Whether labels are needed.

    Raises
    ------
    CorpusError
        If there is no such file, it cannot be read, or is evidently no text; while its rows are read, if one is not as
        expected.
    TypeError
        If ``source`` is none.
    """
    if isinstance(source, str | os.PathLike) and str(source) != "-":
        name = os.fspath(source)
        with _open_file(name) as file:
            yield _start(file, Reading(name, Path(name).suffix.lower(), Layout(**vars(asked)), skip), names, labelled)
        return
    stream: Any = sys.stdin if isinstance(source, str | os.PathLike) else source
    if stream is None:
        raise CorpusError("standard input: expected text, but it is closed")
    if not hasattr(stream, "read"):
        raise TypeError(f"path: expected a path, '-' or an open stream, got {type(stream).__name__}")
    name = "standard input" if stream is sys.stdin else str(getattr(stream, "name", "stream"))
    yield _start(getattr(stream, "buffer", stream), Reading(name, "", Layout(**vars(asked)), skip), names, labelled)


def _open_file(name: str) -> IO[bytes]:
    path = Path(name)
    if path.is_dir():
        raise CorpusError(f"{name}: expected a file, got a directory")
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise CorpusError(f"{name}: expected a file, but there is none of this name") from None
    except (OSError, ValueError) as error:
        raise CorpusError(f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _start(stream: IO[Any], reading: Reading, names: Collection[str], labelled: bool) -> Reading:
    """Find encoding, format and delimiter, and get the rows ready."""
    layout = reading.layout
    if isinstance(stream, io.TextIOBase):
        text, layout.encoding = cast(IO[str], stream), "decoded"
        reading.expected = "text"
    else:
        text = _decoded(stream, reading)
    lines = _lines(text, reading)
    first = ""
    for line in lines:
        reading.head.append(line)
        first = first or (line if line.strip() else "")
        # The first lines tell how the file is laid out; a thousand blank ones are enough.
        if sum(map(len, reading.head)) > SAMPLE_SIZE or len(reading.head) >= (100 if first else 1000):
            break
    find_format(layout, reading.head, reading.suffix, names, labelled, reading.error)
    reading.rows = _READERS[str(layout.format)](itertools.chain(reading.head, lines), reading, names)
    return reading


def _decoded(stream: IO[bytes], reading: Reading) -> IO[str]:
    layout, head = reading.layout, _read(stream, SAMPLE_SIZE)
    for mark, meaning in _FOREIGN:
        if head.startswith(mark):
            what = _EXCEL if b"[Content_Types].xml" in head or b"oasis.opendocument.spreadsheet" in head else meaning
            raise CorpusError(f"{reading.name}, line 1: expected text, got {what}")
    asked, found = layout.encoding, None
    if asked is None:
        sample, ended = head, len(head) < SAMPLE_SIZE
        if _is_regular(stream):
            start = stream.tell()
            while sample.isascii() and not ended:
                sample = _read(stream, SAMPLE_SIZE)
                ended = len(sample) < SAMPLE_SIZE
            stream.seek(start)
        found = recognise(sample, ended)
        if found.encoding is None and layout.encoding_errors == "strict":
            raise CorpusError(f"{reading.name}: {found.refusal()}")
    # GB18030 has all that GBK and GB2312 have, and what is called these often has more.
    name = (found.encoding or "utf-8") if found else codecs.lookup(str(asked)).name
    layout.encoding = {"gbk": "gb18030", "gb2312": "gb18030"}.get(name, name)
    reading.expected = f"{layout.encoding} text"
    reading.advice = "; if the file has another encoding, name it" if asked is None else ""
    reading.advice += "; --encoding-errors replace reads such bytes as U+FFFD"
    wide = layout.encoding.startswith(("utf-16", "utf-32", "utf_16", "utf_32")) and layout.encoding_errors == "replace"
    return io.TextIOWrapper(
        io.BufferedReader(_Chain(head, stream), SAMPLE_SIZE),
        encoding=layout.encoding,
        errors="replace" if wide else "surrogateescape",
        newline="",
    )


def _is_regular(stream: IO[bytes]) -> bool:
    """Whether a stream can be read to its end and then again: a device such as /dev/zero has none."""
    if not stream.seekable():
        return False
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (OSError, AttributeError, ValueError):  # in memory
        return True


def _read(stream: IO[bytes], size: int) -> bytes:
    """Read ``size`` bytes, fewer only at the end; an unbuffered pipe gives less at a time."""
    parts = []
    while size > 0 and (part := stream.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _lines(text: IO[str], reading: Reading) -> Iterator[str]:
    """Yield lines with their endings, checked."""
    number, replaces = 0, reading.layout.encoding_errors == "replace"
    while True:
        try:
            line = text.readline(LONGEST_LINE + 1)
        except UnicodeError as error:
            message = f"{reading.name}, after line {number}: expected {reading.expected}, got other bytes"
            raise CorpusError(f"{message} ({error!s:.200})") from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise CorpusError(f"{reading.name}, after line {number}: cannot be read: {reason}") from error
        if number == 0 and not (line := line.removeprefix("\ufeff")):
            raise CorpusError(f"{reading.name}, line 1: expected text, but the file is empty")
        if not line:
            return
        number += 1
        if len(line) > LONGEST_LINE:
            longest = f"expected lines of at most {LONGEST_LINE:,} characters, got a longer one"
            raise CorpusError(f"{reading.name}, line {number}: {longest}")
        if replaces and not line.isascii():
            line, count = _BAD_BYTE.subn("\ufffd", line)
            reading.replaced += count or (line.count("\ufffd") if reading.expected.startswith("utf-16") else 0)
        if not reading.skips and (wrong := reading.bad_text(line)):
            raise reading.error(number, wrong)
        yield line


def _table(lines: Iterator[str], reading: Reading, names: Collection[str]) -> Iterator[Row]:
    layout = reading.layout
    delimiter = str(layout.delimiter)
    if layout.quoting is None:
        layout.quoting = layout.format != "lecture" and (delimiter != "\t" or is_quoted(reading.head))
    # The limit belongs to the whole process: it is only ever raised.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_FIELD))
    quoting: Any = csv.QUOTE_MINIMAL if layout.quoting else csv.QUOTE_NONE
    table = csv.reader(lines, delimiter=delimiter, strict=True, quoting=quoting)
    first = True
    while True:
        start = table.line_num + 1
        try:
            cells = next(table, None)
        except csv.Error as error:
            reading.refuse(start, _explain(error, delimiter))
            continue
        if cells is None:
            return
        if first and cells and re.fullmatch(r"\ufeff?sep=.?", cells[0].strip()) and not any(cells[1:]):
            continue  # a line for spreadsheets, not for us
        if not cells or (len(cells) == 1 and not cells[0].strip()):
            reading.blank_lines += 1
        else:
            first = False
            yield start, cells


def _explain(error: csv.Error, delimiter: str) -> str:
    """Say what csv's short messages mean for the file."""
    message, name = str(error), {"\t": "tab", ",": "comma", ";": "semicolon"}.get(delimiter, repr(delimiter))
    advice = "; where quotes are a part of the texts, read it with quoting=False (option --no-quoting)"
    if "unexpected end of data" in message:
        return f"expected a closing quote for a field of the row that begins here, got the end of the file{advice}"
    if "field larger" in message:
        return (
            f"expected fields of at most {csv.field_size_limit():,} characters, got a longer one in the row that "
            f"begins here; is a quote not closed?{advice}"
        )
    if "expected after" in message:
        return (
            f"expected a {name} or the end of the line after a closing quote, got other text; "
            f"quotes within a quoted field are doubled{advice}"
        )
    return f"expected rows of fields separated by a {name}, got: {message}"


def _plain(lines: Iterator[str], reading: Reading, names: Collection[str]) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        if reading.layout.format == "fasttext" and not line.strip():
            reading.blank_lines += 1
        else:
            yield number, [line.rstrip("\r\n")]


class _Chain(io.RawIOBase):
    """Bytes that have been read already, then the rest of their stream, which stays open."""

    def __init__(self, head: bytes, stream: IO[bytes]) -> None:
        self._head = memoryview(head)
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = len(buffer)
        part: Any = self._head[:size]
        if part:
            self._head = self._head[size:]
        else:
            # read1 hands over what a pipe holds now; read would wait until it holds all.
            part = getattr(self._stream, "read1", self._stream.read)(size)
        buffer[: len(part)] = part
        return len(part)


_READERS = {
    **dict.fromkeys(("csv", "tsv", "lecture"), _table),
    **dict.fromkeys(("fasttext", "lines"), _plain),
    "jsonl": json_lines,
    "json": json_rows,
}
