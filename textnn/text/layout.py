"""How a file is laid out: the format, what separates its cells, whether there is a header, where text and label stand.

    what the user asks for (None where it is to be found) + ending of the name + first lines -> Layout, filled in

Whatever is found can be given instead, and what was found is shown.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, cast

Column = str | int
"""A column's name, or its number from 0; strings of digits are numbers unless all that are asked for name columns."""

Row = tuple[int, list[str] | dict[str, Any]]
"""The line where a row begins, from 1, and its cells as they stand there; by name where JSON names them."""

FORMATS = ("csv", "tsv", "jsonl", "json", "lecture", "fasttext", "lines")
ERRORS, ON_ERROR = ("strict", "replace"), ("stop", "skip")
LABEL_PREFIX = "__label__"

ONE_COLUMN = "\x1f"
"""Stands for the delimiter of a table that has none."""

_SUFFIXES = {".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json"}
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "|"}
_SEP = re.compile(r"\"?sep=(.)\"?\s*")  # how a file tells Excel its delimiter
_PAGE = re.compile(r"\s*<(!doctype\s+html|html|table|\?xml)\b", re.IGNORECASE)
_DUMP = re.compile(r"\s*(-- (MySQL|MariaDB|PostgreSQL|SQLite)|/\*!\d|(insert\s+into|create\s+table)\s)", re.IGNORECASE)


@dataclass
class Layout:
    """How a file is laid out: what the user asks for, None where it is to be found; and then what was found.

    Attributes
    ----------
    format, encoding
        Names.
    delimiter
        What separates the cells of a table, or in fastText's format a label from the text; "" where nothing does.
    quoting
        Whether cells of a table may be in quotes.
    header
        Whether the first row has the columns' names; None where a format has no such row.
    text, label
        The columns; in fastText's format the label's is its prefix.
    label_separator
        What stands between the labels of a text that may have several.
    encoding_errors
        ``"strict"`` refuses a byte that does not fit the encoding, ``"replace"`` reads it as U+FFFD.
    """

    format: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    quoting: bool | None = None
    header: bool | None = None
    text: Column | None = None
    label: Column | None = None
    label_separator: str | None = None
    encoding_errors: str = "strict"

    def check(self) -> None:
        """Refuse what has no meaning.

        Raises
        ------
        TypeError, ValueError
            Naming the argument.
        """
        for argument, column in (("text", self.text), ("label", self.label)):
            if isinstance(column, bool) or not isinstance(column, str | int | None):
                raise TypeError(f"{argument}: expected a column's name or number, got {type(column).__name__}")
            if isinstance(column, int) and column < 0:
                raise ValueError(f"{argument}: expected a column number from 0, got {column}")
        if self.format is not None and self.format not in FORMATS:
            raise ValueError(f"format: expected one of {', '.join(FORMATS)}, got {self.format!r}")
        if self.encoding_errors not in ERRORS:
            raise ValueError(f"encoding_errors: expected one of {', '.join(ERRORS)}, got {self.encoding_errors!r}")
        if not isinstance(self.label_separator, str | None):
            raise TypeError(f"label_separator: expected a string, got {type(self.label_separator).__name__}")
        if self.label_separator == "":
            raise ValueError("label_separator: expected at least one character, got ''")
        delimiter = self.delimiter
        if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
            raise ValueError(f"delimiter: expected one character that is no quote or line break, got {delimiter!r}")
        if self.encoding is not None:
            try:
                # _is_text_encoding is what open() itself asks; "hex" and the like are codecs but not of text.
                known = cast(Any, codecs.lookup(self.encoding))._is_text_encoding
            except (LookupError, ValueError):
                known = False
            if not known:
                raise ValueError(f"encoding: expected a text encoding such as 'utf-8', got {self.encoding!r}")

    def describe(self, several: bool = False) -> str:
        """Return what was found, in a line; ``several`` is whether a text may have several labels."""
        if self.format in ("jsonl", "json", "lines"):
            facts = [str(self.format)]
        else:
            plain = {"csv": ",", "tsv": "\t", "lecture": "\t"}.get(str(self.format), "")
            by = _DELIMITERS.get(str(self.delimiter), repr(self.delimiter))
            plain = ONE_COLUMN if self.delimiter == ONE_COLUMN else plain
            facts = [f"{self.format}" + (f" separated by {by}" if self.delimiter not in (plain, None, "") else "")]
        facts.append(str(self.encoding))
        if self.format in ("csv", "tsv"):
            facts += ["no quotes"] if self.quoting is False else []
        if self.header is not None:
            facts.append("header row" if self.header else "no header row")
        label = "labels" if several else "label"
        for what, column in (("text", self.text), (label, self.label)):
            facts += [] if column is None else [f"{what} in column {column!r}"]
        return ", ".join(facts)


def check_layout(on_error: str = "stop", **asked: Any) -> Layout:
    """Return a layout of what the user asks for, checked; ``on_error`` says what is done about bad rows.

    Raises
    ------
    TypeError, ValueError
        Naming the argument that has no meaning.
    """
    layout = Layout(**asked)
    layout.check()
    if on_error not in ON_ERROR:
        raise ValueError(f"on_error: expected one of {', '.join(ON_ERROR)}, got {on_error!r}")
    return layout


def split_line(line: str, delimiter: str) -> list[str]:
    """Split a table's first line without regard for what is quoted: enough to know names by."""
    return [cell.strip().strip('"').strip() for cell in line.split(delimiter, 1 << 16)]


def find_format(
    layout: Layout,
    head: list[str],
    suffix: str,
    names: Collection[str],
    labelled: bool,
    fail: Callable[[int, str], Exception],
) -> None:
    """Fill in format and delimiter.

    Parameters
    ----------
    layout
        What the user asks for; is filled in.
    head, suffix
        The first lines, and the ending of the file's name.
    names
        The names of columns that show a header, in lower case.
    labelled
        Whether labels are needed.
    fail
        Makes an error of a line's number and a message.

    Raises
    ------
    Exception
        What ``fail`` makes, if it cannot be told, or the file is none with texts.
    """
    asked = [column for column in (layout.text, layout.label) if column is not None]
    number, line = next(((number, line) for number, line in enumerate(head, 1) if line.strip()), (1, ""))

    def named(delimiter: str) -> bool:
        cells = split_line(line, delimiter)
        return len(cells) > 1 and any(cell.casefold() in names or cell in asked for cell in cells)

    if layout.format is None:
        layout.format = _SUFFIXES.get(suffix) or _format_of(line, head, named, bool(asked), names)
        if layout.delimiter is not None and layout.format in (None, "lecture"):
            layout.format = "csv"  # who names a delimiter has a table
        if layout.format is None:
            if labelled:
                tables = "text<TAB>label, a table with usual column names, JSON or __label__..."
                raise fail(number, f"expected {tables}, got none of these")
            layout.format = "lines"
        elif layout.format == "lecture" and _label_is_first(head):
            layout.text, layout.label = 1, 0
    if layout.format == "csv" and (found := _PAGE.match(line) or _DUMP.match(line)):
        what = "an SQL dump: export the table as CSV" if _DUMP.match(found[0]) else "a web page: save the table as CSV"
        raise fail(number, f"expected a table, got {what}")
    if layout.format in ("tsv", "lecture"):
        layout.delimiter = layout.delimiter or "\t"
        if layout.format == "lecture":
            layout.header = bool(layout.header)
    elif layout.format == "csv" and layout.delimiter is None:
        numbers = [int(column) for column in asked if is_number(column)]
        marked = _SEP.fullmatch(line)
        enough = [each for each in _DELIMITERS if len(split_line(line, each)) > max(numbers, default=0) > 0]
        layout.delimiter = marked[1] if marked else next(filter(named, _DELIMITERS), next(iter(enough), None))
        if layout.delimiter is None and split_line(line, ",")[0].casefold() in names:
            layout.delimiter = ONE_COLUMN  # commas are a part of its texts
        layout.delimiter = layout.delimiter or _steady(head) or ","


def _format_of(
    line: str, head: list[str], named: Callable[[str], bool], asked: bool, names: Collection[str]
) -> str | None:
    start = "".join(head[:3]).lstrip()
    if re.match(r"\[\s*[\[{]", start) or start.startswith("{"):
        return "json"
    if start.startswith(LABEL_PREFIX):
        return "fasttext"
    if _PAGE.match(line) or _DUMP.match(line) or _SEP.fullmatch(line):
        return "csv"
    if "\t" in line:
        return "tsv" if asked or named("\t") or line.count("\t") > 1 else "lecture"
    if any(named(delimiter) or (asked and delimiter in line) for delimiter in ",;|"):
        return "csv"
    # One column, and its name.
    return "csv" if len(head) > 1 and split_line(line, ",")[0].casefold() in names else None


def _steady(head: list[str]) -> str | None:
    """Return the delimiter that stands equally often in each of the first lines, if there is one."""
    rows = [line for line in head if line.strip()]
    for delimiter in _DELIMITERS:
        if len(rows) > 1 and len(counts := {row.count(delimiter) for row in rows}) == 1 and max(counts):
            return delimiter
    return None


def is_number(column: Column) -> bool:
    """Whether a column is asked for by number, which may be typed as a string."""
    return isinstance(column, int) or (column.isascii() and column.isdecimal())


def _label_is_first(head: list[str]) -> bool:
    """Whether of two columns the first holds few different values, the second at least twice as many, and longer."""
    rows = [cells for line in head if len(cells := line.rstrip("\r\n").split("\t")) == 2]
    if len(rows) < 5:
        return False
    (labels, length), (texts, longer) = (
        (len(set(column)), sum(map(len, column))) for column in zip(*rows, strict=True)
    )
    return 2 * labels <= len(rows) and texts >= 2 * labels and length < longer


def is_quoted(head: list[str]) -> bool:
    """Whether the quotes in the first lines of a table with tabs are marks around cells, and not a part of texts."""
    lines = [line for line in head if line.strip()]
    # Where each line has all cells, no quote holds a line break.
    whole = len({line.count("\t") for line in lines}) == 1
    try:
        rows = [cells for cells in csv.reader(lines, delimiter="\t", strict=True) if cells]
    except csv.Error as error:
        return "unexpected end" in str(error) and not whole
    return not whole or len(rows) == len(lines)
