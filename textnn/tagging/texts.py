"""Raw text -> pieces that a tagger reads at once, with the place of each token in the text.

A piece is a line; of a long one, some of its sentences; of a text that is to become words, what stands between spaces.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

from textnn.tagging.encoding import CHAR, Tokens
from textnn.text.scripts import combining_marks

LONGEST = 200
"""Characters of a piece, where its line has ends of sentences to cut at; twice as many where it has none."""

_LINES, _RUNS = re.compile(r"[^\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+"), re.compile(r"\S+")
_ENDS = re.compile(r"[。！？；!?;…]+[”’』」）》)\"']*|\.(?=\s)")
_GAPS = re.compile(r"[\S\s]*[\s，,、：:]")  # up to the last place where a long run without an end can be cut


Whole = Callable[[str], list[tuple[int, int]]]
"""From a line to places in it."""


class Piece(NamedTuple):
    """A part of a text.

    Attributes
    ----------
    tokens
        Its characters, as a string, or its words.
    starts, ends
        Where each token begins and ends in the text.
    """

    tokens: Tokens
    starts: Sequence[int]
    ends: Sequence[int]


def pieces(text: str, level: str, words: bool = False, whole: Whole | None = None) -> Iterator[Piece]:
    """Yield the pieces of a text that hold a token.

    Parameters
    ----------
    text
        Of any length.
    level
        ``"char"`` or ``"word"``.
    words
        Whether pieces are to become words, none of which has a space within.
    whole
        Finds the places that no piece ends within, in a line.

    Examples
    --------
    >>> [piece.tokens for piece in pieces("他来了。\\n好 的", "char", words=True)]
    ['他来了。', '好', '的']
    >>> [(piece.tokens, piece.starts) for piece in pieces("It's so.", "word")]
    [(["It's", 'so', '.'], [0, 5, 7])]
    """
    for run in (_RUNS if words else _LINES).finditer(text):
        for start, end in _cut_around(text, *run.span(), whole):
            if level == CHAR:
                if not text[start:end].isspace():
                    yield Piece(text[start:end], range(start, end), range(start + 1, end + 1))
                continue
            found = word_places(text, start, end)
            if found:
                yield Piece([text[first:last] for first, last in found], *zip(*found, strict=True))


def _cut_around(text: str, start: int, end: int, whole: Whole | None) -> list[tuple[int, int]]:
    """Return the places of the parts of a line, none of which ends within what is to stay whole."""
    parts = list(_cut(text, start, end))
    if whole is None or len(parts) < 2:
        return parts
    kept = [(start + first, start + last) for first, last in whole(text[start:end])]
    borders = [start]
    for border in (last for _, last in parts[:-1]):
        first, last = next(((first, last) for first, last in kept if first < border < last), (border, border))
        borders.append(first if first > borders[-1] else max(last, borders[-1]))
    return [(first, last) for first, last in pairwise([*borders, end]) if first < last]


def word_places(text: str, start: int = 0, end: int | None = None) -> list[tuple[int, int]]:
    """Return where each word of a text, or of a part of it, begins and ends.

    Examples
    --------
    >>> word_places("It's so.")
    [(0, 4), (5, 7), (7, 8)]
    """
    return [match.span() for match in _words().finditer(text, start, len(text) if end is None else end)]


@cache
def _words() -> re.Pattern[str]:
    """Return what words are: letters and digits with the marks that belong to them, and any other character alone."""
    marks = combining_marks()
    word = rf"\w[\w{marks}]*"
    return re.compile(rf"{word}(?:['’.\-]{word})*|[^\w\s][{marks}]*")


def _cut(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the places of the parts of a line."""
    if end - start <= LONGEST:
        yield start, end
        return
    begin = start
    last = start  # the last end of a sentence
    for stop in [match.end() for match in _ENDS.finditer(text, start, end)] + [end]:
        if stop - begin > LONGEST and last > begin:
            yield begin, last
            begin = last
        while stop - begin > 2 * LONGEST:
            gap = _GAPS.search(text, begin, begin + LONGEST)
            cut = gap.end() if gap else begin + LONGEST
            yield begin, cut
            begin = cut
        last = stop
    if begin < end:
        yield begin, end


def piece_settings() -> dict[str, Any]:
    """Return all that the pieces of a text follow from, for exported models, which cut texts alone."""
    patterns = {"lines": _LINES, "runs": _RUNS, "ends": _ENDS, "gaps": _GAPS, "words": _words()}
    return {"longest": LONGEST, "patterns": {name: pattern.pattern for name, pattern in patterns.items()}}
