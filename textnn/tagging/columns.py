"""Sentences of columns: a token a line, blank lines between sentences (CoNLL-2000, CoNLL-2003, CoNLL-U, ...).

A line with a tab is split at its tabs, so that a token may be a blank; another one at runs of blanks, and one that
begins with a blank has that blank for its token, as corpora of Chinese characters do. Lines ``-DOCSTART-`` and comments
do not count, and in CoNLL-U neither do words of several tokens (``1-2``) and empty nodes (``1.1``). Nor does a first
line that names the columns (``token tag``).
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator

from textnn.tagging.tables import find_columns, place_of
from textnn.text.layout import Column
from textnn.text.sources import Reading

_NO_WORD = re.compile(r"\d+[-.]\d+")
_SPACE = " \v\f\r\n"  # an ideographic space may be a token
_BLANKS = re.compile(r"[ \v\f]+")


_TAG = re.compile("O|[BIESMLU][-_].+")
_OF_CONLLU = ["id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc"]
_SAMPLE = 200  # lines that tell the usual number of columns


def is_tag(cell: str) -> bool:
    """Whether a cell is what tags of spans look like."""
    return _TAG.fullmatch(cell) is not None


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
    lines: Iterator[str],
    reading: Reading,
    token_column: Column,
    tag_column: Column | None,
    doubts: list[str],
    numbered: bool = False,
) -> Iterator[tuple[int, list[str], list[str]]]:
    """Yield line, tokens and tags of each sentence; ``numbered``: the first column counts words, as in CoNLL-U.

    Where ``tag_column`` is None there are no tags to read, and the list of them is empty.

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
    head = list(itertools.islice(lines, _SAMPLE))
    sample = [line for line in head if line.strip() and not line.startswith(("#", "-DOCSTART-"))]
    margin = " " * min((len(line) - len(line.lstrip(" ")) for line in sample), default=0)  # all lines are indented
    names = _OF_CONLLU if numbered else split_columns(sample[0].removeprefix(margin)) if sample else []
    places = [place_of(column, names, None) for column in (token_column, tag_column)]
    for column, place in zip((token_column, tag_column), places, strict=True):
        if column is not None and place is None:
            where = head.index(sample[0]) + 1 if sample else 1
            raise reading.error(where, f"expected a line that names the column {column!r}, got {', '.join(names)!r}")
    token, tag = places[0] or 0, places[1]
    header = names if not numbered and _is_header(names, token_column, tag_column) else None
    sample = sample[header is not None :]
    usual = Counter(len(split_columns(line)) for line in sample).most_common(1)
    usual_width = usual[0][0] if usual else 0
    tagged = sum(is_tag(split_columns(line)[-1]) for line in sample) > 0.8 * len(sample)
    for number, line in enumerate(itertools.chain(head, lines), 1):
        line = line.removeprefix(margin)
        if not line.strip() or line.startswith("-DOCSTART-"):
            if tokens and not bad:
                yield start, tokens, tags
            tokens, tags, bad = [], [], False
            continue
        if line.startswith("#") and not tokens and _is_comment(line, usual_width, tagged):
            continue
        cells = split_columns(line)
        if cells == header:
            continue
        if width and len(cells) == width + 1 and cells[0] == " ":  # a column is indented
            cells, indented = cells[1:], True
        if not tokens and not bad:
            start = number
        if numbered and _NO_WORD.fullmatch(cells[0]):
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
        if tag is not None:
            tags.append(cells[tag])
    if tokens and not bad:
        yield start, tokens, tags
    if indented:
        doubts.append("some lines begin with a blank, which was taken for an indent")


def _is_header(cells: list[str], *asked: Column | None) -> bool:
    """Whether the first line names columns: a usual name of tokens and one of tags, or the name that was asked for."""
    found = find_columns(cells)
    return (found.token is not None and found.tag is not None) or any(isinstance(column, str) for column in asked)


def _is_comment(line: str, width: int, tagged: bool) -> bool:
    """Whether a line that begins with # says something about the sentence, and is no token of its own."""
    cells = split_columns(line)
    return len(cells) != width or (tagged and not is_tag(cells[-1]))


def _wrong(cells: list[str], token: int, tag: int | None, width: int, first: int) -> str:
    """Say what is wrong with a line, or nothing."""
    count = len(cells)
    if width and count != width:
        return f"expected {_columns(width)} as in line {first}, got {count}: {' '.join(cells)!r}"
    for name, place in (("tokens", token), ("tags", tag)):
        if place is not None and not -count <= place < count:
            return f"expected {name} in column {place}, got {_columns(count)}: {' '.join(cells)!r}"
    if tag is not None and count > 1 and token % count == tag % count:
        return f"expected tokens and tags in different columns, got column {token % count} for both"
    if tag is not None and count < 2:
        return f"expected a token and a tag, got one column: {cells[0]!r}; are these texts, or tokens, without tags?"
    if not cells[token]:
        return f"expected a token in column {token % count}, got nothing"
    if tag is not None and not cells[tag].strip():
        return f"expected a tag in column {tag % count}, got nothing"
    return ""


def _columns(count: int) -> str:
    return f"{count} column{'s' if count > 1 else ''}"
