"""Predictions as rows of a file.

    probabilities [texts, classes] -> ``choose`` -> (prediction, its probability) a text -> Row -> a table or JSON lines

A model of several labels a text predicts a list of them, joined with "|" in CSV; no single probability belongs to it.
Python's csv does not quote a lone carriage return in every version, which then ends the row: cells are quoted here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np

    from textnn import SentimentClassifier
    from textnn.text import Record

SEPARATOR = "|"
DELIMITERS = {"csv": ",", "tsv": "\t"}

_QUOTED = re.compile('[",\t\r\n]|^[ \ufeff]| $')
# What a spreadsheet takes for a formula, with the wide forms that East Asian ones take too.
_FORMULA = tuple("=+-@\t\r\uff1d\uff0b\uff0d\uff20")
# Breaks of lines to some readers, which JSON may have in strings as they are.
BREAKS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}


class Row(NamedTuple):
    """What was predicted of one text.

    Attributes
    ----------
    line, text
        Where the text begins in its file, and the text.
    prediction
        A label; a list of labels from a model of several labels a text; None for a text without a word in it.
    probability
        Of the label; None where there is not one label.
    probabilities
        Of all classes; None for a text without a word in it.
    kept
        The other columns of the text's row, by name.
    """

    line: int
    text: str
    prediction: Any
    probability: float | None
    probabilities: list[float] | None
    kept: Mapping[str, Any] = {}  # never changed

    @property
    def empty(self) -> bool:
        """Whether the text has no prediction."""
        return self.prediction is None


Writer = Callable[[Row], object]


@dataclass(frozen=True)
class Output:
    """How rows are written.

    Attributes
    ----------
    kind
        ``"csv"``, ``"tsv"`` or ``"jsonl"``.
    probabilities
        Whether to write the probability of each class.
    mark
        Whether a byte order mark comes first, by which Excel knows UTF-8.
    safe
        Whether an apostrophe comes before what a spreadsheet would take for a formula.
    kept
        The names of the other columns that are written, too.
    """

    kind: str
    probabilities: bool = False
    mark: bool = False
    safe: bool = False
    kept: tuple[str, ...] = ()

    def writer(self, stream: IO[str], classes: list[Any], header: bool = True) -> Writer:
        """Return what writes a row; ``header`` is whether the columns' names are to be written first."""
        make = _jsonl_writer if self.kind == "jsonl" else _table_writer
        return make(self, stream, classes, header)


def choose(classifier: SentimentClassifier, table: np.ndarray[Any, Any]) -> Iterator[tuple[Any, float | None]]:
    """Yield the prediction for each row of ``table``, float64 [texts, classes], and how probable it is.

    That is the most probable label, or the list of labels whose probability reaches their threshold, without one.
    """
    classes = classifier.classes_.tolist()
    if getattr(classifier, "multilabel_", False):
        thresholds: Any = getattr(classifier, "thresholds_")  # noqa: B009  # only a model of several labels has them
        for row in (table >= thresholds).tolist():
            yield [label for label, reached in zip(classes, row, strict=True) if reached], None
        return
    for row, best in zip(table.tolist(), table.argmax(axis=1).tolist(), strict=True):
        yield classes[best], row[best]


def quoted(cell: str) -> str:
    """Return a cell of a table as it is written."""
    return '"' + cell.replace('"', '""') + '"' if _QUOTED.search(cell) else cell


def _table_writer(output: Output, stream: IO[str], classes: list[Any], header: bool) -> Writer:
    """Write rows as CSV or TSV, probabilities with six decimals."""
    delimiter = DELIMITERS[output.kind]

    def cell(value: Any) -> str:
        text = "" if value is None else str(value).replace("\0", "\ufffd")  # NUL ends a cell for many readers
        if output.safe and isinstance(value, str) and text.startswith(_FORMULA):
            text = f"'{text}"
        return quoted(text)

    def write_cells(cells: list[Any]) -> None:
        stream.write(delimiter.join(map(cell, cells)) + "\n")

    if header:
        stream.write("\ufeff" if output.mark else "")
        names = ["line", "text", "prediction", "probability"]
        names += [f"probability of {label}" for label in classes] if output.probabilities else []
        write_cells([*names, *(f"{name} of the input" if name in names else name for name in output.kept)])

    def write(row: Row) -> None:
        prediction: Any = row.prediction
        if isinstance(prediction, list):
            prediction = SEPARATOR.join(map(str, prediction))
        values: list[float | None] = [row.probability]
        if output.probabilities:
            values += row.probabilities or [None] * len(classes)
        numbers = [None if value is None else f"{value:.6f}" for value in values]
        if len(row.kept) > len(output.kept):
            name = next(name for name in row.kept if name not in output.kept)
            others = f"the first row of the input does not have {name[:40]!r}, which line {row.line} has"
            raise ValueError(f"--keep-columns: {others}; write --format jsonl, whose rows may differ")
        kept = [row.kept.get(name) for name in output.kept]
        shown = [each if isinstance(each, str | None) else json.dumps(each, ensure_ascii=False) for each in kept]
        write_cells([row.line, row.text, prediction, *numbers, *shown])

    return write


def _jsonl_writer(output: Output, stream: IO[str], classes: list[Any], header: bool) -> Writer:
    """Write rows as one JSON object a line, probabilities in full; there is no header."""
    from textnn.classification.evaluation.metrics import plain_label

    def write(row: Row) -> None:
        found = row.prediction
        prediction = [plain_label(label) for label in found] if isinstance(found, list) else plain_label(found)
        values = {"line": row.line, "text": row.text, "prediction": prediction, "probability": row.probability}
        if output.probabilities:
            all_of_them = row.probabilities
            values["probabilities"] = all_of_them and dict(zip(map(str, classes), all_of_them, strict=True))
        # As in a table, so that what was written is read as what was.
        others = {f"{name} of the input" if name in values else name: value for name, value in row.kept.items()}
        values |= others if output.kept else {}
        stream.write(json.dumps(values, ensure_ascii=False).translate(BREAKS) + "\n")

    return write


KINDS = (*DELIMITERS, "jsonl")


class Sink:
    """Where rows are written, and how many were.

    Attributes
    ----------
    stream
        The open file.
    texts, empty
        How many rows were counted, and how many of these have no prediction.
    """

    def __init__(self, stream: IO[str]) -> None:
        self.stream = stream
        self.texts = self.empty = 0

    def skip(self, records: Iterator[Record], source: str) -> None:
        """Read past the texts whose rows are there already: none."""

    def count(self, row: Row) -> None:
        """Count a row that was written."""
        self.texts += 1
        self.empty += row.empty

    def flush(self) -> None:
        """Note that a later run could resume from what was written so far."""
