"""Files of tagged sentences, in the forms that they are passed on in.

    source --text.sources--> lines, decoded --columns | annotations | segmented--> Sentence(line, tokens, tags)

=========  =====================================================================================================
conll      columns, a token a line, blank lines between sentences; separated by tabs or blanks
conllu     the same with the ten columns of Universal Dependencies; the second has the words, the fourth the tags
jsonl      one JSON object a line, or an array of them: a text with spans of characters, or lists of tokens and of tags
csv        a table with a header: a token a row, beside its tag and the name of its sentence
words      a sentence a line, words between spaces; the tags of its characters say where a word begins (BMES)
word/tag   a sentence a line, each word with its part of speech behind a slash
=========  =====================================================================================================
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from textnn.tagging.annotations import of_spacy, sentences_of_objects, text_of
from textnn.tagging.columns import is_tag, sentences_of_columns
from textnn.tagging.encoding import CHAR, WORD
from textnn.tagging.formats import SAMPLE, find_format
from textnn.tagging.schemes import check_scheme, find_scheme, illegal_places
from textnn.tagging.segmented import sentences_of_words
from textnn.tagging.tables import EXPECTED, sentences_of_table, table_delimiter
from textnn.tagging.tags import AUTO
from textnn.text.documents import json_lines, json_rows
from textnn.text.layout import Column, CorpusReport, Layout, check_layout, find_layout
from textnn.text.scripts import Scripts
from textnn.text.sources import CorpusError, Reading, Row, Source, open_rows, table_rows

FORMATS = ("conll", "conllu", "jsonl", "csv", "words", "word/tag")
UNTAGGED_FORMATS = FORMATS[:-1]
"""In which there may be tokens without tags."""
LEVELS = (AUTO, CHAR, WORD)

_SUFFIXES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".conllu": "conllu", ".conll": "conll"}
_A_TOKEN_A_LINE = ("conll", "conllu", "csv")
_NUMBER = re.compile(r"-?[0-9]{1,9}")
_TEXTS = 200  # objects that tell how texts are written
_WHOLE = re.compile(r'\s*(\[(?!\s*")|\{\s*("classes"\s*:|$))')  # an array, or an object of many lines or of them all
LONGEST_SENTENCE = 10_000
"""Tokens of a sentence from which on the report asks whether blank lines are missing."""


class Sentence(NamedTuple):
    """One sentence of a file.

    Attributes
    ----------
    line : int
        Number of the line, from 1, where it begins.
    tokens : list of str
        Its words or characters.
    tags : list of str
        Their tags.

    Examples
    --------
    >>> sentence = Sentence(1, ["Ann", "ran"], ["B-PER", "O"])
    >>> list(zip(sentence.tokens, sentence.tags))
    [('Ann', 'B-PER'), ('ran', 'O')]
    """

    line: int
    tokens: list[str]
    tags: list[str]


@dataclass
class TaggedReport:
    """What was read of a file of tagged sentences; filled while it is read.

    Attributes
    ----------
    source, format, encoding : str, str, str
        The file's name, and how it is written, as given or as found.
    scheme : str, optional
        How its tags mark spans (:data:`textnn.tagging.SCHEMES`); None if they mark none.
    level : str, optional
        Of texts with spans, whether their tokens are characters (``"char"``) or words; else None.
    sentences, tokens : int, int
        What was handed on.
    tags : Counter
        How often each tag occurs.
    bad_rows : int
        Sentences that were left out because something is wrong with them.
    replaced : int
        Bytes that did not fit the encoding and were replaced.
    problems, doubts : list of str
        The messages of the first of these, and sentences about what looks like a mistake.

    Examples
    --------
    >>> print(TaggedReport("a.txt", "conll", "utf-8", "BIO", sentences=2, tokens=9, tags=Counter(O=8, B=1)))
    a.txt: 2 sentences, 9 tokens, 2 tags (conll, utf-8, BIO); left out: nothing
    """

    source: str = ""
    format: str = ""
    encoding: str = ""
    scheme: str | None = None
    level: str | None = None
    sentences: int = 0
    tokens: int = 0
    tags: Counter[str] = field(default_factory=Counter)
    bad_rows: int = 0
    replaced: int = 0
    problems: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        level = {CHAR: "texts as characters", WORD: "texts as words"}.get(str(self.level))
        facts = ", ".join(filter(None, (self.format, level, self.encoding, self.scheme)))
        left_out = f"{self.bad_rows:,} bad sentences" if self.bad_rows else "nothing"
        counts = f"{self.sentences:,} sentences, {self.tokens:,} tokens, {len(self.tags):,} tags"
        replaced = f"; bytes replaced by U+FFFD: {self.replaced:,}" if self.replaced else ""
        return f"{self.source}: {counts} ({facts}); left out: {left_out}{replaced}"


def iter_tagged(
    path: Source,
    format: str | None = None,  # noqa: A002
    *,
    token_column: Column | None = None,
    tag_column: Column | None = None,
    separator: str = "/",
    level: str = "auto",
    scheme: str = "BIOES",
    encoding: str | None = None,
    encoding_errors: str = "strict",
    on_error: str = "stop",
    need_tags: bool = True,
    report: TaggedReport | None = None,
) -> Generator[Sentence, None, None]:
    r"""Read the sentences of a file one by one.

    Parameters
    ----------
    path : path or file
        A path, ``"-"`` for standard input, or an open stream.
    format : str, optional
        One of ``FORMATS``; found by the file's suffix and its first lines.
    token_column, tag_column : int or str, optional
        Of columns and of tables: which hold the tokens and the tags, from 0, or from the end if negative, or by name,
        where a header or CoNLL-U has names; by default the first and the last, of tables those with usual names.
    separator : str, default="/"
        In the format "word/tag" what stands between a word and its tag.
    level : {"auto", "char", "word"}, default="auto"
        In the formats of segmented text whether tokens are characters, with tags such as ``B-n``, or words; by default
        characters. Of texts with spans the same; by default words where most texts have blanks between words.
    scheme : str, default="BIOES"
        How spans of a JSON file are written as tags (:data:`textnn.tagging.SCHEMES`).
    encoding, encoding_errors : str
        As in :func:`textnn.text.iter_records`.
    on_error : {"stop", "skip"}, default="stop"
        ``"stop"`` raises for a bad sentence, ``"skip"`` leaves the whole sentence out and counts it.
    need_tags : bool, default=True
        Whether the sentences have tags; else the tokens of any format but ``"word/tag"`` are read alone, the lists of
        tags are empty, and the format has to be named.
    report : TaggedReport, optional
        A report to fill on the way.

    Yields
    ------
    Sentence

    Raises
    ------
    CorpusError
        With file and line, for anything in the file that is not as expected.
    ValueError
        If an argument has no meaning.

    Examples
    --------
    >>> import io
    >>> list(iter_tagged(io.BytesIO(b"Ann B-PER\nran O\n\nHi O\n")))
    [Sentence(line=1, tokens=['Ann', 'ran'], tags=['B-PER', 'O']), Sentence(line=4, tokens=['Hi'], tags=['O'])]
    >>> next(iter_tagged(io.BytesIO("我 来到 北京".encode())))
    Sentence(line=1, tokens=['我', '来', '到', '北', '京'], tags=['S', 'B', 'E', 'B', 'E'])
    """
    if format is not None and format not in FORMATS:
        raise ValueError(f"format: expected one of {', '.join(FORMATS)}, got {format!r}")
    if level not in LEVELS:
        raise ValueError(f"level: expected one of {', '.join(LEVELS)}, got {level!r}")
    if not separator or separator.isspace():
        raise ValueError(f"separator: expected at least one character that is no space, got {separator!r}")
    if not need_tags and format not in UNTAGGED_FORMATS:
        known = ", ".join(UNTAGGED_FORMATS)
        raise ValueError(f"format: expected one of {known} for tokens without tags, got {format!r}")
    if format == "words" and level == "word" and need_tags:
        raise ValueError("level: words between spaces have no tags of their own, expected 'char' or 'auto', got 'word'")
    asked = check_layout(on_error, encoding=encoding, encoding_errors=encoding_errors)
    columns = _column("token_column", token_column), _column("tag_column", tag_column)
    options = _Options(format, columns, separator, level, check_scheme(scheme), need_tags)
    return _iterate(path, asked, on_error == "skip", options, report or TaggedReport())


def _column(argument: str, column: Any) -> Column | None:
    if isinstance(column, bool) or not isinstance(column, int | str | None):
        raise TypeError(f"{argument}: expected a column's name or number, got {column!r}")
    return int(column) if isinstance(column, str) and _NUMBER.fullmatch(column) else column


class _Options(NamedTuple):
    format: str | None
    columns: tuple[Column | None, Column | None]
    separator: str
    level: str
    scheme: str
    need_tags: bool


def _iterate(
    path: Source, asked: Layout, skip: bool, options: _Options, report: TaggedReport
) -> Generator[Sentence, None, None]:
    inner = CorpusReport()
    layout = Layout("lines", asked.encoding, encoding_errors=asked.encoding_errors)
    with open_rows(path, layout, skip, False, inner) as reading:
        lines: Iterator[str] = (str(cells[0]) for _, cells in reading.rows)  # type: ignore[index]
        head = list(itertools.islice(lines, SAMPLE))
        suffix = Path(inner.source).suffix.lower()
        report.source, report.encoding = inner.source, str(inner.layout.encoding)
        found = options.format or _SUFFIXES.get(suffix) or find_format(head, options.separator)
        if options.format is None and suffix == ".csv" and found not in ("csv", "conll"):
            way = "write it so, as columns, a token a line, or as JSON lines"
            raise CorpusError(f"{inner.source}: expected {EXPECTED}, got another table of CSV; {way}")
        if options.format is None and found == "words" and any(line.startswith("__label__") for line in head[:3]):
            raise CorpusError(f"{inner.source}: expected tagged sentences, got texts with fastText's __label__")
        report.format = found
        if report.format == "words" and options.level == "word" and options.need_tags:
            expected = f"expected words with tags (word{options.separator}tag), got words without"
            raise CorpusError(f"{inner.source}: {expected}")
        longest = 0
        try:
            for sentence in _sentences(itertools.chain(head, lines), reading, report, options):
                report.sentences += 1
                report.tokens += len(sentence.tokens)
                report.tags.update(sentence.tags)
                if len(sentence.tokens) > max(longest, LONGEST_SENTENCE) and report.format in (
                    "conll",
                    "conllu",
                    "csv",
                ):
                    longest = len(sentence.tokens)
                    asks = "are blank lines missing between sentences?"
                    report.doubts.append(f"line {sentence.line}: a sentence of {longest:,} tokens; {asks}")
                yield sentence
        finally:
            report.bad_rows, report.problems, report.replaced = inner.bad_rows, inner.problems, inner.replaced


def _sentences(lines: Iterator[str], reading: Reading, report: TaggedReport, options: _Options) -> Iterator[Sentence]:
    found: Iterator[tuple[int, list[str], list[str]]]
    need = options.need_tags
    if report.format == "jsonl":
        first = next(lines, "")
        rows = json_rows if _WHOLE.match(first) else json_lines
        objects = rows(itertools.chain([first], lines), reading, of_spacy)
        if need:
            objects, report.level = _choose_level(objects, options.level)
        found = sentences_of_objects(objects, reading, options.scheme, report.level == WORD, report.doubts, need)
    elif report.format == "csv":
        found = sentences_of_table(_table(lines, reading, need), reading, *options.columns, need)
    elif report.format.startswith("conll"):
        usual: list[Column] = [1, 3] if report.format == "conllu" else [0, -1]
        columns = [usual[i] if asked is None else asked for i, asked in enumerate(options.columns)]
        numbered = report.format == "conllu"
        found = sentences_of_columns(lines, reading, columns[0], columns[1] if need else None, report.doubts, numbered)
    else:
        separator = options.separator if report.format == "word/tag" else None
        found = sentences_of_words(lines, reading, separator, options.level != WORD, report.doubts)
    return (Sentence(line, tokens, tags if need else []) for line, tokens, tags in found)


def _choose_level(objects: Iterator[Row], level: str) -> tuple[Iterator[Row], str | None]:
    """Return objects, and how their texts are read: as words if most of the first are written with blanks between them.

    None if they have no texts.
    """
    head = list(itertools.islice(objects, _TEXTS))
    texts = [text for _, row in head if (text := text_of(row)) is not None]
    if texts and level == AUTO:
        level = WORD if Scripts.of(texts).is_spaced else CHAR
    return itertools.chain(head, objects), level if texts else None


def _table(lines: Iterator[str], reading: Reading, tagged: bool) -> Iterator[Row]:
    """Yield the rows of a table of tokens."""
    head = list(itertools.islice(lines, SAMPLE))
    delimiter = table_delimiter(next(filter(str.strip, head), ""), tagged)
    asked = replace(reading.report.layout, format="csv", delimiter=delimiter)
    reading.report.layout = find_layout(asked, [f"{line}\n" for line in head], ".csv", False, reading.error)
    return table_rows((f"{line}\n" for line in itertools.chain(head, lines)), reading)


def read_tagged(
    path: Source,
    format: str | None = None,  # noqa: A002
    limit: int | None = None,
    **options: object,
) -> tuple[list[Sentence], TaggedReport]:
    r"""Read all sentences of a file, and see how its tags mark spans.

    Parameters
    ----------
    path, format, options
        As in :func:`iter_tagged`.
    limit : int, optional
        Read this many sentences at most.

    Returns
    -------
    sentences : list of Sentence
    report : TaggedReport
        Its ``scheme`` is found by the tags; sequences that the scheme does not allow are among its ``doubts``.

    Raises
    ------
    CorpusError
        As in :func:`iter_tagged`, and if there is no sentence.

    Examples
    --------
    >>> import io
    >>> sentences, report = read_tagged(io.BytesIO(b"Ann I-PER\nran O\n"))
    >>> report.scheme, dict(report.tags)
    ('IOB1', {'I-PER': 1, 'O': 1})
    """
    report = TaggedReport()
    read: Callable[..., Generator[Sentence, None, None]] = iter_tagged
    stream = read(path, format, report=report, **options)
    sentences = list(itertools.islice(stream, limit))
    stream.close()
    if not sentences:
        left_out = f": {report.problems[0]}" if report.problems else ""
        raise CorpusError(f"{report.source}: expected sentences, got none{left_out}")
    segmented = report.format == "words" or (report.format == "word/tag" and options.get("level") != WORD)
    report.scheme = "BMES" if segmented else find_scheme(sentence.tags for sentence in sentences)
    if report.scheme in (None, "IO"):
        sentences = _without_odd_tags(sentences, report, options.get("on_error") == "skip")
    if report.scheme in (None, "IO"):
        if report.scheme == "IO":
            letters = sorted({tag[0] for tag in report.tags if tag[1:2] in ("-", "_") and tag[:1].isupper()})
            what = f"tags begin with {', '.join(letters)}, the letters of no scheme that is known: each tag is a type"
            plain = "tags have no B and I: neighbouring spans of one type count as one span"
            report.doubts.append(what if len(letters) > 1 else plain)
        return sentences, report
    illegal = [(s, places) for s in sentences if (places := illegal_places(s.tags, str(report.scheme)))]
    if illegal:
        (first, places), count = illegal[0], sum(len(places) for _, places in illegal)
        place = places[0]
        before = first.tags[place - 1] if place else "the beginning"
        example = f"{first.tags[place]!r} behind {before!r} in the sentence of line {first.line}"
        what = f"{count:,} tags in {len(illegal):,} sentences are not allowed where they stand by {report.scheme}"
        report.doubts.append(f"{what}, such as {example}; spans are read as conlleval does")
    return sentences, report


def _without_odd_tags(sentences: list[Sentence], report: TaggedReport, skip: bool) -> list[Sentence]:
    """Return the sentences without those that have other tags, where most tags are those of a scheme.

    Unless they are to be skipped one is an error, and so are tags that are all in another spelling.
    """
    marked = {tag: count for tag, count in report.tags.items() if tag != "O"}
    total = sum(marked.values())
    fit = {tag for tag in marked if is_tag(tag)}
    if fit and 0.5 * total <= sum(marked[tag] for tag in fit):
        good = []
        for sentence in sentences:
            odd = next((tag for tag in sentence.tags if tag != "O" and tag not in fit), None)
            if odd is None:
                good.append(sentence)
                continue
            expected = f"expected O or a tag such as {min(fit)!r}, as most are"
            error = CorpusError(f"{report.source}, sentence of line {sentence.line}: {expected}, got {odd!r}")
            if not skip:
                raise error
            report.bad_rows += 1
            report.problems += [str(error)] if len(report.problems) < 5 else []
        if len(good) < len(sentences):
            report.sentences, report.tokens = len(good), sum(len(sentence.tokens) for sentence in good)
            report.tags = Counter(tag for sentence in good for tag in sentence.tags)
            report.scheme = find_scheme(sentence.tags for sentence in good)
        return good
    spelt = [tag for tag in marked if len(tag) > 2 and (tag[1] in "-_" or tag[-2] in "-_")]
    other = [tag.upper() if tag[1] in "-_" else f"{tag[-1]}-{tag[:-2]}".upper() for tag in spelt]
    if spelt and {*spelt} == {*marked} - {"o"} and not fit and all(map(is_tag, other)):
        raise CorpusError(
            f"{report.source}: expected tags such as {other[0]!r}, a capital letter first, got {spelt[0]!r}"
        )
    return sentences
