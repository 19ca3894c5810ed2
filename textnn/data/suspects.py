"""Labels and texts that look like a mistake: a training accepts them, with a warning.

    how many texts each label has -> ``suspect_labels`` -> a sentence for each kind of mistake
    texts                         -> ``missing_words``  -> ``suspect_texts`` -> the same

Python and the command line say the same; only what to do about it differs, which :class:`Advice` holds.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from textnn.text.charset import is_blank

MOST = 20
"""Labels of a message at most."""

FEW, FAR_MORE = 5, 20
"""A label of fewer texts is suspect where another has so many times as many."""

MANY = 20
"""So many labels or more, and hardly more texts, are suspect."""

MISSING = frozenset(
    (
        *("NULL", "Null", "null", "(null)", "<null>", "[NULL]", "NaN", "nan", "NAN", "-nan", "-NaN", "NaT", "None"),
        *("NA", "<NA>", "N/A", "n/a", "#N/A", "#NA", "#N/A N/A", "1.#QNAN", "-1.#IND", "1.#IND", "undefined"),
        *("#NAME?", "#REF!", "#VALUE!", "#DIV/0!", "#NUM!", "#NULL!", "#ERROR!", "#SPILL!", "#CALC!"),
    )
)
"""What programs write where there is no value, and spreadsheets where a formula has none."""

_PUNCTUATION = re.compile("[,;:!?，。；：！？、]|[.]$")
_SEPARATORS = ";|,；、，"
# ['a', 'b'], [a, b], [] and, where a separator has split them, the ends: ['a' and 'b'].
_LIST = re.compile(r"""[\[({]\s*(['"].*|.*,.*[\])}]|[\])}])|.*['"]\s*[\])}]""", re.DOTALL)


class LabelWarning(UserWarning):
    """Labels look like a mistake."""


@dataclass(frozen=True)
class Advice:
    """What to do about labels; the default is for who has them in Python.

    Attributes
    ----------
    split
        Of labels that are made of labels; ``{}`` stands for what is between them.
    lists
        Of labels that look like lists.
    missing
        Of labels that are words for a missing value.
    column
        Of as many labels as texts.
    """

    split: str = 'label.split("{}") makes the lists that a text with several labels needs'
    lists: str = "give real lists (ast.literal_eval makes them)"
    missing: str = "leave out these texts if their labels are missing"
    column: str = "is y right? (X has the texts, y their labels)"


PYTHON = Advice()


def quote(label: Any) -> str:
    """Return a label for a message, in quotes if it is a string, cut where it is long."""
    if isinstance(label, str):
        return repr(label if len(label) <= 40 else f"{label[:40]}...")
    shown = repr(label)
    return shown if len(shown) <= 60 else f"{shown[:60]}..."


def listed(items: list[str]) -> str:
    """Return the first items with commas, and the number of the others."""
    more = f" and {len(items) - MOST:,} more" if len(items) > MOST else ""
    return ", ".join(items[:MOST]) + more


def by_count(counts: Mapping[Any, int]) -> list[tuple[Any, int]]:
    """Return labels with their counts, the most frequent first."""
    return sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))


def suspect_labels(
    counts: Mapping[Any, int],
    several: bool,
    *,
    sizes: Iterable[int] = (),
    fasttext: bool = False,
    whole: bool = True,
    advice: Advice = PYTHON,
) -> Iterator[str]:
    """Yield what looks like a mistake among labels.

    Parameters
    ----------
    counts
        How many texts each label has.
    several
        Whether a text may have several labels: then those of a cell were split already.
    sizes
        Then the numbers of labels that texts have, each at least once.
    fasttext
        Whether labels end where a word does.
    whole
        Whether these are all labels, so that it counts how often one occurs.
    advice
        What to do.
    """
    names = [label for label, _ in by_count(counts) if isinstance(label, str)]
    if missing := [(label, counts[label]) for label in names if is_missing_word(label) or is_blank(label)]:
        yield f"labels that look like missing values: {_counted(missing)}; they count as labels; {advice.missing}"
    if found := next(filter(_is_list, names), None):
        yield f"labels such as {quote(found)} look like lists, but each is one label; {advice.lists}"
        return
    if not several and (pair := _find_separator(names)) is not None:
        yield f"labels such as {quote(pair[0])} look like several; {advice.split.format(pair[1])}"
        return
    tuples = [label for label in counts if isinstance(label, tuple)]
    if len({*map(len, tuples)}) > 1:
        yield f"labels such as {quote(tuples[0])} are tuples, each of which is one label; lists are several"
    if fasttext and (marked := next(filter(_PUNCTUATION.search, counts), None)):
        yield f"labels such as {quote(marked)} have punctuation in them; does it end them? --delimiter says by what"
    if alike := _same_forms(counts):
        forms = listed([" and ".join(map(quote, labels)) for labels in alike])
        yield f"labels that differ in their spelling only: {forms}; they count as different ones"
    if not whole or not counts:
        return
    if {*sizes} == {1}:
        yield (
            "each text has exactly one label, but in a list or a matrix, which makes the classifier multi-label; "
            "give plain labels if a text cannot have several"
        )
    texts = sum(counts.values())
    if len(counts) >= MANY and 2 * texts <= 3 * len(counts):
        yield f"{len(counts):,} labels for {texts:,} texts: {advice.column}"
        return
    (most, largest), *_ = by_count(counts)
    if few := [pair for pair in by_count(counts) if pair[1] < FEW and pair[1] * FAR_MORE <= largest]:
        yield (
            f"labels of fewer than {FEW} texts, where {quote(most)} has {largest:,}: {_counted(few)}; "
            "are they mistyped?"
        )


def is_missing_word(text: str) -> bool:
    """Whether a text is a word for a missing value."""
    return len(text) < 40 and text.strip() in MISSING


def missing_words(texts: Iterable[str]) -> Counter[str]:
    """Return the texts that are words for a missing value, and how often each occurs."""
    return Counter(text.strip() for text in texts if is_missing_word(text))


def suspect_texts(missing: Mapping[str, int], texts: int) -> Iterator[str]:
    """Yield what looks like a mistake among so many texts, of which some are words for a missing value."""
    if count := sum(missing.values()):
        look = "looks like a missing value" if count == 1 else "look like missing values"
        found = _counted(by_count(missing))
        yield f"texts: {count:,} of {texts:,} {look}: {found}; leave these rows out if their texts are missing"


def unknown_labels(labels: Iterable[Hashable], classes: Iterable[Hashable]) -> Iterator[str]:
    """Yield what is to be said of labels that are compared with predictions if some are none of the classes."""
    known, given = dict.fromkeys(classes), dict.fromkeys(labels)
    unknown = [label for label in given if label not in known]
    if not unknown:
        return
    by_text = {str(label): label for label in known}
    twin = next((label for label in unknown if str(label) in by_text), None)
    hint = f"; {quote(twin)} and {quote(by_text[str(twin)])} are different labels" if twin is not None else ""
    shown = listed([*map(quote, unknown)])
    if len(unknown) == len(given):
        of_them = listed([*map(quote, known)])
        yield f"y: none of the labels is a class of the classifier ({of_them}): {shown}; all count as errors{hint}"
    else:
        yield f"y: labels that the classifier does not know count as errors: {shown}{hint}"


def same_form(label: str) -> str:
    """Return what is the same for labels that differ in spelling only: width, case, spaces, 1 and 1.0."""
    form = " ".join(unicodedata.normalize("NFKC", label).casefold().split())
    return re.sub(r"^([+-]?\d+)\.0+$", r"\1", form).removeprefix("+")


def _same_forms(labels: Iterable[Any]) -> list[list[Any]]:
    forms: dict[str, list[Any]] = {}
    for label in sorted(labels, key=str):
        forms.setdefault(same_form(str(label)), []).append(label)
    return [alike for alike in forms.values() if len(alike) > 1]


def _is_list(label: str) -> bool:
    return _LIST.fullmatch(label.strip()) is not None


def _find_separator(names: list[str]) -> tuple[str, str] | None:
    """Return the first label whose parts are labels too, and what stands between them."""
    known = {*names}
    for separator in _SEPARATORS:
        for label in names:
            parts = {part.strip() for part in label.split(separator)} - {"", label}
            if len(parts) > 1 and parts <= known:
                return label, separator
    return None


def _counted(labels: Iterable[tuple[Any, int]]) -> str:
    return listed([f"{quote(label)} ({count:,})" for label, count in labels])
