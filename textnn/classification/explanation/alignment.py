"""Where tokens stand in their text: tokenizers return strings alone.

    text, tokens -> spans [(start, end)], in order, without overlap

Most tokenizers cut a text into pieces, white space left out perhaps; their tokens are found one behind the other. A
user's function may drop some, or change them. So a token is also found where it differs in case or compatibility form
(full-width letters, ligatures), and one that stands in the text nowhere gets an empty span, without taking those behind
it along.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

Span = tuple[int, int]

_AHEAD = 8  # tokens that are looked for together when one is not where the last one ends


def align(text: str, tokens: Sequence[str]) -> list[Span]:
    """Return where each token stands in the text.

    Parameters
    ----------
    text
        The text.
    tokens
        In the order of the text.

    Returns
    -------
    list of (start, end)
        One for each token: ``text[start:end]`` is the token, or differs from it in case or compatibility form. Spans
        rise and do not overlap; that of a token which is not found is empty, where the token before it ends.
    """
    spans = _align_pieces(text, tokens)
    return _align_folded(text, tokens) if spans is None else spans


def _align_pieces(text: str, tokens: Sequence[str]) -> list[Span] | None:
    """Align tokens between which there is nothing but white space; None if there is something else."""
    spans, place = [], 0
    for token in tokens:
        start = place
        while not text.startswith(token, start):
            if start == len(text) or not text[start].isspace():
                return None
            start += 1
        place = start + len(token)
        spans.append((start, place))
    return spans


def _align_folded(text: str, tokens: Sequence[str]) -> list[Span]:
    """Align tokens of which some were dropped or changed.

    Where a token does not follow the last one, the cheapest way on is taken: so many characters of the text were
    dropped, or those of so many tokens stand nowhere.
    """
    pieces = [_fold(character) for character in text]
    folded = "".join(pieces)
    origin = [place for place, piece in enumerate(pieces) for _ in piece]  # of each character of ``folded``
    words = [_fold(token) for token in tokens]
    search = _Search(folded)
    spans: list[Span] = []
    place, end = 0, 0  # where to go on, in ``folded`` and in ``text``
    number = 0
    while number < len(words):
        best, cost = None, 0
        skipped = 0
        for ahead in range(number, min(number + _AHEAD, len(words))):
            found = search.find(words[ahead], place) if words[ahead] else -1
            if found >= 0 and (best is None or skipped + found - place < cost):
                best, cost = (ahead, found), skipped + found - place
            skipped += len(words[ahead])
            if best is not None and skipped >= cost:
                break
        if best is None:
            spans.append((end, end))
            number += 1
            continue
        ahead, found = best
        spans += [(end, end)] * (ahead - number)
        place, number = found + len(words[ahead]), ahead + 1
        # Two tokens may share a character that folds to several: the first one has it.
        start = max(origin[found], end)
        end = max(start, origin[place - 1] + 1)
        spans.append((start, end))
    return spans


class _Search:
    """Finds strings in a text from a place on that never goes back; each stretch is searched once for each string."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._found: dict[str, int] = {}

    def find(self, string: str, start: int) -> int:
        """Return the first place from ``start`` on, or -1."""
        known = self._found.get(string)
        if known is None or -1 < known < start:
            known = self._found[string] = self.text.find(string, start)
        return known


def _fold(string: str) -> str:
    return unicodedata.normalize("NFKC", string).casefold()
