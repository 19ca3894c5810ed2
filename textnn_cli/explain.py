"""``textnn explain``: why a model gives a text its label.

records -> the classifier's explanations -> terminal | JSON lines | one HTML page
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from textnn_cli.common import (
    Encoding,
    InputFormat,
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

if TYPE_CHECKING:
    from textnn.classifier import SentimentClassifier
    from textnn.text import Record


@command_errors
def explain(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Directory of a saved model.")],
    file: Annotated[
        str | None, typer.Argument(metavar="FILE", help="CSV, TSV, JSONL or one text a line; - or a pipe: stdin.")
    ] = None,
    text: Annotated[
        list[str] | None, typer.Option("--text", "-t", metavar="TEXT", help="Explain this; repeatable.")
    ] = None,
    label: Annotated[
        str | None, typer.Option("--label", metavar="LABEL", help="Explain this label, not the most probable one.")
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            "--method",
            metavar="NAME",
            help="exact, integrated-gradients or occlusion; auto takes what suits the model.",
        ),
    ] = "auto",
    limit: Annotated[int, typer.Option("--limit", min=1, metavar="N", help="Explain the first N texts of FILE.")] = 20,
    ngrams: Annotated[
        int, typer.Option("--ngrams", min=0, max=20, metavar="N", help="How many n-grams to list in the terminal.")
    ] = 8,
    html: Annotated[
        str | None, typer.Option("--html", metavar="FILE", help="Write a page with all of them here.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write one JSON object a text.")] = False,
    tokenizer: TokenizerName = None,
    threads: Threads = None,
    quiet: Quiet = False,
    text_column: TextColumn = None,
    input_format: InputFormat = None,
    encoding: Encoding = None,
) -> None:
    """Show what each word adds to a prediction.

    Green words speak for the label and red ones against it; into a pipe, or
    with NO_COLOR=1, numbers stand behind the words. They are log-odds.

    [bold]Examples[/]

      textnn explain model/ --text "物流很快，但是质量太差"
      textnn explain model/ --text "还行" --label positive
      textnn explain model/ reviews.csv --limit 50 --html explained.html
      textnn explain model/ reviews.csv --json > explained.jsonl
    """
    if text and file is not None:
        raise typer.BadParameter("give a FILE or --text, not both")
    if not text and file is None:
        if sys.stdin is None or sys.stdin.isatty():
            raise typer.BadParameter('give a FILE, --text "...", or texts on standard input')
        file = "-"
    if as_json and html == "-":
        raise typer.BadParameter("only one of --json and --html can go to standard output")
    set_threads(threads)
    records = _read(text, file, text_column, input_format, encoding, limit, quiet)
    classifier = load_model(model, tokenizer, frozen=False)
    lines = [record.line for record in records]
    explanations = list(
        classifier.explain_many([record.text for record in records], _find_label(classifier, label), method)
    )
    if html is not None:
        from textnn.explanation import html_page

        with open_output(html) as stream:
            stream.write(html_page(explanations))
        if html != "-":
            note(f"{html}: {len(explanations):,} text{'' if len(explanations) == 1 else 's'}", quiet)
    if as_json:
        with open_output(None) as stream:
            for line, explanation in zip(lines, explanations, strict=True):
                stream.write(json.dumps({"line": line, **explanation.to_dict()}, ensure_ascii=False) + "\n")
    elif html is None:
        _show(explanations, ngrams)


def _read(
    texts: list[str] | None,
    file: str | None,
    text_column: str | None,
    input_format: str | None,
    encoding: str | None,
    limit: int,
    quiet: bool,
) -> list[Record]:
    """Return the texts to explain, at least one."""
    from textnn.text import CorpusError, Record, iter_records

    if texts:
        return [Record(number, text, None, [text]) for number, text in enumerate(texts, 1)]
    stream: Iterator[Record] = iter_records(str(file), text_column, None, input_format, encoding, need_label=False)
    records = list(itertools.islice(stream, limit))
    if not records:
        raise CorpusError(f"{file}: expected at least one text, found none")
    if next(stream, None) is not None:
        note(f"the first {len(records):,} texts; --limit N explains more", quiet)
    return records


def _find_label(classifier: SentimentClassifier, label: str | None) -> Any:
    """Return the class whose text the label is: a command line has only strings, a model may have numbers."""
    if label is None:
        return None
    found = [known for known in classifier.classes_.tolist() if str(known) == label]
    return found[0] if found else label


def _show(explanations: list[Any], ngrams: int) -> None:
    from rich.console import Console

    from textnn.explanation.terminal import TerminalExplanation

    console = Console(highlight=False)
    for number, explanation in enumerate(explanations):
        if number:
            console.rule(style="dim")
        console.print(TerminalExplanation(explanation, ngrams), soft_wrap=not console.is_terminal)
