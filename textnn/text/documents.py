"""Rows of JSON: one object a line, an array of objects, or one object that holds a table.

    lines -> json_lines -> Row(line, object)
    lines -> json_rows  -> an array, element by element; else the whole, as pandas' to_json writes it in each orient

A row of an array or a table has the number of the row, from 1: all of it may stand on one line.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from textnn.text.layout import Row

if TYPE_CHECKING:
    from textnn.text.sources import Reading

LARGEST_DOCUMENT = 1 << 28
"""Characters of an object that holds a table, which is read into memory whole."""
LARGEST_ELEMENT = 1 << 25
"""Characters of an element of an array."""

_SPACE = re.compile(r"[ \t\r\n]*")
_LINES = "write it as JSON lines, such as with to_json(path, orient='records', lines=True)"


def json_lines(lines: Iterator[str], reading: Reading, names: Collection[str]) -> Iterator[Row]:
    """Yield the object of each line."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            reading.blank_lines += 1
            continue
        try:
            value = _loads(line)
        except ValueError as error:
            reading.refuse(number, str(error))
            continue
        if isinstance(value, dict):
            yield number, value
        else:
            reading.refuse(number, f'expected a JSON object such as {{"text": ...}}, got {json_kind(value)}')


def json_rows(lines: Iterator[str], reading: Reading, names: Collection[str]) -> Iterator[Row]:
    """Yield the rows of a file of any of these forms."""
    start = next((line.lstrip() for line in reading.head if line.strip()), "")
    if not start.startswith("["):
        try:
            value = _loads(start)
            alone = isinstance(value, dict) and _table_of(value, names) is None
        except ValueError:
            alone = start.rstrip().endswith("}")
        if alone or not start.startswith("{"):
            reading.layout.format = "jsonl"
            yield from json_lines(lines, reading, names)
            return
    reading.unit = "row"
    rows = _elements(lines, reading) if start.startswith("[") else _document(lines, reading, names)
    for number, value in enumerate(rows, 1):
        if isinstance(value, dict):
            yield number, value
        elif isinstance(value, list) and all(cell is None or isinstance(cell, str | int | float) for cell in value):
            cells = ["" if cell is None else cell if isinstance(cell, str) else json.dumps(cell) for cell in value]
            yield number, cells
        else:
            reading.refuse(number, f'expected a JSON object such as {{"text": ...}}, got {json_kind(value)}')


def _elements(lines: Iterator[str], reading: Reading) -> Iterator[Any]:
    """Yield the elements of an array, of which as little as possible is in memory."""
    decoder = json.JSONDecoder(object_pairs_hook=_unique)
    text, place, number, state = "", 0, 0, "start"

    def more() -> bool:
        nonlocal text, place
        # As much again as there is: an element of many lines is not tried once a line.
        parts, size, wanted = [text[place:]], 0, len(text) - place
        for line in lines:
            parts.append(line)
            size += len(line)
            if size >= wanted:
                break
        text, place = "".join(parts), 0
        return size > 0

    while True:
        found = _SPACE.match(text, place)
        place = place if found is None else found.end()
        if place == len(text):
            if not more():
                if state != "done":
                    raise reading.error(number + 1, "expected the end of the JSON array, ], got the end of the file")
                return
        elif state == "start":
            place, state = place + 1, "first"
        elif text[place] == "]" and state in ("first", "after"):
            place, state = place + 1, "done"
        elif text[place] == "," and state == "after":
            place, state = place + 1, "next"
        elif state in ("first", "next"):
            try:
                value, place = decoder.raw_decode(text, place)
            except json.JSONDecodeError as error:
                where = f"{error.msg} at character {error.pos - place + 1} of the row"
                if len(text) - place <= LARGEST_ELEMENT and more():
                    continue
                raise reading.error(number + 1, f"expected a JSON object, got: {where}") from error
            except (ValueError, RecursionError) as error:
                raise reading.error(number + 1, f"expected a plain JSON object, got{_reason(error)}") from None
            number, state = number + 1, "after"
            yield value
        else:
            what = "a comma or ] behind a row" if state == "after" else "nothing behind the JSON array"
            raise reading.error(number, f"expected {what}, got {text[place : place + 20]!r}")


def _document(lines: Iterator[str], reading: Reading, names: Collection[str]) -> Iterator[Any]:
    parts, size = [], 0
    for line in lines:
        parts.append(line)
        size += len(line)
        if size > LARGEST_DOCUMENT:
            raise reading.error(1, f"expected at most {LARGEST_DOCUMENT:,} characters of one JSON object; {_LINES}")
    try:
        value = _loads("".join(parts))
    except ValueError as error:
        raise reading.error(1, str(error)) from None
    table = _table_of(value, names)
    if table is None:
        shown = ", ".join(repr(name[:40]) for name in itertools.islice(value, 10))
        raise reading.error(1, f"expected JSON rows or columns, got one object with {shown or 'nothing'}; {_LINES}")
    yield from table


def _table_of(value: dict[str, Any], names: Collection[str]) -> list[Any] | None:
    """Return the rows of an object that holds a table, None for another object."""
    data, columns = value.get("data"), value.get("columns")
    if isinstance(data, list) and isinstance(columns, list):  # pandas' "split"
        same = all(isinstance(row, list) and len(row) == len(columns) for row in data)
        return [dict(zip(map(str, columns), row, strict=True)) for row in data] if same else None
    parts = list(value.values())
    rows = [part for part in parts if isinstance(part, list) and part and all(isinstance(row, dict) for row in part)]
    if isinstance(data, list) or (len(rows) == 1 and len(parts) == 1):  # pandas' "table", and what servers answer
        return data if isinstance(data, list) else rows[0]
    if parts and all(isinstance(part, list) for part in parts):
        same = len({len(part) for part in parts}) == 1 and any(name.casefold() in names for name in value)
        return [dict(zip(value, row, strict=True)) for row in zip(*parts, strict=True)] if same else None
    if not parts or not all(isinstance(part, dict) for part in parts):
        return None
    if any(name.casefold() in names for name in value):  # pandas' default, by columns
        keys = list(dict.fromkeys(itertools.chain.from_iterable(parts)))
        return [{name: part.get(key) for name, part in value.items()} for key in keys]
    return parts  # pandas' "index"


def _loads(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        alone = text.find("\n") in (-1, len(text) - 1)
        where = f"character {error.pos + 1}" if alone else f"line {error.lineno}, character {error.colno}"
        raise ValueError(f"expected a JSON object, got: {error.msg} at {where}") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"expected a plain JSON object, got{_reason(error)}") from None


def _reason(error: Exception) -> str:
    return " lists or objects nested without end" if isinstance(error, RecursionError) else f": {error}"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a name stands twice in an object")
    return values


def json_kind(value: Any) -> str:
    """Return what a value of JSON is, for a message."""
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")
