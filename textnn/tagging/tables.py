"""Sentences of a table, CSV or TSV with a header: a token a row, beside the number or the name of its sentence.

    Sentence #,Word,POS,Tag          the name of a sentence in each row, or in its first row alone
    Sentence: 1,Ann,NNP,B-PER
    ,ran,VBD,O

A table without such a column has an empty row between sentences. Or a row is a whole sentence, whose cells are lists:

    tokens,ner_tags
    "['Ann', 'ran']","['B-PER', 'O']"
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

from textnn.tagging.annotations import strings
from textnn.tagging.lists import parse_list
from textnn.text.layout import Column, fold
from textnn.text.sources import Reading, Row

_SENTENCES = (
    "sentence #", "sentence", "sentence id", "sentence number", "sentence no", "sentence idx", "sentence index",
    "sent", "sent #", "sent id", "sent idx",
)  # fmt: skip
_TOKENS = ("token", "word", "tokens", "words", "character", "char", "字", "词")
_TAGS = (
    "tag", "ner tag", "ner", "label", "entity", "entity tag", "bio", "bio tag", "iob", "iob tag", "tags", "ner tags",
    "labels", "pos tag", "pos", "标签", "标注",
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


def place_of(column: Column | None, names: list[str], usual: int | None) -> int | None:
    """Return the number of a column that is asked for, else the usual one; None if no column has the name."""
    if not isinstance(column, str):
        return usual if column is None else column
    folded = [fold(name.strip()) for name in names]
    return folded.index(fold(column)) if fold(column) in folded else None


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
    rows: Iterator[Row], reading: Reading, token_column: Column | None, tag_column: Column | None, need_tags: bool
) -> Iterator[tuple[int, list[str], list[str]]]:
    """Yield line, tokens and tags of each sentence.

    Parameters
    ----------
    rows
        Of the table, its header first.
    reading
        Where errors go.
    token_column, tag_column
        Numbers or names, if they are asked for.
    need_tags
        Whether tags are read.

    Raises
    ------
    CorpusError
        If there are no such columns, or for a row without a token or a tag; where bad rows are skipped, the whole
        sentence is left out and counted.
    """
    first, header = next(rows, (1, []))
    names = list(map(str, header))
    found, width = find_columns(names), len(names)
    token, tag = place_of(token_column, names, found.token), place_of(tag_column, names, found.tag)
    asked = [("tokens", token), ("tags", tag)][: 2 if need_tags else 1]
    for (name, place), column in zip(asked, (token_column, tag_column), strict=False):
        if place is None or not -width <= place < width:
            shown = ", ".join(repr(each[:40]) for each in names[:10])
            wanted = "" if column is None else f" with {name} in column {column!r}"
            raise reading.error(first, f"expected the header of {EXPECTED}{wanted}, got {shown}")
    if need_tags and token == tag:
        raise reading.error(first, f"expected tokens and tags in different columns, got column {token} for both")
    head = list(itertools.islice(rows, 1))
    rows = itertools.chain(head, rows)
    if head and all(parse_list(_cell(head[0][1], place)) for _, place in asked):
        yield from _of_lists(rows, reading, asked)
        return
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


def _cell(cells: Any, place: Any) -> str:
    return str(cells[place]) if -len(cells) <= place < len(cells) else ""


def _of_lists(
    rows: Iterator[Row], reading: Reading, asked: list[tuple[str, int | None]]
) -> Iterator[tuple[int, list[str], list[str]]]:
    """Yield the sentences of rows whose cells are lists."""
    for number, cells in rows:
        lists = [(name, parse_list(_cell(cells, place)), place) for name, place in asked]
        try:
            for name, values, place in lists:
                if values is None:
                    raise ValueError(f"expected a list of {name} in column {place}, got {_cell(cells, place)!r:.40}")
            tokens, *tags = (strings(name, values, len(lists[0][1] or [])) for name, values, _ in lists)
        except ValueError as error:
            reading.refuse(number, str(error))
            continue
        if wrong := reading.bad_text("".join(tokens)):
            reading.refuse(number, wrong)
        elif tokens:
            yield number, tokens, tags[0] if tags else []


def _wrong(cells: list[str], asked: list[tuple[str, Any]], width: int) -> str:
    """Say what is wrong with a row, or nothing."""
    if len(cells) > width and any(map(str.strip, cells[width:])):
        return f"expected {width} cells as in the header, got {len(cells)}"
    for name, place in asked:
        place = place % width
        if place >= len(cells) or not (cells[place] if name == "tokens" else cells[place].strip()):
            return f"expected {name} in column {place}, got nothing"
    return ""
