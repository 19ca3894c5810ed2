"""Sentences of columns: a token a line, blank lines between sentences (CoNLL-2000, CoNLL-2003, CoNLL-U, ...).

A line with a tab is split at its tabs, so that a token may be a blank; another one at runs of blanks, and one that
begins with a blank has that blank for its token, as corpora of Chinese characters do. Lines ``-DOCSTART-`` and comments
of CoNLL-U do not count, nor do its words of several tokens (``1-2``) and empty nodes (``1.1``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from textnn.text.sources import Reading

_NO_WORD = re.compile(r"\d+[-.]\d+")
_SPACE = " \v\f\r\n"  # an ideographic space may be a token
_BLANKS = re.compile(r"[ \v\f]+")


def split_columns(line: str) -> list[str]:
    """Return the cells of a line.

    Examples
    --------
    >>> split_columns("Ann  NNP B-PER"), split_columns("a b\\tO"), split_columns("  O")
    (['Ann', 'NNP', 'B-PER'], ['a b', 'O'], [' ', 'O'])
    """
    line = line.rstrip(_SPACE)
    if "\t" in line.strip(" "):
        return [cell if cell.isspace() else cell.strip(_SPACE) for cell in line.split("\t")]
    cells = _BLANKS.split(line.strip(_SPACE))
    return [" ", *cells] if line[0] in _SPACE else cells


def sentences_of_columns(
    lines: Iterator[str], reading: Reading, token: int, tag: int, doubts: list[str]
) -> Iterator[tuple[int, list[str], list[str]]]:
    """Yield line, tokens and tags of each sentence.

    Raises
    ------
    CorpusError
        For a line with another number of columns than the first one, or without the columns that are asked for; in
        ``reading`` that skips, the sentence is left out and counted.
    """
    tokens, tags = list[str](), list[str]()
    start = width = first = 0
    bad = indented = False
    number = 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            if tokens and not bad:
                yield start, tokens, tags
            tokens, tags, bad = [], [], False
            continue
        if line.startswith("-DOCSTART-") or (line.startswith("#") and not tokens and _is_comment(line, width)):
            continue
        cells = split_columns(line)
        if width and len(cells) == width + 1 and cells[0] == " ":  # a column is indented
            cells, indented = cells[1:], True
        if not tokens and not bad:
            start = number
        if len(cells) > 1 and _NO_WORD.fullmatch(cells[0]):
            continue
        wrong = _wrong(cells, token, tag, width, first)
        if wrong or (wrong := reading.bad_text(line) or ""):
            if not bad:
                reading.refuse(number, wrong)
            bad = True
            continue
        if not width:
            width, first = len(cells), number
        tokens.append(cells[token])
        tags.append(cells[tag])
    if tokens and not bad:
        yield start, tokens, tags
    if indented:
        doubts.append("some lines begin with a blank, which was taken for an indent")


def _is_comment(line: str, width: int) -> bool:
    """Whether a line that begins with # says something about the sentence, and is no token."""
    return line.startswith("# ") and (len(split_columns(line)) != width if width else " = " in line)


def _wrong(cells: list[str], token: int, tag: int, width: int, first: int) -> str:
    """Say what is wrong with a line, or nothing."""
    count = len(cells)
    if width and count != width:
        return f"expected {width} columns as in line {first}, got {count}: {' '.join(cells)!r}"
    for name, place in (("tokens", token), ("tags", tag)):
        if not -count <= place < count:
            return f"expected {name} in column {place}, got {count} columns: {' '.join(cells)!r}"
    if count > 1 and token % count == tag % count:
        return f"expected tokens and tags in different columns, got column {token % count} for both"
    if count < 2:
        return f"expected a token and a tag, got one column: {cells[0]!r}; are these texts without tags?"
    if not cells[token]:
        return f"expected a token in column {token}, got nothing"
    return "" if cells[tag].strip() else f"expected a tag in column {tag}, got nothing"
