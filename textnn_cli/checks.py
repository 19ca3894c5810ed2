"""What commands refuse before any work, and by the names that were typed.

the options of how a file is read -> ``reading_options`` -> arguments of textnn.text.iter_records
an argument's error of the package -> ``option_errors`` -> the same of the option
--html FILE -> ``check_page`` -> an error if the page could not be written
FILE of texts -> ``check_texts`` -> an error if it is none, but a text
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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


def check_texts(file: str | None) -> None:
    """Refuse the name of a file of texts that is not there.

    Parameters
    ----------
    file
        A name, "-" for standard input, or None.

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
