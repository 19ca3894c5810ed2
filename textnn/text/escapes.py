"""Backslashes in tables, as databases dump them.

lines -> ``hide_escapes`` -> lines in which nothing behind a backslash is a quote, a delimiter or a break
      -> the table's cells -> ``show_escapes`` -> the characters that are meant
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# What a backslash makes of a character, which stands in a plane of private use meanwhile. NULL stays as it is.
_PLANE = 0xF0000
_HIDDEN = re.compile(f"[{chr(_PLANE)}-{chr(_PLANE + 0xFFFF)}]")
HIDDEN_BREAK = chr(_PLANE + 0x0A)
"""Stands for a line break behind a backslash."""
_LONGEST = 1 << 20  # no more lines are joined from so many characters on
_ESCAPE = re.compile(r"\\([^\r\n\U00010000-\U0010ffff])")
_BROKEN = re.compile(r"(?<!\\)((?:\\\\)*)\\\r?\n\Z")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "N": r"\N"}


def hide_escapes(lines: Iterator[str]) -> Iterator[str]:
    """Put characters behind a backslash out of the table's sight; a line break there joins two lines."""
    for line in lines:
        parts, size = [line], len(line)
        while size < _LONGEST and _BROKEN.search(parts[-1]) and (more := next(lines, "")):
            parts[-1] = _BROKEN.sub(r"\1", parts[-1]) + HIDDEN_BREAK
            parts.append(more)
            size += len(more)
        yield _ESCAPE.sub(lambda found: chr(_PLANE + ord(found[1])), "".join(parts))


def show_escapes(cell: str) -> str:
    """Return a cell of the table with the characters in their places again."""
    return _HIDDEN.sub(_show, cell)


def _show(found: re.Match[str]) -> str:
    character = chr(ord(found[0]) - _PLANE)
    return _ESCAPES.get(character, character)
