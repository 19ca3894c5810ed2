"""``textnn write train``: texts in, a saved language model out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from _textnn_cli.checks import option_errors, reading_options
from _textnn_cli.common import Limit, command_errors, session
from _textnn_cli.parameters import READING, options_of, parse, table, with_parameters, with_reading
from _textnn_cli.progress import busy
from _textnn_cli.training import Run, fit_and_save, prepared, tell_perplexity, with_training
from _textnn_cli.write.reading import LINE, Texts, Unit, check_unit

PARAMETERS = table("language")
OPTIONS = {**options_of(PARAMETERS), "random_state": "--seed"}


@command_errors
@with_parameters(PARAMETERS, before="checkpoint_seconds")
@with_training
@with_reading
def train(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Texts; - reads standard input.")],
    directory: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="DIRECTORY", help="Where to save the model; replaces an older language model."
        ),
    ],
    unit: Unit = LINE,
    limit: Limit = None,
    **typed: Any,
) -> None:
    """Train a language model on a file of texts and save it.

    FILE has a text in each line, or in a column of CSV, TSV or JSON lines. A
    text is what belongs together: it is learnt from its beginning to its end,
    whatever stands before it. --unit paragraph reads the lines between two
    blank ones as one text (poems, messages), --unit file all of FILE (a book).

    Tokens are characters, unless --level says word, or names a tokenizer such
    as jieba for Chinese words. A validation split measures the perplexity
    after each epoch: exp of the mean loss of a token, so that a model which
    guesses among 50 equal tokens has 50. The best epoch is kept.

    During training the state is kept beside DIRECTORY, in .NAME.checkpoint.
    After Ctrl-C or a crash, the same command with --resume continues from
    there and ends with the model that an uninterrupted training gives.

    [bold]Examples[/]

      textnn write train verses.txt -o model/
      textnn write train poems.txt -o model/ --unit paragraph --cell gru
      textnn write train novel.txt -o model/ --unit file --window 128
      textnn write train reviews.csv -o model/ --text-column review
      textnn write train english.txt -o model/ --level word --num-layers 2
      textnn write train verses.txt -o model/ --resume
      torchrun --nproc-per-node=2 -m textnn write train a.txt -o model/ --distributed
    """
    from textnn import LanguageModel
    from textnn.language.bundle import check_target
    from textnn.language.fitting import check_parameters

    reading = reading_options({name: typed.pop(name) for name in READING})
    check_unit(unit, reading)
    run = Run.of(typed)
    with session(run.distributed) as group:
        run = run.within(group)
        with group.together():
            parameters = parse(PARAMETERS, typed)
            run.check_device()
            with option_errors(**OPTIONS):
                check_parameters(parameters)
        checkpoint = prepared(directory, check_target, group, run)
        if checkpoint is None:
            return
        texts, held_out = list[str](), None if run.validation is None else list[str]()
        with group.together():  # process 0 has all texts
            if group.rank == 0:
                texts = _read(file, reading, unit, limit, run.quiet)
                if run.validation is not None:
                    held_out = _read(run.validation, reading, unit, None, run.quiet)
        model = LanguageModel(**run.parameters(group), **parameters)
        names = {**OPTIONS, "X": file, "validation_data": run.validation or "--validation"}
        fit_and_save(model, (texts, None, held_out), names, directory, checkpoint, run, group)
    tell_perplexity(model, directory, "textnn write continue {} --prompt", run)


def _read(file: str, reading: dict[str, Any], unit: str, limit: int | None, quiet: bool) -> list[str]:
    """Return the texts of a file, and say what was read."""
    source = Texts(file, reading, unit, limit)
    with busy(f"reading {file}", quiet):
        texts = [piece.text for piece in source]
    source.tell(len(texts), quiet)
    return texts
