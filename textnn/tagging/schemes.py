"""Between tags and spans: how a sequence of tags says where something begins and ends.

========  ======================================  =============================================
scheme    a span of 1, and of 3 tokens            beside another of its type
========  ======================================  =============================================
BIO       B-X               B-X I-X I-X           begins with B-X (also called IOB2)
IOB1      I-X               I-X I-X I-X           begins with B-X, and only there (CoNLL-2003)
BIOES     S-X               B-X I-X E-X
BMES      S-X               B-X M-X E-X           BIOES with M for I
BILOU     U-X               B-X I-X L-X           BIOES with L for E and U for S
IO        X                 X X X                 cannot be told apart
========  ======================================  =============================================

O stands outside of every span. In word segmentation every character is in a span, and spans have no types: B, M, E, S.

Files in the wild have sequences that their scheme does not allow: I-X after O, B-X and then I-Y. They are read as the
scorer of CoNLL-2000 (``conlleval``) reads them, and so does ``seqeval`` by default: a span begins wherever one must
have begun. ``strict=True`` reads spans that are spelt in full alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from textnn.layers import tag_schemes

SCHEMES = tuple(tag_schemes.SCHEMES)

_LETTERS = {
    "BIO": {"B": "B", "I": "I"},
    "IOB1": {"B": "B", "I": "I"},
    "BIOES": {"B": "B", "I": "I", "E": "E", "S": "S"},
    "BMES": {"B": "B", "M": "I", "E": "E", "S": "S"},
    "BILOU": {"B": "B", "I": "I", "L": "E", "U": "S"},
}
"""Of each scheme: its letters, and what they are in BIOES."""

_SINGLE = {"BIO": "B", "IOB1": "I", "BIOES": "S", "BMES": "S", "BILOU": "U"}
_INSIDE = {"BMES": "M"}
_LAST = {"BIO": "I", "IOB1": "I", "BIOES": "E", "BMES": "E", "BILOU": "L"}


class Span(NamedTuple):
    """Something in a sentence.

    Attributes
    ----------
    start, end : int, int
        Its first token, and the one behind its last.
    type : str
        What it is; empty where spans have no types.

    Examples
    --------
    >>> span = Span(0, 2, "PER")
    >>> ["Bob", "Lee", "ran"][span.start : span.end]
    ['Bob', 'Lee']
    """

    start: int
    end: int
    type: str


def letter_and_type(tag: str) -> tuple[str, str]:
    """Return a tag's letter and its type: ``("B", "PER")`` of ``"B-PER"`` and ``"B_PER"``, ``("O", "")`` of ``"O"``."""
    return tag[:1], tag[2:]


def _is_prefixed(tag: str, letters: Iterable[str]) -> bool:
    return tag[:1] in letters and (len(tag) == 1 or (tag[1] in "-_" and len(tag) > 2))


def find_scheme(sequences: Iterable[Sequence[str]]) -> str | None:
    """Tell the scheme of some tags by the letters that occur.

    Parameters
    ----------
    sequences : iterable of sequences of str
        The tags of each sentence.

    Returns
    -------
    str or None
        One of ``SCHEMES``; None for tags that mark no spans, such as parts of speech. B and I alone are ``"IOB1"`` if a
        span begins with I and no B stands but behind a span of its type, else ``"BIO"``.

    Raises
    ------
    TypeError
        If a tag is no string.

    Examples
    --------
    >>> find_scheme([["B-PER", "I-PER", "O"]]), find_scheme([["S", "B", "M", "E"]]), find_scheme([["NN", "VB"]])
    ('BIO', 'BMES', None)
    """
    tags: set[str] = set()
    begins_with_i = begins_with_b = False
    for sequence in sequences:
        before = "O"
        for tag in sequence:
            tags.add(tag)
            (letter, kind), (letter_before, kind_before) = letter_and_type(tag), letter_and_type(before)
            apart = letter_before == "O" or kind_before != kind
            begins_with_i |= letter == "I" and apart
            begins_with_b |= letter == "B" and apart
            before = tag
    marked = tags - {"O"}
    for scheme in ("BIO", "BIOES", "BMES", "BILOU"):
        if marked and all(_is_prefixed(tag, _LETTERS[scheme]) for tag in marked):
            return "IOB1" if scheme == "BIO" and begins_with_i and not begins_with_b else scheme
    return "IO" if marked and "O" in tags else None


def check_scheme(scheme: str) -> str:
    """Return a scheme's name, in capitals; ValueError if there is none of it."""
    name = tag_schemes.OTHER_NAMES.get(scheme.upper(), scheme.upper())
    if name not in SCHEMES:
        raise ValueError(f"scheme: expected one of {', '.join(SCHEMES)}, got {scheme!r}")
    return name


def spans_of(tags: Sequence[str], scheme: str, strict: bool = False) -> list[Span]:
    """Read the spans of one sentence.

    Parameters
    ----------
    tags : sequence of str
        The tags of its tokens.
    scheme : str
        One of ``SCHEMES``.
    strict : bool, default=False
        Whether a span that is not spelt in full is left out: in BIOES one without B or E, in BIO one that begins with
        I. Otherwise it is read as ``conlleval`` does.

    Returns
    -------
    list of Span
        From left to right.

    Raises
    ------
    ValueError
        If a tag is none of the scheme, or there is no such scheme.

    Examples
    --------
    >>> spans_of(["B-PER", "I-PER", "O", "I-LOC"], "BIO")
    [Span(start=0, end=2, type='PER'), Span(start=3, end=4, type='LOC')]
    >>> spans_of(["B-PER", "I-PER", "O", "I-LOC"], "BIO", strict=True)
    [Span(start=0, end=2, type='PER')]
    """
    scheme = check_scheme(scheme)
    if scheme == "IO":
        parts = [("O", "") if tag == "O" else ("I", tag) for tag in tags]
        return [Span(start, end, kind) for start, end, kind, _ in _runs(parts)]
    letters = _LETTERS[scheme]
    parts = []
    for place, tag in enumerate(tags):
        if tag != "O" and not _is_prefixed(tag, letters):
            expected = f"O or a tag that begins with {', '.join(letters)}"
            raise ValueError(f"tags[{place}]: expected {expected} ({scheme}), got {tag!r}")
        letter, kind = letter_and_type(tag)
        parts.append(("O", "") if tag == "O" else (letters[letter], kind))
    found = list(_runs(parts))
    if strict and scheme != "IOB1":
        found = [run for run in found if _is_whole(run[3], scheme)]
    return [Span(start, end, kind) for start, end, kind, _ in found]


def _is_whole(letters: str, scheme: str) -> bool:
    """Whether a run in the letters of BIOES is one span in full."""
    return letters == "S" or (letters[0] == "B" and (scheme == "BIO" or (letters[-1] == "E" and len(letters) > 1)))


def _runs(parts: Sequence[tuple[str, str]]) -> Iterator[tuple[int, int, str, str]]:
    """Yield start, end, type and letters (of BIOES) of each span, by the rules of ``conlleval``."""
    start, before, kind_before = 0, "O", ""
    for place, (letter, kind) in enumerate([*parts, ("O", "")]):
        inside = before != "O"
        if inside and (before in "ES" or letter in "BSO" or kind != kind_before):
            yield start, place, kind_before, "".join(each for each, _ in parts[start:place])
            inside = False
        if not inside and letter != "O":
            start = place
        before, kind_before = letter, kind


def tags_of(length: int, spans: Iterable[Span], scheme: str) -> list[str]:
    """Write spans as tags.

    Parameters
    ----------
    length : int
        Tokens of the sentence.
    spans : iterable of Span
        In any order.
    scheme : str
        One of ``SCHEMES``.

    Returns
    -------
    list of str
        A tag a token; O where there is no span.

    Raises
    ------
    ValueError
        If a span is empty, leaves the sentence or overlaps another one.

    Examples
    --------
    >>> tags_of(4, [Span(0, 2, "PER"), Span(3, 4, "LOC")], "BIOES")
    ['B-PER', 'E-PER', 'O', 'S-LOC']
    """
    scheme = check_scheme(scheme)
    tags, before = ["O"] * length, Span(0, 0, "")
    for span in sorted(spans):
        start, end, kind = span
        if not 0 <= start < end <= length:
            raise ValueError(f"spans: expected 0 <= start < end <= {length}, got {tuple(span)}")
        if start < before.end:
            raise ValueError(f"spans: expected spans that do not overlap, got {tuple(before)} and {tuple(span)}")
        touching = start == before.end and before.end > 0 and kind == before.type
        for place, letter in enumerate(_spell(end - start, scheme, touching), start):
            tags[place] = kind if scheme == "IO" else f"{letter}-{kind}" if kind else letter
        before = span
    return tags


def _spell(length: int, scheme: str, touching: bool) -> str:
    """Return the letters of one span; ``touching`` says that the token before ends one of the same type."""
    if scheme == "IO":
        return "I" * length
    first = "B" if scheme != "IOB1" or touching else "I"
    if length == 1:
        return first if scheme == "IOB1" else _SINGLE[scheme]
    return first + _INSIDE.get(scheme, "I") * (length - 2) + _LAST[scheme]


def convert_tags(tags: Sequence[str], source: str, target: str) -> list[str]:
    """Write the tags of one sentence in another scheme.

    Parameters
    ----------
    tags : sequence of str
        The tags of its tokens.
    source, target : str, str
        One of ``SCHEMES`` each: theirs, and the other.

    Returns
    -------
    list of str
        The same spans.

    Raises
    ------
    ValueError
        If a tag is none of the scheme, or there is no such scheme.

    Examples
    --------
    >>> convert_tags(["I-PER", "I-PER", "B-PER", "O"], "IOB1", "BIOES")
    ['B-PER', 'E-PER', 'S-PER', 'O']
    """
    return tags_of(len(tags), spans_of(tags, source), target)


def illegal_places(tags: Sequence[str], scheme: str) -> list[int]:
    """Return the places of tags that the scheme does not allow behind the one before, or at the end."""
    legal = convert_tags(tags, scheme, scheme)
    pairs = zip(map(letter_and_type, tags), map(letter_and_type, legal), strict=True)
    return [place for place, (tag, good) in enumerate(pairs) if tag != good]
