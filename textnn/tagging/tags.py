"""The tags of a tagger: what stands in files <-> numbers of the network's tags <-> spans.

    tags as given (BIO, IOB1, BMES, parts of speech, ...) -- TagSet.encode --> numbers [N] -- TagSet.decode --> as given

A network learns spans in BIOES, whatever scheme the files have: it says most about each token, and what it allows can
be read one way alone. Text that is words throughout keeps the names of its scheme, BMES.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from textnn.layers.tag_schemes import may_follow, split_tag
from textnn.tagging.schemes import (
    SCHEMES,
    Span,
    check_scheme,
    find_scheme,
    illegal_places,
    letter_and_type,
    spans_of,
    tags_of,
)

Array = np.ndarray[Any, np.dtype[Any]]

AUTO = "auto"
MOST_TAGS = 2**12
"""Tags that a network can tell apart: the CRF has a weight, and does work, for each pair of them."""


_LETTERS = {"BIOES": "BIES", "BMES": "BMES"}


class Spans(NamedTuple):
    """Spans of a flat batch, in its order: arrays [spans].

    Attributes
    ----------
    start, end
        Places of the first token and of the one behind the last.
    kind
        Numbers of their types.
    """

    start: Array
    end: Array
    kind: Array


class TagSet:
    """The tags that a network tells apart.

    Parameters
    ----------
    names
        Of the network's tags, in the order of their numbers.
    scheme
        How the user's tags mark spans, one of ``SCHEMES``; None if they mark none.

    Attributes
    ----------
    inner
        How the network's tags do.
    types
        Of spans, in alphabetical order.

    Raises
    ------
    ValueError
        If names are none of the scheme or not all of it, one occurs twice, or there is no such scheme.
    """

    def __init__(self, names: Sequence[str], scheme: str | None) -> None:
        self.names, self.scheme = list(names), None if scheme is None else check_scheme(scheme)
        self.inner = inner_scheme(self.scheme)
        self._legal: dict[tuple[str, str], bool] = {}
        self._key: Callable[[str], Any] = letter_and_type if self.inner else str
        self._ids = {self._key(name): number for number, name in enumerate(self.names)}
        if len(self._ids) != len(self.names):
            raise ValueError("tags: expected each name once")
        self._separator = next((name[1] for name in self.names if len(name) > 1), "-")
        self.types = sorted({name[2:] for name in self.names if name != "O"}) if self.inner else []
        if self.inner is not None:
            parts = [split_tag(name, self.inner) for name in self.names]
            kinds = {kind for letter, kind in parts if letter != "O"}
            missing = {(letter, kind) for letter in _LETTERS[self.inner] for kind in kinds} - {*parts}
            if missing or (not kinds and "O" not in self.names):
                raise ValueError(f"tags: expected {', '.join(_LETTERS[self.inner])} of each type, or O alone")
            letters = [name[:1] for name in self.names]
            self._starts = np.array([letter in "BS" for letter in letters])
            self._ends = np.array([letter in "ES" for letter in letters])
            self._kinds = np.array([self.types.index(name[2:]) if name != "O" else -1 for name in self.names])

    @classmethod
    def of(cls, sequences: Iterable[Sequence[str]], scheme: str | None = AUTO) -> TagSet:
        """Return the tags of a corpus.

        Parameters
        ----------
        sequences
            The tags of each sentence.
        scheme
            One of ``SCHEMES``, None for tags that mark no spans, or ``"auto"``.

        Raises
        ------
        ValueError
            If a tag is none of the scheme.
        """
        sequences = list(sequences)
        seen = {tag for tags in sequences for tag in tags}
        found = find_scheme(sequences) if scheme == AUTO else None if scheme is None else check_scheme(scheme)
        if found is None:
            return cls(_limited(sorted(seen)), None)
        for tag in seen:
            try:
                spans_of([tag], found)
            except ValueError as error:
                number = next(number for number, tags in enumerate(sequences) if tag in tags)
                place = sequences[number].index(tag)
                raise ValueError(f"y[{number}]: {str(error).replace('tags[0]', f'tags[{place}]')}") from None
        inner = inner_scheme(found)
        kinds = sorted({tag if found == "IO" else tag[2:] for tag in seen - {"O"}})
        letters = _LETTERS[str(inner)]
        underscores = found != "IO" and all(tag[1:2] == "_" for tag in seen if len(tag) > 1)
        separator = "_" if underscores else "-"
        names = [f"{letter}{separator}{kind}" if kind else letter for kind in kinds for letter in letters]
        # Words between spaces have no outside; and text without a span has nothing else.
        return cls(_limited((["O"] if "O" in seen or not names else []) + names), found)

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:  # which a checkpoint keeps, to know the training again
        return f"TagSet({self.names!r}, {self.scheme!r})"

    @property
    def is_segmentation(self) -> bool:
        """Whether each token is part of a span: the spans are the words of a text."""
        return self.inner is not None and "O" not in self.names

    def encode(self, tags: Sequence[str]) -> list[int]:
        """Return the numbers of a sentence's tags.

        Raises
        ------
        ValueError
            If a tag is not known.
        """
        given = tags
        if self.inner is not None:
            assert self.scheme is not None
            if self.scheme != self.inner or not self._is_legal(tags):
                tags = tags_of(len(tags), spans_of(tags, self.scheme), self.inner)
        try:
            return [self._ids[self._key(tag)] for tag in tags]
        except KeyError:
            place = next(place for place, tag in enumerate(tags) if self._key(tag) not in self._ids)
            known = ", ".join(self.types or self.names)
            what = "a tag of one of the types" if self.types else "one of the tags"
            raise ValueError(f"expected {what} {known:.200}, got {given[place]!r:.80}") from None

    def _is_legal(self, tags: Sequence[str]) -> bool:
        """Whether the inner scheme allows a sentence's tags; which may follow each other is looked up once."""
        assert self.inner is not None
        for pair in pairwise(("O", *tags, "O")):
            legal = self._legal.get(pair)
            if legal is None:
                left, right = (split_tag(tag, self.inner) for tag in pair)
                legal = self._legal[pair] = may_follow(left, right, self.inner)
            if not legal:
                return False
        return True

    def decode(self, numbers: Sequence[int]) -> list[str]:
        """Return a sentence's tags, as the user writes them, of the numbers that the network gave."""
        tags = [self.names[number] for number in numbers]
        if self.scheme == self.inner:
            return tags
        assert self.inner is not None
        assert self.scheme is not None
        tags = tags_of(len(tags), spans_of(tags, self.inner), self.scheme)
        if self.scheme == "IO" or self._separator == "-":
            return tags
        return [tag[:1] + self._separator + tag[2:] if len(tag) > 1 else tag for tag in tags]

    def spans(self, numbers: Array) -> Spans:
        """Return the spans of a flat batch of tags [N] that keep to the inner scheme."""
        starts, ends = np.flatnonzero(self._starts[numbers]), np.flatnonzero(self._ends[numbers])
        return Spans(starts, ends + 1, self._kinds[numbers[starts]])

    def named(self, spans: Spans, start: int = 0) -> list[Span]:
        """Return spans with the names of their types; places count from ``start``."""
        rows = zip(spans.start.tolist(), spans.end.tolist(), spans.kind.tolist(), strict=True)
        return [Span(first - start, last - start, self.types[kind]) for first, last, kind in rows]


def _limited(names: list[str]) -> list[str]:
    if len(names) > MOST_TAGS:
        few = ", ".join(map(repr, names[:3]))
        raise ValueError(f"y: expected at most {MOST_TAGS:,} tags to tell apart, got {len(names):,}: {few:.200}, ...")
    return names


def inner_scheme(scheme: str | None) -> str | None:
    """Return the scheme in which a network learns spans."""
    return scheme if scheme in (None, "BMES") else "BIOES"


def count_illegal(sequences: Sequence[Sequence[str]], scheme: str) -> tuple[int, str]:
    """Count the tags that a scheme does not allow where they stand, and say where the first is."""
    count, first = 0, ""
    for number, tags in enumerate(sequences):
        for place in illegal_places(tags, scheme):
            if not count:
                before = f"behind {tags[place - 1]!r}" if place else "at the beginning"
                first = f"{tags[place]!r} {before}, y[{number}][{place}]"
            count += 1
    return count, first


def check_tag_scheme(scheme: object) -> str | None:
    """Return the name of a scheme, ``"auto"`` or None.

    Raises
    ------
    TypeError, ValueError
        If it is something else.
    """
    if scheme is None or scheme == AUTO:
        return scheme
    if not isinstance(scheme, str):
        raise TypeError(f"scheme: expected a string or None, got {type(scheme).__name__}")
    try:
        return check_scheme(scheme)
    except ValueError:
        raise ValueError(f"scheme: expected 'auto', None or one of {', '.join(SCHEMES)}, got {scheme!r}") from None
