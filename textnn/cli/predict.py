"""``textnn predict``: texts in, labels and probabilities out, in constant memory."""

from __future__ import annotations

import csv
import itertools
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from textnn.cli.common import (
    Encoding,
    InputFormat,
    Quiet,
    TextColumn,
    Threads,
    command_errors,
    note,
    open_output,
    set_threads,
)

if TYPE_CHECKING:
    import numpy as np

    from textnn.classifier import SentimentClassifier
    from textnn.text import Record

# Texts in memory at a time.
CHUNK = 1024

# Line, text, prediction, its probability, those of all classes; None for a text without a word in it.
Row = tuple[int, str, Any, "float | None", "list[float] | None"]
Writer = Callable[[Row], None]


@command_errors
def predict(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Directory of a saved model.")],
    file: Annotated[
        str | None, typer.Argument(metavar="FILE", help="CSV, TSV, JSONL or one text a line; - or a pipe: stdin.")
    ] = None,
    text: Annotated[
        list[str] | None, typer.Option("--text", "-t", metavar="TEXT", help="Classify this; repeatable.")
    ] = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE", help="Write here instead of standard output.")
    ] = None,
    output_format: Annotated[
        str | None,
        typer.Option("--format", "-f", metavar="csv|jsonl", help="Of the output; by its suffix, or csv, if not given."),
    ] = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", "-p", help="Also write the probability of every class.")
    ] = False,
    frozen: Annotated[
        bool, typer.Option("--frozen/--no-frozen", help="Make a table of all words first: pays for many texts.")
    ] = False,
    dtype: Annotated[
        str | None,
        typer.Option(metavar="int16|int8", help="Freeze in integers: faster, probabilities change a little."),
    ] = None,
    threads: Threads = None,
    quiet: Quiet = False,
    text_column: TextColumn = None,
    input_format: InputFormat = None,
    encoding: Encoding = None,
) -> None:
    """Classify texts.

    Writes a row for each text: its line in the file, the text, the predicted
    label and that label's probability. The file is read as a stream and may
    be larger than the memory. A text with nothing in it has a row without a
    prediction. An output file appears when it is complete.

    [bold]Examples[/]

      textnn predict model/ --text "房间很干净" --text "再也不来了"
      textnn predict model/ new.csv --output predictions.csv --probabilities
      textnn predict model/ new.jsonl --text-column comment --format jsonl
      cat texts.txt | textnn predict model/ > predictions.csv
    """
    from textnn.classifier import SentimentClassifier
    from textnn.text import CorpusReport, Record, iter_records

    if text and file is not None:
        raise typer.BadParameter("give a FILE or --text, not both")
    if not text and file is None:
        if sys.stdin is None or sys.stdin.isatty():
            raise typer.BadParameter('give a FILE, --text "...", or texts on standard input')
        file = "-"
    make_writer = _find_format(output_format, output)
    if file not in (None, "-") and output not in (None, "-") and _same_file(str(file), str(output)):
        raise ValueError(f"--output: expected another file than the input, got {output} for both")
    set_threads(threads)
    report = CorpusReport()
    if text:
        records: Iterable[Record] = (Record(number, line, None, [line]) for number, line in enumerate(text, 1))
    else:
        records = iter_records(
            str(file), text_column, None, input_format, encoding, need_label=False, keep_empty=True, report=report
        )
    classifier = SentimentClassifier.load(model, frozen=dtype or frozen)
    total = empty = 0
    with open_output(output) as stream:
        write = make_writer(stream, classifier.classes_.tolist(), probabilities)
        for row in _predict(classifier, records):
            write(row)
            total, empty = total + 1, empty + (row[2] is None)
    if empty:
        note(f"{empty:,} of {total:,} texts are empty and have no prediction", quiet)
    if report.blank_lines:
        note(f"{report.blank_lines:,} blank lines were left out", quiet)
    if output not in (None, "-"):
        note(f"{output}: {total:,} texts", quiet)


def _predict(classifier: SentimentClassifier, records: Iterable[Record]) -> Iterator[Row]:
    """Yield a row for each record, in order, holding a chunk of them at a time."""
    stream = iter(records)
    classes = classifier.classes_.tolist()
    while chunk := list(itertools.islice(stream, CHUNK)):
        table: np.ndarray[Any, Any] = classifier.predict_proba([record.text for record in chunk])
        for record, row, best in zip(chunk, table.tolist(), table.argmax(axis=1).tolist(), strict=True):
            if record.text.strip():
                yield record.line, record.text, classes[best], row[best], row
            else:
                yield record.line, record.text, None, None, None


def _find_format(name: str | None, output: str | None) -> Callable[[IO[str], list[Any], bool], Writer]:
    if name is None:
        name = "jsonl" if Path(output or "").suffix.lower() in (".jsonl", ".ndjson", ".json") else "csv"
    if name not in _WRITERS:
        raise typer.BadParameter(f"expected csv or jsonl, got {name!r}", param_hint="--format")
    return _WRITERS[name]


def _csv_writer(stream: IO[str], classes: list[Any], probabilities: bool) -> Writer:
    writer = csv.writer(stream, lineterminator="\n")
    more = [f"probability of {label}" for label in classes] if probabilities else []
    writer.writerow(["line", "text", "prediction", "probability", *more])

    def write(row: Row) -> None:
        line, text, prediction, probability, all_of_them = row
        values: list[float | None] = [probability]
        if probabilities:
            values += all_of_them or [None] * len(classes)
        writer.writerow([line, text, prediction, *("" if value is None else f"{value:.6f}" for value in values)])

    return write


def _jsonl_writer(stream: IO[str], classes: list[Any], probabilities: bool) -> Writer:
    from textnn.evaluation import plain_label

    def write(row: Row) -> None:
        line, text, prediction, probability, all_of_them = row
        values = {"line": line, "text": text, "prediction": plain_label(prediction), "probability": probability}
        if probabilities:
            values["probabilities"] = all_of_them and dict(zip(map(str, classes), all_of_them, strict=True))
        stream.write(json.dumps(values, ensure_ascii=False) + "\n")

    return write


_WRITERS: dict[str, Callable[[IO[str], list[Any], bool], Writer]] = {"csv": _csv_writer, "jsonl": _jsonl_writer}


def _same_file(one: str, other: str) -> bool:
    try:
        return Path(one).samefile(other)
    except OSError:
        return False
