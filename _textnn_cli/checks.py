"""What commands refuse before any work, and by the names that were typed.

the options of how a file is read -> ``reading_options`` -> arguments of textnn.text.iter_records
an argument's error of the package -> ``option_errors`` -> the same of the option, other arguments in it as options
--html FILE -> ``check_page`` -> an error if the page could not be written
--output, --json -> ``check_outputs`` -> an error if they are one file
FILE, --text, --output -> ``check_source`` -> what is read; an error if it cannot be, or would be overwritten
results -> ``begun`` -> the same; what is wrong from the beginning on is an error before any output
"""

from __future__ import annotations

import errno
import itertools
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from _textnn_cli.common import same_file

if TYPE_CHECKING:
    from textnn.text import Record

Item = TypeVar("Item")


@contextmanager
def option_errors(**options: str) -> Iterator[None]:
    """Name options in the place of arguments in what a ValueError or RuntimeError of the block says.

    The argument that it begins with is named by its option, and so are those with an underscore in their name that
    stand in the message, and those beside them in a list: ``"beam: expected no temperature, top_k or seed"``.

    Parameters
    ----------
    options
        The option of each argument: ``path="--output"``.
    """
    try:
        yield
    except (ValueError, RuntimeError) as error:
        if error.args == (str(error),):
            error.args = (name_options(str(error), options),)
        raise


def name_options(message: str, options: Mapping[str, str]) -> str:
    """Return a message of the package as a command says it; see :func:`option_errors`.

    Examples
    --------
    >>> name_options("top_k: expected none, got 2; or no beam", {"top_k": "--top-k", "beam": "--beam"})
    '--top-k: expected none, got 2; or no beam'
    """
    argument, colon, rest = message.partition(":")
    if not colon or argument not in options:
        argument, colon, rest = "", "", message
    names = "|".join(sorted(map(re.escape, options), key=len, reverse=True))
    if names:
        one = rf"(?<![\w'\"-])(?:{names})(?![\w'\"])"

        def named(found: re.Match[str]) -> str:
            return re.sub(one, lambda name: options[name[0]], found[0]) if "_" in found[0] else found[0]

        rest = re.sub(rf"{one}(?:(?:, | or | and ){one})*", named, rest)
    return f"{options.get(argument, '')}{colon}{rest}"


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


def check_outputs(files: Mapping[str, str | None]) -> None:
    """Refuse two outputs in one file, of which the second would replace the first.

    Parameters
    ----------
    files
        What each option names: a file, "-" for standard output, or None.

    Raises
    ------
    ValueError
        Naming both options.
    """
    given = [(option, name) for option, name in files.items() if name is not None]
    for (one, first), (other, second) in itertools.combinations(given, 2):
        same = first == second
        if "-" not in (first, second):
            same = same or Path(first).resolve() == Path(second).resolve() or same_file(first, second)
        if same:
            raise ValueError(f"{other}: expected another file than that of {one}, got {second} for both")


def check_source(
    file: str | None, text: list[str] | None, output: str | None, typed: bool = False, option: str = "--text"
) -> str | None:
    """Return the file that texts are read from: "-" for standard input, None for ``--text``.

    Parameters
    ----------
    file, text, output
        FILE, --text and --output as given.
    typed
        Whether it may be nothing of these, where standard input is a terminal: None is returned then.
    option
        The option of texts.

    Raises
    ------
    typer.BadParameter
        If there are two sources, or none.
    ValueError
        If there is no such file, or the output is the same; the message tells how a text is given.
    """
    if text and file is not None:
        raise typer.BadParameter(f"give a FILE or {option}, not both")
    if not text and file is None:
        terminal = sys.stdin is None or sys.stdin.isatty()
        if terminal and not typed:
            raise typer.BadParameter(f'give a FILE, {option} "...", or texts on standard input')
        file = None if terminal else "-"
    check_texts(file, option)
    if file not in (None, "-") and output not in (None, "-") and same_file(str(file), str(output)):
        raise ValueError(f"--output: expected another file than the input, got {output} for both")
    return file


def check_texts(file: str | None, option: str = "--text") -> None:
    """Refuse the name of a file of texts that is not there; None and "-" are no names.

    Parameters
    ----------
    file
        Its name.
    option
        The option of texts.

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
        raise ValueError(f"{file}: expected a file, but there is none of this name; for a text use {option}")


def check_options_of_file(text: list[str] | None, **given: bool) -> None:
    """Refuse options of a FILE beside texts that stand on the command line.

    Parameters
    ----------
    text
        --text as given.
    given
        Of each option, by the name of its argument, whether it is given.

    Raises
    ------
    typer.BadParameter
        Naming the option.
    """
    for name, is_given in given.items():
        if text and is_given:
            raise typer.BadParameter("it is of a FILE, got --text", param_hint=f"--{name.replace('_', '-')}")


def typed_records(texts: Sequence[str]) -> Iterator[Record]:
    """Yield texts of the command line as the rows of a file are."""
    from textnn.text import Record

    return (Record(number, text, None, [text]) for number, text in enumerate(texts, 1))


def begun(results: Iterable[Item]) -> Iterator[Item]:
    """Return results of which the first is there: what is wrong from the beginning on raises before any output."""
    rest = iter(results)
    return itertools.chain(list(itertools.islice(rest, 1)), rest)


def is_screen(output: str | None) -> bool:
    """Return whether an output is read by people as it is written."""
    return output in (None, "-") and sys.stdout is not None and sys.stdout.isatty()
