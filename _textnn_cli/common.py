"""What the commands share: errors and exit codes, output, options.

command -> ``command_errors`` -> message on standard error + exit code
rows -> ``open_output`` -> standard output or a file that appears when it is complete
processes of torchrun -> ``session`` -> one of them speaks
"""

from __future__ import annotations

import functools
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, TypeVar, cast

import typer

if TYPE_CHECKING:
    from textnn import SentimentClassifier
    from textnn.distributed import Group

Command = TypeVar("Command", bound=Callable[..., Any])

OK, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130

ModelDirectory = Annotated[str, typer.Argument(metavar="MODEL", help="Directory of a saved model.")]
OutputFile = Annotated[
    str | None, typer.Option("--output", "-o", metavar="FILE", help="Write here instead of standard output.")
]
COLUMNS = "The input file"
TextColumn = Annotated[
    str | None,
    typer.Option(
        "--text-column",
        metavar="NAME|N",
        rich_help_panel=COLUMNS,
        help="Column of the texts; a number counts columns from 0 (default: found by its usual names, text, review, "
        "...).",
    ),
]
LabelColumn = Annotated[
    str | None,
    typer.Option(
        "--label-column",
        metavar="NAME|N",
        rich_help_panel=COLUMNS,
        help="Column of the labels; a number counts columns from 0 (default: found by its usual names, label, class, "
        "...).",
    ),
]


def _check_separator(separator: str | None) -> str | None:
    if separator == "":
        raise typer.BadParameter("expected at least one character, got none")
    return separator


LabelSeparator = Annotated[
    str | None,
    typer.Option(
        "--label-separator",
        metavar="TEXT",
        callback=_check_separator,
        rich_help_panel=COLUMNS,
        help="What separates the labels of a text that may have several, such as ';'. JSONL uses lists.",
    ),
]
InputFormat = Annotated[
    str | None,
    typer.Option(
        "--input-format",
        metavar="NAME",
        rich_help_panel=COLUMNS,
        help="csv, tsv, jsonl, json, lecture (text<TAB>label), fasttext (__label__NAME text) or lines (one text a "
        "line) (default: detected).",
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option(
        "--encoding",
        metavar="NAME",
        rich_help_panel=COLUMNS,
        help="Encoding of the file, such as cp1252 (default: detects UTF-8, UTF-16, GB18030 and Big5).",
    ),
]
EncodingErrors = Annotated[
    str,
    typer.Option(
        "--encoding-errors",
        metavar="strict|replace",
        rich_help_panel=COLUMNS,
        help="Refuse bytes that do not fit the encoding, or read them as U+FFFD and count them.",
    ),
]


def _parse_delimiter(delimiter: str | None) -> str | None:
    return {"tab": "\t", "\\t": "\t"}.get(str(delimiter), delimiter)


Delimiter = Annotated[
    str | None,
    typer.Option(
        "--delimiter",
        metavar="CHARACTER|tab",
        callback=_parse_delimiter,
        rich_help_panel=COLUMNS,
        help="What separates the cells of a table (default: detected).",
    ),
]
Quoting = Annotated[
    bool | None,
    typer.Option(
        "--quoting/--no-quoting",
        rich_help_panel=COLUMNS,
        help="Whether quotes enclose cells, or are part of the texts (default: detected).",
    ),
]
Escape = Annotated[
    bool | None,
    typer.Option(
        "--escape/--no-escape",
        rich_help_panel=COLUMNS,
        help="Whether a backslash escapes what follows it, as in the tables that databases dump (default: no).",
    ),
]
Header = Annotated[
    bool | None,
    typer.Option(
        "--header/--no-header",
        rich_help_panel=COLUMNS,
        help="Whether the first row has the columns' names (default: detected).",
    ),
]
Limit = Annotated[
    int | None,
    typer.Option("--limit", min=1, metavar="N", rich_help_panel=COLUMNS, help="Read the first N texts only."),
]
OnError = Annotated[
    str,
    typer.Option(
        "--on-error",
        metavar="stop|skip",
        rich_help_panel=COLUMNS,
        help="Stop at a bad row, or skip it and report it.",
    ),
]
Threads = Annotated[
    int | None, typer.Option("--threads", min=1, max=1024, metavar="N", help="CPU threads to use (default: all).")
]
TokenizerName = Annotated[
    str | None,
    typer.Option(
        "--tokenizer",
        metavar="NAME|DIRECTORY",
        help="Use this tokenizer even if the model was trained with another one; tokens may differ.",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress and no summary, only errors.")]


class RunError(Exception):
    """A failure that is not the input's fault; exit code 1."""


def command_errors(command: Command) -> Command:
    """Turn the errors of a command into a message and an exit code.

    Set the environment variable TEXTNN_DEBUG=1 to see the traceback instead.
    """

    @functools.wraps(command)
    def run(*arguments: Any, **options: Any) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _show_warning
                result = command(*arguments, **options)
                if sys.stdout is not None:
                    sys.stdout.flush()
                return result
        except KeyboardInterrupt:
            _fail("interrupted", INTERRUPTED)
        except BrokenPipeError:
            # The reader has all it wanted (`| head`). Python flushes once more at exit: that must go nowhere.
            _drop_stdout()
            raise typer.Exit(OK) from None
        except Exception as error:
            code = _exit_code(error)
            if code is None or _debugging():
                raise
            _fail(str(error) or type(error).__name__, code)

    return run  # type: ignore[return-value]


def _exit_code(error: Exception) -> int | None:
    """Return the exit code of an error that a user can cause; None for others, which are bugs."""
    if isinstance(error, RunError | OSError | MemoryError):
        return FAILED
    if isinstance(error, ValueError | TypeError):
        return BAD_INPUT
    # By name: importing the classes would import torch for every wrong option.
    codes = {"TrainingError": FAILED, "PeerError": FAILED, "BundleError": BAD_INPUT}
    return codes.get(type(error).__name__)


def _debugging() -> bool:
    return os.environ.get("TEXTNN_DEBUG", "") not in ("", "0")


def _fail(message: str, code: int) -> None:
    note(f"error: {message}")
    raise typer.Exit(code) from None


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    note(f"warning: {message}")


def _printable(message: str) -> str:
    """Return a message with control characters escaped, as it may quote a file and a terminal would obey them."""
    if message.isprintable():
        return message
    from textnn.reading import escape_controls

    return escape_controls(message)


class _Terminal:
    """Standard output where it is a terminal: control characters are written as escapes."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(_printable(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _drop_stdout() -> None:
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115


@contextmanager
def session(distributed: bool) -> Iterator[Group]:
    """Work in the processes that torchrun started, if asked for, else alone.

    If an error ends all processes, the first process of each host reports it and the others exit silently with the same
    code. An error that only one process knows of is reported by that process.
    """
    from textnn.distributed import ALONE, is_shared, joined

    if not distributed:
        yield ALONE
        return
    with joined() as group:
        silent = int(os.environ.get("LOCAL_RANK", group.rank)) > 0
        try:
            yield group
        except KeyboardInterrupt:
            if silent:
                raise typer.Exit(INTERRUPTED) from None
            raise
        except Exception as error:
            if silent and is_shared(error) and (code := _exit_code(error)) is not None and not _debugging():
                raise typer.Exit(code) from None
            raise


def set_threads(threads: int | None) -> None:
    """Set the number of CPU threads; None takes all of them, up to a container's quota."""
    import torch

    if threads is None and "OMP_NUM_THREADS" not in os.environ:
        from textnn.circumstances import usable_cpus

        threads = min(torch.get_num_threads(), usable_cpus())
    if threads is not None:
        torch.set_num_threads(threads)


_KINDS = {
    "textnn-model": ("a classifier", "textnn predict, textnn evaluate and textnn explain use it"),
    "textnn-tagger": ("a tagger", "textnn tag predict, textnn tag evaluate and textnn cut use it"),
    "textnn-language-model": ("a language model", "textnn write continue and textnn write score use it"),
    "textnn-translator": ("a translator", "textnn translate predict and textnn translate evaluate use it"),
}
CLASSIFIER, TAGGER, LANGUAGE_MODEL, TRANSLATOR = _KINDS


def check_kind(path: str, expected: str) -> None:
    """Refuse a saved model of another task, and say which commands use it.

    Raises
    ------
    ValueError
        If it is one. Whether it is a model at all is left to who reads it.
    """
    from textnn.bundle import BundleError, read_format

    with suppress(BundleError):
        found = read_format(path)
        if found != expected and found in _KINDS:
            kind, commands = _KINDS[found]
            raise ValueError(f"{path}: expected {_KINDS[expected][0]}, got {kind}; {commands}")


def load_model(path: str, tokenizer: str | None, frozen: bool | str) -> SentimentClassifier:
    """Load a saved classifier, with another tokenizer than its own if one is named.

    ``frozen=True`` freezes what can be frozen; a dtype warns if nothing can.
    """
    from textnn import SentimentClassifier

    check_kind(path, CLASSIFIER)
    with warnings.catch_warnings():
        if frozen is True:
            warnings.filterwarnings("ignore", message=".* has nothing to freeze")
        return SentimentClassifier.load(path, tokenizer=tokenizer, frozen=frozen)


def note(message: str, quiet: bool = False) -> None:
    """Write a message to standard error."""
    if not quiet and sys.stderr is not None:  # None if it is closed; print would then write to standard output
        print(_printable(message), file=sys.stderr)


def short(label: str) -> str:
    """Return a label for a message, shortened if it is long."""
    return label if len(label) <= 40 else f"{label[:40]}..."


def same_file(one: str, other: str) -> bool:
    """Return whether two paths lead to one file that exists."""
    try:
        return Path(one).samefile(other)
    except OSError:
        return False


@contextmanager
def open_output(path: str | None) -> Iterator[IO[str]]:
    """Open standard output (None or "-"), or a file that appears when the block has succeeded, as UTF-8.

    Raises
    ------
    RunError
        If the file cannot be written.
    """
    if path is None or path == "-":
        if sys.stdout is None:
            raise RunError("standard output: cannot be written: it is closed")
        reconfigure = getattr(sys.stdout, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors="backslashreplace", newline="")
        # A terminal obeys control characters: those in texts, labels and file names must not reach it.
        try:
            yield cast(IO[str], _Terminal(sys.stdout)) if sys.stdout.isatty() else sys.stdout
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            if error.filename is not None:
                raise
            _drop_stdout()
            raise RunError(f"standard output: cannot be written: {error.strerror or error}") from error
        return
    from textnn.files import atomic_text

    with write_errors(path), atomic_text(path) as file:
        yield file


@contextmanager
def write_errors(path: str) -> Iterator[None]:
    """Turn an OSError of the block into the error that ``path`` cannot be written.

    Raises
    ------
    RunError
        In its place.
    """
    try:
        yield
    except OSError as error:
        raise RunError(f"{path}: cannot be written: {error.strerror or error}") from error
