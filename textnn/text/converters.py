"""From a row to a record, or to what is wrong with it; one converter for each form of a corpus (``records``).

cells of a table | object of JSON | line with __label__ | line -> Record(line, text, label, row), or a sentence
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from textnn.text.columns import MISSING, NO_LIST, NO_OBJECT, Convert, bad_string, text_of
from textnn.text.documents import json_kind
from textnn.text.layout import LABEL_PREFIX, Layout

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


Converter = Convert[Record]


def cells_converter(
    layout: Layout, header: list[str] | None, width: int, text: int, label: int | None, need_label: bool
) -> Converter:
    """Return what makes records of the rows of a table; ``header`` has the names of its columns, if it has any."""
    lecture, separator = layout.format == "lecture", layout.label_separator
    # Cells may be missing at the end of a row, if those of text and label are there.
    needed = max(text, -1 if label is None else label)

    def convert(number: int, cells: Any) -> Record | str:
        size = len(cells)
        if isinstance(cells, dict):
            return NO_LIST
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
        return Record(number, "" if content == MISSING else content, found, row)

    return convert


def from_object(number: int, row: Any, layout: Layout, need_label: bool) -> Record | str:
    """Return the record of an object of JSON."""
    text, label = str(layout.text), layout.label
    if not isinstance(row, dict):
        return NO_OBJECT
    content, wrong = text_of(row, text)
    if wrong:
        return wrong
    found: Any = None if label is None else row.get(str(label))
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
    if wrong := next(filter(None, (bad_string(label, each) for each in labels)), ""):
        return wrong
    if several:
        return Record(number, content, _different(labels), row)
    return Record(number, content, _read_label(labels[0], layout.label_separator) if labels else None, row)


def from_line(number: int, cells: Any) -> Record:
    """Return the record of a line that is a text."""
    return Record(number, cells[0], None, cells)


def fasttext_converter(layout: Layout) -> Converter:
    """Return what makes records of lines in fastText's format."""
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
    if cell == MISSING:
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
