"""From bytes to rows: opening a source, its encoding, its layout, and what is one row of it.

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
import contextlib
import csv
import functools
import io
import itertools
import os
import re
import stat
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, cast

from textnn.reading import printable
from textnn.text.charset import recognise
from textnn.text.documents import is_table, json_lines, json_rows
from textnn.text.doubts import Watch
from textnn.text.escapes import HIDDEN_BREAK, hide_escapes, show_escapes
from textnn.text.layout import AS_TABLE, CorpusReport, Layout, find_layout, looks_like_table

Source = str | os.PathLike[str] | IO[Any]
"""A path, "-" for standard input, or an open stream of bytes or text."""

Cells = list[str] | dict[str, Any]
"""The cells of a row as they stand there; by name where JSON names them."""

Row = tuple[int, Cells]
"""The line where a row begins, from 1, and its cells."""

SAMPLE_SIZE = 1 << 16
LONGEST_LINE = 1 << 25
"""Characters in a line at most, and in a row of a table. A file without line breaks would else be read whole."""
MAX_FIELD = 1 << 24
"""Characters in one cell of a table at most."""
MAX_LINES = 100_000
"""Lines of a row of a table at most. A quote that is never closed would else swallow a file of any size."""

_BAD_BYTE = re.compile("[\udc80-\udcff]")
_EXCEL = "an Excel workbook: save it as CSV UTF-8"
_FOREIGN = {
    b"PK\x03\x04": "a ZIP archive (unpack it first)",
    b"\x1f\x8b": "a gzip archive (unpack it first)",
    b"BZh": "a bzip2 archive (unpack it first)",
    b"\xfd7zXZ": "an xz archive (unpack it first)",
    b"\x28\xb5\x2f\xfd": "a zstd archive (unpack it first)",
    b"\xd0\xcf\x11\xe0": f"{_EXCEL} (or another document of Microsoft Office)",
    b"PAR1": "Parquet: write it as CSV, such as with pandas.read_parquet(...).to_csv(...)",
    b"ARROW1": "an Arrow file: write it as CSV",
    b"SQLite format 3\0": "an SQLite database: export the table as CSV",
    b"%PDF": "a PDF: write its texts as CSV",
    b"\x89HDF": "an HDF5 file: write it as CSV",
    b"\x80\x04\x95": "a pickle: write it as CSV",
    b"\x80\x05\x95": "a pickle: write it as CSV",
}


class CorpusError(ValueError):
    """A corpus that cannot be read: the message is "FILE, line N: expected ..., got ...".

    Examples
    --------
    >>> import io
    >>> from textnn.text import read_corpus
    >>> read_corpus(io.BytesIO(b"text,label\\ngood,1,2\\n"), format="csv")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    textnn.text.sources.CorpusError: stream, line 2: expected 2 fields as in the first row, got 3; ...
    """


class EmptyFileError(CorpusError):
    """A corpus without a single character."""


class Reading:
    """A source that is being read: its rows, the report to fill, and what is done about a bad row.

    ``unit`` is what the numbers of rows count: lines, or rows of JSON.
    """

    def __init__(self, report: CorpusReport, skips: bool) -> None:
        self.report, self.skips = report, skips
        self.unit, self.expected, self.advice = "line", "text", ""
        self.rows: Iterator[Row] = iter(())
        self.watch = Watch(None, 0, None, bool(report.layout.escape))

    def error(self, line: int, message: str) -> CorpusError:
        """Make the error for a line, counted from 1; what the message quotes of the file is cut and made printable."""
        return CorpusError(f"{self.report.source}, {self.unit} {line}: {printable(message)}")

    def refuse(self, line: int, message: str) -> None:
        """Raise the error of a row, or count it where bad rows are left out."""
        if not self.skips:
            raise self.error(line, f"{message}; --on-error skip (on_error='skip') leaves out such rows")
        error = self.error(line, message)
        self.report.bad_rows += 1
        if len(self.report.problems) < 5:
            self.report.problems.append(str(error))

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
def open_rows(source: Source, asked: Layout, skip: bool, labelled: bool, report: CorpusReport) -> Iterator[Reading]:
    """Open a source for reading its rows once; a stream is left open.

    ``asked`` is what the user asks for, checked; ``labelled`` says whether labels are needed; ``report`` is filled on
    the way. :class:`CorpusError` is raised if there is no such file or it is evidently no text, and while its rows are
    read, if one is not as expected.
    """
    report.layout, reading, suffix = asked, Reading(report, skip), ""
    opened: contextlib.AbstractContextManager[Any]
    if isinstance(source, str | os.PathLike) and str(source) != "-":
        report.source, suffix = os.fspath(source), Path(source).suffix.lower()
        opened = _open_file(Path(source), report.source)
    else:
        stream: Any = sys.stdin if isinstance(source, str | os.PathLike) else source
        if stream is None:
            raise CorpusError("standard input: expected text, but it is closed")
        if not hasattr(stream, "read"):
            raise TypeError(f"path: expected a path, '-' or an open stream, got {type(stream).__name__}")
        report.source = "standard input" if stream is sys.stdin else str(getattr(stream, "name", "stream"))
        opened = contextlib.nullcontext(getattr(stream, "buffer", stream))
    with opened as stream:
        text = _decoded(stream, reading)
        lines, head = _lines(text, reading), list[str]()
        for line in lines:
            head.append(line)
            # The first lines tell how the file is laid out; a thousand blank ones are enough.
            if sum(map(len, head)) > SAMPLE_SIZE or len(head) >= (100 if any(map(str.strip, head)) else 1000):
                break
        report.layout = find_layout(report.layout, head, suffix, labelled, reading.error, report.texts)
        if (asked.format, report.layout.format) == (None, "lines") and looks_like_table(head):
            report.doubts.append(f"its lines look like a table and are read as texts; if it is one, say so: {AS_TABLE}")
        if report.layout.format == "json" and not is_table(next(filter(str.strip, head), "")):
            report.layout = replace(report.layout, format="jsonl")
        alone = len(head) == 1 and re.fullmatch(r"\s*\{.*\}\s*", head[0])  # an object that may be a table
        if (asked.format, report.layout.format) == (None, "jsonl") and alone and is_table(head[0]):
            report.layout = replace(report.layout, format="json")
        reading.rows = _READERS[str(report.layout.format)](itertools.chain(head, lines), reading)
        yield reading


# ---- bytes to lines --------------------------------------------------------------------------------------------------


def _open_file(path: Path, name: str) -> IO[bytes]:
    if path.is_dir():
        way = (
            'if it has a folder for each class, write a file of lines such as {"text": ..., "label": "FOLDER"}, .jsonl'
        )
        raise CorpusError(f"{name}: expected a file, got a directory; {way}")
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise CorpusError(f"{name}: expected a file, but there is none of this name") from None
    except (OSError, ValueError) as error:
        raise CorpusError(f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _decoded(stream: IO[Any], reading: Reading) -> io.TextIOBase:
    """Return the text of a stream, once its first bytes are those of a text in a known encoding."""
    report, asked = reading.report, reading.report.layout
    if isinstance(stream, io.TextIOBase):
        report.layout = replace(asked, encoding="decoded")
        return cast(io.TextIOBase, stream)
    head = _read(stream, SAMPLE_SIZE)
    for mark, what in _FOREIGN.items():
        if head.startswith(mark):
            workbook = b"[Content_Types].xml" in head or b"oasis.opendocument.spreadsheet" in head
            raise CorpusError(f"{report.source}, line 1: expected text, got {_EXCEL if workbook else what}")
    name = codecs.lookup(asked.encoding).name if asked.encoding else None
    if name is None:
        found = recognise(*_sample(stream, head))
        if found.encoding is None and asked.encoding_errors == "strict":
            raise CorpusError(f"{report.source}: {found.refusal()}")
        name = found.encoding or "utf-8"
        reading.advice = "; if the file has another encoding, name it"
    # GB18030 has all that GBK and GB2312 have, and what is called these often has more.
    name = "gb18030" if name in ("gbk", "gb2312") else name
    report.layout = replace(asked, encoding=name)
    reading.expected = f"{name} text"
    reading.advice += "; --encoding-errors replace reads such bytes as U+FFFD"
    wide = name.startswith(("utf-16", "utf-32")) and asked.encoding_errors == "replace"
    whole = io.BufferedReader(_Chain(head, stream), SAMPLE_SIZE)
    return io.TextIOWrapper(whole, name, errors="replace" if wide else "surrogateescape", newline="")


def _sample(stream: IO[bytes], head: bytes) -> tuple[bytes, bool]:
    """Return bytes that tell the encoding, the first that are not ASCII among them, and whether the file ends there."""
    sample, ended = head, len(head) < SAMPLE_SIZE
    try:
        # A device such as /dev/zero has no end; what has no descriptor is in memory.
        again = stream.seekable() and stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (OSError, AttributeError, ValueError):
        again = True
    if again:
        start = stream.tell()
        while sample.isascii() and not ended:
            sample = _read(stream, SAMPLE_SIZE)
            ended = len(sample) < SAMPLE_SIZE
        stream.seek(start)
    return sample, ended


def _read(stream: IO[bytes], size: int) -> bytes:
    """Read ``size`` bytes, fewer only at the end; an unbuffered pipe gives less at a time."""
    parts = []
    while size > 0 and (part := stream.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


class _Chain(io.RawIOBase):
    """Bytes that have been read already, then the rest of their stream, which stays open."""

    def __init__(self, head: bytes, stream: IO[bytes]) -> None:
        self._head, self._stream = io.BytesIO(head), stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        # read1 hands over what a pipe holds now; read would wait until it holds all.
        rest = getattr(self._stream, "read1", self._stream.read)
        part = self._head.read(len(buffer)) or rest(len(buffer))
        buffer[: len(part)] = part
        return len(part)


def _lines(text: io.TextIOBase, reading: Reading) -> Iterator[str]:
    """Yield lines with their endings, checked."""
    report, number = reading.report, 0
    replaces = report.layout.encoding_errors == "replace"
    next_line = functools.partial(text.readline, LONGEST_LINE + 1)
    try:
        line = next_line().removeprefix("\ufeff")
        if not line:
            raise EmptyFileError(f"{report.source}, line 1: expected text, but the file is empty")
        while line:
            number += 1
            if len(line) > LONGEST_LINE:
                raise reading.error(number, f"expected lines of at most {LONGEST_LINE:,} characters, got a longer one")
            if replaces and not line.isascii():
                line, count = _BAD_BYTE.subn("\ufffd", line)
                report.replaced += count or (line.count("\ufffd") if text.errors == "replace" else 0)
            if not reading.skips and (wrong := reading.bad_text(line)):
                raise reading.error(number, wrong)
            yield line
            line = next_line()
    except CorpusError:
        raise
    except (OSError, ValueError) as error:
        what = f"cannot be read: {getattr(error, 'strerror', None) or error}"
        if isinstance(error, UnicodeError):
            what = f"expected {reading.expected}, got other bytes ({error!s:.200})"
        raise CorpusError(f"{report.source}, after line {number}: {what}") from error


# ---- lines to rows ---------------------------------------------------------------------------------------------------


def table_rows(lines: Iterator[str], reading: Reading) -> Iterator[Row]:
    """Yield the rows of a table.

    A quote that is never closed takes in sound rows. Where bad rows are left out, only the line where it opens is: the
    lines below come again, each as a row by itself, but for the last one, which shows the error and may begin a row of
    several lines. So no line is read more than three times.
    """
    layout, number, first = reading.report.layout, 0, True
    again, taken = deque[str](), list[str]()  # lines to be read again, and those of the row that is being read
    alone = 0  # so many of the next lines are rows by themselves
    # The limit belongs to the whole process: it is only ever raised.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_FIELD))
    quoting: Any = csv.QUOTE_MINIMAL if layout.quoting else csv.QUOTE_NONE
    if layout.escape:
        lines = hide_escapes(lines)
    parse = functools.partial(csv.reader, delimiter=str(layout.delimiter), strict=True, quoting=quoting)
    start_of = list(itertools.islice(lines, 3))
    lines = itertools.chain(start_of, lines)
    if layout.quoting and all(f'{layout.delimiter} "' in line for line in start_of[1:]):
        # Blanks before a cell in quotes, as in a, "b, c".
        cells_of = csv.reader(start_of[1:], delimiter=str(layout.delimiter))
        spaced = [any(cell.startswith(' "') for cell in cells) for cells in cells_of]
        parse = functools.partial(parse, skipinitialspace=bool(spaced) and all(spaced))

    def feed() -> Iterator[str]:
        size = 0
        while again:
            taken.append(again.popleft())
            yield taken[-1]
        for line in lines:
            taken.append(line)
            size = size + len(line) if len(taken) > 1 else len(line)
            if size > LONGEST_LINE or len(taken) > MAX_LINES:
                raise csv.Error("row larger than limit")
            yield line

    while True:
        source = itertools.islice(feed(), 1) if alone else feed()
        try:
            for cells in parse(source):
                start, number = number + 1, number + len(taken)
                if layout.escape:
                    number += sum(line.count(HIDDEN_BREAK) for line in taken)
                    cells = list(map(show_escapes, cells))
                taken.clear()
                if not cells or (len(cells) == 1 and not cells[0].strip()):
                    reading.report.blank_lines += 1
                    continue
                if not (first and re.fullmatch("sep=.?", cells[0].strip()) and not any(cells[1:])):
                    yield start, cells
                first = False
            if not alone:
                return
            alone -= 1
        except csv.Error as error:
            number += 1
            reading.refuse(number, _explain(error, str(layout.delimiter)))
            alone = max(alone - 1, len(taken) - 2, 0)
            again.extend(taken[1:])
            taken.clear()


def _explain(error: csv.Error, delimiter: str) -> str:
    """Say what csv's short messages mean for the file."""
    name = {"\t": "tab", ",": "comma", ";": "semicolon"}.get(delimiter, repr(delimiter))
    unclosed = "in the row that begins here; is a quote not closed?"
    meanings = {
        "unexpected end of data": "a closing quote for a field of the row that begins here, got the end of the file",
        "field larger": f"fields of at most {csv.field_size_limit():,} characters, got a longer one {unclosed}",
        "row larger": f"rows of at most {MAX_LINES:,} lines and {LONGEST_LINE:,} characters, got more {unclosed}",
        "expected after": f"a {name} or the end of the line after a closing quote, got other text; "
        "quotes within a quoted field are doubled",
    }
    meaning = next((meaning for part, meaning in meanings.items() if part in str(error)), None)
    if meaning is None:
        return f"expected rows of fields separated by a {name}, got: {error}"
    return f"expected {meaning}; where quotes are a part of the texts, read it with quoting=False (option --no-quoting)"


def _plain(lines: Iterator[str], reading: Reading) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        if reading.report.layout.format == "fasttext" and not line.strip():
            reading.report.blank_lines += 1
        else:
            yield number, [line.rstrip("\r\n")]


_READERS = {
    **dict.fromkeys(("csv", "tsv", "lecture"), table_rows),
    **dict.fromkeys(("fasttext", "lines"), _plain),
    "jsonl": json_lines,
    "json": json_rows,
}
