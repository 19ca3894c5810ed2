"""What is wrong with a split: texts that occur twice, that are in both parts, that have two labels.

    texts, labels of both parts -> white space made even -> digest of each text -> Audit(counts, examples) -> messages

A text that is in the training part and in the held-out part makes the accuracy there too good; one with two labels
cannot be right. Only digests are kept, 16 bytes a text whatever its length, so a corpus is not held twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass

from textnn.data.inputs import check_texts
from textnn.data.labels import check_labels

_DIGEST_SIZE = 16
_EXCERPT = 30


@dataclass(frozen=True)
class Example:
    """A text, as it stands where it was noticed, and the labels that it was found with until then."""

    text: str
    labels: tuple[Hashable, ...]


@dataclass(frozen=True)
class Finding:
    """How many texts something is true of, and the first few of them."""

    count: int
    examples: tuple[Example, ...]


@dataclass(frozen=True)
class Audit:
    """What was found.

    Attributes
    ----------
    training, held_out
        The number of texts of each part.
    repeated
        Training texts that are the same as an earlier training text: a text that occurs three times counts twice.
    leaked
        Held-out texts that are also in the training part, each time they occur.
    conflicting
        Different texts that occur with more than one label, in both parts together; each text counts once.
    """

    training: int
    held_out: int
    repeated: Finding
    leaked: Finding
    conflicting: Finding

    def messages(self, held_out: str = "validation") -> list[str]:
        """Return a warning of one line for each finding that does harm; an empty list if there is none.

        Texts that occur more than once in the training part, with the same label, do none.

        Parameters
        ----------
        held_out
            What to call the held-out part.
        """
        lines = []
        if self.leaked.count:
            what = f"{_of(self.leaked.count, self.held_out)} in the training texts too"
            lines.append(f"{held_out}: {what}; the accuracy there is too good")
        if self.conflicting.count:
            example = self.conflicting.examples[0]
            labels = " and ".join(map(repr, example.labels))
            occurs = "1 text occurs" if self.conflicting.count == 1 else f"{self.conflicting.count:,} texts occur"
            lines.append(f"labels: {occurs} with different labels, such as {_excerpt(self.conflicting)} with {labels}")
        return lines


def even_space(text: str) -> str:
    """Return a text with one space for each run of white space, and none at its ends."""
    return " ".join(text.split())


def find_duplicates(
    training_texts: Iterable[str],
    training_labels: Iterable[Hashable],
    held_out_texts: Iterable[str] | None = None,
    held_out_labels: Iterable[Hashable] | None = None,
    examples: int = 3,
) -> Audit:
    """Look for texts that occur more than once, within the training part and in both parts.

    Texts are the same if they differ in white space at most; labels, if they are equal and of one type. The labels of a
    text that has several are a tuple, sorted by the caller: the same labels in another order are another tuple.

    Parameters
    ----------
    training_texts, training_labels
        Strings, and any hashable value for each.
    held_out_texts, held_out_labels
        The same of a validation or test part, or None.
    examples
        How many to keep of each finding.

    Returns
    -------
    Audit
        In time proportional to the length of all texts.

    Raises
    ------
    TypeError, ValueError
        If texts are no collection of strings, there is not one label for each, a label is missing or cannot be hashed,
        only one of ``held_out_texts`` and ``held_out_labels`` is given, or ``examples`` is below 1.

    Examples
    --------
    >>> audit = find_duplicates(["很好", "很差"], ["pos", "neg"], ["很好 "], ["pos"])
    >>> audit.leaked.count, audit.messages()
    (1, ['validation: 1 of 1 text is in the training texts too; the accuracy there is too good'])
    """
    if examples < 1:
        raise ValueError(f"examples: expected at least 1, got {examples}")
    if (held_out_texts is None) != (held_out_labels is None):
        lacking, given = ("labels", "texts") if held_out_labels is None else ("texts", "labels")
        raise ValueError(f"held_out_{lacking}: expected them beside held_out_{given}, got None")
    texts = check_texts(training_texts, "training_texts")
    labels = check_labels(training_labels, len(texts), "training_labels")
    others = check_texts(() if held_out_texts is None else held_out_texts, "held_out_texts")
    other_labels = check_labels(() if held_out_labels is None else held_out_labels, len(others), "held_out_labels")

    seen = _Seen(examples)
    repeated, leaked = _Counter(examples), _Counter(examples)
    for text, label in zip(texts, labels, strict=True):
        if known := seen.add(text, label):
            repeated.add(text, known)
    trained_on = len(seen.first)
    for text, label in zip(others, other_labels, strict=True):
        if (known := seen.add(text, label)) and seen.number < trained_on:
            leaked.add(text, known)
    return Audit(len(texts), len(others), repeated.finding(), leaked.finding(), seen.conflicting.finding())


class _Counter:
    """Counts, and keeps the first few examples."""

    def __init__(self, examples: int) -> None:
        self._most = examples
        self._count = 0
        self._examples: list[Example] = []

    def add(self, text: str, labels: tuple[Hashable, ...]) -> None:
        self._count += 1
        if len(self._examples) < self._most:
            self._examples.append(Example(text, labels))

    def finding(self) -> Finding:
        return Finding(self._count, tuple(self._examples))


class _Seen:
    """The digests of all texts so far, in the order of their first occurrence, with their first label.

    Attributes
    ----------
    first
        Digest of a text -> its number and its first label.
    number
        That of the text added last.
    conflicting
        Texts that have come with another label than their first.
    """

    def __init__(self, examples: int) -> None:
        self.first: dict[bytes, tuple[int, Hashable]] = {}
        self.number = 0
        self.conflicting = _Counter(examples)
        self._conflicts: set[int] = set()

    def add(self, text: str, label: Hashable) -> tuple[Hashable, ...]:
        """Take a text; return the labels that it has been found with, nothing if it is new."""
        even = even_space(text).encode("utf-8", "surrogatepass")
        digest = hashlib.blake2b(even, digest_size=_DIGEST_SIZE).digest()
        found = self.first.get(digest)
        if found is None:
            self.number = len(self.first)
            self.first[digest] = self.number, label
            return ()
        self.number, earlier = found
        if list(_typed(earlier)) == list(_typed(label)):
            return (label,)
        if self.number not in self._conflicts:
            self._conflicts.add(self.number)
            self.conflicting.add(text, (earlier, label))
        return earlier, label


def _typed(label: Hashable) -> Iterator[object]:
    """Yield a label with its types, those of its parts included: 1, 1.0 and True are three labels."""
    yield type(label)
    if isinstance(label, tuple):
        for part in label:
            yield from _typed(part)
    yield label


def _of(count: int, total: int) -> str:
    return f"{count:,} of {total:,} {'text' if total == 1 else 'texts'} {'is' if count == 1 else 'are'}"


def _excerpt(finding: Finding) -> str:
    text = even_space(finding.examples[0].text)
    return repr(text if len(text) <= _EXCERPT else text[: _EXCERPT - 1] + "…")
