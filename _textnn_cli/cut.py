"""``textnn cut``: text in, words with spaces between them out, a line for each line, in constant memory."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from _textnn_cli.checks import begun, check_source, is_screen, option_errors
from _textnn_cli.common import (
    COLUMNS,
    Encoding,
    EncodingErrors,
    OutputFile,
    Quiet,
    Threads,
    command_errors,
    note,
    open_output,
    set_threads,
)
from _textnn_cli.progress import progress
from _textnn_cli.tag.options import TaggerDirectory
from _textnn_cli.tag.reading import check_file, load_tagger, tell

if TYPE_CHECKING:
    from textnn import SequenceTagger

_EVERY = 1000  # lines
_OTHERS = {".csv": "a table", ".tsv": "a table", ".jsonl": "JSON", ".json": "JSON"}

Words = list[tuple[str, str]]


@command_errors
def cut(
    model: TaggerDirectory,
    file: Annotated[
        str | None, typer.Argument(metavar="FILE", help="Text; - or a pipe: standard input, a terminal: what you type.")
    ] = None,
    text: Annotated[
        list[str] | None, typer.Option("--text", "-t", metavar="TEXT", help="Cut this; repeatable.")
    ] = None,
    output: OutputFile = None,
    separator: Annotated[
        str, typer.Option("--separator", metavar="TEXT|tab", help="What to write between words; a space by default.")
    ] = " ",
    tags: Annotated[
        bool,
        typer.Option("--tags", help="Write each word with its part of speech, as word/tag, if the model has them."),
    ] = False,
    user_dictionary: Annotated[
        str | None,
        typer.Option(
            "--user-dictionary",
            metavar="FILE",
            help="Words to cut out wherever they stand, one a line; a count and a tag may follow, as in jieba's files.",
        ),
    ] = None,
    threads: Threads = None,
    quiet: Quiet = False,
    encoding: Encoding = None,
    encoding_errors: EncodingErrors = "strict",
    on_error: Annotated[
        str,
        typer.Option(
            "--on-error",
            metavar="stop|skip",
            rich_help_panel=COLUMNS,
            help="Stop at a line that cannot be read, or leave it out and report it.",
        ),
    ] = "stop",
) -> None:
    """Cut text into words, with spaces between them.

    MODEL is a tagger that was trained on text with spaces between its words
    (textnn tag train, textnn demo --task tag). Every line of the input is a
    line of the output, in the same order, empty ones too. White space of the
    input always parts words. The text may be larger than the memory. Of a word
    of the user's dictionary and others that overlap it the leftmost is taken,
    and the longest there.

    [bold]Examples[/]

      textnn cut segmenter/ --text "他来到北京大学"
      textnn cut segmenter/ novel.txt -o words.txt
      textnn cut segmenter/ novel.txt --tags --user-dictionary names.txt
      cat novel.txt | textnn cut segmenter/ --separator "|" | head
    """
    file = check_source(file, text, output, typed=True)
    separator = {"tab": "\t", "\\t": "\t"}.get(separator, separator)
    if not separator or "\n" in separator or "\r" in separator:
        raise typer.BadParameter(
            f"expected at least one character and no line break, got {separator!r}", param_hint="--separator"
        )
    if file is not None:
        check_file(file)
    words = None if user_dictionary is None else read_dictionary(user_dictionary)
    from textnn.tagging.entities import check_segmenter
    from textnn.text import CorpusReport, iter_records

    set_threads(threads)
    tagger = load_tagger(model)
    try:
        check_segmenter(tagger.state_)
    except ValueError as error:
        raise ValueError(f"{model}: {error}; textnn tag predict uses it") from None
    if tags and not any(tagger.state_.tags.types):
        raise ValueError(f"--tags: {model} learnt words without parts of speech (word/tag has them)")

    def written(words: Words) -> str:
        return separator.join(f"{word}/{tag}" if tags else word for word, tag in words) + "\n"

    if not text and file is None:
        note("type a line, and Ctrl-D at the end", quiet)
        with open_output(output) as stream:
            for each in _typed(tagger, words):
                stream.write(written(each))
                stream.flush()
        return
    report = CorpusReport()
    with option_errors(format="--input-format", encoding_errors="--encoding-errors", on_error="--on-error"):
        records = iter_records(
            str(file), format="lines", encoding=encoding, encoding_errors=encoding_errors, on_error=on_error,
            keep_empty=True, report=report,
        )  # fmt: skip
    if (kind := _OTHERS.get(Path(file or "").suffix.lower())) is not None:
        note(f"warning: {file}: cut as it stands, though its name is that of {kind}, which textnn tag predict reads")
    lines: Iterable[str] = text or (record.text for record in records)
    found = begun(tagger.stream_cut(lines, words))
    count = 0
    shown = not text and not quiet and not is_screen(output)
    with open_output(output) as stream, progress(0, shown, "lines") as show:
        for each in found:
            stream.write(written(each))
            count += 1
            if count % _EVERY == 0:
                show(count)
    records.close()
    tell(report)
    if output not in (None, "-"):
        note(f"{output}: {count:,} lines", quiet)


def _typed(tagger: SequenceTagger, words: list[str] | None) -> Iterator[Words]:
    """Yield the words of each line as soon as it was typed."""
    for line in sys.stdin:
        yield tagger.cut_tagged(line, words)


def read_dictionary(file: str) -> list[str]:
    """Return the words of a user's dictionary: one a line, with or without count and tag behind it.

    Raises
    ------
    ValueError
        Naming file and line, if one has another form.
    """
    from textnn.text import iter_records
    from textnn.text.tokenizers.dictionary import parse_entry

    if not Path(file).is_file():
        raise ValueError(f"--user-dictionary: expected a file, got {file}")
    found = []
    for record in iter_records(file, format="lines"):
        try:
            found.append(parse_entry(record.text)[0])
        except ValueError as error:
            raise ValueError(f"{file}, line {record.line}: {error}") from None
    return found
