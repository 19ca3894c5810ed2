"""Predictions as rows of a file.

    probabilities [texts, classes] -> ``choose`` -> (prediction, its probability) a text -> Row -> CSV or JSON lines

A model of several labels a text predicts a list of them, joined with "|" in CSV; no single probability belongs to it.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np

    from textnn.classifier import SentimentClassifier
    from textnn.text import Record

SEPARATOR = "|"


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
    """

    line: int
    text: str
    prediction: Any
    probability: float | None
    probabilities: list[float] | None

    @property
    def empty(self) -> bool:
        """Whether the text has no prediction."""
        return self.prediction is None


Writer = Callable[[Row], object]
MakeWriter = Callable[[IO[str], list[Any], bool, bool], Writer]
"""(stream, classes, whether to write the probabilities of all, whether to write a header) -> what writes a row."""


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


def csv_writer(stream: IO[str], classes: list[Any], probabilities: bool, header: bool) -> Writer:
    """Write rows as CSV, probabilities with six decimals."""
    writer = csv.writer(stream, lineterminator="\n")
    if header:
        more = [f"probability of {label}" for label in classes] if probabilities else []
        writer.writerow(["line", "text", "prediction", "probability", *more])

    def write(row: Row) -> None:
        prediction: Any = row.prediction
        if isinstance(prediction, list):
            prediction = SEPARATOR.join(map(str, prediction))
        values: list[float | None] = [row.probability]
        if probabilities:
            values += row.probabilities or [None] * len(classes)
        numbers = ("" if value is None else f"{value:.6f}" for value in values)
        writer.writerow([row.line, row.text, prediction, *numbers])

    return write


def jsonl_writer(stream: IO[str], classes: list[Any], probabilities: bool, header: bool) -> Writer:
    """Write rows as one JSON object a line, probabilities in full; there is no header."""
    from textnn.evaluation.metrics import plain_label

    def write(row: Row) -> None:
        found = row.prediction
        prediction = [plain_label(label) for label in found] if isinstance(found, list) else plain_label(found)
        values = {"line": row.line, "text": row.text, "prediction": prediction, "probability": row.probability}
        if probabilities:
            all_of_them = row.probabilities
            values["probabilities"] = all_of_them and dict(zip(map(str, classes), all_of_them, strict=True))
        stream.write(json.dumps(values, ensure_ascii=False) + "\n")

    return write


WRITERS: dict[str, MakeWriter] = {"csv": csv_writer, "jsonl": jsonl_writer}


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
        """Take note that what was written up to here could be gone on with."""
