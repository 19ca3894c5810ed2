"""``textnn write train``: texts in, a saved language model out."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from _textnn_cli.checks import option_errors, reading_options
from _textnn_cli.common import (
    Delimiter,
    Encoding,
    EncodingErrors,
    Escape,
    Header,
    InputFormat,
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
from _textnn_cli.parameters import options_of, parse, table, with_parameters
from _textnn_cli.progress import busy
from _textnn_cli.training import (
    CheckpointSeconds,
    Device,
    Distributed,
    Resume,
    Seed,
    Validation,
    check_device,
    prepared,
    save,
    saying_how_to_go_on,
)
from _textnn_cli.write.reading import LINE, Texts, Unit, check_unit

PARAMETERS = table("language")
OPTIONS = {**options_of(PARAMETERS), "random_state": "--seed"}


@command_errors
@with_parameters(PARAMETERS, before="checkpoint_seconds")
def train(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Texts; - reads standard input.")],
    directory: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="DIRECTORY", help="Where to save the model; replaces an older language model."
        ),
    ],
    validation: Validation = None,
    seed: Seed = 0,
    resume: Resume = False,
    distributed: Distributed = False,
    threads: Threads = None,
    device: Device = None,
    quiet: Quiet = False,
    unit: Unit = LINE,
    text_column: TextColumn = None,
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

    reading = reading_options(locals())
    check_unit(unit, reading)
    with session(distributed) as group:
        quiet = quiet or group.rank > 0
        with group.together():
            parameters = parse(PARAMETERS, typed)
            check_device(device, distributed)
            with option_errors(**OPTIONS):
                check_parameters(parameters)
        checkpoint = prepared(directory, check_target, group, resume, checkpoint_seconds, threads, quiet)
        if checkpoint is None:
            return
        texts, held_out = list[str](), None if validation is None else list[str]()
        with group.together():  # process 0 has all texts
            if group.rank == 0:
                texts = _read(file, reading, unit, limit, quiet)
                if validation is not None:
                    held_out = _read(validation, reading, unit, None, quiet)
        model = LanguageModel(random_state=seed, device=device or group.device, verbose=0 if quiet else 1, **parameters)
        names = {**OPTIONS, "X": file, "validation_data": validation or "--validation"}
        with saying_how_to_go_on(checkpoint, group), option_errors(**names):
            model.fit(texts, None, held_out, distributed, checkpoint)
            if group.rank == 0:
                save(model, directory)
                checkpoint.remove()
    if quiet or sys.stdout is None:
        return
    with open_output(None) as stream:
        measured = model.state_.validation_perplexity
        if measured is not None:
            stream.write(f"validation after epoch {model.best_epoch_}: perplexity {measured:.2f}\n\n")
        stream.write(f'saved: {directory}\nnext:  textnn write continue {shlex.quote(str(directory))} --prompt "..."\n')


def _read(file: str, reading: dict[str, Any], unit: str, limit: int | None, quiet: bool) -> list[str]:
    """Return the texts of a file, and say what was read."""
    source = Texts(file, reading, unit, limit)
    with busy(f"reading {file}", quiet):
        texts = [piece.text for piece in source]
    source.tell(len(texts), quiet)
    return texts
