"""Rows of JSON: one object a line, an array of objects, or one object that holds a table.

    lines -> json_lines -> Row(line, object)
    lines -> json_rows  -> an array, element by element; else the whole, as pandas' to_json writes it in each orient

A row of an array or a table has the number of the row, from 1: all of it may stand on one line.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from textnn.text.foreign import explain_json
from textnn.text.layout import USUAL_NAMES, fold

if TYPE_CHECKING:
    from textnn.text.sources import Reading, Row

Shape = Callable[[Any], Any]

LARGEST_DOCUMENT = 1 << 28
"""Characters of an object that holds a table, which is read into memory whole."""
LARGEST_ELEMENT = 1 << 25
"""Characters of an element of an array."""

_BETWEEN = re.compile(r"[ \t\r\n]*([\],]?)[ \t\r\n]*")
_LINES = "write it as JSON lines, such as with to_json(path, orient='records', lines=True)"
_KINDS = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}


def json_kind(value: Any) -> str:
    """Return what a value of JSON is, for a message."""
    return _KINDS.get(type(value), "NaN; write null for a missing value" if value != value else "a number")


def json_lines(lines: Iterator[str], reading: Reading, shape: Shape | None = None) -> Iterator[Row]:
    """Yield the object of each line; ``shape`` as for :func:`json_rows`."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            reading.report.blank_lines += 1
            continue
        try:
            value = _loads(line)
        except ValueError as error:
            reading.refuse(number, str(error))
            continue
        value = value if shape is None else shape(value)
        if isinstance(value, dict):
            yield number, value
        else:
            reading.refuse(number, f'expected a JSON object such as {{"text": ...}}, got {json_kind(value)}')


def json_rows(lines: Iterator[str], reading: Reading, shape: Shape | None = None) -> Iterator[Row]:
    """Yield the rows of an array, or of an object that holds a table; a row may also be a list.

    ``shape`` makes of each value the object that it stands for, or returns it as it is.
    """
    reading.unit = "row"
    text = next((line for line in lines if line.strip()), "")
    rows = (_elements if text.lstrip().startswith("[") else _document)(text, lines, reading)
    for number, value in enumerate(rows, 1):
        value = value if shape is None else shape(value)
        if isinstance(value, dict):
            yield number, value
        elif isinstance(value, list) and all(cell is None or isinstance(cell, str | int | float) for cell in value):
            cells = ["" if cell is None else cell if isinstance(cell, str) else json.dumps(cell) for cell in value]
            yield number, cells
        else:
            reading.refuse(number, f'expected a JSON object such as {{"text": ...}}, got {json_kind(value)}')


def is_table(line: str) -> bool:
    """Whether the first line of a file of JSON begins an array or an object with a table, and is no row by itself."""
    start = line.strip()
    if not start.startswith("{"):
        return start.startswith("[")
    try:
        return _table_of(_loads(start)) is not None
    except ValueError:
        return not start.endswith("}")


def _elements(text: str, lines: Iterator[str], reading: Reading) -> Iterator[Any]:
    """Yield the elements of an array, of which as little as possible is in memory."""
    text = text.lstrip()[1:]
    place, number = 0, 0
    expected: str | None = ""  # before the next element: nothing, then commas; None behind the last one

    def more() -> bool:
        nonlocal text, place
        # As much again as there is: an element of many lines is not tried once a line.
        parts, wanted = [text[place:]], len(text) - place
        for line in lines:
            parts.append(line)
            wanted -= len(line)
            if wanted <= 0:
                break
        text, place = "".join(parts), 0
        return len(parts) > 1

    while True:
        between: Any = _BETWEEN.match(text, place)
        found, after = between[1], between.end()
        ended = after == len(text)
        if ended and more():
            continue
        if expected is None and ended and not found:
            return
        if expected is not None and found == "]":
            place, expected = after, None
        elif expected is not None and ended:
            raise reading.error(number + 1, "expected the end of the JSON array, ], got the end of the file")
        elif found != expected:
            what = "nothing behind the JSON array" if expected is None else "a comma or ] behind a row"
            raise reading.error(max(number, 1), f"expected {what}, got {text[place:].lstrip()[:20]!r}")
        else:
            try:
                value, place = _DECODER.raw_decode(text, after)
            except json.JSONDecodeError as error:
                if len(text) - after <= LARGEST_ELEMENT and more():
                    continue
                where = f"{error.msg} at character {error.pos - after + 1} of the row"
                where += explain_json(text[after : after + 100])
                raise reading.error(number + 1, f"expected a JSON object, got: {where}") from error
            except (ValueError, RecursionError) as error:
                raise reading.error(number + 1, f"expected a plain JSON object, got{_reason(error)}") from None
            number, expected = number + 1, ","
            yield value


def _document(text: str, lines: Iterator[str], reading: Reading) -> Iterator[Any]:
    """Yield the rows of an object that holds a table."""
    parts, size = [], 0
    for line in itertools.chain([text], lines):
        parts.append(line)
        size += len(line)
        if size > LARGEST_DOCUMENT:
            raise reading.error(1, f"expected at most {LARGEST_DOCUMENT:,} characters of one JSON object; {_LINES}")
    try:
        value = _loads("".join(parts))
    except ValueError as error:
        raise reading.error(1, str(error)) from None
    table = _table_of(value)
    if table is None:
        shown = ", ".join(repr(name[:40]) for name in itertools.islice(value, 10))
        raise reading.error(1, f"expected JSON rows or columns, got one object with {shown or 'nothing'}; {_LINES}")
    yield from table


def _table_of(value: dict[str, Any]) -> list[Any] | None:
    """Return the rows of an object that holds a table, None for another object."""
    data, columns, parts = value.get("data"), value.get("columns"), list(value.values())
    if isinstance(data, list) and isinstance(columns, list):  # pandas' "split"
        same = all(isinstance(row, list) and len(row) == len(columns) for row in data)
        return [dict(zip(map(str, columns), row, strict=True)) for row in data] if same else None
    if isinstance(data, list):  # pandas' "table"
        return data
    if value.keys() == {"classes", "annotations"} and isinstance(value["annotations"], list):  # NER Annotator
        return [row for row in value["annotations"] if row is not None]
    if len(parts) == 1 and _all(dict, parts[0]):  # what servers answer
        return list(parts[0])
    if not any(fold(name) in USUAL_NAMES for name in value):  # pandas' "index"
        return parts if _all(dict, parts) else None
    if _all(list, parts) and len(set(map(len, parts))) == 1:
        parts = [dict(enumerate(part)) for part in parts]
    if not _all(dict, parts):
        return None
    keys = dict.fromkeys(itertools.chain.from_iterable(parts))  # pandas' default, by columns
    return [{name: part.get(key) for name, part in zip(value, parts, strict=True)} for key in keys]


def _all(kind: type, values: Any) -> bool:
    """Whether something is a list of such values, and not empty."""
    return isinstance(values, list) and bool(values) and all(isinstance(value, kind) for value in values)


def _loads(text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        alone = text.find("\n") in (-1, len(text) - 1)
        where = f"character {error.pos + 1}" if alone else f"line {error.lineno}, character {error.colno}"
        raise ValueError(f"expected a JSON object, got: {error.msg} at {where}{explain_json(text)}") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"expected a plain JSON object, got{_reason(error)}") from None


def _reason(error: Exception) -> str:
    return " lists or objects nested without end" if isinstance(error, RecursionError) else f": {error}"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a name stands twice in an object")
    return values


_DECODER = json.JSONDecoder(object_pairs_hook=_unique)
