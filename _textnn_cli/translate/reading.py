"""Pairs of texts as the commands for translators read them: two columns of a table or of JSON, a pair a row.

FILE, options -> textnn.text.pairs.iter_pairs -> Pair(line, source, target); what was read, doubts -> standard error
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from _textnn_cli.checks import option_errors
from _textnn_cli.common import COLUMNS, TRANSLATOR, check_kind, note
from _textnn_cli.parameters import READING
from _textnn_cli.progress import busy
from _textnn_cli.tag.reading import check_file, tell

if TYPE_CHECKING:
    from textnn import Translator
    from textnn.text.pairs import Pair

_SAME = 0.05  # share of pairs with the same text on both sides that looks like a mistake

TranslatorDirectory = Annotated[str, typer.Argument(metavar="MODEL", help="Directory of a saved translator.")]
SourceColumn = Annotated[
    str | None,
    typer.Option(
        "--source-column",
        metavar="NAME|N",
        rich_help_panel=COLUMNS,
        help="Column of the texts to translate; a number counts columns from 0 (default: found by its usual names, "
        "source, en, ..., else the first).",
    ),
]
TargetColumn = Annotated[
    str | None,
    typer.Option(
        "--target-column",
        metavar="NAME|N",
        rich_help_panel=COLUMNS,
        help="Column of their translations (default: found by its usual names, target, translation, zh, ..., else the "
        "second).",
    ),
]
PairFormat = Annotated[
    str | None,
    typer.Option(
        "--input-format",
        metavar="NAME",
        rich_help_panel=COLUMNS,
        help="csv, tsv, jsonl or json; of texts alone also lines (default: detected).",
    ),
]
SourceTokenizer = Annotated[
    str | None,
    typer.Option(
        "--source-tokenizer",
        metavar="NAME|DIRECTORY",
        help="Use this tokenizer for sources even if the model was trained with another one.",
    ),
]
_SHARED = {name: row for name, row in READING.items() if name not in ("text_column", "input_format")}
READING_TEXTS = {"source_column": (SourceColumn, None), "input_format": (PairFormat, None), **_SHARED}
READING_PAIRS = {
    "source_column": (SourceColumn, None),
    "target_column": (TargetColumn, None),
    "input_format": (PairFormat, None),
    **_SHARED,
}
"""The options of how a file of texts, or of pairs, is read."""

_ARGUMENTS = {"source_column": "source", "target_column": "target", "input_format": "format"}
OPTIONS = {_ARGUMENTS.get(name, name): f"--{name.replace('_', '-')}" for name in READING_PAIRS}
"""The option of each argument of how a file is read."""


def pair_options(options: dict[str, Any], need_target: bool = True) -> dict[str, Any]:
    """Return how a file is to be read, as arguments of ``textnn.text.pairs.iter_pairs``, of a command's options.

    Raises
    ------
    ValueError
        Naming the option, if one makes no sense.
    """
    from textnn.text.pairs import iter_pairs

    found = {_ARGUMENTS.get(name, name): options[name] for name in READING_PAIRS if name in options}
    found["need_target"] = need_target
    with option_errors(**OPTIONS):
        iter_pairs("-", **found)  # nothing is read before the first pair is asked for
    return found


class Pairs:
    """The pairs of a file, read one by one, and the report of what was read.

    Parameters
    ----------
    file
        Its name, or "-".
    reading
        How it is read; see :func:`pair_options`.
    limit
        Read so many pairs at most.
    """

    def __init__(self, file: str, reading: dict[str, Any], limit: int | None = None) -> None:
        from textnn.text.pairs import PairReport

        self.report = PairReport()
        self._file, self._reading, self._limit = file, reading, limit
        self._same = 0

    def __iter__(self) -> Iterator[Pair]:
        """Yield the pairs."""
        from textnn.text.pairs import iter_pairs

        check_file(self._file)
        pairs = iter_pairs(self._file, report=self.report, **self._reading)
        try:
            for pair in itertools.islice(pairs, self._limit):
                self._same += pair.source == pair.target
                yield pair
        finally:
            pairs.close()

    def tell(self, quiet: bool) -> None:
        """Say what was read, and what looks like a mistake."""
        report = self.report
        note(str(report), quiet)
        tell(report)
        if self._same > _SAME * max(report.kept, 20):
            question = "are these the right columns (--source-column, --target-column)?"
            note(f"warning: {report.source}: {self._same:,} pairs have the same text on both sides; {question}")


def read_pairs(file: str, reading: dict[str, Any], limit: int | None, quiet: bool) -> tuple[list[str], list[str]]:
    """Return sources and targets of a file, and say what was read.

    Raises
    ------
    ValueError
        If there is none.
    """
    pairs = Pairs(file, reading, limit)
    with busy(f"reading {file}", quiet):
        found = [(pair.source, pair.target) for pair in pairs]
    pairs.tell(quiet)
    if not found:
        raise ValueError(f"{file}: expected at least one pair of texts, got none")
    sources, targets = zip(*found, strict=True)
    return list(sources), list(targets)


def load_translator(path: str, source_tokenizer: str | None = None) -> Translator:
    """Load a saved translator.

    Raises
    ------
    ValueError
        If it is a model of another task.
    BundleError
        If it is no model, or damaged.
    """
    from textnn import Translator

    check_kind(path, TRANSLATOR)
    with option_errors(source_tokenizer="--source-tokenizer"):
        return Translator.load(path, source_tokenizer=source_tokenizer)
