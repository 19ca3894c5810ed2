"""``textnn evaluate``: how good a saved model is on a labelled file.

file -> texts, labels -> classifier.evaluate -> tables or JSON on standard output
                                             -> --plots: pictures in a directory; --html: one page with everything
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from _textnn_cli.checks import check_page, reading_options
from _textnn_cli.common import (
    ModelDirectory,
    Quiet,
    RunError,
    Threads,
    TokenizerName,
    command_errors,
    load_model,
    note,
    open_output,
    set_threads,
    write_errors,
)
from _textnn_cli.labels import find_spellings, match_labels, may_mean, pairs, quote, tell_problems, threshold_line
from _textnn_cli.parameters import LABELLED, with_options
from _textnn_cli.rows import SEPARATOR

PICTURES = "Pictures, for which matplotlib is needed"


@command_errors
@with_options(LABELLED)
def evaluate(
    model: ModelDirectory,
    file: Annotated[str, typer.Argument(metavar="FILE", help="Texts with labels: CSV, TSV or JSONL; - reads stdin.")],
    as_json: Annotated[bool, typer.Option("--json", help="Write everything as JSON.")] = False,
    worst: Annotated[int, typer.Option("--worst", min=0, metavar="N", help="How many errors to list.")] = 10,
    html: Annotated[
        str | None,
        typer.Option("--html", metavar="FILE", rich_help_panel=PICTURES, help="Write everything to this HTML page."),
    ] = None,
    plots: Annotated[
        str | None,
        typer.Option("--plots", metavar="DIR", rich_help_panel=PICTURES, help="Write plots into this directory."),
    ] = None,
    plot_format: Annotated[
        str | None,
        typer.Option(
            "--plot-format", metavar="png|svg", rich_help_panel=PICTURES, help="Format of --plots; png by default."
        ),
    ] = None,
    tokenizer: TokenizerName = None,
    threads: Threads = None,
    quiet: Quiet = False,
    **typed: Any,
) -> None:
    """Compare a model's predictions with the labels of a file.

    Shows accuracy with an interval, ROC-AUC, precision, recall and F1 of each
    class, the confusion matrix, and the wrong predictions that the model was
    surest of. Use a file that had no part in the training. It is read as
    textnn train reads its file: give the same --text-column, --label-column,
    --encoding and the like. Labels that differ from the model's in spelling
    only, such as true and True, are taken for those. Where a text may
    have several labels, --label-separator says what stands between them; else
    it is |, as textnn predict writes them.

    [bold]Examples[/]

      textnn evaluate model/ test.csv
      textnn evaluate model/ test.csv --json > report.json
      textnn evaluate model/ test.csv --html report.html --plots pictures/
    """
    _check_targets(file, html, plots, plot_format)
    limit, label_separator = typed["limit"], typed["label_separator"]
    reading = reading_options(typed)
    from textnn.data.suspects import LabelWarning, missing_words, suspect_texts
    from textnn.text import CorpusError, read_corpus

    set_threads(threads)
    classifier = load_model(model, tokenizer, frozen=False)
    several = classifier.multilabel_
    if label_separator is not None and not several:
        raise ValueError(f"--label-separator: the model has one label a text, got {label_separator!r}")
    separator = SEPARATOR if several and label_separator is None else label_separator
    corpus = read_corpus(file, limit=limit, **{**reading, "label_separator": separator})
    if corpus.several != several:
        raise CorpusError(f"{file}: expected one label a text, as the model was trained with, got lists of labels")
    note(str(corpus.report), quiet)
    tell_problems(corpus.report)
    for message in suspect_texts(missing_words(corpus.texts), len(corpus.texts)):
        note(f"warning: {message}")
    names = classifier.classes_.tolist()
    given = list(corpus.label_counts())
    meant: dict[str, Any] = dict(zip(given, match_labels(given, names), strict=True))
    if spellings := find_spellings(meant.values(), names):
        meant = {label: spellings.get(name, name) for label, name in meant.items()}
        note(f"labels are read in the model's spelling: {pairs(spellings)}", quiet)
    labels = [[meant[each] for each in label] if several else meant[label] for label in corpus.labels]
    known = {*map(str, names)}
    if unknown := sorted(str(name) for name in meant.values() if str(name) not in known):
        hint = f"; they were split at {separator!r}, see --label-separator" if several else may_mean(unknown, names)
        if len(unknown) == len(meant):
            where = f"in column {corpus.report.layout.label!r}"
            raise CorpusError(
                f"{file}: expected labels of the model ({quote(names)}) {where}, got {quote(unknown)}{hint}"
            )
        note(f"labels that the model does not know count as errors: {quote(unknown)}{hint}", quiet)
    if classifier.thresholds_ is not None and classifier.threshold == "auto":
        note(threshold_line(names, classifier.thresholds_.tolist()), quiet)
    warnings.simplefilter("ignore", LabelWarning)  # told above
    report = classifier.evaluate(corpus.texts, labels, worst).with_lines(corpus.lines)
    with open_output(None) as stream:
        if as_json:
            stream.write(json.dumps(report.to_dict(), ensure_ascii=False, indent=2) + "\n")
        else:
            stream.write(f"{report}\n")
    if plots is not None:
        with write_errors(plots):
            written = report.plot(plots, classifier.history_, plot_format or "png")
        note(f"{plots}: {', '.join(path.name for path in written)}", quiet)
    if html is not None:
        from textnn.classification.explanation import explain_errors
        from textnn.evaluation import model_facts

        title = f"{Path(model).resolve().name} on {'standard input' if file == '-' else Path(file).name}"
        page = report.to_html(title, model_facts(classifier), classifier.history_, explain_errors(classifier))
        with open_output(html) as stream:
            stream.write(page)
        note(f"{html}: the evaluation as a page", quiet)


def _check_targets(file: str, html: str | None, plots: str | None, plot_format: str | None) -> None:
    """Refuse before any work what would fail after it."""
    if plot_format is not None and plots is None:
        raise typer.BadParameter("it is of the pictures of --plots, which is not given", param_hint="--plot-format")
    if plot_format not in (None, "png", "svg"):
        raise typer.BadParameter(f"expected png or svg, got {plot_format!r}", param_hint="--plot-format")
    if plots is not None and Path(plots).exists() and not Path(plots).is_dir():
        raise ValueError(f"--plots: expected a directory, got the file {plots}")
    if html is not None:
        if html == "-":
            raise ValueError("--html: expected the name of a file, got -")
        check_page(html, file)
        if plots is not None and Path(plots).resolve() == Path(html).resolve():
            raise ValueError(f"--html: expected another name than that of --plots, got {html} for both")
    if html is not None or plots is not None:
        from textnn.classification.evaluation.plots import need_matplotlib

        try:
            need_matplotlib()
        except ImportError as error:
            raise RunError(str(error)) from None
