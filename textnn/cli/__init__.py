"""The command line: ``textnn train | predict | evaluate | info | demo | bench``.

    arguments -> a command of this package -> the classifier -> standard output, or a file that appears complete or not

Each command is a file. They import what they need inside their functions, so that ``textnn --help`` answers at once.

Exit codes: 0 done, 1 failed at run time, 2 wrong usage or bad input, 130 interrupted with Ctrl-C.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from textnn.cli.bench import bench
from textnn.cli.demo import demo
from textnn.cli.evaluate import evaluate
from textnn.cli.info import info
from textnn.cli.predict import predict
from textnn.cli.train import train

HELP = """
Classify texts with fast neural networks: train on your own labelled file, predict, evaluate.

[bold]A first tour[/]

  textnn demo                                 train on real Chinese reviews
  textnn train reviews.csv --output model/    train on your CSV, TSV or JSONL
  textnn predict model/ --text "房间很干净"   classify one text
  textnn predict model/ new.csv -o out.csv    classify a file of any size
  textnn evaluate model/ test.csv             accuracy and the worst errors
  textnn bench                                speed and gradients beside torch.nn

Each command explains itself: textnn train --help
"""

app = typer.Typer(
    help=HELP,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (train, predict, evaluate, info, demo, bench):
    app.command()(command)


def _show_version(asked: bool) -> None:
    if asked:
        from textnn.version import __version__

        print(f"textnn {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Take the options that come before a command."""


def main() -> None:
    """Run the command line; the entry point of ``textnn`` and ``python -m textnn``."""
    try:
        app(prog_name="textnn")
    except KeyboardInterrupt:
        # Before a command began, or while the interpreter ended one.
        sys.exit(130)
