"""What the commands say of labels: how many there are of each, and what about them looks like a mistake.

counts of a file's labels -> ``count_line`` -> standard error
                          -> ``remarks``: few texts of a label, several labels in a cell -> warnings
report -> ``tell_problems``: bad rows and bytes -> warnings
records of plain lines -> ``watch_lines``: labels among what is taken as the text -> a warning
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from textnn_cli.common import note, short

if TYPE_CHECKING:
    from textnn.text import CorpusReport, Record

MOST = 20
"""Labels of a message at most."""

FEW, FAR_MORE = 5, 20
"""A label of fewer texts is warned of where another has so many times as many."""

_PUNCTUATION = re.compile("[,;:!?，。；：！？、]|[.]$")
_SEPARATORS = ";|,；、，"
_LOOKED_AT = 100
_FASTTEXT = "__label__"


def quote(labels: Iterable[Any]) -> str:
    """Return labels for a message, in quotes; no more than fit one."""
    return _listed([repr(short(str(label))) for label in labels])


def count_line(counts: Mapping[str, int]) -> str:
    """Return how many texts each label has, the most frequent first."""
    return "labels: " + _listed([f"{_name(label)} {count:,}" for label, count in _by_count(counts)])


def threshold_line(labels: Iterable[Any], thresholds: Iterable[float]) -> str:
    """Return the threshold of each label."""
    values = zip(labels, thresholds, strict=True)
    return "thresholds: " + _listed([f"{_name(str(label))} {value:.4f}" for label, value in values])


def remarks(counts: Mapping[str, int], several: bool, fasttext: bool = False) -> Iterator[str]:
    """Yield what looks like a mistake among a file's labels.

    Parameters
    ----------
    counts
        How many texts each label has.
    several
        Whether a text may have several labels: then those of a cell were split already.
    fasttext
        Whether labels end where a word does.
    """
    found = None if several else _find_separator(counts)
    if found is not None:
        label, separator = found
        yield f'labels such as {short(label)!r} look like several; --label-separator "{separator}" splits them'
        return
    if fasttext and (marked := next(filter(_PUNCTUATION.search, counts), None)):
        yield f"labels such as {short(marked)!r} have punctuation in them; does it end them? --delimiter says by what"
    alike = _same_forms(counts)
    if alike:
        listed = _listed([" and ".join(map(repr, map(short, forms))) for forms in alike])
        yield f"labels that differ in their spelling only: {listed}; they count as different ones"
    if len(counts) >= 20 and 2 * sum(counts.values()) <= 3 * len(counts):
        yield f"{len(counts):,} labels for {sum(counts.values()):,} texts: is it the right column (--label-column)?"
        return
    (most, largest), *_ = _by_count(counts)
    few = [(label, count) for label, count in _by_count(counts) if count < FEW and count * FAR_MORE <= largest]
    if few:
        listed = _listed([f"{short(label)!r} ({count})" for label, count in few])
        yield f"labels of fewer than {FEW} texts, where {short(most)!r} has {largest:,}: {listed}; are they mistyped?"


def same_form(label: str) -> str:
    """Return what is the same for labels that differ in spelling only: width, case, spaces, 1 and 1.0."""
    form = " ".join(unicodedata.normalize("NFKC", label).casefold().split())
    return re.sub(r"^([+-]?\d+)\.0+$", r"\1", form).removeprefix("+")


def _same_forms(labels: Iterable[str]) -> list[list[str]]:
    forms: dict[str, list[str]] = {}
    for label in sorted(labels):
        forms.setdefault(same_form(label), []).append(label)
    return [alike for alike in forms.values() if len(alike) > 1]


def _find_separator(counts: Mapping[str, int]) -> tuple[str, str] | None:
    """Return the most frequent label whose parts are labels too, and what stands between them."""
    for separator in _SEPARATORS:
        for label, _ in _by_count(counts):
            parts = {part.strip() for part in label.split(separator)} - {"", label}
            if len(parts) > 1 and parts <= counts.keys():
                return label, separator
    return None


def tell_problems(report: CorpusReport) -> None:
    """Warn of bad rows that were left out, and of bytes that were replaced."""
    for message in report.problems:
        note(f"warning: left out: {message}")
    if report.bad_rows > len(report.problems):
        note(f"warning: {report.source}: {report.bad_rows:,} bad rows were left out, of which these are the first")
    if report.replaced:
        note(f"warning: {report.source}: {report.replaced:,} bytes are no {report.layout.encoding}; read as U+FFFD")


def watch_lines(records: Iterable[Record], source: str, labels: Collection[Any]) -> Iterator[Record]:
    """Yield records of the format "lines", and warn if most of the first ones seem to hold their label as well.

    Parameters
    ----------
    records
        What is read; nothing is read ahead.
    source
        The name of what they are read from.
    labels
        Those that the model knows.
    """
    ends = tuple(map(str, labels))
    records = iter(records)
    first: list[str] = []
    for record in itertools.islice(records, _LOOKED_AT):
        first.append(record.text)
        yield record
    texts = [text for text in first if text.strip()]
    for found, what, advice in (
        ([text.startswith(_FASTTEXT) for text in texts], f"begin with {_FASTTEXT!r}", "fasttext"),
        ([_last(text, "\t") in ends for text in texts], "end in a tab and a label of the model", "lecture"),
        (
            [_last(text, ",") in ends for text in texts],
            "end in a comma and a label of the model",
            "csv --text-column 0",
        ),
    ):
        if 2 * sum(found) > len(texts):
            as_they_stand = "and are taken as texts as they stand"
            note(f"warning: {source}: most lines {what}, {as_they_stand}; --input-format {advice} splits them")
            break
    yield from records


def _last(text: str, separator: str) -> str | None:
    before, found, last = text.rpartition(separator)
    return last.strip().strip('"') if found and before else None


def _by_count(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _name(label: str) -> str:
    """Return a label to stand before a number, in quotes where it is not one plain word."""
    return short(label) if re.fullmatch(r"[^\W\d][\w-]*", label) else repr(short(label))


def _listed(items: list[str]) -> str:
    more = f" and {len(items) - MOST:,} more" if len(items) > MOST else ""
    return ", ".join(items[:MOST]) + more
