"""The parameters of an estimator as options of a command, out of the tables that declare them.

    textnn/models/options.py, parameters.py of a task -> ``table`` -> ``with_parameters`` -> typer's options
    the options of how a file is read (``READING``)                -> ``with_options``    -> typer's options

The tables are run as files: to import them would load torch, for which nobody who asks for ``--help`` should wait.
"""

from __future__ import annotations

import inspect
import runpy
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from _textnn_cli.common import (
    Delimiter,
    Encoding,
    EncodingErrors,
    Escape,
    Header,
    InputFormat,
    LabelColumn,
    LabelSeparator,
    Limit,
    OnError,
    Quoting,
    TextColumn,
)
from _textnn_cli.values import parse_sizes

Command = Callable[..., Any]

READING: dict[str, tuple[Any, Any]] = {
    "text_column": (TextColumn, None),
    "input_format": (InputFormat, None),
    "encoding": (Encoding, None),
    "encoding_errors": (EncodingErrors, "strict"),
    "delimiter": (Delimiter, None),
    "quoting": (Quoting, None),
    "escape": (Escape, None),
    "header": (Header, None),
    "on_error": (OnError, "stop"),
}
LABELLED = {
    "text_column": READING["text_column"],
    "label_column": (LabelColumn, None),
    "label_separator": (LabelSeparator, None),
    **READING,
    "limit": (Limit, None),
}


def run_file(*parts: str) -> dict[str, Any]:
    """Return what a file of the package defines, without importing the package."""
    package = find_spec("textnn")
    assert package is not None
    assert package.origin is not None
    return runpy.run_path(str(Path(package.origin).parent.joinpath(*parts)))


def table(task: str) -> dict[str, Any]:
    """Return every parameter of a task's estimator that is an option, in the order in which the help shows them."""
    shared = run_file("models", "options.py")
    own = [row for row in run_file(task, "parameters.py")["parameters"](shared["Parameter"]) if row.sentence]
    rows = [shared["OPTIONS"][name] for name in shared["chosen"](task)]
    first = [row for row in own if row.panel == shared["TEXT"]]
    return {row.name: row for row in (*first, *rows, *own)}


def option_of(row: Any) -> str:
    """Return the name of a parameter's option."""
    return str(row.option or f"--{row.name.replace('_', '-')}")


def options_of(rows: Mapping[str, Any]) -> dict[str, str]:
    """Return the option of each parameter, that of yes where there are two; see ``checks.option_errors``."""
    return {name: option_of(row).partition("/")[0] for name, row in rows.items()}


def with_parameters(rows: Mapping[str, Any], before: str) -> Callable[[Command], Command]:
    """Give a command an option for each parameter in the place of its ``**`` argument, where it gets them.

    Parameters
    ----------
    rows
        The parameters.
    before
        The argument before which the help shows them.
    """

    return lambda command: _with_arguments(command, [_argument(row) for row in rows.values()], before)


def with_options(options: Mapping[str, tuple[Any, Any]]) -> Callable[[Command], Command]:
    """Give a command options, each with its default, in the place of its ``**`` argument; the help shows them last."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    more = [inspect.Parameter(name, kind, default=v, annotation=each) for name, (each, v) in options.items()]
    return lambda command: _with_arguments(command, more, None)


with_reading = with_options(READING)
"""Gives a command the options of how a file of texts is read."""


def _with_arguments(command: Command, more: list[inspect.Parameter], before: str | None) -> Command:
    """Give a command arguments in the place of its ``**`` argument, which the help shows before one, or last."""
    signature = inspect.signature(command, eval_str=True)
    given = [value for value in signature.parameters.values() if value.kind is not value.VAR_KEYWORD]
    place = len(given) if before is None else [value.name for value in given].index(before)
    arguments = [*given[:place], *more, *given[place:]]
    command.__signature__ = signature.replace(parameters=arguments)  # type: ignore[attr-defined]
    command.__annotations__ = {value.name: value.annotation for value in arguments}
    return command


def _argument(row: Any) -> inspect.Parameter:
    """Return a command's argument for a parameter; what is more than one number is typed as a string."""
    default = row.default if row.kind in (bool, str) else None
    kind: Any = {tuple: str, list: list[str]}.get(row.kind, str if row.metavar == "NUMBER|auto" else row.kind)
    option = typer.Option(option_of(row), metavar=row.metavar, rich_help_panel=row.panel, help=row.sentence)
    annotated: Any = Annotated
    annotation = annotated[kind if default is not None else kind | None, option]
    return inspect.Parameter(row.name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=annotation)


def parse(rows: Mapping[str, Any], typed: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that were typed, lists of sizes as tuples.

    Raises
    ------
    ValueError
        Naming the option, if one is no list of sizes.
    """
    sizes = {name for name, row in rows.items() if row.kind is tuple and typed[name] is not None}
    return {**typed, **{name: parse_sizes(option_of(rows[name]), typed[name]) for name in sizes}}
