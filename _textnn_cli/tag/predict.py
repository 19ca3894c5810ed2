"""``textnn tag predict``: texts or sentences of tokens in; entities, words or tags out, in constant memory.

texts     -- textnn.text.iter_records --> entities | words | tokens with tags --+
sentences -- textnn.tagging.iter_tagged --> tags of their tokens --------------+--> writers --> the output
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from _textnn_cli.checks import (
    begun,
    check_options_of_file,
    check_source,
    is_screen,
    reading_options,
    typed_records,
)
from _textnn_cli.common import (
    COLUMNS,
    Delimiter,
    Encoding,
    EncodingErrors,
    Escape,
    Header,
    OutputFile,
    Quiet,
    Quoting,
    TextColumn,
    Threads,
    command_errors,
    note,
    open_output,
    set_threads,
)
from _textnn_cli.predict import other_cells
from _textnn_cli.progress import progress
from _textnn_cli.tag.options import SkipTexts, TaggerDirectory, TextLimit, TokenColumn
from _textnn_cli.tag.reading import check_file, load_tagger, tell
from _textnn_cli.tag.writers import FORMATS, Found, make_writer

if TYPE_CHECKING:
    from textnn import SequenceTagger
    from textnn.tagging import Sentence
    from textnn.text import Record

TEXTS, TOKENS = "text", "tokens"
_OF_TOKENS = ("conll", "conllu", "words")
_TABLE = "csv"  # of either
_OF_TEXTS = (_TABLE, "tsv", "json", "lines")
_ENDINGS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".conll": "conll"}
_LINES = ("", ".txt", ".text", ".conll", ".jsonl", ".ndjson", ".tags", ".words")
_EVERY = 1000  # texts

Item = TypeVar("Item")


@command_errors
def predict(
    model: TaggerDirectory,
    file: Annotated[
        str | None, typer.Argument(metavar="FILE", help="Texts or columns of tokens; - or a pipe: standard input.")
    ] = None,
    text: Annotated[
        list[str] | None, typer.Option("--text", "-t", metavar="TEXT", help="Tag this; repeatable.")
    ] = None,
    output: OutputFile = None,
    output_format: Annotated[
        str | None,
        typer.Option(
            "--output-format",
            "-f",
            metavar="|".join(FORMATS),
            help="Else by the output's name, or: of columns conll; of texts jsonl with entities, words of a segmenter.",
        ),
    ] = None,
    separator: Annotated[
        str, typer.Option("--separator", metavar="TEXT", help="What to write between word and tag in word/tag.")
    ] = "/",
    keep_columns: Annotated[
        bool, typer.Option("--keep-columns", help="In jsonl also write the other columns of the texts.")
    ] = False,
    threads: Threads = None,
    quiet: Quiet = False,
    given: Annotated[
        str | None,
        typer.Option(
            "--input",
            metavar="text|tokens",
            rich_help_panel=COLUMNS,
            help="Whether FILE has texts, or sentences of tokens (default: detected).",
        ),
    ] = None,
    input_format: Annotated[
        str | None,
        typer.Option(
            "--input-format",
            metavar="NAME",
            rich_help_panel=COLUMNS,
            help="Of texts csv, tsv, jsonl, json or lines (a text a line); of tokens conll, conllu, csv, jsonl or "
            "words (tokens between spaces) (default: detected).",
        ),
    ] = None,
    token_column: TokenColumn = None,
    text_column: TextColumn = None,
    encoding: Encoding = None,
    encoding_errors: EncodingErrors = "strict",
    delimiter: Delimiter = None,
    quoting: Quoting = None,
    escape: Escape = None,
    header: Header = None,
    on_error: SkipTexts = "stop",
    limit: TextLimit = None,
) -> None:
    """Tag texts, or sentences of tokens.

    FILE has texts: one a line, or in a column of CSV, TSV or JSON lines. Each
    gives a line of JSON with the entities in it: type, first character, the one
    behind the last, and how sure the model is. A segmenter gives the words of
    each text with spaces between them.

    Or FILE has sentences of tokens, one a line, in the first of any number of
    columns, with a blank line between sentences; or a table of tokens; or JSON
    lines with lists of tokens. Each token is written with its predicted tag behind it. Tags that
    stand in FILE are not read.

    FILE may be larger than the memory. An output file appears when it is
    complete.

    [bold]Examples[/]

      textnn tag predict model/ --text "叶老桂在北京工作"
      textnn tag predict model/ articles.txt -o entities.jsonl
      textnn tag predict model/ articles.csv --text-column body --keep-columns
      textnn tag predict model/ test.conll -o tagged.conll
      cat texts.txt | textnn tag predict segmenter/ --output-format word/tag
    """
    file = check_source(file, text, output)
    check_options_of_file(text, keep_columns=keep_columns, limit=limit is not None, input=given is not None)
    kind = _check_formats(given, input_format, output_format, output)
    if file is not None:
        check_file(file)
    options = locals()
    reading = reading_options({**options, "input_format": input_format if input_format in _OF_TEXTS else None})
    set_threads(threads)
    tagger = load_tagger(model)
    kind, tokens_in = kind or _kind_of(str(file), output), False
    if file is not None:
        tokens_in, input_format = _find_input(str(file), tagger, given, input_format, reading, text_column, delimiter)
    form = kind or _usual_form(tagger, tokens_in)
    _check_form(tagger, form, "--output-format" if output_format else "the output")
    if keep_columns and (tokens_in or form != "jsonl"):
        raise ValueError(
            f"--keep-columns: expected texts, and the output format jsonl, got {'tokens' if tokens_in else form!r}"
        )
    source = _Input(tagger, file, text, limit)
    if tokens_in:
        found = source.sentences(str(input_format), token_column, encoding, encoding_errors, on_error, form)
    else:
        if token_column is not None:
            raise ValueError("--token-column: expected sentences of tokens (--input tokens), got texts")
        found = source.texts({**reading, "format": input_format}, form, keep_columns)
    found = begun(found)
    source.describe(quiet)
    count = 0
    unit = "sentences" if tokens_in else "texts"
    shown = file is not None and not quiet and not is_screen(output)
    with open_output(output) as stream, progress(0, shown, unit) as show:
        write = make_writer(form, stream, separator)
        for each in found:
            write(each)
            count += 1
            if count % _EVERY == 0:
                show(count)
    source.close(quiet)
    if output not in (None, "-"):
        note(f"{output}: {count:,} {unit} ({form})", quiet)


class _Input:
    """What is to be tagged, and the report of what was read of it."""

    def __init__(self, tagger: SequenceTagger, file: str | None, given: list[str] | None, limit: int | None) -> None:
        self._tagger, self._file, self._given, self._limit = tagger, file, given, limit
        self._report: Any = None
        self._stream: Any = None

    def texts(self, reading: dict[str, Any], form: str, keep: bool) -> Iterator[Found]:
        """Yield what is found in each text."""
        from textnn.text import CorpusReport, iter_records

        self._report = report = CorpusReport()
        if self._given:
            records = typed_records(self._given)
        else:
            self._stream = iter_records(str(self._file), need_label=False, keep_empty=True, report=report, **reading)
            records = itertools.islice(self._stream, self._limit)
        for record, found in find_in_texts(self._tagger, records, form):
            if keep:
                if report.layout.text is None:
                    raise ValueError(
                        f"--keep-columns: expected a table or JSON, got the format {report.layout.format!r}"
                    )
                found = replace(found, kept=other_cells(record, report.layout.text))
            yield found

    def sentences(
        self, format_: str, column: str | None, encoding: str | None, errors: str, on_error: str, form: str
    ) -> Iterator[Found]:
        """Yield what is found in each sentence of tokens."""
        from textnn.tagging import TaggedReport, iter_tagged

        self._report = report = TaggedReport()
        self._stream = iter_tagged(
            str(self._file), format_, token_column=column, level=self._tagger.level_, encoding=encoding,
            encoding_errors=errors, on_error=on_error, need_tags=False, report=report,
        )  # fmt: skip
        yield from find_in_sentences(self._tagger, itertools.islice(self._stream, self._limit), form)

    def describe(self, quiet: bool) -> None:
        """Say how the file is read, and what else in it could have been meant."""
        if self._given:
            return
        report = self._report
        if hasattr(report, "layout"):
            note(f"{report.source}: texts ({replace(report.layout, label=None).describe()})", quiet)
        else:
            note(f"{report.source}: sentences of tokens ({report.format}, {report.encoding})", quiet)

    def close(self, quiet: bool) -> None:
        """End reading, and say what was left out."""
        if self._stream is None:
            return
        self._stream.close()
        tell(self._report)
        if getattr(self._report, "blank_lines", 0):
            note(f"{self._report.blank_lines:,} blank lines were left out", quiet)


def find_in_texts(tagger: SequenceTagger, records: Iterable[Record], form: str) -> Iterator[tuple[Record, Found]]:
    """Yield each record with what is found in its text, for an output of this form."""
    from textnn.tagging.entities import tagged

    read: deque[Record] = deque()

    def texts() -> Iterator[str]:
        for record in records:
            read.append(record)
            yield record.text

    state = tagger.state_
    if _cuts(tagger) and form != "conll":
        for words in tagger.stream_cut(texts()):
            record = read.popleft()
            yield record, Found(record.line, record.text, pairs=words, are_words=True)
    elif form == "jsonl" and state.scheme is not None:
        for entities in tagger.stream_entities(texts()):
            record = read.popleft()
            yield record, Found(record.line, record.text, entities=entities)
    else:
        for pairs in tagged(state, texts()):
            record = read.popleft()
            yield record, Found(record.line, record.text, pairs=pairs)


def find_in_sentences(tagger: SequenceTagger, sentences: Iterable[Sentence], form: str) -> Iterator[Found]:
    """Yield what is found in each sentence, for an output of this form."""
    from textnn.tagging import spans_of
    from textnn.tagging.prediction import best_tags, stream

    read: deque[Sentence] = deque()

    def tokens() -> Iterator[list[str]]:
        for sentence in sentences:
            read.append(sentence)
            yield sentence.tokens

    tags, words = tagger.state_.tags, _cuts(tagger) and form.startswith("word")
    for numbers in stream(tagger.state_, tokens(), best_tags):
        sentence, found = read.popleft(), tags.decode(numbers.tolist())
        pairs = list(zip(sentence.tokens, found, strict=True))
        if words:
            spans = spans_of(found, str(tags.scheme))
            pairs = [("".join(sentence.tokens[start:end]), kind) for start, end, kind in spans]
        yield Found(sentence.line, pairs=pairs, are_words=words)


def _cuts(tagger: SequenceTagger) -> bool:
    """Whether the model cuts texts into words."""
    return tagger.state_.is_segmenter


def _has_types(tagger: SequenceTagger) -> bool:
    return any(tagger.state_.tags.types)


def _usual_form(tagger: SequenceTagger, tokens_in: bool) -> str:
    if tokens_in or tagger.scheme_ is None:
        return "conll"
    if _cuts(tagger):
        return "word/tag" if _has_types(tagger) else "words"
    return "jsonl"


def _check_form(tagger: SequenceTagger, form: str, option: str) -> None:
    """Refuse an output that the model has nothing for."""
    if form == "words" and not _cuts(tagger):
        raise ValueError(f"{option}: the model does not cut text into words, expected jsonl, conll or word/tag")
    if form == "word/tag" and _cuts(tagger) and not _has_types(tagger):
        raise ValueError(f"{option}: the model learnt words without tags, expected words, jsonl or conll, got word/tag")


def _check_formats(
    given: str | None, input_format: str | None, output_format: str | None, output: str | None
) -> str | None:
    """Refuse formats that there are not, or that do not go with each other; return the output's, if it is named."""
    if given not in (None, TEXTS, TOKENS):
        raise typer.BadParameter(f"expected {TEXTS} or {TOKENS}, got {given!r}", param_hint="--input")
    known = {TEXTS: (*_OF_TEXTS, "jsonl"), TOKENS: (*_OF_TOKENS, _TABLE, "jsonl")}
    names = known[given] if given else (*_OF_TEXTS, *_OF_TOKENS, "jsonl")
    if input_format not in (None, *names):
        raise typer.BadParameter(
            f"expected one of {', '.join(names)}, got {input_format!r}", param_hint="--input-format"
        )
    if output_format not in (None, *FORMATS):
        raise typer.BadParameter(
            f"expected one of {', '.join(FORMATS)}, got {output_format!r}", param_hint="--output-format"
        )
    return output_format


def _kind_of(file: str, output: str | None) -> str | None:
    """Return the format that the output's name asks for."""
    suffix = Path(output or "").suffix.lower()
    table = suffix in (".csv", ".tsv", ".xlsx", ".json")
    if output not in (None, "-") and suffix not in _LINES and (table or suffix != Path(file).suffix.lower()):
        expected = "expected a name in .jsonl, .conll or .txt, or --output-format beside it"
        raise ValueError(f"--output: {expected}, got {output}")
    return _ENDINGS.get(suffix)


def _find_input(
    file: str, tagger: SequenceTagger, given: str | None, name: str | None, reading: dict[str, Any], *of_texts: Any
) -> tuple[bool, str | None]:
    """Return whether a file has sentences of tokens, and in which format."""
    from textnn.tagging.untagged import find_tokens

    if given is None and name in _OF_TOKENS:
        given = TOKENS
    if given is None and (name in _OF_TEXTS or any(option is not None for option in of_texts)):
        given = TEXTS
    if given == TEXTS or (given is None and name not in (None, "jsonl")):
        return False, name
    found = find_tokens(file, tagger.level_, reading["encoding"], reading["encoding_errors"])
    if given == TOKENS:
        usual = {".csv": _TABLE, **dict.fromkeys((".jsonl", ".ndjson", ".json"), "jsonl")}
        return True, name or found or usual.get(Path(file).suffix.lower(), "conll")
    if name == "jsonl":
        return found == "jsonl", name
    return found is not None, found
