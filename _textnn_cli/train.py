"""``textnn train``: a labelled file in, a saved model out."""

from __future__ import annotations

import shlex
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from _textnn_cli.checks import READING_OPTIONS, option_errors, reading_options
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
    Quiet,
    Quoting,
    TextColumn,
    Threads,
    command_errors,
    open_output,
    session,
)
from _textnn_cli.corpora import Data, read_data
from _textnn_cli.labels import threshold_line
from _textnn_cli.parameters import options_of, parse, table, with_parameters
from _textnn_cli.training import (
    CheckpointSeconds,
    Device,
    Distributed,
    Resume,
    Seed,
    Validation,
    check_device,
    check_pretrained,
    check_vectors,
    prepared,
    save,
    saying_how_to_go_on,
)
from _textnn_cli.values import parse_class_weight, parse_threshold

PARAMETERS = table("classification")
OPTIONS = {**options_of(PARAMETERS), "architecture": "--architecture", "random_state": "--seed"}


@command_errors
@with_parameters(PARAMETERS, before="checkpoint_seconds")
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
    validation: Validation = None,
    seed: Seed = 0,
    resume: Resume = False,
    distributed: Distributed = False,
    threads: Threads = None,
    device: Device = None,
    quiet: Quiet = False,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    label_separator: LabelSeparator = None,
    input_format: InputFormat = None,
    encoding: Encoding = None,
    encoding_errors: EncodingErrors = "strict",
    delimiter: Delimiter = None,
    quoting: Quoting = None,
    escape: Escape = None,
    header: Header = None,
    on_error: OnError = "stop",
    limit: Limit = None,
    checkpoint_seconds: CheckpointSeconds = 60.0,
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

    columns = reading_options(locals())
    with session(distributed) as group:
        quiet = quiet or group.rank > 0
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
            check_device(device, distributed)
        checkpoint = prepared(directory, check_target, group, resume, checkpoint_seconds, threads, quiet)
        if checkpoint is None:
            return
        with group.together():  # process 0 has all texts; a share may be empty
            data = Data([], [], None if validation is None else ([], []))
            if group.rank == 0:
                data = read_data(file, validation, columns, limit, parameters, quiet)
        classifier = SentimentClassifier(
            architecture,
            random_state=seed,
            device=device or group.device,
            verbose=0 if quiet else 1,
            **parameters,
        )
        names = {**OPTIONS, "X": file, "y": file}
        warnings.simplefilter("ignore", LabelWarning)  # told of each file
        with saying_how_to_go_on(checkpoint, group), option_errors(**names):
            classifier.fit(data.texts, data.labels, data.validation, distributed, checkpoint=checkpoint)
            if group.rank == 0:
                save(classifier, directory)
                checkpoint.remove()
    if quiet or sys.stdout is None:
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
