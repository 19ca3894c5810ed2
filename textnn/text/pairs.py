"""Pairs of texts, such as sentences and their translations, from tables, JSON or lines.

    rows (``sources``) -> two columns, found in the first row -> Pair(line, source, target, row) -> those that are whole

The first row is a header if a column is asked for by name, or if both columns have usual names ("source" and "target",
"en" and "zh"); where sources alone will do, if theirs has one. Without a header they are the first two columns, so that
``sentence<TAB>translation`` needs no options; further columns are left alone.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

from textnn.text.charset import is_blank
from textnn.text.documents import json_kind
from textnn.text.layout import Column, CorpusReport, Layout, check_layout, fold, is_number
from textnn.text.sources import Cells, Reading, Source, open_rows

# fmt: off
SOURCE_NAMES = (
    "source", "src", "source text", "source sentence", "input", "original", "sentence1", "text",
    "原文", "源", "源文", "源语言", "原句",
)
TARGET_NAMES = (
    "target", "tgt", "trg", "target text", "target sentence", "output", "translation", "reference", "sentence2",
    "译文", "目标", "目标语言", "翻译", "译句",
)
LANGUAGES = (
    "en", "zh", "de", "fr", "es", "it", "pt", "ru", "ja", "ko", "ar", "nl", "pl", "tr", "vi", "th", "cs", "fi", "hi",
    "english", "chinese", "german", "french", "spanish", "japanese", "korean", "russian", "eng", "cmn",
    "zh cn", "zh tw",
    "英文", "中文", "英语", "汉语", "日语", "法语", "德语",
)
# fmt: on

_WORDS = ("hi", "it")
"""Languages whose names are words, too: by itself none of them tells a header from a text."""

_MISSING = r"\N"  # how dumps of MySQL and PostgreSQL write NULL
_SURROGATE = re.compile("[\ud800-\udfff]")


class Pair(NamedTuple):
    """A text and what belongs to it.

    Attributes
    ----------
    line : int
        Number of the line, from 1, where the pair begins; in a JSON array the number of the row.
    source, target : str
        The texts as they stand there; "" where there is none.
    row : dict or list of str
        The whole row: by names if the file has them, else the list of cells.
    """

    line: int
    source: str
    target: str
    row: dict[str, Any] | list[str]


class PairReport(CorpusReport):
    """What was read of a file of pairs: ``layout.text`` and ``layout.label`` are the columns of source and target."""

    texts: ClassVar[str] = "source"

    def __str__(self) -> str:
        columns = {"source": self.layout.text, "target": self.layout.label}
        facts = [replace(self.layout, text=None, label=None).describe()]
        facts += [f"{what} in column {column!r}" for what, column in columns.items() if column is not None]
        what = "texts" if self.layout.label is None else "pairs"
        reasons = {"incomplete pairs": self.empty_texts + self.missing_labels, "bad rows": self.bad_rows}
        skipped = ", ".join(f"{reason}: {count:,}" for reason, count in reasons.items() if count)
        replaced = f"; bytes replaced by U+FFFD: {self.replaced:,}" if self.replaced else ""
        return f"{self.source}: {self.kept:,} {what} ({', '.join(facts)}); left out: {skipped or 'nothing'}{replaced}"


def iter_pairs(
    path: Source,
    source: Column | None = None,
    target: Column | None = None,
    format: str | None = None,  # noqa: A002
    encoding: str | None = None,
    *,
    on_error: str = "stop",
    need_target: bool = True,
    report: PairReport | None = None,
    **layout: Any,
) -> Generator[Pair, None, None]:
    """Read pairs of texts one by one.

    Parameters
    ----------
    path : path or file
        A path, ``"-"`` for standard input, or an open stream.
    source, target : str or int, optional
        The columns, by name or by number from 0; found by usual names, else the first two. Where sources will do, the
        usual name of theirs is enough.
    format, encoding, layout : str, str, and others
        As for :func:`textnn.text.iter_records`; the format ``"fasttext"`` has no pairs.
    on_error : {"stop", "skip"}, default="stop"
        ``"stop"`` raises for a bad row, ``"skip"`` leaves it out and counts it.
    need_target : bool, default=True
        Whether pairs with an empty side are left out, and counted. Else sources will do, a line each in the format
        ``"lines"``, and empty ones are handed on, too.
    report : PairReport, optional
        A report to fill on the way.

    Yields
    ------
    Pair

    Raises
    ------
    CorpusError
        With file and line, for anything in the file that is not as expected.
    TypeError, ValueError
        If an argument has no meaning.

    Examples
    --------
    >>> import io
    >>> [pair[:3] for pair in iter_pairs(io.BytesIO("Hi.\\t你好。\\nRun!\\t跑！\\n".encode()))]
    [(1, 'Hi.', '你好。'), (2, 'Run!', '跑！')]
    """
    try:
        check_layout(on_error, text=source, label=target)
    except (TypeError, ValueError) as error:
        names = {"text": "source", "label": "target"}
        argument, _, rest = str(error).partition(":")
        raise type(error)(f"{names.get(argument, argument)}:{rest}") from None
    if format == "fasttext" or (format == "lines" and need_target):
        raise ValueError(f"format: {format!r} has no pairs of texts, expected csv, tsv, jsonl or json")
    # Columns that are asked for tell a table by its first line.
    columns = (0 if source is None else source, 1 if target is None else target)
    asked = check_layout(on_error, format=format, encoding=encoding, **layout)
    if need_target or source is not None:
        asked = replace(asked, text=columns[0], label=columns[1] if need_target else None)
    found = report if report is not None else PairReport()
    return _pairs(path, asked, (source, target), on_error == "skip", need_target, found)


def _pairs(
    path: Source, asked: Layout, columns: Sequence[Column | None], skip: bool, need_target: bool, report: PairReport
) -> Generator[Pair, None, None]:
    with open_rows(path, asked, skip, False, report) as reading:
        convert: Callable[[Any], tuple[str, str] | str] | None = None
        header: Cells | None = None
        for number, cells in reading.rows:
            if convert is None:
                convert, is_header = _find_columns(number, cells, columns, asked.header, need_target, reading)
                if is_header:
                    header = cells
                    continue
            if cells == header:
                report.repeated_headers += 1
                continue
            found = convert(cells)
            if skip and not isinstance(found, str):
                found = reading.bad_text("\n".join(map(str, cells))) or found
            if isinstance(found, str):
                reading.refuse(number, found)
                continue
            report.rows += 1
            if need_target and (is_blank(found[0]) or is_blank(found[1])):
                report.empty_texts += 1
                continue
            report.kept += 1
            row = dict(zip(header, cells, strict=False)) if isinstance(header, list) else cells
            yield Pair(number, *found, row)


def _find_columns(
    number: int,
    cells: Cells,
    asked: Sequence[Column | None],
    header: bool | None,
    need_target: bool,
    reading: Reading,
) -> tuple[Callable[[Any], tuple[str, str] | str], bool]:
    """Return what makes source and target of a row, or says what is wrong with it, and whether this one is a header."""
    layout = reading.report.layout
    fail = functools.partial(reading.error, number)
    if layout.format in ("lines", "fasttext"):
        if need_target or asked[0] is not None:
            raise fail("expected two columns with a tab between them, a table or JSON, got lines of one text")
        reading.report.layout = replace(layout, format="lines", text=None, label=None)
        return lambda row: (row[0], ""), False
    named, names = isinstance(cells, dict), [str(name).strip() for name in cells]
    if not named:
        asked = [int(column) if column is not None and is_number(column) else column for column in asked]
    usual = _usual(names)
    alone = _usual_source(names) if usual is None and not need_target else None
    is_header = True if named else header
    if is_header is None:
        is_header = any(isinstance(column, str) for column in asked) or usual is not None
        is_header = is_header or (alone is not None and fold(names[alone]) not in _WORDS)
    default = (usual or (alone or 0, 1)) if is_header else (0, 1)
    if named and usual is None and alone is None and None in asked[: 1 + need_target]:
        if need_target and len(names) != 2:
            raise fail(f"cannot tell which values are source and target; name them; they are: {_listing(names)}")
        if len(names) > 2:
            raise fail(f"cannot tell which value is the source; name it; they are: {_listing(names)}")
    places: list[int | None] = []
    for what, column, place in zip(("source", "target"), asked, default, strict=True):
        if what == "target" and not need_target and column is None:
            places.append(None)
            continue
        places.append(_place(what, column, place, names, named, bool(is_header), fail))
    first, second = places
    assert first is not None
    if first == second:
        raise fail(f"expected different columns for source and target, got {names[first]!r} for both")
    shown: list[Any] = [None if place is None else names[place] if is_header else place for place in places]
    reading.report.layout = replace(layout, text=shown[0], label=shown[1], header=None if named else is_header)
    if named:
        return functools.partial(_of_object, names=(names[first], None if second is None else names[second])), False
    return functools.partial(_of_cells, width=len(cells), first=first, second=second), is_header


def _usual(names: Sequence[str]) -> tuple[int, int] | None:
    """Return where source and target stand, by names of columns that are usual, or are those of two languages."""
    first, second = _named(names, SOURCE_NAMES), _named(names, TARGET_NAMES)
    if first and second and first[0] != second[0]:
        return first[0], second[0]
    languages = sorted(_named(names, LANGUAGES))
    return (languages[0], languages[1]) if len(languages) == 2 else None


def _usual_source(names: Sequence[str]) -> int | None:
    """Return where the source stands, by a name that is usual, or as the only language."""
    sources, languages = _named(names, SOURCE_NAMES), _named(names, LANGUAGES)
    return sources[0] if sources else languages[0] if len(languages) == 1 else None


def _named(names: Sequence[str], known: Sequence[str]) -> list[int]:
    """Return the columns that have one of the known names, in the order of these."""
    folded = list(map(fold, names))
    return [place for name in map(fold, known) for place, own in enumerate(folded) if own == name]


def _place(
    what: str,
    column: Column | None,
    usual: int,
    names: Sequence[str],
    named: bool,
    is_header: bool,
    fail: Callable[[str], Exception],
) -> int:
    if isinstance(column, str):
        if not is_header or column not in names:
            found = f"the columns {_listing(names)}" if is_header else f"no header row but {_listing(names)}"
            raise fail(f"expected a column {column!r} for the {what}, got {found}")
        return list(names).index(column)
    if named and column is not None:
        raise fail(f"expected a name for the {what} in JSON, got the number {column}")
    place = usual if column is None else column
    if place >= len(names):
        raise fail(f"expected a column number {place} for the {what}, got {len(names)} columns: {_listing(names)}")
    return place


def _listing(names: Sequence[str]) -> str:
    return ", ".join(repr(name[:40]) for name in names[:30]) + (", ..." if len(names) > 30 else "")


def _of_cells(cells: Any, width: int, first: int, second: int | None) -> tuple[str, str] | str:
    if isinstance(cells, dict):
        return "expected a list as in the first row, got another"
    if len(cells) <= max(first, second or 0):
        return f"expected {width} fields as in the first row, got {len(cells)}"
    if len(cells) > width and any(map(str.strip, cells[width:])):
        return f"expected {width} fields as in the first row, got {len(cells)}"
    source, target = cells[first], "" if second is None else cells[second]
    return "" if source == _MISSING else source, "" if target == _MISSING else target


def _of_object(row: Any, names: tuple[str, str | None]) -> tuple[str, str] | str:
    if not isinstance(row, dict):
        return "expected an object as in the first row, got another"
    found = []
    for name in names:
        value = "" if name is None else row.get(name, "")
        if name is not None and name not in row:
            return f"expected a value named {name!r}, got an object with {_listing(list(row)) or 'none'}"
        if value is not None and not isinstance(value, str):
            return f"expected a string as {name!r}, got {json_kind(value)} {json.dumps(value)[:40]}"
        if value and not value.isascii() and _SURROGATE.search(value):
            return f"expected text as {name!r}, got half of a surrogate pair (\\ud800 to \\udfff)"
        found.append(value or "")
    return found[0], found[1]
