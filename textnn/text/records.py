"""From rows to texts and labels: columns, header, labels, what is left out.

    rows (``sources``) -> columns found in the first one -> Record(line, text, label, row) -> those that are complete

The first row is a header if a column is asked for by name, or if one of its cells is a usual name for a text or a label
("review", "sentiment", "评论"). A first row that could be either is refused with a message that lists its cells: a
guess would turn a header into a training text, or lose a text, without a sign.
"""

from __future__ import annotations

import functools
import itertools
import json
import math
import re
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from textnn.text.charset import is_blank
from textnn.text.documents import json_kind
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

_SURROGATE = re.compile("[\ud800-\udfff]")
_MISSING = r"\N"  # how dumps of MySQL and PostgreSQL write NULL
_SPACE = " \t\v\f\r\n"  # where fastText's own reader splits words (dictionary.cc, readWord)

Label = str | list[str]


class Record(NamedTuple):
    """One text of a corpus.

    Attributes
    ----------
    line : int
        Number of the line, from 1, where the record begins; in a JSON array the number of the row.
    text : str
        The text as it stands there.
    label : str or list of str, optional
        The label, without surrounding white space; None if there is none. Where a text may have several: the list of
        its different labels, which may be empty.
    row : dict or list of str
        The whole row: by names if the file has them, else the list of cells.

    Examples
    --------
    >>> import io
    >>> next(iter_records(io.BytesIO(b"text,label\\ngood,1\\n"), format="csv"))
    Record(line=2, text='good', label='1', row={'text': 'good', 'label': '1'})
    """

    line: int
    text: str
    label: Label | None
    row: dict[str, Any] | list[str]


Converter = Callable[[int, Any], Record | str]
"""Makes a record of a row, or says what is wrong with it."""


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
            yield from _records_of(reading, skip, need_label, keep_empty, report)
        finally:
            report.doubts += reading.watch.sentences()


def _records_of(
    reading: Reading, skip: bool, need_label: bool, keep_empty: bool, report: CorpusReport
) -> Generator[Record, None, None]:
    convert: Converter | None = None
    header: Cells | None = None
    for number, cells in _below_title(reading, need_label):
        if convert is None:
            convert = _find_converter(number, cells, reading, need_label)
            if isinstance(cells, list) and report.layout.header and report.layout.text is not None:
                header = cells
                continue
        if cells == header:
            report.repeated_headers += 1
            continue
        record = convert(number, cells)
        if skip and not isinstance(record, str):
            record = reading.bad_text("\n".join(map(str, cells))) or record
        if isinstance(record, str):
            reading.refuse(number, record)
            continue
        report.rows += 1
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
            return _from_line
        reading.report.layout = replace(layout, label=LABEL_PREFIX)
        return _fasttext_converter(layout)
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
        return functools.partial(_from_object, layout=layout, need_label=need_label)
    delimiter = layout.delimiter if layout.quoting and not layout.escape else None
    reading.watch = Watch(delimiter, len(names), label, bool(layout.escape))
    return _cells_converter(layout, _unique(names) if is_header else None, len(names), text, label, need_label)


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
    listing = ", ".join(repr(name[:40]) for name in names[:30]) + (", ..." if len(names) > 30 else "")

    def find(argument: str, column: Column | None, place: int | None, needed: bool) -> int | None:
        if isinstance(column, int):
            if named:
                raise fail(f"expected a name for the {argument} in JSON, got the number {column}")
            if column >= len(names):
                found = f"{len(names)} columns: {listing}"
                raise fail(f"expected a column number {column} for the {argument}, got {found}")
            return column
        if isinstance(column, str):
            if not is_header or column not in names:
                found = f"the columns {listing}" if is_header else f"no header row but {listing}"
                raise fail(f"expected a column {column!r} for the {argument}, got {found}")
            place = names.index(column)
        if place is None or not is_header:
            if needed:
                way = "give its name" + ("" if named else " or its number, the first is 0")
                way += f" (argument {argument}, option --{argument}-column)"
                what = "the columns" if is_header else "no header row was recognised, the first row is"
                raise fail(f"cannot tell which column holds the {argument}; {way}; {what}: {listing}")
            return None
        if names.count(names[place]) > 1:
            raise fail(
                f"expected one column {names[place][:40]!r} for the {argument}, got several; "
                f"give its number, the first is 0 (the columns: {listing})"
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


# ---- a row to a record, or to what is wrong with it ------------------------------------------------------------------


def _cells_converter(
    layout: Layout, header: list[str] | None, width: int, text: int, label: int | None, need_label: bool
) -> Converter:
    lecture, separator = layout.format == "lecture", layout.label_separator
    # Cells may be missing at the end of a row, if those of text and label are there.
    needed = max(text, -1 if label is None else label)

    def convert(number: int, cells: Any) -> Record | str:
        size = len(cells)
        if isinstance(cells, dict):
            return "expected a list as in the first row, got another"
        if size > width and not any(map(str.strip, cells[width:])):
            cells = cells[:width]
        elif needed < size < width:
            cells = [*cells, *[""] * (width - size)]
        elif size != width and not (lecture and size == 1 and not need_label):
            if lecture:
                return f"expected text<TAB>label, got {size - 1} tabs"
            return f"expected {width} fields as in the first row, got {size}"
        content = cells[text if size > 1 else 0]
        found = None if label is None or size < 2 else _read_label(cells[label], separator)
        row = cells if header is None else dict(zip(header, cells, strict=False))
        return Record(number, "" if content == _MISSING else content, found, row)

    return convert


def _from_object(number: int, row: Any, layout: Layout, need_label: bool) -> Record | str:
    text, label = str(layout.text), layout.label
    if not isinstance(row, dict):
        return "expected an object as in the first row, got another"
    if text not in row:
        names = ", ".join(repr(name[:40]) for name in itertools.islice(row, 30))
        return f"expected a value named {text!r}, got an object with {names or 'none'}"
    value: Any = row[text]
    found: Any = None if label is None else row.get(str(label))
    if value is not None and not isinstance(value, str):
        return f"expected a string as {text!r}, got {json_kind(value)}"
    several = isinstance(found, list)
    where = f"in the list {label!r}" if several else f"as {label!r}"
    labels: list[str] = []
    for each in found if several else [] if found is None else [found]:
        if each is None or isinstance(each, dict | list) or (isinstance(each, float) and not math.isfinite(each)):
            if not need_label:  # such as spans of the text, for a tagger
                several, labels = False, []
                break
            got = json.dumps(each) if isinstance(each, float) else json_kind(each)
            return f"expected a string or a number {where}, got {got}"
        labels.append(each if isinstance(each, str) else json.dumps(each))
    for name, string in ((text, value), *((label, each) for each in labels)):
        if string and not string.isascii() and _SURROGATE.search(string):
            return f"expected text as {name!r}, got half of a surrogate pair (\\ud800 to \\udfff)"
    if several:
        return Record(number, value or "", _different(labels), row)
    return Record(number, value or "", _read_label(labels[0], layout.label_separator) if labels else None, row)


def _from_line(number: int, cells: Any) -> Record:
    return Record(number, cells[0], None, cells)


def _fasttext_converter(layout: Layout) -> Converter:
    space, ends = re.escape(_SPACE), re.escape(_SPACE + "\u3000" + (layout.delimiter or ""))
    # In "__label__good , I like it", as some corpora have it, the comma belongs to the label.
    prefixed = re.compile(f"(?<![^{space}]){LABEL_PREFIX}([^{ends}]*)[{ends}]*(?:,[{space}]+)?")

    def convert(number: int, cells: Any) -> Record:
        labels = _different(prefixed.findall(cells[0]))
        missing = not labels and layout.label_separator is None
        return Record(number, prefixed.sub("", cells[0]).strip(_SPACE), None if missing else labels, cells)

    return convert


def _read_label(cell: str, separator: str | None) -> Label | None:
    """Return the label of a cell, None for an empty one; or all those between separators, if there is one."""
    if cell == _MISSING:
        return None
    if separator is None:
        return cell.strip() or None
    if cell.lstrip().startswith("["):
        try:
            labels = json.loads(cell)
            return _different(map(str, labels)) if all(isinstance(each, str | int) for each in labels) else [cell]
        except (ValueError, RecursionError):
            pass
    return _different(cell.split(separator))


def _different(labels: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(label for found in labels if (label := found.strip())))
