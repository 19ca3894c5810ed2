"""``textnn write continue``: prompts in; what a language model writes behind them out, as it is written."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from _textnn_cli.checks import check_source, option_errors
from _textnn_cli.common import (
    Encoding,
    EncodingErrors,
    OutputFile,
    Quiet,
    Threads,
    TokenizerName,
    command_errors,
    note,
    open_output,
    set_threads,
)
from _textnn_cli.rows import BREAKS
from _textnn_cli.write.reading import ModelOfLanguage, Texts, load_language_model

if TYPE_CHECKING:
    from textnn import LanguageModel

_OPTIONS = {"n": "--tokens"} | {
    name: f"--{name.replace('_', '-')}" for name in ("temperature", "top_k", "top_p", "beam", "seed", "stop", "prompt")
}


_SEEDS = 2**63
"""How many there are; behind the last comes the first."""


@command_errors
def continue_(
    model: ModelOfLanguage,
    file: Annotated[
        str | None, typer.Argument(metavar="FILE", help="Prompts, one a line; - or a pipe: standard input.")
    ] = None,
    prompt: Annotated[
        list[str] | None,
        typer.Option("--prompt", "-p", metavar="TEXT", help="Continue this; repeatable. Without: a text begins."),
    ] = None,
    count: Annotated[int, typer.Option("--count", "-c", min=1, metavar="N", help="Texts for each prompt.")] = 1,
    tokens: Annotated[
        int, typer.Option("--tokens", "-n", min=1, metavar="N", help="Tokens at most; a text may end before.")
    ] = 200,
    temperature: Annotated[
        float,
        typer.Option(
            "--temperature",
            metavar="NUMBER",
            help="Below 1: safer; above: wilder; 0: greedy.",
        ),
    ] = 1.0,
    top_k: Annotated[
        int | None, typer.Option("--top-k", metavar="N", help="Draw from the N most probable tokens alone.")
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option("--top-p", metavar="NUMBER", help="Draw from the tokens that together have this probability."),
    ] = None,
    beam: Annotated[
        int | None,
        typer.Option("--beam", metavar="N", help="Beam search with N hypotheses for the most probable text."),
    ] = None,
    stop: Annotated[
        list[str] | None, typer.Option("--stop", metavar="TEXT", help="End behind this string; repeatable.")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed", min=0, max=_SEEDS - 1, metavar="N", help="The same seed gives the same texts; each has the next."
        ),
    ] = None,
    output: OutputFile = None,
    as_jsonl: Annotated[
        bool,
        typer.Option("--jsonl", help='Write JSON lines, {"prompt": ..., "text": ...}, instead of prompt and text.'),
    ] = False,
    tokenizer: TokenizerName = None,
    threads: Threads = None,
    quiet: Quiet = False,
    encoding: Encoding = None,
    encoding_errors: EncodingErrors = "strict",
) -> None:
    """Continue prompts.

    Each token is drawn from what the model holds probable behind the prompt
    and what it has written so far, until the text ends, --tokens are written
    or --stop is met. Prompt and text appear as they are written, a line each;
    texts with line breaks are told apart by --jsonl.

    --temperature 0.7 or --top-p 0.9 make the text safer and duller,
    --temperature 0 is greedy, and --beam 8 searches for the most probable text
    instead of drawing one. Tokens of a prompt that the model has not learnt are
    named in a warning and read as the unknown token, which is never written.

    [bold]Examples[/]

      textnn write continue model/
      textnn write continue model/ --prompt 春 --count 5 --seed 1
      textnn write continue model/ -p "Once upon" --top-p 0.9 --stop "."
      textnn write continue model/ prompts.txt --beam 8 -o texts.txt
      cat prompts.txt | textnn write continue model/ --jsonl
    """
    is_given, file = file is not None, check_source(file, prompt, output, typed=True, option="--prompt")
    if beam is not None and count > 1:
        raise ValueError("--count: expected 1 beside --beam, which finds the same text each time")
    set_threads(threads)
    writer = load_language_model(model, tokenizer)
    reading = {"format": "lines", "encoding": encoding, "encoding_errors": encoding_errors}
    source = None if file is None else Texts(file, reading)
    prompts = iter(prompt or [""]) if source is None else _read(source, str(file), is_given, quiet)
    # Each text has a seed of its own.
    first = secrets.randbits(32) if seed is None else seed
    options: dict[str, Any] = {"n": tokens, "temperature": temperature, "top_k": top_k, "top_p": top_p, "stop": stop}
    written = 0
    with option_errors(**_OPTIONS), open_output(output) as stream:
        for each in prompts:
            for _ in range(count):
                drawn = {"seed": (first + written) % _SEEDS} if beam is None else {"beam": beam, "seed": seed}
                _write(stream, each, _pieces(writer, each, {**options, **drawn}), as_jsonl)
                written += 1
    if output not in (None, "-"):
        note(f"{output}: {written:,} texts", quiet)


def _read(source: Texts, file: str, given: bool, quiet: bool) -> Iterator[str]:
    """Yield the prompts of a file; one that begins a text if nothing came by a pipe that nobody named.

    Where no terminal is at hand, as in a service, standard input is such a pipe.

    Raises
    ------
    ValueError
        If there is none in a file that was named.
    """
    from textnn.text.sources import EmptyFileError

    count = 0
    try:
        for piece in source:
            count += 1
            yield piece.text
    except EmptyFileError:
        if given:
            raise
    if count:
        source.tell(count, quiet)
    elif given:
        raise ValueError(f"{file}: expected at least one prompt, got none")
    else:
        yield ""


def _pieces(model: LanguageModel, prompt: str, options: dict[str, Any]) -> Iterator[str]:
    """Yield what is written behind a prompt."""
    if "beam" in options:
        yield model.generate(prompt, **options)
    else:
        yield from model.stream(prompt, **options)


def _write(stream: IO[str], prompt: str, pieces: Iterator[str], as_jsonl: bool) -> None:
    if as_jsonl:
        line = json.dumps({"prompt": prompt, "text": "".join(pieces)}, ensure_ascii=False).translate(BREAKS)
        stream.write(line + "\n")
        return
    first = next(pieces, "")  # what is wrong is an error before anything is written
    stream.write(prompt + first)
    for piece in pieces:
        stream.write(piece)
        stream.flush()
    stream.write("\n")
    stream.flush()
