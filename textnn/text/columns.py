"""Columns of a file by name or number, and rows of which something is made: what records and pairs have in common.

    rows -> ``converted`` -> the first one tells the columns (``place_of``) -> (line, row, what was made of it)

What cannot be made is a string that says what is wrong with the row.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from textnn.text.documents import json_kind
from textnn.text.layout import Column
from textnn.text.sources import Cells, Reading, Row

Made = TypeVar("Made")
Convert = Callable[[int, Any], Made | str]
"""Makes something of a row and its number, or says what is wrong with it."""

MISSING = r"\N"
"""How dumps of MySQL and PostgreSQL write NULL."""
NO_LIST, NO_OBJECT = (f"expected {what} as in the first row, got another" for what in ("a list", "an object"))

_SHOWN = 30  # columns
_SURROGATE = re.compile("[\ud800-\udfff]")


def converted(
    reading: Reading, rows: Iterable[Row], find: Callable[[int, Cells], tuple[Convert[Made], bool]]
) -> Iterator[tuple[int, Cells, Made]]:
    """Yield number and cells of each row with what is made of it; bad rows are refused, headers left out.

    Parameters
    ----------
    reading
        What is read, and its report to fill.
    rows
        Its rows.
    find
        Returns, of the first row, what is to be made of each, and whether this one is a header.
    """
    convert: Convert[Made] | None = None
    header: Cells | None = None
    for number, cells in rows:
        if convert is None:
            convert, is_header = find(number, cells)
            if is_header:
                header = cells
                continue
        if cells == header:
            reading.report.repeated_headers += 1
            continue
        made = convert(number, cells)
        if reading.skips and not isinstance(made, str):
            made = reading.bad_text("\n".join(map(str, cells))) or made
        if isinstance(made, str):
            reading.refuse(number, made)
            continue
        reading.report.rows += 1
        yield number, cells, made


def place_of(
    what: str, column: Column, names: Sequence[str], named: bool, is_header: bool, fail: Callable[[str], Exception]
) -> int:
    """Return where a column stands that is given by name or number.

    Parameters
    ----------
    what
        What it has, for a message.
    column
        Its name or number.
    names
        The cells of the first row.
    named
        Whether they are names in an object of JSON, which has no numbers.
    is_header
        Whether they are names.
    fail
        Makes the error of a message.
    """
    if isinstance(column, str):
        if not is_header or column not in names:
            found = f"the columns {listing(names)}" if is_header else f"no header row but {listing(names)}"
            raise fail(f"expected a column {column!r} for the {what}, got {found}")
        return list(names).index(column)
    if named:
        raise fail(f"expected a name for the {what} in JSON, got the number {column}")
    if column >= len(names):
        raise fail(f"expected a column number {column} for the {what}, got {len(names)} columns: {listing(names)}")
    return column


def listing(names: Iterable[str]) -> str:
    """Return names of columns for a message, not all of very many."""
    shown = [repr(name[:40]) for name in itertools.islice(names, _SHOWN + 1)]
    return ", ".join(shown if len(shown) <= _SHOWN else [*shown[:_SHOWN], "..."])


def text_of(row: dict[str, Any], name: str) -> tuple[str, str]:
    """Return the text of this name in an object of JSON, "" for null; and what is wrong with it, "" for nothing."""
    if name not in row:
        return "", f"expected a value named {name!r}, got an object with {listing(row) or 'none'}"
    value = row[name]
    if value is not None and not isinstance(value, str):
        kind = json_kind(value)
        shown = f" {json.dumps(value)[:40]}" if kind == "a number" else ""
        return "", f"expected a string as {name!r}, got {kind}{shown}"
    return value or "", bad_string(name, value or "")


def bad_string(name: object, text: str) -> str:
    """Return what is wrong with a string of JSON, "" for nothing."""
    if not text.isascii() and _SURROGATE.search(text):
        return f"expected text as {name!r}, got half of a surrogate pair (\\ud800 to \\udfff)"
    return ""
