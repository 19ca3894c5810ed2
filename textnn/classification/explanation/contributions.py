"""What each token and each n-gram of a text added to a prediction, and how a reader is shown it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from textnn.models import WORDS

_LONGEST = 24  # characters of a token where there is little room
_SPACE = "␣"
# Marks that choose a form of the character before them, and letters that are drawn as nothing.
_BLANK = re.compile("[\u034f\u115f\u1160\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")


@dataclass(frozen=True)
class TokenContribution:
    """What a token of the text adds.

    Attributes
    ----------
    token : str
        As the tokenizer gave it.
    start, end : int
        Where it stands: characters ``text[start:end]``. Equal for a token that is not in the text as it is.
    contribution : float
        In log-odds towards the label; below 0 it speaks against it.

    Examples
    --------
    >>> TokenContribution("clean", 4, 9, 1.5).contribution
    1.5
    """

    token: str
    start: int
    end: int
    contribution: float


@dataclass(frozen=True)
class NgramContribution:
    """What an n-gram adds; a part of what its tokens add.

    Attributes
    ----------
    text : str
        What stands there.
    start, end : int
        Where: characters ``text[start:end]`` of the whole.
    contribution : float
        In log-odds towards the label.
    source : str
        ``"words"`` or ``"characters"``: what it is an n-gram of.

    Examples
    --------
    >>> NgramContribution("not clean", 0, 9, -2.0, "words").source
    'words'
    """

    text: str
    start: int
    end: int
    contribution: float
    source: str


@dataclass(frozen=True)
class Contributions:
    """A prediction and what added to it; :class:`~textnn.explanation.Explanation` says what each is."""

    text: str
    label: Hashable
    classes: list[Any]
    probabilities: list[float]
    method: str
    base: float
    tokens: list[TokenContribution]
    ngrams: list[NgramContribution] = field(default_factory=list)

    @property
    def probability(self) -> float:
        """The probability of the label."""
        return self.probabilities[find_label(self.classes, self.label)]


def find_label(classes: Sequence[Any], label: Any) -> int:
    """Return the number of a class: of the one that is equal, and of the same type where several are equal.

    Raises
    ------
    ValueError
        If it is none of the classes.
    """
    label = label.item() if hasattr(label, "item") else label  # numpy's
    equal = [number for number, known in enumerate(classes) if known == label]
    same = [number for number in equal if type(classes[number]) is type(label)]
    if not equal:
        some = ", ".join(repr(known) for known in classes[:20]) + (", ..." if len(classes) > 20 else "")
        raise ValueError(f"label: expected one of {some}, got {label!r}")
    return (same or equal)[0]


def strengths(explanation: Contributions, least: float = 0.02) -> list[float]:
    """Return how strong each token's contribution is beside the largest one, from -1 to 1; 0 below ``least``."""
    values = [token.contribution for token in explanation.tokens]
    largest = max(map(abs, values), default=0.0) or 1.0
    return [value / largest if abs(value) >= least * largest else 0.0 for value in values]


def pieces(explanation: Contributions) -> Iterator[tuple[str, int | None]]:
    """Yield the text in pieces, each with the number of the token that it is, or None between tokens."""
    place = 0
    for number, token in enumerate(explanation.tokens):
        if token.start > place:
            yield explanation.text[place : token.start], None
        if token.end > token.start:
            yield explanation.text[token.start : token.end], number
        place = max(place, token.end)
    if place < len(explanation.text):
        yield explanation.text[place:], None


def strongest(explanation: Contributions, count: int) -> list[tuple[str, float, str]]:
    """Return text, contribution and source of the strongest n-grams, or of the strongest tokens where there are none.

    White space within is even, so that each stands on one line, and visible at both ends. Where nothing is seen,
    each character is shown: a space, a picture, or its code.
    """
    rows = [(ngram.text, ngram.contribution, ngram.source) for ngram in explanation.ngrams]
    if not rows:
        rows = [(token.token, token.contribution, WORDS) for token in explanation.tokens if token.contribution]
        rows.sort(key=lambda row: -abs(row[1]))
    return [(_one_line(text), value, source) for text, value, source in rows[:count]]


def _one_line(text: str) -> str:
    if not any(map(_is_visible, text)):
        return shorten("".join(map(_picture, text)))
    words = " ".join(text.split())
    before = _SPACE if text[:1].isspace() else ""
    return before + words + (_SPACE if text[-1:].isspace() else "")


def _is_visible(character: str) -> bool:
    return unicodedata.category(character)[0] not in "CZ" and not _BLANK.match(character)


def _picture(character: str) -> str:
    if character.isspace():
        return _SPACE
    return chr(0x2400 + ord(character)) if character < " " else f"U+{ord(character):04X}"


def shorten(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
