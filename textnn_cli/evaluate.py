"""``textnn evaluate``: how good a saved model is on a labelled file."""

from __future__ import annotations

import itertools
import json
from collections.abc import Hashable, Sequence
from typing import Annotated, Any

import typer

from textnn_cli.common import (
    Encoding,
    InputFormat,
    LabelColumn,
    Quiet,
    TextColumn,
    Threads,
    TokenizerName,
    command_errors,
    load_model,
    note,
    open_output,
    set_threads,
)


@command_errors
def evaluate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Directory of a saved model.")],
    file: Annotated[str, typer.Argument(metavar="FILE", help="Texts with labels: CSV, TSV or JSONL; - reads stdin.")],
    as_json: Annotated[bool, typer.Option("--json", help="Write everything as JSON.")] = False,
    worst: Annotated[int, typer.Option("--worst", min=0, metavar="N", help="How many errors to list.")] = 10,
    tokenizer: TokenizerName = None,
    threads: Threads = None,
    quiet: Quiet = False,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    input_format: InputFormat = None,
    encoding: Encoding = None,
) -> None:
    """Compare a model's predictions with the labels of a file.

    Shows accuracy, precision, recall and F1 of each class, the confusion
    matrix, and the wrong predictions that the model was surest of. Use a file
    that had no part in the training. Where a text may have several labels,
    they are written with | between them.

    [bold]Examples[/]

      textnn evaluate model/ test.csv
      textnn evaluate model/ test.csv --json > report.json
    """
    from textnn.text import read_corpus

    set_threads(threads)
    corpus = read_corpus(file, text_column, label_column, input_format, encoding)
    note(str(corpus.report), quiet)
    classifier = load_model(model, tokenizer, frozen=False)
    names, labels = classifier.classes_.tolist(), list[Any]()
    if classifier.multilabel_:  # as textnn predict writes them
        labels = [match_labels(label.split("|"), names) for label in corpus.labels]
        found = set(itertools.chain.from_iterable(labels))
    else:
        labels = match_labels(corpus.labels, names)
        found = set(labels)
    if unknown := sorted({*map(str, found)} - {*map(str, names)}):
        note(f"labels that the model does not know count as errors: {', '.join(unknown[:20])}", quiet)
    report = classifier.evaluate(corpus.texts, labels, worst)
    with open_output(None) as stream:
        if as_json:
            stream.write(json.dumps(report.to_dict(), ensure_ascii=False, indent=2) + "\n")
        else:
            stream.write(f"{report}\n")


def match_labels(labels: Sequence[str], classes: Sequence[Hashable]) -> list[Hashable]:
    """Return the classes whose text the labels are: a file has only strings, a model may have numbers."""
    by_text = {str(label): label for label in classes}
    if len(by_text) < len(classes):
        return list(labels)
    return [by_text.get(label, label) for label in labels]
