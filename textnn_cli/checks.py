"""What commands refuse before any work, and by the names that were typed.

the options of how a file is read -> ``reading_options`` -> arguments of textnn.text.iter_records
an argument's error of the package -> ``option_errors`` -> the same of the option
--html FILE -> ``check_page`` -> an error if the page could not be written
FILE, --text, --output -> ``check_source`` -> what is read; an error if it cannot be, or would be overwritten
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from textnn_cli.common import same_file


@contextmanager
def option_errors(**options: str) -> Iterator[None]:
    """Name the option in a ValueError of the block that begins with the name of an argument.

    Parameters
    ----------
    options
        The option of each argument: ``path="--output"``.

    Raises
    ------
    ValueError
        In its place.
    """
    try:
        yield
    except ValueError as error:
        argument, colon, rest = str(error).partition(":")
        if not colon or argument not in options:
            raise
        raise ValueError(f"{options[argument]}:{rest}") from error


_READING = {
    **{"text_column": "text", "label_column": "label", "input_format": "format", "label_separator": "label_separator"},
    **{name: name for name in ("encoding", "encoding_errors", "delimiter", "quoting", "escape", "header", "on_error")},
}


READING_OPTIONS = {argument: f"--{name.replace('_', '-')}" for name, argument in _READING.items()}
"""The option of each argument of how a file is read."""


def reading_options(options: dict[str, Any]) -> dict[str, Any]:
    """Return how a file is to be read, as arguments of :func:`textnn.text.iter_records`, of a command's options.

    Raises
    ------
    ValueError
        Naming the option, if one makes no sense.
    """
    from textnn.text.layout import check_layout

    found = {argument: options[name] for name, argument in _READING.items() if name in options}
    with option_errors(**READING_OPTIONS):
        check_layout(**found)
    return found


def check_page(html: str, file: str | None, option: str = "--html") -> None:
    """Refuse the name of a page that cannot be written.

    Parameters
    ----------
    html
        What ``option`` names.
    file
        What is read, if it is a file.
    option
        The option of the page, or of another file that is written beside the output.

    Raises
    ------
    ValueError
        If it is a directory, in none that exists, or the input.
    """
    if Path(html).is_dir():
        raise ValueError(f"{option}: expected the name of a file, got {html}")
    if not Path(html).absolute().parent.is_dir():
        raise ValueError(f"{option}: expected a file in a directory that exists, got {html}")
    if file is not None and same_file(file, html):
        raise ValueError(f"{option}: expected another file than the input, got {html} for both")


def check_source(file: str | None, text: list[str] | None, output: str | None, typed: bool = False) -> str | None:
    """Return the file that texts are read from: "-" for standard input, None for ``--text``.

    Parameters
    ----------
    file, text, output
        FILE, --text and --output as given.
    typed
        Whether lines may also be typed, where standard input is a terminal: None is returned then.

    Raises
    ------
    typer.BadParameter
        If there are two sources, or none.
    ValueError
        If there is no such file, or the output is the same; the message tells how a text is given.
    """
    if text and file is not None:
        raise typer.BadParameter("give a FILE or --text, not both")
    if not text and file is None:
        if sys.stdin is None or (sys.stdin.isatty() and not typed):
            raise typer.BadParameter('give a FILE, --text "...", or texts on standard input')
        file = None if sys.stdin.isatty() else "-"
    check_texts(file)
    if file not in (None, "-") and output not in (None, "-") and same_file(str(file), str(output)):
        raise ValueError(f"--output: expected another file than the input, got {output} for both")
    return file


def check_texts(file: str | None) -> None:
    """Refuse the name of a file of texts that is not there; None and "-" are no names.

    Raises
    ------
    ValueError
        If there is no such file; the message tells how a text is given.
    """
    if file in (None, "-"):
        return
    try:
        there = Path(str(file)).exists()
    except OSError as error:
        there = error.errno != errno.ENAMETOOLONG
    if not there:
        raise ValueError(f"{file}: expected a file, but there is none of this name; for a text use --text")
