"""An explanation: a prediction, and what each token and each n-gram of the text added to it.

Explanation -> to_dict (JSON), to_html (a page's part), to_terminal (rich's print does it)
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from textnn.evaluation.metrics import plain_label
from textnn.models import WORDS

if TYPE_CHECKING:
    from textnn.explanation.terminal import TerminalExplanation

_REPR_TOKENS = 5
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
class Explanation:
    """Why a classifier gives a text a label.

    Attributes
    ----------
    text : str
        The text.
    label : hashable
        The class that is explained.
    classes, probabilities : list, list of float
        All classes, and the probability of each.
    method : str
        ``"exact"``, ``"integrated gradients"`` or ``"occlusion"``.
    base : float
        The score before any token: in log-odds, as contributions are.
    tokens : list of TokenContribution
        All tokens in the order of the text, with what each adds.
    ngrams : list of NgramContribution
        The n-grams that add most, for or against, the largest first; only by the method "exact".

    Examples
    --------
    >>> tokens = [TokenContribution("not", 0, 3, -1.2), TokenContribution("clean", 4, 9, 0.4)]
    >>> one = Explanation("not clean", "bad", ["bad", "good"], [0.8, 0.2], "occlusion", 0.6, tokens)
    >>> one.probability, max(one.tokens, key=lambda token: token.contribution).token
    (0.8, 'clean')
    """

    text: str
    label: Hashable
    classes: list[Any]
    probabilities: list[float]
    method: str
    base: float
    tokens: list[TokenContribution]
    ngrams: list[NgramContribution] = field(default_factory=list)

    def __repr__(self) -> str:
        """Return the label, its probability and the strongest tokens; ``to_dict()`` has everything."""
        rows = strongest(replace(self, ngrams=[]), _REPR_TOKENS)
        shown = [f"{_shorten(text)!r} {value:+.3f}" for text, value, _ in rows]
        if len(self.tokens) > len(rows):
            shown.append(f"{len(self.tokens) - len(rows):,} more")
        return f"<Explanation {self.label!r}, probability {self.probability:.3f}: {', '.join(shown) or 'no tokens'}>"

    @property
    def probability(self) -> float:
        """The probability of the label."""
        return self.probabilities[find_label(self.classes, self.label)]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        classes = zip(self.classes, self.probabilities, strict=True)
        return {
            "text": self.text,
            "label": plain_label(self.label),
            "probability": self.probability,
            "probabilities": [{"label": plain_label(label), "probability": share} for label, share in classes],
            "method": self.method,
            "base": self.base,
            "tokens": [asdict(token) for token in self.tokens],
            "ngrams": [asdict(ngram) for ngram in self.ngrams],
        }

    def to_html(self) -> str:
        """Return the text in colours, a ``<span>`` to be put into any page: blue speaks for the label, orange against.

        It needs nothing but itself, and all of the text is escaped.
        """
        from textnn.explanation.html import fragment

        return fragment(self)

    def to_terminal(self) -> TerminalExplanation:
        """Return what a :class:`rich.console.Console` prints; without colours, signs and numbers take their place."""
        from textnn.explanation.terminal import TerminalExplanation

        return TerminalExplanation(self)

    def __rich__(self) -> TerminalExplanation:
        return self.to_terminal()

    def _repr_html_(self) -> str:
        """What notebooks show."""
        return self.to_html()


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


def strengths(explanation: Explanation, least: float = 0.02) -> list[float]:
    """Return how strong each token's contribution is beside the largest one, from -1 to 1; 0 below ``least``."""
    values = [token.contribution for token in explanation.tokens]
    largest = max(map(abs, values), default=0.0) or 1.0
    return [value / largest if abs(value) >= least * largest else 0.0 for value in values]


def pieces(explanation: Explanation) -> Iterator[tuple[str, int | None]]:
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


def strongest(explanation: Explanation, count: int) -> list[tuple[str, float, str]]:
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
        return _shorten("".join(map(_picture, text)))
    words = " ".join(text.split())
    before = _SPACE if text[:1].isspace() else ""
    return before + words + (_SPACE if text[-1:].isspace() else "")


def _is_visible(character: str) -> bool:
    return unicodedata.category(character)[0] not in "CZ" and not _BLANK.match(character)


def _picture(character: str) -> str:
    if character.isspace():
        return _SPACE
    return chr(0x2400 + ord(character)) if character < " " else f"U+{ord(character):04X}"


def _shorten(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
