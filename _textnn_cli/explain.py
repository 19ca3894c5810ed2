"""``textnn explain``: why a model gives a text its label.

records -> the labels to explain of each -> the classifier's explanations -> terminal | JSON lines | one HTML page
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from _textnn_cli.checks import check_page, check_source, option_errors, reading_options, typed_records
from _textnn_cli.common import (
    Quiet,
    Threads,
    TokenizerName,
    command_errors,
    load_model,
    note,
    open_output,
    set_threads,
)
from _textnn_cli.labels import tell_problems
from _textnn_cli.parameters import with_reading
from _textnn_cli.rows import choose

if TYPE_CHECKING:
    from textnn import SentimentClassifier
    from textnn.classification.explanation import Explanation
    from textnn.text import Record

LIMIT = 20
"""Texts of a file that are explained if nothing else is said, but as JSON: more of them nobody reads."""


@command_errors
@with_reading
def explain(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Directory of a saved model.")],
    file: Annotated[
        str | None, typer.Argument(metavar="FILE", help="CSV, TSV, JSONL or one text a line; - or a pipe: stdin.")
    ] = None,
    text: Annotated[
        list[str] | None, typer.Option("--text", "-t", metavar="TEXT", help="Explain this; repeatable.")
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option("--label", metavar="LABEL", help="Explain this label instead of the predicted one; repeatable."),
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            "--method",
            metavar="NAME",
            help="exact, integrated-gradients or occlusion; auto picks the best one for the model.",
        ),
    ] = "auto",
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            min=0,
            metavar="N",
            help=f"Explain the first N texts of FILE; 0: all. Default: {LIMIT}, with --json all.",
        ),
    ] = None,
    ngrams: Annotated[
        int, typer.Option("--ngrams", min=0, max=20, metavar="N", help="How many n-grams to list in the terminal.")
    ] = 8,
    html: Annotated[
        str | None, typer.Option("--html", metavar="FILE", help="Write all explanations to this HTML page.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write one JSON object per text and label.")] = False,
    tokenizer: TokenizerName = None,
    threads: Threads = None,
    quiet: Quiet = False,
    **options: Any,
) -> None:
    """Show what each word adds to a prediction.

    Blue words speak for the label, orange and underlined ones against it;
    in a pipe, or with NO_COLOR=1, numbers follow the words. They are
    log-odds. For multi-label models each predicted label is explained, or the
    most probable one if none is predicted.

    [bold]Examples[/]

      textnn explain model/ --text "物流很快，但是质量太差"
      textnn explain model/ --text "还行" --label positive
      textnn explain model/ reviews.csv --limit 50 --html explained.html
      textnn explain model/ reviews.csv --json > explained.jsonl
    """
    file = check_source(file, text, None)
    if as_json and html == "-":
        raise typer.BadParameter("only one of --json and --html can go to standard output")
    if html is not None and html != "-":
        check_page(html, file)
    _check_method(method)
    reading = reading_options(options)
    set_threads(threads)
    most = (limit or None) if limit is not None or as_json else LIMIT
    records = _read(text, file, reading, most, limit is not None, quiet)
    classifier = load_model(model, tokenizer, frozen=False)
    labels = _find_labels(classifier, label or [])
    with option_errors(method="--method"):
        found: Iterable[tuple[int, Explanation]] = _explain(classifier, records, labels, method)
        if html is not None:
            from textnn.classification.explanation import html_page

            found = list(found)
            with open_output(html) as stream:
                stream.write(html_page([explanation for _, explanation in found]))
            if html != "-":
                note(f"{html}: {len(records):,} text{'' if len(records) == 1 else 's'}", quiet)
        if as_json:
            with open_output(None) as stream:
                for line, explanation in found:
                    stream.write(json.dumps({"line": line, **explanation.to_dict()}, ensure_ascii=False) + "\n")
        elif html is None:
            _show((explanation for _, explanation in found), ngrams)


def _check_method(method: str) -> None:
    from textnn.classification.explanation.explain import AUTO
    from textnn.classification.explanation.methods import METHODS

    names = [AUTO, *(name.replace(" ", "-") for name in METHODS)]
    if method.replace("_", "-").replace(" ", "-") not in names:
        raise typer.BadParameter(f"expected one of {', '.join(names)}, got {method!r}", param_hint="--method")


def _read(
    texts: list[str] | None,
    file: str | None,
    reading: dict[str, Any],
    limit: int | None,
    given: bool,
    quiet: bool,
) -> list[Record]:
    """Return the texts to explain, at least one, and say what of the file is not among them."""
    from textnn.text import CorpusError, CorpusReport, is_blank, iter_records
    from textnn.text.corpus import other_columns

    if texts:
        for text in filter(is_blank, texts):
            raise ValueError(f"--text: expected a text in which something can be seen, got {text!r}")
        return list(typed_records(texts))
    report = CorpusReport()
    stream: Iterator[Record] = iter_records(str(file), need_label=False, report=report, **reading)
    records = list(itertools.islice(stream, limit))
    if not records:
        raise CorpusError(f"{file}: expected at least one text, found none")
    about = str(report)
    more = next(stream, None) is not None  # and the report is then one ahead
    note(about if more else str(report), quiet)
    tell_problems(report, doubts=True)
    for message in other_columns(records[0], report.layout, reading["text"] is None, label=False):
        note(f"warning: {report.source}: {message}")
    if more and not given:
        note(f"the first {len(records):,} texts; --limit N explains more, --limit 0 all", quiet)
    return records


def _find_labels(classifier: SentimentClassifier, labels: list[str]) -> list[Any]:
    """Return the classes whose text the labels are: a command line has only strings, a model may have numbers."""
    from textnn.classification.explanation.contributions import find_label

    classes = classifier.classes_.tolist()
    by_text = {str(known): known for known in reversed(classes)}
    found = [by_text.get(label, label) for label in dict.fromkeys(labels)]
    with option_errors(label="--label"):
        for label in found:
            find_label(classes, label)
    return found


def _explain(
    classifier: SentimentClassifier, records: list[Record], labels: list[Any], method: str
) -> Iterator[tuple[int, Explanation]]:
    """Yield the explanations of each record, with its line: of the labels, or of what is predicted."""
    texts = [record.text for record in records]
    chosen: Iterable[Sequence[Any]] = itertools.repeat(labels or [None], len(texts))
    if classifier.multilabel_ and not labels:
        chosen = [names or [None] for names, _ in choose(classifier, classifier.predict_proba(texts))]
    for record, names in zip(records, chosen, strict=True):
        for name in names:
            yield record.line, classifier.explain(record.text, name, method)


def _show(explanations: Iterable[Explanation], ngrams: int) -> None:
    from rich.console import Console

    from textnn.classification.explanation.terminal import TerminalExplanation

    console = Console(highlight=False)
    for number, explanation in enumerate(explanations):
        if number:
            console.rule(style="dim")
        console.print(TerminalExplanation(explanation, ngrams), soft_wrap=not console.is_terminal)
