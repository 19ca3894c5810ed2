"""From rows to texts and labels: columns, header, labels, what is left out.

    rows (``sources``) -> columns found in the first one -> Record(line, text, label, row) -> those that are complete

The first row is a header if a column is asked for by name, or if one of its cells is a usual name for a text or a label
("review", "sentiment", "评论"). A first row that could be either is refused with a message that lists its cells: a
guess would turn a header into a training text, or lose a text, without a sign.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from textnn.text.charset import is_blank
from textnn.text.documents import json_kind
from textnn.text.layout import LABEL_PREFIX, Column, Layout, check_layout, is_number
from textnn.text.sources import Reading, Source, open_rows

TEXT_NAMES = (
    *("text", "review", "content", "sentence", "comment", "reviews", "comments", "review_text", "message", "tweet"),
    *(
        "body",
        "document",
        "texts",
        "sentences",
        "文本",
        "评论",
        "内容",
        "句子",
        "评价",
        "评论内容",
        "評論",
        "內容",
        "文字",
    ),
)
LABEL_NAMES = (
    *("label", "sentiment", "class", "category", "target", "polarity", "labels", "rating", "stars", "star", "score"),
    *("标签", "情感", "类别", "分类", "情感倾向", "標籤", "類別", "情緒"),
)
USUAL_NAMES = frozenset((*TEXT_NAMES, *LABEL_NAMES))

MAX_COLUMNS = 1 << 16
"""Columns of a table at most."""

_MISSING = r"\N"  # how dumps of MySQL and PostgreSQL write NULL
_SPACE = " \t\v\f\r\n"  # where fastText's own reader splits words (dictionary.cc, readWord)

Label = str | list[str]


class Record(NamedTuple):
    """One text of a corpus.

    Attributes
    ----------
    line
        Number of the line, from 1, where the record begins; in a JSON array the number of the row.
    text
        The text as it stands there.
    label
        The label, without surrounding white space; None if there is none. Where a text may have several: the list of
        its different labels, which may be empty.
    row
        The whole row: by names if the file has them, else the list of cells.
    """

    line: int
    text: str
    label: Label | None
    row: dict[str, Any] | list[str]


@dataclass
class CorpusReport:
    """What was read of a corpus and what was left out; filled while it is read.

    Attributes
    ----------
    source
        The file's name.
    layout
        How the file is laid out, as given or as found.
    several
        Whether a text may have several labels; None before the first label, and where none is needed.
    rows, kept
        Rows of the file without its header, and but in the format "lines" without its blank lines; those handed on.
    blank_lines, empty_texts, missing_labels, bad_rows
        What was left out, by its reason. A row without text and label counts as an empty text.
    problems
        The messages of the first bad rows that were left out.
    replaced
        Bytes that did not fit the encoding and were replaced.
    """

    source: str = ""
    layout: Layout = field(default_factory=Layout)
    several: bool | None = None
    rows: int = 0
    kept: int = 0
    blank_lines: int = 0
    empty_texts: int = 0
    missing_labels: int = 0
    bad_rows: int = 0
    problems: list[str] = field(default_factory=list)
    replaced: int = 0

    @property
    def skipped(self) -> dict[str, int]:
        """What was left out and why, without the reasons that did not occur."""
        reasons = ("blank lines", "empty texts", "missing labels", "bad rows")
        counts = {reason: getattr(self, reason.replace(" ", "_")) for reason in reasons}
        return {reason: count for reason, count in counts.items() if count}

    def __str__(self) -> str:
        skipped = ", ".join(f"{reason}: {count:,}" for reason, count in self.skipped.items())
        replaced = f"; bytes replaced by U+FFFD: {self.replaced:,}" if self.replaced else ""
        about = self.layout.describe(bool(self.several))
        return f"{self.source}: {self.kept:,} texts ({about}); left out: {skipped or 'nothing'}{replaced}"


def iter_records(
    path: Source,
    text: Column | None = None,
    label: Column | None = None,
    format: str | None = None,  # noqa: A002
    encoding: str | None = None,
    *,
    delimiter: str | None = None,
    quoting: bool | None = None,
    header: bool | None = None,
    label_separator: str | None = None,
    encoding_errors: str = "strict",
    on_error: str = "stop",
    need_label: bool = False,
    keep_empty: bool = False,
    report: CorpusReport | None = None,
) -> Generator[Record, None, None]:
    """Read the records of a corpus one by one.

    Parameters
    ----------
    path
        A path, ``"-"`` for standard input, or an open stream.
    text, label
        Columns, by name or by number from 0. None looks for usual names: ``text``, ``review``, ``content``, ... and
        ``label``, ``sentiment``, ``class``, ...
    format
        ``"csv"``, ``"tsv"``, ``"jsonl"``, ``"json"``, ``"lecture"``, ``"fasttext"`` or ``"lines"``; see
        ``textnn.text.sources``. None goes by the file's suffix and, for others than these, by its first lines.
    encoding
        None finds UTF-8, UTF-16, GB18030 and Big5, and refuses others with a guess.
    delimiter, quoting, header
        What separates the cells of a table, whether they may be in quotes, and whether the first row has the columns'
        names; None finds it out. In fastText's format a delimiter also ends a label.
    label_separator
        What stands between the labels of a text, which may then have any number. Spaces around a label and empty ones
        do not count, a label that stands twice counts once; an empty cell is no label, and not a missing one. In JSON
        a list of labels needs none. In fastText's format the labels of a text are always a list and never split; there
        a separator, whichever, says that a text without a label is not one whose label is missing.
    encoding_errors
        ``"strict"`` refuses a byte that does not fit the encoding, ``"replace"`` reads it as U+FFFD and counts it.
    on_error
        ``"stop"`` raises for a bad row, ``"skip"`` leaves it out and counts it.
    need_label
        Whether records without a label are left out, and counted; the others then all have one, or all a list.
    keep_empty
        Whether records without a text are handed on too; else they are left out, and counted. In the format "lines"
        a blank line is such a record.
    report
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
    """
    layout = check_layout(
        on_error,
        format=format,
        encoding=encoding,
        delimiter=delimiter,
        quoting=quoting,
        header=header,
        text=text,
        label=label,
        label_separator=label_separator,
        encoding_errors=encoding_errors,
    )
    if need_label and format == "lines":
        raise ValueError("format: 'lines' has no labels, expected another format where labels are needed")
    # A generator of its own, so that wrong arguments are reported by the call and not by the first record.
    return _records(path, layout, on_error == "skip", need_label, keep_empty, report or CorpusReport())


def _records(
    path: Source, asked: Layout, skip: bool, need_label: bool, keep_empty: bool, report: CorpusReport
) -> Generator[Record, None, None]:
    with open_rows(path, asked, USUAL_NAMES, skip, need_label) as reading:
        report.source, report.layout, report.problems = reading.name, reading.layout, reading.problems
        for record in _READERS.get(str(reading.layout.format), _from_cells)(reading, need_label):
            report.rows += 1
            if need_label and record.label is not None:
                _check_kind(record, reading, report)
            if not keep_empty and is_blank(record.text):
                report.empty_texts += 1
            elif need_label and record.label is None:
                report.missing_labels += 1
            else:
                report.kept += 1
                yield record
            report.blank_lines, report.bad_rows, report.replaced = reading.blank_lines, reading.bad, reading.replaced
        report.blank_lines, report.bad_rows, report.replaced = reading.blank_lines, reading.bad, reading.replaced


def _check_kind(record: Record, reading: Reading, report: CorpusReport) -> None:
    """Refuse one label where the records before have a list, and the reverse."""
    several = isinstance(record.label, list)
    if report.several is None:
        report.several = several
    elif several != report.several:
        one, other = "one label", "a list of labels"
        expected, got = (one, other) if several else (other, one)
        raise reading.error(record.line, f"expected {expected} as in the rows before, got {got}")


def _from_cells(reading: Reading, need_label: bool) -> Iterator[Record]:
    """Yield the records of tables and of JSON, whose rows may also be lists."""
    layout, header, width = reading.layout, None, 0
    for number, cells in reading.rows:
        layout = reading.layout
        if not width:
            named, width = isinstance(cells, dict), len(cells)
            names = list(cells) if named else [name.strip() for name in cells]
            if layout.format == "lecture":
                names, width = [*names, ""][:2], 2
            if width > MAX_COLUMNS:
                raise reading.error(number, f"expected at most {MAX_COLUMNS:,} columns, got {width:,}")
            if layout.format == "lecture" and layout.text is layout.label is None:
                layout.text, layout.label = 0, 1
            text, label, is_header = _find_columns(names, reading, number, need_label, named)
            width = max(width, 1)
            header = _unique(names) if is_header else None
            layout.header = None if named else is_header
            layout.text = text if header is None else names[text]
            layout.label = label if label is None or header is None else names[label]
            if is_header and not named:
                continue
        record: Record | str
        if isinstance(cells, dict) != named:
            record = f"expected {'an object' if named else 'a list'} as in the first row, got another"
        elif isinstance(cells, dict):
            record = _from_object(number, cells, layout)
        elif len(cells) != width and not (layout.format == "lecture" and len(cells) == 1 and not need_label):
            record = _wrong_width(len(cells), width, layout)
        else:
            found = None if label is None or len(cells) < 2 else _read_label(cells[label], layout)
            row = cells if header is None else dict(zip(header, cells, strict=len(cells) == width))
            content = cells[text if len(cells) > 1 else 0]
            record = Record(number, "" if content == _MISSING else content, found, row)
        if reading.skips and not isinstance(record, str):
            record = reading.bad_text("\n".join(map(str, cells))) or record
        if isinstance(record, str):
            reading.refuse(number, record)
        else:
            yield record


def _wrong_width(found: int, width: int, layout: Layout) -> str:
    if layout.format == "lecture":
        return f"expected text<TAB>label, got {found - 1} tabs"
    return f"expected {width} fields as in the first row, got {found}"


def _find_columns(
    names: Sequence[str], reading: Reading, number: int, need_label: bool, header: bool
) -> tuple[int, int | None, bool]:
    """Return where text and label stand, and whether the first row, at line ``number``, has the columns' names.

    ``header`` says that it surely has: the names in an object of JSON.
    """
    layout = reading.layout
    columns = [layout.text, layout.label]
    digits = [column for column in columns if isinstance(column, str) and is_number(column)]
    if header and any(isinstance(column, int) for column in columns):
        argument, column = next(
            pair for pair in zip(("text", "label"), columns, strict=True) if isinstance(pair[1], int)
        )
        raise reading.error(number, f"expected a name for the {argument} in JSON, got the number {column}")
    # Digits are numbers, unless all of them are names: one alone may be the label of a first text.
    if not header and not all(column in names for column in digits):
        columns = [int(str(column)) if column in digits else column for column in columns]
    folded = [name.casefold() for name in names]
    usual = [
        next((folded.index(name) for name in known if name in folded), None) for known in (TEXT_NAMES, LABEL_NAMES)
    ]
    asked_by_name = any(isinstance(column, str) for column in columns)
    is_header = header or (asked_by_name or usual != [None, None] if layout.header is None else layout.header)
    listing = ", ".join(repr(name[:40]) for name in names[:30]) + (", ..." if len(names) > 30 else "")

    def find(argument: str, column: Column | None, known: int | None, needed: bool) -> int | None:
        if isinstance(column, int) and column >= len(names):
            found = f"{len(names)} columns: {listing}"
            raise reading.error(number, f"expected a column number {column} for the {argument}, got {found}")
        if isinstance(column, str) and not (is_header and column in names):
            found = f"the columns {listing}" if is_header else f"no header row but {listing}"
            raise reading.error(number, f"expected a column {column!r} for the {argument}, got {found}")
        place = names.index(column) if isinstance(column, str) else known if column is None and is_header else column
        if place is None and needed:
            raise reading.error(
                number,
                f"cannot tell which column holds the {argument}; give its name or its number from 0 "
                f"(argument {argument}, option --{argument}-column): {listing}",
            )
        if place is not None and is_header and not isinstance(column, int) and names.count(names[place]) > 1:
            raise reading.error(
                number,
                f"expected one column {names[place][:40]!r} for the {argument}, got several; "
                f"give its number from 0 (the columns: {listing})",
            )
        return place

    text, label = find("text", columns[0], usual[0], True), find("label", columns[1], usual[1], need_label)
    assert text is not None
    if text == label:
        raise reading.error(number, f"expected different columns for text and label, got {names[text]!r} for both")
    return text, label, is_header


def _unique(names: Sequence[str]) -> list[str]:
    """Return names of columns to tell cells apart by, where some are missing or occur more than once."""
    made: dict[str, None] = {}
    for place, name in enumerate(names):
        unique = name or f"column {place}"
        while unique in made:
            unique += "'"
        made[unique] = None
    return list(made)


def _from_object(number: int, row: dict[str, Any], layout: Layout) -> Record | str:
    """Return the record of an object of JSON, or what is wrong with it."""
    text, label = str(layout.text), layout.label
    if text not in row:
        names = ", ".join(repr(name[:40]) for name in itertools.islice(row, 30))
        return f"expected a value named {text!r}, got an object with {names or 'none'}"
    value, found = row[text], None if label is None else row.get(str(label))
    if value is not None and not isinstance(value, str):
        return f"expected a string as {text!r}, got {json_kind(value)}"
    several = isinstance(found, list)
    labels: list[str] = []
    for each in (found or []) if several else [] if found is None else [found]:
        where = f"in the list {label!r}" if several else f"as {label!r}"
        if each is None or isinstance(each, dict | list) or (isinstance(each, float) and not math.isfinite(each)):
            got = json.dumps(each) if isinstance(each, float) else json_kind(each)
            return f"expected a string or a number {where}, got {got}"
        labels.append(each if isinstance(each, str) else json.dumps(each))
    for name, string in ((text, value), *((label, each) for each in labels)):
        if string and not string.isascii() and any("\ud800" <= character <= "\udfff" for character in string):
            return f"expected text as {name!r}, got half of a surrogate pair (\\ud800 to \\udfff)"
    if several:
        return Record(number, value or "", _different(labels), row)
    return Record(number, value or "", _read_label(labels[0], layout) if labels else None, row)


def _read_label(cell: str, layout: Layout) -> Label | None:
    """Return the label of a cell, None for an empty one; or all those between separators, if there is one."""
    if cell == _MISSING:
        return None
    return cell.strip() or None if layout.label_separator is None else _different(cell.split(layout.label_separator))


def _different(labels: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(label for found in labels if (label := found.strip())))


def _from_lines(reading: Reading, need_label: bool) -> Iterator[Record]:
    """Yield the records of lines, and of fastText's, whose labels are words of them."""
    layout, fasttext = reading.layout, reading.layout.format == "fasttext"
    for argument, column in (("text", layout.text), ("label", layout.label)):
        if column is not None:
            message = f"expected a table for the {argument} column {column!r}, got the format {layout.format!r}"
            raise reading.error(1, message)
    ends = _SPACE + (layout.delimiter or "")
    prefixed = re.compile(f"(?<![^{re.escape(_SPACE)}]){LABEL_PREFIX}([^{re.escape(ends)}]*)[{re.escape(ends)}]*")
    layout.label = LABEL_PREFIX if fasttext else None
    for number, (line,) in reading.rows:
        if reading.skips and (wrong := reading.bad_text(line)):
            reading.refuse(number, wrong)
        elif not fasttext:
            yield Record(number, line, None, [line])
        else:
            labels = _different(prefixed.findall(line))
            none = not labels and layout.label_separator is None
            yield Record(number, prefixed.sub("", line).strip(_SPACE), None if none else labels, [line])


_READERS = {"fasttext": _from_lines, "lines": _from_lines}
