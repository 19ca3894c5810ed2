"""Pairs of texts, such as sentences and their translations, from tables, JSON or lines.

    rows (``sources``) -> two columns, found in the first row -> Pair(line, source, target, row) -> those that are whole

The first row is a header if a column is asked for by name, or if both columns have usual names ("source" and "target",
"en" and "zh"); where sources alone will do, if theirs has one. Without a header they are the first two columns, so that
``sentence<TAB>translation`` needs no options; further columns are left alone.
"""

from __future__ import annotations

import functools
from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

from textnn.text.charset import is_blank
from textnn.text.columns import MISSING, NO_LIST, NO_OBJECT, Convert, converted, listing, place_of, text_of
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
        find = functools.partial(
            _find_columns, asked=columns, header=asked.header, need_target=need_target, reading=reading
        )
        for _, _, pair in converted(reading, reading.rows, find):
            if need_target and (is_blank(pair.source) or is_blank(pair.target)):
                report.empty_texts += 1
                continue
            report.kept += 1
            yield pair


def _find_columns(
    number: int,
    cells: Cells,
    asked: Sequence[Column | None],
    header: bool | None,
    need_target: bool,
    reading: Reading,
) -> tuple[Convert[Pair], bool]:
    """Return what makes a pair of a row, or says what is wrong with it, and whether this one is a header."""
    layout = reading.report.layout
    fail = functools.partial(reading.error, number)
    if layout.format in ("lines", "fasttext"):
        if need_target or asked[0] is not None:
            raise fail("expected two columns with a tab between them, a table or JSON, got lines of one text")
        reading.report.layout = replace(layout, format="lines", text=None, label=None)
        return lambda line, row: Pair(line, row[0], "", row), False
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
            raise fail(f"cannot tell which values are source and target; name them; they are: {listing(names)}")
        if len(names) > 2:
            raise fail(f"cannot tell which value is the source; name it; they are: {listing(names)}")
    places: list[int | None] = []
    for what, column, place in zip(("source", "target"), asked, default, strict=True):
        if what == "target" and not need_target and column is None:
            places.append(None)
            continue
        by_number = named and column is not None
        places.append(place_of(what, place if column is None else column, names, by_number, bool(is_header), fail))
    first, second = places
    assert first is not None
    if first == second:
        raise fail(f"expected different columns for source and target, got {names[first]!r} for both")
    shown: list[Any] = [None if place is None else names[place] if is_header else place for place in places]
    reading.report.layout = replace(layout, text=shown[0], label=shown[1], header=None if named else is_header)
    if named:
        return functools.partial(_of_object, names=[names[each] for each in places if each is not None]), False
    own = list(cells) if is_header else None
    return functools.partial(_of_cells, header=own, width=len(cells), first=first, second=second), bool(is_header)


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


def _of_cells(
    number: int, cells: Any, header: list[str] | None, width: int, first: int, second: int | None
) -> Pair | str:
    if isinstance(cells, dict):
        return NO_LIST
    if len(cells) <= max(first, second or 0) or any(map(str.strip, cells[width:])):
        return f"expected {width} fields as in the first row, got {len(cells)}"
    found = (cells[first], "" if second is None else cells[second])
    source, target = ("" if text == MISSING else text for text in found)
    return Pair(number, source, target, cells if header is None else dict(zip(header, cells, strict=False)))


def _of_object(number: int, row: Any, names: Sequence[str]) -> Pair | str:
    if not isinstance(row, dict):
        return NO_OBJECT
    found = [text_of(row, name) for name in names]
    if wrong := next((wrong for _, wrong in found if wrong), ""):
        return wrong
    source, target, *_ = (*(text for text, _ in found), "")
    return Pair(number, source, target, row)
