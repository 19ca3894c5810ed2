"""``textnn translate predict``: texts in, their translations out, in constant memory."""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from _textnn_cli.checks import (
    begun,
    check_options_of_file,
    check_outputs,
    check_page,
    check_source,
    is_screen,
    option_errors,
)
from _textnn_cli.common import (
    Limit,
    OutputFile,
    Quiet,
    RunError,
    Threads,
    command_errors,
    note,
    open_output,
    set_threads,
    write_errors,
)
from _textnn_cli.parameters import with_options
from _textnn_cli.progress import progress
from _textnn_cli.rows import BREAKS, quoted
from _textnn_cli.translate.reading import (
    READING_TEXTS,
    Pairs,
    SourceTokenizer,
    TranslatorDirectory,
    load_translator,
    pair_options,
)

if TYPE_CHECKING:
    from textnn import Translator
    from textnn.text.pairs import Pair

Writer = Callable[[int, str, str], object]

LINES, TSV, CSV, JSONL = FORMATS = "lines", "tsv", "csv", "jsonl"
_ENDINGS = {".tsv": TSV, ".tab": TSV, ".csv": CSV, ".jsonl": JSONL, ".ndjson": JSONL}
_EVERY = 100  # texts

Beam = Annotated[
    int, typer.Option("--beam", min=1, max=1000, metavar="N", help="Beam search with N hypotheses; 1: greedy, faster.")
]
LengthPenalty = Annotated[
    float,
    typer.Option(
        "--length-penalty",
        min=0,
        max=10,
        metavar="NUMBER",
        help="How much long translations are favoured.",
    ),
]
MaxTokens = Annotated[int, typer.Option("--max-tokens", min=1, metavar="N", help="Tokens of a translation at most.")]
SEARCH = {"beam": "--beam", "length_penalty": "--length-penalty", "max_tokens": "--max-tokens"}


@command_errors
@with_options(READING_TEXTS)
def predict(
    model: TranslatorDirectory,
    file: Annotated[
        str | None,
        typer.Argument(metavar="FILE", help="Texts; - or a pipe: standard input, a terminal: what you type."),
    ] = None,
    text: Annotated[
        list[str] | None, typer.Option("--text", "-t", metavar="TEXT", help="Translate this; repeatable.")
    ] = None,
    output: OutputFile = None,
    output_format: Annotated[
        str | None,
        typer.Option(
            "--output-format",
            "-f",
            metavar="|".join(FORMATS),
            help="lines: translations alone; others have the texts, too. Else by the output's name, or lines.",
        ),
    ] = None,
    beam: Beam = 5,
    length_penalty: LengthPenalty = 1.0,
    max_tokens: MaxTokens = 200,
    attention: Annotated[
        str | None,
        typer.Option(
            "--attention",
            metavar="FILE",
            help="Of one --text: also write which words each word was translated from; .png or .svg draws it, .json "
            "has the weights.",
        ),
    ] = None,
    source_tokenizer: SourceTokenizer = None,
    threads: Threads = None,
    quiet: Quiet = False,
    limit: Limit = None,
    **reading: Any,
) -> None:
    """Translate texts.

    FILE has a text in each line, and each line gives a line, empty ones too;
    or it is a table or JSON lines, of which --source-column is translated. It
    may be larger than the memory. An output file appears when it is complete.

    A word that the model has not learnt is copied, where the attention says
    which one it is.

    [bold]Examples[/]

      textnn translate predict model/ --text "How are you?"
      textnn translate predict model/ sentences.txt -o translations.txt
      textnn translate predict model/ new.csv --source-column en -o out.jsonl
      textnn translate predict model/ -t "Run!" --attention attention.png
      cat sentences.txt | textnn translate predict model/ --beam 1
    """
    file = check_source(file, text, output, typed=True)
    check_options_of_file(text, limit=limit is not None)
    form = _find_format(output_format, output)
    if attention is not None:
        _check_attention(attention, text)
        check_outputs({"--output": output, "--attention": attention})
    options = pair_options(reading, need_target=False)
    set_threads(threads)
    translator = load_translator(model, source_tokenizer)
    search: dict[str, Any] = {"beam": beam, "length_penalty": length_penalty, "max_tokens": max_tokens}
    with option_errors(**SEARCH):
        if attention is not None:
            _write_attention(translator, str((text or [""])[0]), search, attention, quiet)
        if file is None and not text:
            note("type a line, and Ctrl-D at the end", quiet)
            with open_output(output) as stream:
                write = _writer(form, stream)
                for number, line in enumerate(sys.stdin, 1):
                    write(number, line.rstrip("\r\n"), translator.predict([line], **search)[0])
                    stream.flush()
            return
        source = None if file is None else Pairs(file, options, limit)
        found = begun(_translated(translator, iter(source) if source else _given(text or []), search))
        shown, count = source is not None and not quiet and not is_screen(output), 0
        with open_output(output) as stream, progress(0, shown) as show:
            write = _writer(form, stream)
            for line, each, translation in found:
                write(line, each, translation)
                count += 1
                if count % _EVERY == 0:
                    show(count)
    if source is not None:
        source.tell(quiet)
    if output not in (None, "-"):
        note(f"{output}: {count:,} texts", quiet)


def _given(texts: list[str]) -> Iterator[Pair]:
    """Yield texts of the command line as those of a file are."""
    from textnn.text.pairs import Pair

    return (Pair(number, text, "", [text]) for number, text in enumerate(texts, 1))


def _translated(
    translator: Translator, pairs: Iterator[Pair], search: dict[str, Any]
) -> Iterator[tuple[int, str, str]]:
    """Yield line, text and translation of each text, holding a few chunks of them at a time."""
    read: deque[Pair] = deque()

    def texts() -> Iterator[str]:
        for pair in pairs:
            read.append(pair)
            yield pair.source

    for translation in translator.stream(texts(), **search):
        pair = read.popleft()
        yield pair.line, pair.source, translation


def _writer(form: str, stream: IO[str]) -> Writer:
    """Return what writes line, text and translation."""

    def lines(line: int, text: str, translation: str) -> None:
        stream.write(" ".join(translation.splitlines()) + "\n")

    def row(line: int, text: str, translation: str) -> None:
        stream.write(("\t" if form == TSV else ",").join(map(quoted, (text, translation))) + "\n")

    def objects(line: int, text: str, translation: str) -> None:
        values = {"line": line, "source": text, "translation": translation}
        stream.write(json.dumps(values, ensure_ascii=False).translate(BREAKS) + "\n")

    if form in (TSV, CSV):
        row(0, "source", "translation")
    return {LINES: lines, JSONL: objects}.get(form, row)


def _find_format(name: str | None, output: str | None) -> str:
    """Return the format to write: the one that is asked for, or that of the output's ending."""
    if name is not None and name not in FORMATS:
        raise typer.BadParameter(f"expected one of {', '.join(FORMATS)}, got {name!r}", param_hint="--output-format")
    suffix = Path(output or "").suffix.lower()
    if name is None and suffix in (".json", ".xlsx", ".xls", ".ods", ".docx", ".pdf", ".parquet"):
        expected = "expected a name in .txt, .tsv, .csv or .jsonl, or --output-format beside it"
        raise ValueError(f"--output: {expected}, got {output}")
    return name or _ENDINGS.get(suffix, LINES)


def _check_attention(attention: str, text: list[str] | None) -> None:
    if len(text or ()) != 1:
        raise typer.BadParameter("expected one --text beside it", param_hint="--attention")
    if Path(attention).suffix.lower() not in (".png", ".svg", ".json"):
        raise ValueError(f"--attention: expected a file .png, .svg or .json, got {attention}")
    check_page(attention, None, "--attention")
    if Path(attention).suffix.lower() != ".json":
        from textnn.packages import PLOTS, need

        try:
            need(PLOTS, "--attention needs")
        except ImportError as error:
            raise RunError(f"{error}; or write .json") from None


def _write_attention(translator: Translator, text: str, search: dict[str, Any], path: str, quiet: bool) -> None:
    """Write what the attention looked at, as a picture or as JSON."""
    with option_errors(attention="--attention", text="--text", **SEARCH):
        found = translator.align(text, **search)
        if Path(path).suffix.lower() == ".json":
            with open_output(path) as stream:
                stream.write(json.dumps(found.to_dict(), ensure_ascii=False) + "\n")
        else:
            with write_errors(path):
                found.plot(path)
    note(f"{path}: the attention of each of {len(found.target):,} tokens", quiet)
