"""What the commands say of labels: how many there are of each, and what about them looks like a mistake.

counts of a file's labels -> ``count_line`` -> standard error
                          -> textnn.data.suspects, with ``advice`` -> warnings
report -> ``tell_problems``: bad rows and bytes -> warnings
records of plain lines -> ``watch_lines``: labels among what is taken as the text -> a warning
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from _textnn_cli.common import note, short

if TYPE_CHECKING:
    from textnn.data.suspects import Advice
    from textnn.text import CorpusReport, Record

MOST = 20
"""Labels of a message at most."""

_LOOKED_AT = 100
_FASTTEXT = "__label__"


def quote(labels: Iterable[Any]) -> str:
    """Return labels for a message, in quotes; no more than fit one."""
    return _listed([repr(short(str(label))) for label in labels])


def count_line(counts: Mapping[str, int], what: str = "labels") -> str:
    """Return how many texts each label has, the most frequent first."""
    return f"{what}: " + _listed([f"{_name(label)} {count:,}" for label, count in _by_count(counts)])


def threshold_line(labels: Iterable[Any], thresholds: Iterable[float]) -> str:
    """Return the threshold of each label."""
    values = zip(labels, thresholds, strict=True)
    return "thresholds: " + _listed([f"{_name(str(label))} {value:.4f}" for label, value in values])


def advice() -> Advice:
    """Return what to do about labels in a file."""
    from textnn.data.suspects import Advice

    return Advice(
        split='--label-separator "{}" splits them',
        lists='write price;service and give --label-separator ";", or write JSON lines, whose lists are read',
        missing="empty these cells if the labels are missing: rows without a label are left out",
        column="is it the right column (--label-column)?",
    )


def match_labels(labels: Sequence[str], classes: Sequence[Hashable]) -> list[Hashable]:
    """Return the classes whose text the labels are: a file has only strings, a model may have numbers."""
    by_text = {str(label): label for label in classes}
    if len(by_text) < len(classes):
        return list(labels)
    return [by_text.get(label, label) for label in labels]


def find_spellings(labels: Iterable[Hashable], classes: Sequence[Hashable]) -> dict[Hashable, Hashable]:
    """Return the classes of labels that differ from them in spelling only, such as ``true`` from ``True``.

    Only where it is certain: no two classes, and no two of the labels, differ in spelling only.
    """
    from textnn.data.suspects import same_form

    known = {same_form(str(label)): label for label in classes}
    labels = list(labels)
    found = {same_form(str(label)): label for label in labels}
    if len(known) < len(classes) or len(found) < len(labels):
        return {}
    return {label: known[form] for form, label in found.items() if form in known and known[form] != label}


def pairs(spellings: Mapping[Any, Hashable], word: str = "as") -> str:
    """Return which label stands for which, for a message."""
    return _listed([f"{short(str(one))!r} {word} {short(str(other))!r}" for one, other in spellings.items()])


def may_mean(unknown: Sequence[str], classes: Sequence[Hashable]) -> str:
    """Say which labels of the model may be meant by others, which differ from them in spelling only."""
    from textnn.data.suspects import same_form

    known = {same_form(str(label)): label for label in classes}
    meant = {label: known[same_form(label)] for label in unknown if same_form(label) in known}
    return f"; do they stand for labels of the model: {pairs(meant, 'for')}?" if meant else ""


def tell_problems(report: CorpusReport, doubts: bool = False) -> None:
    """Warn of bad rows that were left out, of bytes that were replaced, and on request of the report's doubts."""
    for message in report.doubts if doubts else ():
        note(f"warning: {report.source}: {message}")
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
