"""``textnn translate train``: pairs of texts in, a saved translator out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from _textnn_cli.checks import option_errors
from _textnn_cli.common import Limit, command_errors, session
from _textnn_cli.parameters import options_of, parse, table, with_options, with_parameters
from _textnn_cli.training import Run, fit_and_save, prepared, tell_perplexity, with_training
from _textnn_cli.translate.reading import READING_PAIRS, pair_options, read_pairs

PARAMETERS = table("translation")
OPTIONS = {**options_of(PARAMETERS), "random_state": "--seed"}


@command_errors
@with_parameters(PARAMETERS, before="checkpoint_seconds")
@with_training
@with_options(READING_PAIRS)
def train(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Texts and their translations; - reads standard input.")],
    directory: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="DIRECTORY", help="Where to save the model; replaces an older translator."
        ),
    ],
    limit: Limit = None,
    **typed: Any,
) -> None:
    """Train a translator on a file of texts with their translations and save it.

    FILE has a pair in each row: a text, a tab and its translation, or two
    columns of CSV, TSV or JSON lines. Name them source and target, or by their
    languages, en and zh; or give --source-column and --target-column: names, or
    numbers from 0. Further columns are left alone. The first line of output
    says how FILE was read.

    Tokens are words and punctuation, and each Chinese character; --source-level
    and --target-level choose others. An encoder reads the text in both
    directions, and a decoder writes the translation, attending to it
    (--attention). A validation split measures the perplexity after each epoch,
    and the best epoch is kept.

    During training the state is kept beside DIRECTORY, in .NAME.checkpoint.
    After Ctrl-C or a crash, the same command with --resume continues from
    there and ends with the model that an uninterrupted training gives.

    [bold]Examples[/]

      textnn translate train en-zh.tsv -o model/
      textnn translate train pairs.csv -o model/ --source-column en --target-column zh
      textnn translate train zh-en.tsv -o model/ --source-level jieba --cell gru
      textnn translate train en-zh.tsv -o model/ --resume
      torchrun --nproc-per-node=2 -m textnn translate train a.tsv -o model/ --distributed
    """
    from textnn import Translator
    from textnn.translation.bundle import check_target
    from textnn.translation.fitting import check_parameters

    reading = pair_options({name: typed.pop(name) for name in READING_PAIRS})
    run = Run.of(typed)
    with session(run.distributed) as group:
        run = run.within(group)
        with group.together():
            parameters = parse(PARAMETERS, typed)
            if str(parameters["attention"]).lower() == "none":
                parameters["attention"] = None
            run.check_device()
            with option_errors(**OPTIONS):
                check_parameters(parameters)
        checkpoint = prepared(directory, check_target, group, run)
        if checkpoint is None:
            return
        pairs = list[str](), list[str]()
        held_out = None if run.validation is None else (list[str](), list[str]())
        with group.together():  # process 0 has all pairs
            if group.rank == 0:
                pairs = read_pairs(file, reading, limit, run.quiet)
                if run.validation is not None:
                    held_out = read_pairs(run.validation, reading, None, run.quiet)
        model = Translator(**run.parameters(group), **parameters)
        names = {**OPTIONS, "X": file, "y": file, "validation_data": run.validation or "--validation"}
        fit_and_save(model, (*pairs, held_out), names, directory, checkpoint, run, group)
    tell_perplexity(model, directory, "textnn translate predict {} --text", run)
