"""Texts as the commands for language models read them: a line, a paragraph, a file, or a row of a table.

FILE, options -> textnn.text.iter_records -> Piece(line, text); what was read, doubts -> standard error
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from _textnn_cli.checks import option_errors
from _textnn_cli.common import COLUMNS, LANGUAGE_MODEL, check_kind, note
from _textnn_cli.tag.reading import check_file, tell

if TYPE_CHECKING:
    from textnn import LanguageModel
    from textnn.text import Record

LINE, PARAGRAPH, FILE = "line", "paragraph", "file"

ModelOfLanguage = Annotated[str, typer.Argument(metavar="MODEL", help="Directory of a saved language model.")]
Unit = Annotated[
    str,
    typer.Option(
        "--unit",
        metavar="line|paragraph|file",
        rich_help_panel=COLUMNS,
        help="A text is a line (or a row of a table), the lines between two blank ones, or all of FILE.",
    ),
]


class Piece(NamedTuple):
    """A text, and the line where it begins."""

    line: int
    text: str


def check_unit(unit: str, reading: dict[str, Any]) -> None:
    """Refuse a unit that there is not, or that does not go with a table; only plain text has paragraphs.

    Raises
    ------
    ValueError
        Naming the option.
    """
    if unit not in (LINE, PARAGRAPH, FILE):
        raise ValueError(f"--unit: expected {LINE}, {PARAGRAPH} or {FILE}, got {unit!r}")
    if unit != LINE:
        if reading["format"] not in (None, "lines"):
            raise ValueError(f"--unit: only plain text has a {unit} as its unit, got the format {reading['format']!r}")
        reading["format"] = "lines"


class Texts:
    """The texts of a file, read one by one, and the report of what was read.

    Parameters
    ----------
    file
        Its name, or "-".
    reading
        How it is read; see :func:`_textnn_cli.checks.reading_options`.
    unit
        What a text is.
    limit
        Read so many texts at most.
    """

    def __init__(self, file: str, reading: dict[str, Any], unit: str = LINE, limit: int | None = None) -> None:
        from textnn.text import CorpusReport

        self.report = CorpusReport()
        self._file, self._reading, self._unit, self._limit = file, reading, unit, limit

    def __iter__(self) -> Iterator[Piece]:
        """Yield the texts; blank lines and rows without a text are left out."""
        from textnn.text import iter_records

        check_file(self._file)
        whole = self._unit == LINE
        records = iter_records(self._file, need_label=False, keep_empty=not whole, report=self.report, **self._reading)
        try:
            found = (Piece(each.line, each.text) for each in records) if whole else _joined(records, self._unit)
            yield from itertools.islice(found, self._limit)
        finally:
            records.close()

    def tell(self, count: int, quiet: bool) -> None:
        """Say what was read, and what looks like a mistake."""
        about = str(self.report) if self._unit == LINE else f"{self.report.source}: {count:,} {self._unit}s"
        note(about, quiet)
        tell(self.report)


def _joined(records: Iterator[Record], unit: str) -> Iterator[Piece]:
    """Yield paragraphs, or the whole file, of the lines of a plain text."""
    lines: list[str] = []
    first = 1
    for record in records:
        if unit == PARAGRAPH and not record.text.strip():
            if lines:
                yield Piece(first, "\n".join(lines))
            lines = []
            continue
        if not lines:
            first = record.line
        lines.append(record.text)
    if any(line.strip() for line in lines):
        yield Piece(first, "\n".join(lines))


def load_language_model(path: str, tokenizer: str | None = None) -> LanguageModel:
    """Load a saved language model.

    Raises
    ------
    ValueError
        If it is a model of another task.
    BundleError
        If it is no model, or damaged.
    """
    from textnn import LanguageModel

    check_kind(path, LANGUAGE_MODEL)
    with option_errors(tokenizer="--tokenizer"):
        return LanguageModel.load(path, tokenizer=tokenizer)
