"""Sentences of a table, CSV or TSV with a header: a token a row, beside the number or the name of its sentence.

    Sentence #,Word,POS,Tag          the name of a sentence in each row, or in its first row alone
    Sentence: 1,Ann,NNP,B-PER
    ,ran,VBD,O

A table without such a column has an empty row between sentences.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Any, NamedTuple

from textnn.text.layout import fold
from textnn.text.sources import Reading, Row

_SENTENCES = (
    "sentence #", "sentence", "sentence id", "sentence number", "sentence no", "sentence idx", "sentence index",
    "sent", "sent #", "sent id", "sent idx",
)  # fmt: skip
_TOKENS = ("token", "word", "tokens", "words", "character", "char", "字", "词")
_TAGS = (
    "tag", "ner tag", "ner", "label", "entity", "entity tag", "bio", "bio tag", "iob", "iob tag", "tags", "ner tags",
    "labels", "pos tag", "pos",
)  # fmt: skip
_DELIMITERS = ",;\t"
EXPECTED = "a table of tokens with columns such as sentence, word and tag"


class Columns(NamedTuple):
    """Where a table has what: numbers of columns, None for what it has not."""

    sentence: int | None
    token: int | None
    tag: int | None


def find_columns(names: list[str]) -> Columns:
    """Find columns by their usual names.

    Examples
    --------
    >>> find_columns(["Sentence #", "Word", "POS", "Tag"])
    Columns(sentence=0, token=1, tag=3)
    """
    folded = [fold(name.strip()) for name in names]
    usual = (map(fold, each) for each in (_SENTENCES, _TOKENS, _TAGS))
    return Columns(*(next((folded.index(name) for name in each if name in folded), None) for each in usual))


def table_delimiter(line: str, tagged: bool = True) -> str | None:
    """Return what separates the cells of a table of tokens whose header is this line; None if it is no such header.

    ``tagged``: it has tags; else the sentences of its tokens.
    """
    for delimiter in _DELIMITERS:
        found = find_columns(next(csv.reader([line.strip("\r\n")], delimiter=delimiter), []))
        if found.token is not None and (found.tag if tagged else found.sentence) is not None:
            return delimiter
    return None


def sentences_of_table(
    rows: Iterator[Row], reading: Reading, token: int | None, tag: int | None, need_tags: bool
) -> Iterator[tuple[int, list[str], list[str]]]:
    """Yield line, tokens and tags of each sentence.

    Parameters
    ----------
    rows
        Of the table, its header first.
    reading
        Where errors go.
    token, tag
        Their columns, if they are asked for.
    need_tags
        Whether tags are read.

    Raises
    ------
    CorpusError
        If there are no such columns, or for a row without a token or a tag; where bad rows are skipped, the whole
        sentence is left out and counted.
    """
    first, names = next(rows, (1, []))
    found = find_columns(list(map(str, names)))
    width = len(names)
    token, tag = found.token if token is None else token, found.tag if tag is None else tag
    asked = [("tokens", token), ("tags", tag)][: 2 if need_tags else 1]
    for name, place in asked:
        if place is None or not -width <= place < width:
            shown = ", ".join(repr(str(each)[:40]) for each in list(names)[:10])
            wanted = "" if place is None else f" with {name} in column {place}"
            raise reading.error(first, f"expected the header of {EXPECTED}{wanted}, got {shown}")
    if need_tags and token == tag:
        raise reading.error(first, f"expected tokens and tags in different columns, got column {token} for both")
    tokens, tags = list[str](), list[str]()
    start, bad, name, after = 0, False, "", first + 1
    for number, cells in rows:
        filled = [str(cell) for cell in cells]
        key = filled[found.sentence].strip() if found.sentence is not None and found.sentence < len(filled) else ""
        apart = found.sentence is None and number > after  # lines without any cell
        after = number + 1 + sum(cell.count("\n") for cell in filled)
        empty = not any(map(str.strip, filled))
        if empty or apart or (key and key != name):
            if tokens and not bad:
                yield start, tokens, tags
            tokens, tags, bad, name = [], [], False, key or name
        if empty:
            continue
        start = start if tokens or bad else number
        wrong = _wrong(filled, asked, width) or reading.bad_text("\n".join(filled))
        if wrong and not bad:
            reading.refuse(number, wrong)
        bad = bad or bool(wrong)
        if not bad:
            tokens.append(filled[token] if filled[token].isspace() else filled[token].strip())  # type: ignore[index]
            tags += [filled[tag].strip()] if need_tags else []  # type: ignore[index]
    if tokens and not bad:
        yield start, tokens, tags


def _wrong(cells: list[str], asked: list[tuple[str, Any]], width: int) -> str:
    """Say what is wrong with a row, or nothing."""
    if len(cells) > width and any(map(str.strip, cells[width:])):
        return f"expected {width} cells as in the header, got {len(cells)}"
    for name, place in asked:
        place = place % width
        if place >= len(cells) or not (cells[place] if name == "tokens" else cells[place].strip()):
            return f"expected {name} in column {place}, got nothing"
    return ""
