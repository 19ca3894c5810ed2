"""Lists of strings within cells of a table, as ``to_csv`` of pandas writes them.

['我', '们']    a list of Python
['我' '们']     an array of numpy
["我", "们"]    JSON
"""

from __future__ import annotations

import re

_STRING = r"""'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)\""""
_ITEM = re.compile(rf"\s*(?:{_STRING}|(-?\d+(?:\.\d*)?))\s*(?:,|(?=[\s'\"\]]))", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U000([0-9a-fA-F]{5})|(.))", re.DOTALL)
_NAMED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


def parse_list(cell: str) -> list[str | int] | None:
    """Return the list of strings, or of numbers, that a cell holds; None if it holds none.

    Examples
    --------
    >>> parse_list("['B-PER', 'O']"), parse_list("[0 3]"), parse_list("[")
    (['B-PER', 'O'], [0, 3], None)
    """
    cell = cell.strip()
    if not (cell.startswith("[") and cell.endswith("]") and len(cell) > 1):
        return None
    found: list[str | int] = []
    place, end = 1, len(cell) - 1
    while cell[place:end].strip():
        item = _ITEM.match(cell, place)
        if item is None:
            return None
        single, double, number = item.groups()
        text = double if single is None else single
        found.append(int(float(number)) if text is None else _ESCAPE.sub(_unescaped, text))
        place = item.end()
    return found


def _unescaped(escape: re.Match[str]) -> str:
    code = escape[1] or escape[2] or escape[3]
    return chr(int(code, 16)) if code and int(code, 16) <= 0x10FFFF else _NAMED.get(escape[4], escape[4] or escape[0])
