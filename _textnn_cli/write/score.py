"""``textnn write score``: how probable texts are for a language model, in constant memory."""

from __future__ import annotations

import itertools
import json
import math
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from _textnn_cli.checks import begun, check_options_of_file, check_source, reading_options
from _textnn_cli.common import (
    Limit,
    Quiet,
    Threads,
    TokenizerName,
    command_errors,
    note,
    open_output,
    set_threads,
)
from _textnn_cli.parameters import with_reading
from _textnn_cli.progress import progress
from _textnn_cli.rows import BREAKS
from _textnn_cli.write.reading import LINE, ModelOfLanguage, Piece, Texts, Unit, check_unit, load_language_model

if TYPE_CHECKING:
    from textnn import LanguageModel

_EVERY = 1000  # texts


@command_errors
@with_reading
def score(
    model: ModelOfLanguage,
    file: Annotated[str | None, typer.Argument(metavar="FILE", help="Texts; - or a pipe: standard input.")] = None,
    text: Annotated[
        list[str] | None, typer.Option("--text", "-t", metavar="TEXT", help="Score this; repeatable.")
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write the score of each text here, as JSON lines; -: stdout."
        ),
    ] = None,
    tokens: Annotated[bool, typer.Option("--tokens", help="Also write each token with its log-probability.")] = False,
    tokenizer: TokenizerName = None,
    threads: Threads = None,
    quiet: Quiet = False,
    unit: Unit = LINE,
    limit: Limit = None,
    **reading: Any,
) -> None:
    """Say how probable texts are.

    Shows the perplexity of all texts: exp of minus the mean log-probability of
    a token, the end of each text among them. Less is better; compare models
    with the same vocabulary only, and on texts that had no part in training.

    With --output, or of --text, each text has a line: its log-probability
    (natural logarithm), its number of tokens with the end, its perplexity. FILE
    is read as textnn write train reads it, and may be larger than the memory.

    [bold]Examples[/]

      textnn write score model/ test.txt
      textnn write score model/ test.txt -o scores.jsonl
      textnn write score model/ -t "春风又绿江南岸" -t "岸南江绿又风春"
      textnn write score model/ -t "春风" --tokens
    """
    file = check_source(file, text, output)
    check_options_of_file(text, limit=limit is not None)
    if tokens and not text and output is None:
        raise typer.BadParameter("it is written with the score of each text, to --output", param_hint="--tokens")
    reading = reading_options(reading)
    check_unit(unit, reading)
    set_threads(threads)
    scorer = load_language_model(model, tokenizer)
    source = None if file is None else Texts(file, reading, unit, limit)
    pieces: Iterator[Piece] = itertools.starmap(Piece, enumerate(text or (), 1)) if source is None else iter(source)
    found = begun(_scored(scorer, pieces, tokens))
    count, number, total = 0, 0, 0.0
    each_is_shown = bool(text) or output is not None
    with open_output(output) as stream, progress(0, source is not None and not quiet) as show:
        for row in found:
            count, number, total = count + 1, number + row["tokens"], total + row["log_probability"]
            if each_is_shown:
                stream.write(json.dumps(row, ensure_ascii=False).translate(BREAKS) + "\n")
            if count % _EVERY == 0:
                show(count)
        if source is not None:
            source.tell(count, quiet)
            if not count:
                raise ValueError(f"{file}: expected at least one text, got none")
            summary = f"perplexity {_perplexity(total, number):.4f} of {number:,} tokens in {count:,} texts"
            if each_is_shown:
                note(summary, quiet)
            else:
                stream.write(f"{summary}\n")


def _scored(model: LanguageModel, pieces: Iterator[Piece], tokens: bool) -> Iterator[dict[str, Any]]:
    """Yield the score of each text, and what it is made of."""
    read: deque[Piece] = deque()

    def texts() -> Iterator[str]:
        for piece in pieces:
            read.append(piece)
            yield piece.text

    splitter = model.state_.splitter
    for scores in model.score_tokens(texts()):
        piece, total = read.popleft(), float(scores.sum())
        row = {
            "line": piece.line,
            "text": piece.text,
            "log_probability": total,
            "tokens": len(scores),
            "perplexity": _perplexity(total, len(scores)),
        }
        if tokens:
            names = [*splitter.split(piece.text), ""]
            row["each"] = [[name, float(value)] for name, value in zip(names, scores, strict=True)]
        yield row


def _perplexity(total: float, tokens: int) -> float:
    return math.exp(min(-total / tokens, 700.0))
