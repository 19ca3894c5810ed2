"""From rows to texts and labels: columns, header, labels, what is left out.

    rows (``sources``) -> columns found in the first one -> Record(line, text, label, row) -> those that are complete

The first row is a header if a column is asked for by name, or if one of its cells is a usual name for a text or a label
("review", "sentiment", "评论"). A first row that could be either is refused with a message that lists its cells: a
guess would turn a header into a training text, or lose a text, without a sign.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import replace
from typing import Any

from textnn.text.charset import is_blank
from textnn.text.columns import converted, listing, place_of
from textnn.text.converters import Converter, Record, cells_converter, fasttext_converter, from_line, from_object
from textnn.text.doubts import Watch
from textnn.text.layout import (
    LABEL_NAMES,
    LABEL_PREFIX,
    TEXT_NAMES,
    Column,
    CorpusReport,
    Layout,
    check_layout,
    fold,
    is_number,
)
from textnn.text.sources import Cells, CorpusError, Reading, Row, Source, open_rows

MAX_COLUMNS = 1 << 16
"""Columns of a table at most."""
TITLE_ROWS = 5
"""So many rows at most may be looked at for the header."""


def iter_records(
    path: Source,
    text: Column | None = None,
    label: Column | None = None,
    format: str | None = None,  # noqa: A002
    encoding: str | None = None,
    *,
    on_error: str = "stop",
    need_label: bool = False,
    keep_empty: bool = False,
    report: CorpusReport | None = None,
    **layout: Any,
) -> Generator[Record, None, None]:
    """Read the records of a corpus one by one.

    Parameters
    ----------
    path : path or file
        A path, ``"-"`` for standard input, or an open stream.
    text, label, format, encoding, layout : str or int, str or int, str, str, and others
        How the file is laid out: see :class:`Layout`, of which ``delimiter``, ``quoting``, ``header``,
        ``label_separator``, ``encoding_errors`` and ``escape`` are further arguments. What is None is found out.
    on_error : {"stop", "skip"}, default="stop"
        ``"stop"`` raises for a bad row, ``"skip"`` leaves it out and counts it.
    need_label : bool, default=False
        Whether records without a label are left out, and counted; the others then all have one, or all a list.
    keep_empty : bool, default=False
        Whether records without a text are handed on too; else they are left out, and counted. In the format "lines"
        a blank line is such a record.
    report : CorpusReport, optional
        A report to fill on the way.

    Yields
    ------
    Record

    Raises
    ------
    CorpusError
        With file and line, for anything in the file that is not as expected.
    TypeError, ValueError
        If an argument has no meaning.

    Examples
    --------
    >>> import io
    >>> [record.text for record in iter_records(io.BytesIO(b"text,label\\ngood,1\\nbad,0\\n"), format="csv")]
    ['good', 'bad']
    """
    asked = check_layout(on_error, text=text, label=label, format=format, encoding=encoding, **layout)
    if need_label and format == "lines":
        raise ValueError("format: 'lines' has no labels, expected another format where labels are needed")
    # A generator of its own, so that wrong arguments are reported by the call and not by the first record.
    return _records(path, asked, on_error == "skip", need_label, keep_empty, report or CorpusReport())


def _records(
    path: Source, asked: Layout, skip: bool, need_label: bool, keep_empty: bool, report: CorpusReport
) -> Generator[Record, None, None]:
    with open_rows(path, asked, skip, need_label, report) as reading:
        try:
            yield from _records_of(reading, need_label, keep_empty, report)
        finally:
            report.doubts += reading.watch.sentences()


def _records_of(
    reading: Reading, need_label: bool, keep_empty: bool, report: CorpusReport
) -> Generator[Record, None, None]:
    def find(number: int, cells: Cells) -> tuple[Converter, bool]:
        convert = _find_converter(number, cells, reading, need_label)
        return convert, isinstance(cells, list) and bool(report.layout.header) and report.layout.text is not None

    for number, cells, record in converted(reading, _below_title(reading, need_label), find):
        reading.watch.see(number, cells, record.text)
        label = record.label
        if need_label and label is not None and isinstance(label, list) is not report.several:
            _check_kind(number, isinstance(label, list), reading)
        if not keep_empty and is_blank(record.text):
            report.empty_texts += 1
        elif need_label and label is None:
            report.missing_labels += 1
        else:
            report.kept += 1
            yield record


def _below_title(reading: Reading, need_label: bool) -> Iterator[Row]:
    """Yield the rows from the header on, where a title or an empty row stands above it: a few rows are looked at.

    That is only where the columns are not found in the first row, and are by their names in another one.
    """
    asked, first = reading.report.layout, list(itertools.islice(reading.rows, 1))
    if asked.format in ("csv", "tsv") and asked.header is not False:
        for place in range(TITLE_ROWS):
            try:
                if place < len(first):
                    _find_converter(*first[place], reading, need_label)
                    if place and not reading.report.layout.header:
                        continue
                    if place:
                        found = f"{reading.unit} {first[place][0]} is read as the header; the rows above are left out"
                        reading.report.doubts.append(found)
                    del first[:place]
                    break
            except CorpusError:
                first += itertools.islice(reading.rows, 1)
            finally:
                reading.report.layout = asked
    yield from itertools.chain(first, reading.rows)


def _check_kind(number: int, several: bool, reading: Reading) -> None:
    """Refuse one label where the rows before have a list, and the reverse."""
    if reading.report.several is not None:
        kinds = ["a list of labels", "one label"]
        expected, got = kinds if reading.report.several else kinds[::-1]
        raise reading.error(number, f"expected {expected} as in the rows before, got {got}")
    reading.report.several = several


# ---- columns ---------------------------------------------------------------------------------------------------------


def _find_converter(number: int, cells: Cells, reading: Reading, need_label: bool) -> Converter:
    """Return what makes records of the rows, by the first one, and put columns and header into the report."""
    layout = reading.report.layout
    if layout.format in ("lines", "fasttext"):
        for argument, column in (("text", layout.text), ("label", layout.label)):
            if column is not None:
                message = f"expected a table for the {argument} column {column!r}, got the format {layout.format!r}"
                raise reading.error(1, message)
        if layout.format == "lines":
            return from_line
        reading.report.layout = replace(layout, label=LABEL_PREFIX)
        return fasttext_converter(layout)
    named, names = isinstance(cells, dict), list(cells)
    if not named:
        names = [name.strip() for name in names]
    if layout.format == "lecture":
        names = [*names, ""][:2]
        if layout.text is layout.label is None:
            layout = replace(layout, text=0, label=1)
    if len(names) > MAX_COLUMNS:
        raise reading.error(number, f"expected at most {MAX_COLUMNS:,} columns, got {len(names):,}")
    text, label, is_header = _find_columns(names, named, layout, need_label, functools.partial(reading.error, number))
    found: dict[str, Any] = {"text": text, "label": label}
    if is_header:
        found = {"text": names[text], "label": None if label is None else names[label]}
    layout = reading.report.layout = replace(layout, **found, header=None if named else is_header)
    if named:
        return functools.partial(from_object, layout=layout, need_label=need_label)
    delimiter = layout.delimiter if layout.quoting and not layout.escape else None
    reading.watch = Watch(delimiter, len(names), label, bool(layout.escape))
    return cells_converter(layout, _unique(names) if is_header else None, len(names), text, label, need_label)


def _find_columns(
    names: list[str], named: bool, layout: Layout, need_label: bool, fail: Callable[[str], Exception]
) -> tuple[int, int | None, bool]:
    """Return where text and label stand, and whether the first row has the columns' names.

    ``named`` says that it surely has: the names in an object of JSON.
    """
    asked = [layout.text, layout.label]
    if not named:
        asked = [int(column) if column is not None and is_number(column) else column for column in asked]
    folded = list(map(fold, names))
    usual = [
        next((folded.index(fold(name)) for name in known if fold(name) in folded), None)
        for known in (TEXT_NAMES, LABEL_NAMES)
    ]
    is_header = layout.header
    if named or is_header is None:
        is_header = named or usual != [None, None] or any(isinstance(column, str) for column in asked)
        is_header = is_header or names == list(map(str, range(max(2, len(names)))))  # as pandas numbers columns

    def find(argument: str, column: Column | None, place: int | None, needed: bool) -> int | None:
        if column is not None:
            place = place_of(argument, column, names, named, is_header, fail)
        if isinstance(column, int):
            return place
        if place is None or not is_header:
            if needed:
                way = "give its name" + ("" if named else " or its number, the first is 0")
                way += f" (argument {argument}, option --{argument}-column)"
                what = "the columns" if is_header else "no header row was recognised, the first row is"
                raise fail(f"cannot tell which column holds the {argument}; {way}; {what}: {listing(names)}")
            return None
        if names.count(names[place]) > 1:
            raise fail(
                f"expected one column {names[place][:40]!r} for the {argument}, got several; "
                f"give its number, the first is 0 (the columns: {listing(names)})"
            )
        return place

    text, label = find("text", asked[0], usual[0], True), find("label", asked[1], usual[1], need_label)
    assert text is not None
    if text == label:
        raise fail(f"expected different columns for text and label, got {names[text]!r} for both")
    return text, label, is_header


def _unique(names: Iterable[str]) -> list[str]:
    """Return names of columns to tell cells apart by, where some are missing or occur more than once."""
    made: dict[str, None] = {}
    for place, name in enumerate(names):
        unique = name or f"column {place}"
        while unique in made:
            unique += "'"
        made[unique] = None
    return list(made)
