"""Which columns of a table hold the text and the label, and whether its first row is a header.

    first line + what the user asked for (names, numbers or nothing) -> what separates the columns of a CSV file
    first row  + the same                                            -> Columns(text, label, header)

The first row is a header if a column is asked for by name, or if one of its cells is a usual name for a text or a label
("review", "sentiment", "评论"). A first row that could be either is refused with a message that lists its cells: a
guess would turn a header into a training text, or lose a text, without a sign.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

Column = str | int
"""A column's name, or its number from 0; strings of digits are numbers unless all that are asked for name columns."""

TEXT_NAMES = (
    *("text", "review", "content", "sentence", "comment", "reviews", "comments", "review_text", "message", "tweet"),
    *("body", "document", "文本", "评论", "内容", "句子", "评价", "评论内容"),
)
LABEL_NAMES = (
    *("label", "sentiment", "class", "category", "target", "polarity", "labels", "rating", "stars", "star", "score"),
    *("标签", "情感", "类别", "分类", "情感倾向"),
)
USUAL_NAMES = frozenset((*TEXT_NAMES, *LABEL_NAMES))

MAX_COLUMNS = 1 << 16
"""Columns of a table at most."""


@dataclass(frozen=True)
class Columns:
    """Where text and label stand in each row.

    Attributes
    ----------
    text, label
        Positions from 0; label is None if there is none.
    header
        The columns' names, or None if the first row is data.
    """

    text: int
    label: int | None
    header: tuple[str, ...] | None

    def describe(self, position: int | None) -> Column | None:
        """Return a column's name, or its number where there are no names."""
        return position if position is None or self.header is None else self.header[position]


def check_column(argument: str, column: Column | None) -> None:
    """Check the form of what the user asks for.

    Raises
    ------
    TypeError
        If it is neither a string nor an integer nor None.
    ValueError
        If the number is negative or the name empty.
    """
    if isinstance(column, bool) or not isinstance(column, str | int | None):
        raise TypeError(f"{argument}: expected a column's name or number, got {type(column).__name__}")
    if isinstance(column, int) and column < 0:
        raise ValueError(f"{argument}: expected a column number from 0, got {column}")


def split_line(line: str, delimiter: str) -> list[str]:
    """Split a table's first line without regard for what is quoted: enough to know names by."""
    return [cell.strip().strip('"').strip() for cell in line.split(delimiter, MAX_COLUMNS)]


def has_usual_name(cells: Iterable[str]) -> bool:
    """Whether a cell is a usual name for a text or a label."""
    return any(cell.casefold() in USUAL_NAMES for cell in cells)


def find_delimiter(line: str, text: Column | None, label: Column | None) -> str:
    """Tell whether a CSV file is separated by commas or, as spreadsheets write it in much of Europe, by semicolons.

    It is by semicolons if these show a usual name, or one that the user asked for, and commas do not; or if there is
    no comma and they make the columns whose numbers the user asked for.

    Parameters
    ----------
    line
        The first line that is not blank.
    text, label
        What the user asked for.
    """
    asked = [column for column in (text, label) if column is not None]
    numbers = [int(column) for column in asked if _is_number(column)]
    names = {column for column in asked if not _is_number(column)}
    commas, semicolons = split_line(line, ","), split_line(line, ";")

    def named(cells: list[str]) -> bool:
        return has_usual_name(cells) or not names.isdisjoint(cells)

    if len(semicolons) == 1 or named(commas):
        return ","
    numbered = len(commas) == 1 and 0 < max(numbers, default=0) < len(semicolons)
    return ";" if named(semicolons) or numbered else ","


def find_columns(
    row: Sequence[str],
    text: Column | None,
    label: Column | None,
    need_label: bool,
    header_names: bool | None,
    fail: Callable[[str], Exception],
) -> Columns:
    """Find the columns by the first row of a table.

    Parameters
    ----------
    row
        The first row's cells.
    text, label
        What the user asked for; None looks for a usual name.
    need_label
        Whether a label must be found.
    header_names
        True or False if it is known whether the row is a header, None to find out.
    fail
        Makes an error of a message.

    Raises
    ------
    Exception
        What ``fail`` makes, if a column is missing, is not unique, or cannot be told.
    """
    names = [cell.strip() for cell in row]
    if header_names is not True:
        text, label = _as_numbers((text, label), names)
    if header_names is None:
        header_names = isinstance(text, str) or isinstance(label, str) or has_usual_name(names)
    listing = (
        ", ".join(repr(name[:40]) for name in names[:30])
        + (", ..." if len(names) > 30 else "")
        + _other_delimiter(names)
    )
    if header_names and len(set(names)) < len(names):
        twice = next(name for name, count in Counter(names).items() if count > 1)
        raise fail(f"expected columns with different names, got {twice[:40]!r} more than once (the columns: {listing})")

    def find(argument: str, column: Column | None, usual: Sequence[str], needed: bool) -> int | None:
        if isinstance(column, int):
            if column >= len(names):
                raise fail(f"expected a column number {column} for the {argument}, got {len(names)} columns: {listing}")
            return column
        if isinstance(column, str):
            if header_names and column in names:
                return names.index(column)
            raise fail(f"expected a column {column!r} for the {argument}, got the columns {listing}")
        if header_names:
            folded = [name.casefold() for name in names]
            found = [folded.index(name) for name in usual if name in folded]
            if found:
                return found[0]
        if needed:
            raise fail(
                f"cannot tell which column holds the {argument}; give its name or its number from 0 "
                f"(argument {argument}, option --{argument}-column): {listing}"
            )
        return None

    text_at = find("text", text, TEXT_NAMES, True)
    label_at = find("label", label, LABEL_NAMES, need_label)
    assert text_at is not None
    if text_at == label_at:
        raise fail(f"expected different columns for text and label, got {names[text_at]!r} for both")
    return Columns(text_at, label_at, tuple(names) if header_names else None)


def _as_numbers(columns: Sequence[Column | None], names: Sequence[str]) -> list[Column | None]:
    """Turn strings of digits into numbers, unless all of them are names: one alone may be the label of a first text."""
    digits = [column for column in columns if isinstance(column, str) and _is_number(column)]
    if all(column in names for column in digits):
        return list(columns)
    return [int(column) if column is not None and column in digits else column for column in columns]


def _is_number(column: Column) -> bool:
    return isinstance(column, int) or (column.isascii() and column.isdecimal())


def _other_delimiter(names: Sequence[str]) -> str:
    """Say, where there is one column only, by what the file seems to be separated instead."""
    if len(names) == 1:
        for delimiter, what in ((";", "semicolons"), ("\t", "tabs, which is the format 'tsv'")):
            if delimiter in names[0]:
                return f"; the file seems to be separated by {what}"
    return ""
