"""``textnn predict``: texts in, labels and probabilities out, in constant memory.

    records -> chunks -> classifier -> rows (``rows``) -> standard output, or a file that appears when it is complete

From a file to a file the rows pass through a partial file (``partial``), from which an interrupted run can be resumed.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from _textnn_cli.checks import (
    READING_OPTIONS,
    check_options_of_file,
    check_source,
    is_screen,
    reading_options,
    typed_records,
)
from _textnn_cli.common import (
    Limit,
    ModelDirectory,
    OutputFile,
    Quiet,
    Threads,
    TokenizerName,
    command_errors,
    load_model,
    note,
    open_output,
    set_threads,
    write_errors,
)
from _textnn_cli.labels import tell_problems, watch_lines
from _textnn_cli.parameters import with_reading
from _textnn_cli.partial import open_partial
from _textnn_cli.progress import progress
from _textnn_cli.rows import KINDS, SEPARATOR, Output, Row, Sink, choose
from _textnn_cli.tables import is_parquet, predict_parquet, refuse

if TYPE_CHECKING:
    from textnn import SentimentClassifier
    from textnn.text import CorpusReport, Record

PARQUET = "Parquet"
CHUNK = 4096
"""Texts in memory at a time. An interrupted run resumes between two chunks, as rounding depends on a text's batch."""


@command_errors
@with_reading
def predict(
    model: ModelDirectory,
    file: Annotated[
        str | None,
        typer.Argument(metavar="FILE", help="CSV, TSV, JSONL, Parquet or one text a line; - or a pipe: stdin."),
    ] = None,
    text: Annotated[
        list[str] | None, typer.Option("--text", "-t", metavar="TEXT", help="Classify this; repeatable.")
    ] = None,
    output: OutputFile = None,
    output_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            "-f",
            metavar="csv|tsv|jsonl",
            help="Format of the output; else by its file name, csv without an ending. jsonl: one object per line.",
        ),
    ] = None,
    keep_columns: Annotated[
        bool, typer.Option("--keep-columns", help="Also write the other columns of FILE, after the prediction.")
    ] = False,
    spreadsheet_safe: Annotated[
        bool,
        typer.Option("--spreadsheet-safe", help="Put ' before cells that a spreadsheet would run, such as =1+1."),
    ] = False,
    output_encoding: Annotated[
        str,
        typer.Option("--output-encoding", metavar="NAME", help="utf-8, or utf-8-sig for Excel."),
    ] = "utf-8",
    probabilities: Annotated[
        bool, typer.Option("--probabilities", "-p", help="Also write the probability of every class.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume an interrupted run; needs FILE and --output.")
    ] = False,
    frozen: Annotated[
        bool, typer.Option("--frozen/--no-frozen", help="Predict from a table of all words, or from the network.")
    ] = True,
    dtype: Annotated[
        str | None,
        typer.Option(
            metavar="float32|int16|int8|bfloat16", help="Type of the frozen weights; all but float32 round them."
        ),
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            "--engine", metavar="local|ray", rich_help_panel=PARQUET, help="Processes here (default), or actors of Ray."
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            min=1,
            max=4096,
            metavar="N",
            rich_help_panel=PARQUET,
            help="Processes or actors, a file each at a time (default: one for each CPU).",
        ),
    ] = None,
    prefix: Annotated[
        str,
        typer.Option(
            "--prefix", metavar="TEXT", rich_help_panel=PARQUET, help="What the names of the added columns begin with."
        ),
    ] = "",
    tokenizer: TokenizerName = None,
    threads: Threads = None,
    quiet: Quiet = False,
    limit: Limit = None,
    **options: Any,
) -> None:
    """Classify texts.

    Writes a row for each text: its line in the file, the text, the predicted
    label and that label's probability. FILE is read as textnn train reads it,
    but needs no labels: a model does not keep --text-column, --encoding and
    the like of its training, so give them here, too. A file that is no table
    has one text a line. It is read as a stream and may be larger than the
    memory. A text with nothing in it has a row without a prediction. Where a
    text may have several labels the column probability is empty;
    --probabilities has that of each label. An output file appears when it is
    complete; after an interruption, the same command with --resume continues
    where it stopped.

    A Parquet file, or a folder of them, becomes files with the same names and
    columns and the prediction in further ones; FILE may be larger than the
    memory. A tagger adds entities or words, a language model how probable a
    text is, a translator a translation. Files that are there already are not
    made again.

    [bold]Examples[/]

      textnn predict model/ --text "房间很干净" --text "再也不来了"
      textnn predict model/ new.csv --output predictions.csv --probabilities
      textnn predict model/ new.jsonl --text-column feedback --format jsonl
      cat texts.txt | textnn predict model/ > predictions.csv
      textnn predict model/ in.parquet/ --output out.parquet/ --workers 4
    """
    file = check_source(file, text, output)
    if dtype is not None and not frozen:
        raise typer.BadParameter("only frozen weights have a dtype: give --dtype or --no-frozen, not both")
    parquet = is_parquet(file)
    for_tables = {"--engine": engine is not None, "--workers": workers is not None, "--prefix": bool(prefix)}
    for_text = {
        "--format": output_format is not None,
        "--output-encoding": output_encoding != "utf-8",
        "--spreadsheet-safe": spreadsheet_safe,
        "--limit": limit is not None,
        **{
            f"--{name.replace('_', '-')}": value not in (None, "strict", "stop")
            for name, value in options.items()
            if name != "text_column"
        },
    }
    refuse(parquet, file, for_text if parquet else for_tables)
    if parquet:
        predict_parquet(
            model,
            str(file),
            output,
            engine=engine,
            workers=workers,
            threads=threads,
            quiet=quiet,
            text_column=options["text_column"],
            probabilities=probabilities,
            prefix=prefix,
            tokenizer=tokenizer,
            frozen=frozen,
            dtype=dtype,
        )
        return
    kind = _find_format(output_format, output)
    _check_output(kind, output_encoding, spreadsheet_safe)
    check_options_of_file(text, keep_columns=keep_columns, limit=limit is not None)
    from textnn.files import is_replaceable

    reading = reading_options(options)
    from_file = file not in (None, "-") and Path(str(file)).is_file()
    to_file = output not in (None, "-") and is_replaceable(str(output))
    if resume and not (from_file and to_file):
        raise typer.BadParameter(
            f"expected regular files to read and to write, got {file or '--text'} and {output or 'standard output'}",
            param_hint="--resume",
        )
    from textnn.data.suspects import is_missing_word, suspect_texts
    from textnn.text import CorpusReport, iter_records
    from textnn.text.corpus import other_columns

    set_threads(threads)
    report = CorpusReport()
    if text:
        records = typed_records(text)
    else:
        stream = iter_records(str(file), need_label=False, keep_empty=True, report=report, **reading)
        records = itertools.islice(stream, limit)
    classifier = load_model(model, tokenizer, dtype or frozen)
    # What is wrong with the file from its beginning on is an error before there is any output.
    first = list(itertools.islice(records, 1))
    records = itertools.chain(first, records)
    kept = _kept_names(first, report) if keep_columns else ()
    if not text:
        note(f"{report.source}: {replace(report.layout, label=None).describe()}", quiet)
    if first and not text:
        for message in other_columns(first[0], report.layout, options["text_column"] is None, label=False):
            note(f"warning: {report.source}: {message}")
    if report.layout.format == "lines" and options["input_format"] is None:
        records = watch_lines(records, report.source, classifier.classes_.tolist())
    settings = {
        "--format": kind,
        "--probabilities": probabilities,
        "--frozen": frozen,
        "--dtype": dtype,
        "--spreadsheet-safe": spreadsheet_safe,
        "--output-encoding": output_encoding,
        "--keep-columns": keep_columns,
        "--limit": limit,
        **{READING_OPTIONS[argument]: value for argument, value in reading.items()},
    }
    written = Output(kind, probabilities, output_encoding == "utf-8-sig", spreadsheet_safe, kept)
    resumed_with = {**_circumstances(model, classifier, str(file)), **settings} if from_file and to_file else None
    shown = from_file and not quiet and not is_screen(output)
    if kind != "jsonl" and classifier.multilabel_ and any(SEPARATOR in str(label) for label in classifier.classes_):
        note(f"warning: labels with {SEPARATOR!r} cannot be told from several labels in CSV; try --format jsonl")
    missing = Counter[str]()
    with _open_sink(output, resumed_with, resume, quiet) as sink:
        sink.skip(records, str(file))
        write = written.writer(sink.stream, classifier.classes_.tolist(), not sink.texts)
        sink.flush()
        with progress(sink.texts, shown) as show:
            for row in _predict(classifier, records, report.layout.text if keep_columns else None):
                write(row)
                sink.count(row)
                missing.update((row.text.strip(),) if is_missing_word(row.text) else ())
                if sink.texts % CHUNK == 0:
                    sink.flush()
                    show(sink.texts)
    if sink.empty:
        note(f"{sink.empty:,} of {sink.texts:,} texts are empty and have no prediction", quiet)
    if report.blank_lines:
        note(f"{report.blank_lines:,} blank lines were left out", quiet)
    if not text:
        stream.close()
    tell_problems(report, doubts=True)
    for message in suspect_texts(missing, sink.texts):
        note(f"warning: {message}")
    if output not in (None, "-"):
        note(f"{output}: {sink.texts:,} texts", quiet)


def _predict(
    classifier: SentimentClassifier, records: Iterable[Record], text_column: str | int | None = None
) -> Iterator[Row]:
    """Yield a row for each record, in order, holding a few chunks of them at a time.

    Where the column of the texts is named, rows have the other columns, too.
    """
    from textnn.text import is_blank

    read: deque[Record] = deque()

    def texts() -> Iterator[str]:
        for record in records:
            read.append(record)
            yield record.text

    for table in classifier.stream_proba(texts()):
        for row, (prediction, probability) in zip(table.tolist(), choose(classifier, table), strict=True):
            record = read.popleft()
            kept = {} if text_column is None else other_cells(record, text_column)
            if not is_blank(record.text):
                yield Row(record.line, record.text, prediction, probability, row, kept)
            else:
                yield Row(record.line, record.text, None, None, None, kept)


def other_cells(record: Record, text_column: str | int | None) -> dict[str, Any]:
    """Return the cells of a record's row beside its text, by name."""
    cells = record.row
    if isinstance(cells, list):
        return {f"column {place}": cell for place, cell in enumerate(cells) if place != text_column}
    return {name: cell for name, cell in cells.items() if name != text_column}


def _kept_names(first: list[Record], report: CorpusReport) -> tuple[str, ...]:
    """Return the names of the columns to keep; of JSON those of the first object."""
    if report.layout.text is None:
        raise ValueError(f"--keep-columns: expected a table or JSON, got the format {report.layout.format!r}")
    return tuple(other_cells(first[0], report.layout.text)) if first else ()


def _circumstances(model: str, classifier: SentimentClassifier, file: str) -> dict[str, Any]:
    """Return what else than the options a row's last digit depends on."""
    import torch

    from textnn.backends import cpu_capability
    from textnn.classification.bundle import read_config
    from textnn.version import __version__

    # The configuration holds the sums of the model's other files.
    configuration = json.dumps(read_config(model), sort_keys=True).encode()
    return {
        "the model": hashlib.blake2b(configuration, digest_size=8).hexdigest(),
        "the tokenizer": classifier.tokenizer_.config(),
        "the size of FILE": Path(file).stat().st_size,
        "--threads": torch.get_num_threads(),
        "the instruction set": cpu_capability(),
        "textnn": __version__,
        "torch": torch.__version__,
    }


@contextmanager
def _open_sink(output: str | None, settings: dict[str, Any] | None, resume: bool, quiet: bool) -> Iterator[Sink]:
    """Open the output; it can be resumed if there are settings to resume with."""
    if settings is None:
        with open_output(output) as stream:
            yield Sink(stream)
        return
    with write_errors(str(output)), open_partial(str(output), settings, resume, quiet) as sink:
        yield sink


_ENDINGS = {".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_TEXT = "predictions are rows with several columns, not lines of text"
_NEED_FORMAT = {
    ".json": "JSON is written as one object a line, which a reader of .json refuses",
    **dict.fromkeys((".txt", ".text", ".log", ".dat"), _TEXT),
}
_OTHERS = re.compile(
    r"\.(gz|bz2|xz|zst|zip|7z|tar|xls[xmb]?|ods|parquet|feather|arrow|db|sqlite|html?|xml|md|pkl|ya?ml|docx?|pdf)"
)


def _find_format(name: str | None, output: str | None) -> str:
    """Return the format to write: the one that is asked for, or that of the output's ending."""
    ending = Path(output or "").suffix.lower()
    expected = f"--output: expected a name in .csv, .tsv or .jsonl, got {output}"
    if _OTHERS.fullmatch(ending):
        raise ValueError(f"{expected}, a name of another format; write one of these, and convert or pack it then")
    if name is None and ending in _NEED_FORMAT:
        raise ValueError(f"{expected}, or --format beside it: {_NEED_FORMAT[ending]}")
    name = name or _ENDINGS.get(ending, "csv")
    if name not in KINDS:
        raise typer.BadParameter(f"expected one of {', '.join(KINDS)}, got {name!r}", param_hint="--format")
    return name


def _check_output(kind: str, encoding: str, safe: bool) -> None:
    """Refuse what only a table can be written with."""
    if encoding not in ("utf-8", "utf-8-sig"):
        raise typer.BadParameter(f"expected utf-8 or utf-8-sig, got {encoding!r}", param_hint="--output-encoding")
    for option, given in (("--output-encoding utf-8-sig", encoding != "utf-8"), ("--spreadsheet-safe", safe)):
        if given and kind == "jsonl":
            raise ValueError(f"{option}: expected a table to write, csv or tsv, got the format jsonl")
