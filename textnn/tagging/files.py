"""Files of tagged sentences, in the forms that they are passed on in.

    source --text.sources--> lines, decoded --columns | annotations | segmented--> Sentence(line, tokens, tags)

=========  =====================================================================================================
conll      columns, a token a line, blank lines between sentences; separated by tabs or blanks
conllu     the same with the ten columns of Universal Dependencies; the second has the words, the fourth the tags
jsonl      one JSON object a line: a text with spans of characters, or lists of tokens and of tags
words      a sentence a line, words between spaces; the tags of its characters say where a word begins (BMES)
word/tag   a sentence a line, each word with its part of speech behind a slash
=========  =====================================================================================================
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from textnn.tagging.annotations import sentences_of_objects
from textnn.tagging.columns import is_tag, sentences_of_columns, split_columns
from textnn.tagging.schemes import check_scheme, find_scheme, illegal_places
from textnn.tagging.segmented import sentences_of_words
from textnn.text.documents import json_lines, json_rows
from textnn.text.layout import CorpusReport, Layout, check_layout
from textnn.text.sources import CorpusError, Reading, Source, open_rows

FORMATS = ("conll", "conllu", "jsonl", "words", "word/tag")

_SUFFIXES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".conllu": "conllu", ".conll": "conll"}
_SAMPLE = 1000  # lines that tell the format
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
    sentences: int = 0
    tokens: int = 0
    tags: Counter[str] = field(default_factory=Counter)
    bad_rows: int = 0
    replaced: int = 0
    problems: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        facts = ", ".join(filter(None, (self.format, self.encoding, self.scheme)))
        left_out = f"{self.bad_rows:,} bad sentences" if self.bad_rows else "nothing"
        counts = f"{self.sentences:,} sentences, {self.tokens:,} tokens, {len(self.tags):,} tags"
        replaced = f"; bytes replaced by U+FFFD: {self.replaced:,}" if self.replaced else ""
        return f"{self.source}: {counts} ({facts}); left out: {left_out}{replaced}"


def iter_tagged(
    path: Source,
    format: str | None = None,  # noqa: A002
    *,
    token_column: int | None = None,
    tag_column: int | None = None,
    separator: str = "/",
    level: str = "char",
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
    token_column, tag_column : int, optional
        Of columns: which hold the tokens and the tags, from 0, or from the end if negative; the first and the last.
    separator : str, default="/"
        In the format "word/tag" what stands between a word and its tag.
    level : {"char", "word"}, default="char"
        In the formats of segmented text whether tokens are characters, with tags such as ``B-n``, or words.
    scheme : str, default="BIOES"
        How spans of a JSON file are written as tags (:data:`textnn.tagging.SCHEMES`).
    encoding, encoding_errors : str
        As in :func:`textnn.text.iter_records`.
    on_error : {"stop", "skip"}, default="stop"
        ``"stop"`` raises for a bad sentence, ``"skip"`` leaves the whole sentence out and counts it.
    need_tags : bool, default=True
        Whether the sentences have tags; else the tokens of ``"conll"``, ``"conllu"``, ``"jsonl"`` or ``"words"`` are
        read alone, the lists of tags are empty, and the format has to be named.
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
    if level not in ("char", "word"):
        raise ValueError(f"level: expected 'char' or 'word', got {level!r}")
    if not separator or separator.isspace():
        raise ValueError(f"separator: expected at least one character that is no space, got {separator!r}")
    if not need_tags and format not in ("conll", "conllu", "jsonl", "words"):
        raise ValueError(f"format: expected conll, conllu, jsonl or words for tokens without tags, got {format!r}")
    if format == "words" and level == "word" and need_tags:
        raise ValueError("level: words between spaces have no tags of their own, expected 'char', got 'word'")
    for name, column in (("token_column", token_column), ("tag_column", tag_column)):
        if column is not None and (isinstance(column, bool) or not isinstance(column, int)):
            raise TypeError(f"{name}: expected a number, got {column!r}")
    asked = check_layout(on_error, encoding=encoding, encoding_errors=encoding_errors)
    columns = token_column, tag_column
    options = _Options(format, columns, separator, level, check_scheme(scheme), need_tags)
    return _iterate(path, asked, on_error == "skip", options, report or TaggedReport())


class _Options(NamedTuple):
    format: str | None
    columns: tuple[int | None, int | None]
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
        head = list(itertools.islice(lines, _SAMPLE))
        suffix = Path(inner.source).suffix.lower()
        report.source, report.encoding = inner.source, str(inner.layout.encoding)
        found = options.format or _SUFFIXES.get(suffix)
        if found is None and suffix == ".csv":
            way = "write it as columns, a token a line, or as JSON lines"
            raise CorpusError(f"{inner.source}: expected sentences with tags, got a table of CSV; {way}")
        report.format = found or _find_format(head, options.separator)
        if report.format == "words" and options.level == "word" and options.need_tags:
            expected = f"expected words with tags (word{options.separator}tag), got words without"
            raise CorpusError(f"{inner.source}: {expected}")
        longest = 0
        try:
            for sentence in _sentences(itertools.chain(head, lines), reading, report, options):
                report.sentences += 1
                report.tokens += len(sentence.tokens)
                report.tags.update(sentence.tags)
                if len(sentence.tokens) > max(longest, LONGEST_SENTENCE) and report.format.startswith("conll"):
                    longest = len(sentence.tokens)
                    asks = "are blank lines missing between sentences?"
                    report.doubts.append(f"line {sentence.line}: a sentence of {longest:,} tokens; {asks}")
                yield sentence
        finally:
            report.bad_rows, report.problems, report.replaced = inner.bad_rows, inner.problems, inner.replaced


def _sentences(lines: Iterator[str], reading: Reading, report: TaggedReport, options: _Options) -> Iterator[Sentence]:
    found: Iterator[tuple[int, list[str], list[str]]]
    if report.format == "jsonl":
        first = next(lines, "")
        rows = json_rows if first.lstrip().startswith("[") else json_lines
        objects = rows(itertools.chain([first], lines), reading)
        found = sentences_of_objects(objects, reading, options.scheme, report.doubts, options.need_tags)
    elif report.format.startswith("conll"):
        usual = (1, 3) if report.format == "conllu" else (0, -1)
        columns = [usual[i] if asked is None else asked for i, asked in enumerate(options.columns)]
        numbered = report.format == "conllu"
        tag = columns[1] if options.need_tags else None
        found = sentences_of_columns(lines, reading, columns[0], tag, report.doubts, numbered)
    else:
        separator = options.separator if report.format == "word/tag" else None
        found = sentences_of_words(lines, reading, separator, options.level == "char", report.doubts)
    return itertools.starmap(Sentence, found)


def _find_format(head: list[str], separator: str) -> str:
    """Tell a format by the first lines."""
    full = [line for line in head if line.strip()]
    if full and (full[0].lstrip().startswith(("{", "[{")) or full[0].strip() == "["):
        return "jsonl"
    rows = [split_columns(line) for line in full if not line.startswith(("#", "-DOCSTART-"))]
    words = [word for line in full for word in line.split()]
    if not rows:
        return "words"
    if sum(len(cells) == 10 and cells[0][:1].isdigit() for cells in rows) > 0.9 * len(rows):
        return "conllu"
    if sum(len(cells) > 1 and is_tag(cells[-1]) for cells in rows) >= 0.5 * len(rows):
        return "conll"
    if sum(separator in word[1:-1] for word in words) > 0.9 * len(words):
        return "word/tag"
    width, count = Counter(map(len, rows)).most_common(1)[0]
    if width > 1 and count >= 0.9 * len(rows) and (_in_groups(head) or all("\t" in line for line in full)):
        return "conll"
    return "words"


def _in_groups(head: list[str]) -> bool:
    """Whether blank lines stand between lines, some of which stand together."""
    blank = [not line.strip() for line in head]
    return any(blank[:-1]) and any(not a and not b for a, b in itertools.pairwise(blank))


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
    segmented = report.format == "words" or (report.format == "word/tag" and options.get("level", "char") == "char")
    report.scheme = "BMES" if segmented else find_scheme(sentence.tags for sentence in sentences)
    if report.scheme in (None, "IO"):
        _refuse_odd_tags(sentences, report)
        if report.scheme == "IO":
            report.doubts.append("tags have no B and I: neighbouring spans of one type count as one span")
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


def _refuse_odd_tags(sentences: list[Sentence], report: TaggedReport) -> None:
    """Raise an error where most tags are those of a scheme and some are not, or all are in another spelling."""
    marked = {tag: count for tag, count in report.tags.items() if tag != "O"}
    total = sum(marked.values())
    fit = {tag for tag in marked if is_tag(tag)}
    if fit and 0.5 * total <= sum(marked[tag] for tag in fit):
        line, tag = next(((s.line, t) for s in sentences for t in s.tags if t != "O" and t not in fit), (0, ""))
        if tag:
            expected = f"expected O or a tag such as {min(fit)!r}, as most are"
            raise CorpusError(f"{report.source}, sentence of line {line}: {expected}, got {tag!r}")
    spelt = [tag for tag in marked if len(tag) > 2 and (tag[1] in "-_" or tag[-2] in "-_")]
    other = [tag.upper() if tag[1] in "-_" else f"{tag[-1]}-{tag[:-2]}".upper() for tag in spelt]
    if spelt and {*spelt} == {*marked} - {"o"} and not fit and all(map(is_tag, other)):
        raise CorpusError(
            f"{report.source}: expected tags such as {other[0]!r}, a capital letter first, got {spelt[0]!r}"
        )
