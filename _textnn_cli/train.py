"""``textnn train``: a labelled file in, a saved model out."""

from __future__ import annotations

import shlex
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from _textnn_cli.checks import READING_OPTIONS, option_errors, reading_options
from _textnn_cli.common import command_errors, open_output, session
from _textnn_cli.corpora import Data, read_data
from _textnn_cli.labels import threshold_line
from _textnn_cli.parameters import LABELLED, options_of, parse, table, with_options, with_parameters
from _textnn_cli.training import Run, check_pretrained, check_vectors, fit_and_save, prepared, with_training
from _textnn_cli.values import parse_class_weight, parse_threshold

PARAMETERS = table("classification")
OPTIONS = {**options_of(PARAMETERS), "architecture": "--architecture", "random_state": "--seed"}


@command_errors
@with_parameters(PARAMETERS, before="checkpoint_seconds")
@with_training
@with_options(LABELLED)
def train(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Texts with labels: CSV, TSV or JSONL; - reads stdin.")],
    directory: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIRECTORY", help="Where to save the model; replaces a textnn model."),
    ],
    architecture: Annotated[
        str,
        typer.Option(
            "--architecture",
            "-a",
            metavar="NAME",
            help="tfidf-textcnn, wide-textcnn, textcnn, bilstm, lstm, bigru, gru, rnn, mlp, lecture-lstm.",
        ),
    ] = "tfidf-textcnn",
    **typed: Any,
) -> None:
    """Train a classifier on a file of labelled texts and save it.

    A validation split of the texts measures how good the model is and, with
    --patience, finds the best epoch; --validation names a file to use
    instead.

    FILE has a text and its label in each row. Name the columns text (or
    review, content, comment, sentence, message, tweet, body, 文本, 评论) and
    label (or sentiment, class, category, target, rating, stars, score, 标签),
    or give --text-column and --label-column: names, or numbers from 0. Two
    columns with a tab between them need neither, nor do lines such as
    "__label__good I like it". The first line of output says how FILE was
    read. evaluate needs the same options again, and predict all of them but
    --label-column.

    With --label-separator, or lists as labels in JSONL, a text may have any
    number of labels.

    During training the state is kept beside DIRECTORY, in .NAME.checkpoint.
    After Ctrl-C or a crash, the same command with --resume continues from
    there and ends with the model that an uninterrupted training gives.

    [bold]Examples[/]

      textnn train reviews.csv --output model/
      textnn train reviews.jsonl -o model/ --text-column feedback
      textnn train a.tsv -o model/ --validation b.tsv --architecture bilstm
      textnn train reviews.csv -o model/ --resume
      textnn train topics.csv -o model/ --label-separator ";" --threshold auto
      cat reviews.csv | textnn train - -o model/ --quiet
      torchrun --nproc-per-node=2 -m textnn train reviews.csv -o model/ --distributed
    """
    from textnn import SentimentClassifier
    from textnn.classification.bundle import check_target
    from textnn.data.suspects import LabelWarning
    from textnn.models.options import check_option

    limit = typed.pop("limit")
    columns = reading_options({name: typed.pop(name) for name in LABELLED if name in typed})
    run = Run.of(typed)
    with session(run.distributed) as group:
        run = run.within(group)
        with group.together():
            parameters = parse(PARAMETERS, typed)
            parameters["class_weight"] = parse_class_weight(parameters["class_weight"])
            if (threshold := parameters.pop("threshold")) is not None:
                parameters["threshold"] = parse_threshold(threshold)
            for name in ("output", "precision"):
                if parameters[name] is not None:
                    with option_errors(**OPTIONS):
                        check_option(name, parameters[name])
            check_vectors(parameters, group)
            check_pretrained(architecture, parameters, group)
            run.check_device()
        checkpoint = prepared(directory, check_target, group, run)
        if checkpoint is None:
            return
        with group.together():  # process 0 has all texts; a share may be empty
            data = Data([], [], None if run.validation is None else ([], []))
            if group.rank == 0:
                data = read_data(file, run.validation, columns, limit, parameters, run.quiet)
        classifier = SentimentClassifier(architecture, **run.parameters(group), **parameters)
        warnings.simplefilter("ignore", LabelWarning)  # told of each file
        fit_and_save(classifier, data, {**OPTIONS, "X": file, "y": file}, directory, checkpoint, run, group)
    if run.quiet or sys.stdout is None:
        return
    report = classifier.validation_report_
    with open_output(None) as stream:
        if report is not None:
            stream.write(f"validation after epoch {classifier.best_epoch_}: {report.summary()}\n\n")
            if classifier.thresholds_ is not None and threshold == "auto":
                stream.write(threshold_line(classifier.classes_.tolist(), classifier.thresholds_.tolist()) + "\n\n")
        quoted = shlex.quote(str(directory))
        stream.write(f'saved: {directory}\nnext:  textnn predict {quoted} --text "..."\n')
        if words := _to_repeat(columns):
            stream.write(f"       textnn predict {quoted} FILE {shlex.join(words)}\n")


def _to_repeat(columns: dict[str, Any]) -> list[str]:
    """Return the options of how a file is read that other files of the same kind need, too."""
    words = []
    for argument in ("text", "format", "encoding", "delimiter", "quoting", "escape", "header"):
        option, value = READING_OPTIONS[argument], columns.get(argument)
        if isinstance(value, bool):
            words.append(option if value else option.replace("--", "--no-", 1))
        elif value is not None:
            words += [option, "tab" if value == "\t" else str(value)]
    return words
