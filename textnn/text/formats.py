"""The formats of corpora: from lines to records.

==========  ==================================================================================================
csv, tsv    tables with quoted fields, which may hold line breaks; with or without a header. CSV may be separated by
            semicolons
jsonl       one JSON object a line
lecture     ``text<TAB>label``, no header, no quotes; the label may be missing where none is needed
fasttext    words, of which those that begin with ``__label__`` are labels, as fastText reads them
lines       one text a line, no labels
==========  ==================================================================================================

Each reader takes checked lines and yields records, in constant memory:

    lines -> rows -> columns found in the first one (``columns``) -> Record(line, text, label, row)

A text has one label, or a list of them: that is how a cell is split at a separator, and what a list in JSON is.
"""

from __future__ import annotations

import csv
import itertools
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from textnn.text.columns import MAX_COLUMNS, Column, find_columns, find_delimiter
from textnn.text.sources import CorpusError, Lines

MAX_FIELD = 1 << 24
"""Characters in one field of a table at most. A quote that is never closed would else swallow a file of any size."""

LABEL_PREFIX = "__label__"
_SPACE = " \t\v\f\r\n"  # where fastText's own reader splits words (dictionary.cc, readWord)
_PREFIXED = re.compile(f"(?<![^{_SPACE}]){LABEL_PREFIX}([^{_SPACE}]*)[{_SPACE}]*")

Label = str | list[str]


class Record(NamedTuple):
    """One text of a corpus.

    Attributes
    ----------
    line
        Number of the line, from 1, where the record begins.
    text
        The text as it stands there.
    label
        The label, without surrounding white space; None if there is none. Where a text may have several: the list of
        its different labels, which may be empty.
    row
        The whole row: by names if the file has them, else the list of cells.
    """

    line: int
    text: str
    label: Label | None
    row: dict[str, Any] | list[str]


@dataclass
class CorpusReport:
    """What was read of a corpus and what was left out; filled while it is read.

    Attributes
    ----------
    source, format, encoding
        The file's name, its format and its encoding, as given or as found.
    delimiter
        What separates the columns of a table; empty where there are none.
    header
        Whether the first row has the columns' names; None where a format has no such row.
    text_column, label_column
        Names, or numbers from 0; None if not known yet, or not in this file. In fastText's format the label's is its
        prefix.
    several
        Whether a text may have several labels; None before the first label, and where none is needed.
    rows
        Rows of the file without its header and, but in the format "lines", without its blank lines.
    kept
        Rows that were handed on.
    blank_lines, empty_texts, missing_labels
        What was left out, by its reason. A row without text and label counts as an empty text.
    """

    source: str = ""
    format: str = ""
    encoding: str = ""
    delimiter: str = ""
    header: bool | None = None
    text_column: Column | None = None
    label_column: Column | None = None
    several: bool | None = None
    rows: int = 0
    kept: int = 0
    blank_lines: int = 0
    empty_texts: int = 0
    missing_labels: int = 0

    @property
    def skipped(self) -> dict[str, int]:
        """What was left out and why, without the reasons that did not occur."""
        counts = {
            "blank lines": self.blank_lines,
            "empty texts": self.empty_texts,
            "missing labels": self.missing_labels,
        }
        return {reason: count for reason, count in counts.items() if count}

    def __str__(self) -> str:
        label = "labels" if self.several else "label"
        columns = [
            f"{what} in column {column!r}"
            for what, column in (("text", self.text_column), (label, self.label_column))
            if column is not None
        ]
        skipped = ", ".join(f"{reason}: {count:,}" for reason, count in self.skipped.items())
        kind = self.format + (" separated by semicolons" if self.delimiter == ";" else "")
        about = ", ".join([kind, self.encoding, *(["no header row"] if self.header is False else []), *columns])
        return f"{self.source}: {self.kept:,} texts ({about}); left out: {skipped or 'nothing'}"


@dataclass
class Options:
    """What the user asked for, and the report that is being filled."""

    text: Column | None
    label: Column | None
    need_label: bool
    report: CorpusReport
    separator: str | None = None
    first_line: str = ""

    def read_label(self, cell: str) -> Label | None:
        """Return the label of a cell, None for an empty one; or all those between separators, if there is one."""
        return cell.strip() or None if self.separator is None else _different(cell.split(self.separator))


def _different(labels: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(label for found in labels if (label := found.strip())))


Reader = Callable[[Iterator[str], Lines, Options], Iterator[Record]]


def _table(delimiter: str | None) -> Reader:
    """Make the reader of tables; None finds out whether commas or semicolons separate the columns."""

    def read(text_lines: Iterator[str], lines: Lines, options: Options) -> Iterator[Record]:
        found = delimiter or find_delimiter(options.first_line, options.text, options.label)
        options.report.delimiter = found
        rows = _table_rows(text_lines, found, lines, options.report)
        number, cells = next(rows, (1, None))
        if cells is None:
            return
        if len(cells) > MAX_COLUMNS:
            raise lines.error(number, f"expected at most {MAX_COLUMNS:,} columns, got {len(cells):,}")
        columns = find_columns(cells, options.text, options.label, options.need_label, None, _failure(lines, number))
        options.report.text_column = columns.describe(columns.text)
        options.report.label_column = columns.describe(columns.label)
        header, width = columns.header, len(cells)
        options.report.header = header is not None
        if header is None:
            rows = itertools.chain([(number, cells)], rows)
        for number, cells in rows:
            if len(cells) != width:
                raise lines.error(number, f"expected {width} fields as in the first row, got {len(cells)}")
            label = None if columns.label is None else options.read_label(cells[columns.label])
            row = cells if header is None else dict(zip(header, cells, strict=True))
            yield Record(number, cells[columns.text], label, row)

    return read


def _table_rows(
    text_lines: Iterator[str], delimiter: str, lines: Lines, report: CorpusReport
) -> Iterator[tuple[int, list[str]]]:
    """Split a table's rows; each comes with the line where it begins."""
    # The limit belongs to the whole process: it is only ever raised.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_FIELD))
    reader = csv.reader(text_lines, delimiter=delimiter, strict=True)
    while True:
        start = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise lines.error(start, _explain(error, delimiter)) from error
        if cells is None:
            return
        if not cells or (len(cells) == 1 and cells[0].isspace()):
            report.blank_lines += 1
        else:
            yield start, cells


def _explain(error: csv.Error, delimiter: str) -> str:
    """Say what csv's short messages mean for the file."""
    message, name = str(error), {"\t": "tab", ",": "comma", ";": "semicolon"}[delimiter]
    advice = "; a file without quoting can be read as format 'lecture'" if delimiter == "\t" else ""
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


def _jsonl(text_lines: Iterator[str], lines: Lines, options: Options) -> Iterator[Record]:
    text_key: str | None = None
    label_key: str | None = None
    for number, line in enumerate(text_lines, 1):
        if not line.strip():
            options.report.blank_lines += 1
            continue
        row = _json_object(line, number, lines)
        if text_key is None:
            for argument, column in (("text", options.text), ("label", options.label)):
                if isinstance(column, int):
                    raise lines.error(number, f"expected a name for the {argument} in JSON, got the number {column}")
            names = tuple(row)
            columns = find_columns(
                names, options.text, options.label, options.need_label, True, _failure(lines, number)
            )
            text_key = names[columns.text]
            label_key = None if columns.label is None else names[columns.label]
            options.report.text_column, options.report.label_column = text_key, label_key
        if text_key not in row:
            names_here = ", ".join(repr(name[:40]) for name in itertools.islice(row, 30))
            raise lines.error(number, f"expected a value named {text_key!r}, got an object with {names_here or 'none'}")
        text = _json_text(row[text_key], text_key, number, lines)
        label = None if label_key is None else _json_label(row.get(label_key), label_key, number, lines, options)
        yield Record(number, text, label, row)


def _json_object(line: str, number: int, lines: Lines) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values = dict(pairs)
        if len(values) < len(pairs):
            raise ValueError("a name stands twice in an object")
        return values

    try:
        row = json.loads(line, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise lines.error(number, f"expected a JSON object, got: {error.msg} at character {error.pos + 1}") from error
    except RecursionError:
        raise lines.error(number, "expected a plain JSON object, got lists or objects nested without end") from None
    except ValueError as error:
        raise lines.error(number, f"expected a plain JSON object, got: {error}") from error
    if not isinstance(row, dict):
        raise lines.error(number, f'expected a JSON object such as {{"text": ...}}, got {_json_kind(row)}')
    return row


def _json_text(text: Any, key: str, number: int, lines: Lines) -> str:
    if text is None:
        return ""
    if not isinstance(text, str):
        raise lines.error(number, f"expected a string as {key!r}, got {_json_kind(text)}")
    return _without_surrogates(text, key, number, lines)


def _json_label(value: Any, key: str, number: int, lines: Lines, options: Options) -> Label | None:
    if value is None:
        return None
    if isinstance(value, list):
        return _different([_json_one_label(label, f"in the list {key!r}", key, number, lines) for label in value])
    return options.read_label(_json_one_label(value, f"as {key!r}", key, number, lines))


def _json_one_label(label: Any, where: str, key: str, number: int, lines: Lines) -> str:
    if isinstance(label, str):
        return _without_surrogates(label, key, number, lines)
    if label is None or isinstance(label, dict | list) or (isinstance(label, float) and not math.isfinite(label)):
        found = json.dumps(label) if isinstance(label, float) else _json_kind(label)
        raise lines.error(number, f"expected a string or a number {where}, got {found}")
    return json.dumps(label)


def _without_surrogates(value: str, key: str, number: int, lines: Lines) -> str:
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise lines.error(number, f"expected text as {key!r}, got half of a surrogate pair (\\ud800 to \\udfff)")
    return value


def _json_kind(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


def _lecture(text_lines: Iterator[str], lines: Lines, options: Options) -> Iterator[Record]:
    for argument, column, only in (("text", options.text, 0), ("label", options.label, 1)):
        if column is not None and str(column) != str(only):
            raise lines.error(1, f"expected column {only} for the {argument} in the lecture format, got {column!r}")
    options.report.text_column, options.report.label_column, options.report.header = 0, 1, False
    for number, line in enumerate(text_lines, 1):
        if not line.strip():
            options.report.blank_lines += 1
            continue
        cells = line.rstrip("\r\n").split("\t")
        if len(cells) > 2 or (options.need_label and len(cells) < 2):
            raise lines.error(number, f"expected text<TAB>label, got {len(cells) - 1} tabs")
        yield Record(number, cells[0], options.read_label(cells[1]) if len(cells) == 2 else None, cells)


def _fasttext(text_lines: Iterator[str], lines: Lines, options: Options) -> Iterator[Record]:
    _refuse_columns("fasttext", lines, options)
    options.report.label_column = LABEL_PREFIX
    for number, line in enumerate(text_lines, 1):
        if not line.strip():
            options.report.blank_lines += 1
            continue
        found = _different(_PREFIXED.findall(line))
        text = _PREFIXED.sub("", line).strip(_SPACE)
        yield Record(number, text, None if not found and options.separator is None else found, [line.rstrip("\r\n")])


def _refuse_columns(name: str, lines: Lines, options: Options) -> None:
    for argument, column in (("text", options.text), ("label", options.label)):
        if column is not None:
            raise lines.error(1, f"expected a table for the {argument} column {column!r}, got the format {name!r}")


def _lines(text_lines: Iterator[str], lines: Lines, options: Options) -> Iterator[Record]:
    _refuse_columns("lines", lines, options)
    for number, line in enumerate(text_lines, 1):
        text = line.rstrip("\r\n")
        yield Record(number, text, None, [text])


def _failure(lines: Lines, number: int) -> Callable[[str], CorpusError]:
    return lambda message: lines.error(number, message)


READERS: dict[str, Reader] = {
    "csv": _table(None),
    "tsv": _table("\t"),
    "jsonl": _jsonl,
    "lecture": _lecture,
    "fasttext": _fasttext,
    "lines": _lines,
}
