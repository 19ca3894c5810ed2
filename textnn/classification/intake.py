"""What a fit begins with: texts with labels as the network takes them, and the parts that they fall into.

texts, labels, weights, validation data -> LabelledTexts -> texts to train on | texts that are held out -> warnings
"""

from __future__ import annotations

import itertools
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence, Sized
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from textnn.data.audit import find_duplicates
from textnn.data.inputs import check_texts
from textnn.data.labels import labels_to_json
from textnn.data.splitting import Part, Shares, split, text_keys
from textnn.data.suspects import LabelWarning, missing_words, suspect_labels, suspect_texts
from textnn.data.targets import Targets, check_kind, no_codes, read_targets
from textnn.distributed import Group
from textnn.text import is_blank

if TYPE_CHECKING:
    from textnn.training.progress import Reporter

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class LabelledTexts:
    """This process's texts, to train on and then those of ``validation_data``.

    Attributes
    ----------
    kind, classes
        Of all processes' labels; see :class:`textnn.data.targets.Targets`.
    texts, values
        Strings, and their labels as the user gave them.
    codes, weights, keys
        Their labels as the network takes them, how much they count, and what is the same for the same texts.
    size
        How many of them are to train on.
    validation
        Whether there is ``validation_data``.
    """

    kind: str
    classes: Array
    texts: list[str]
    values: list[Any]
    codes: Array
    weights: Array
    keys: Array
    size: int
    validation: bool


def make_corpus(
    kind: str,
    classes: Array,
    texts: list[str],
    targets: Targets,
    weights: Array,
    validation_data: tuple[Iterable[str], Any] | None,
    group: Group,
) -> LabelledTexts:
    """Put the texts that a fit is given together.

    Parameters
    ----------
    kind, classes
        Of all processes' labels.
    texts, targets, weights
        The texts to train on, their labels, and how much they count.
    validation_data
        Texts and labels to choose the best epoch by, or None.
    group
        The processes, each of which has a share of both.

    Raises
    ------
    TypeError, ValueError
        If ``validation_data`` makes no sense, or a label is none of the classes.
    """
    more_texts: list[str] = []
    more = Targets(kind, [])
    if validation_data is not None:
        more_texts, more = check_validation(validation_data, empty=group.size > 1)
        check_kind(more, kind, "validation_data labels")
    parts = [targets.encode(classes, "y", weights > 0) if texts else no_codes(kind, classes)]
    parts += [more.encode(classes, "validation_data labels") if more_texts else no_codes(kind, classes)]
    return LabelledTexts(
        kind,
        classes,
        texts + more_texts,
        targets.sorted_values(classes) + more.sorted_values(classes),
        np.concatenate(parts),
        np.concatenate([weights, np.ones(len(more_texts))]),
        text_keys(texts + more_texts),
        len(texts),
        validation_data is not None,
    )


def split_corpus(corpus: LabelledTexts, fraction: float, seed: int, group: Group) -> tuple[Part, Part]:
    """Return the texts to train on, in their order, and those that are held out: a part of them, or those given.

    Texts that do not count are in neither part.

    Parameters
    ----------
    corpus
        The texts of this process.
    fraction, seed
        See :func:`textnn.data.splitting.split`.
    group
        The processes.

    Raises
    ------
    ValueError
        If there is validation data, without a text in any process.
    """
    size = corpus.size
    shares = Shares(size, group)
    counted = np.flatnonzero(shares.join(corpus.weights[:size]) > 0)
    if not corpus.validation:
        codes, keys = (shares.join(values[:size])[counted] for values in (corpus.codes, corpus.keys))
        training, held_out = split(codes, keys, fraction, seed)
        return shares.part(counted[training]), shares.part(counted[held_out])
    others = Shares(len(corpus.texts) - size, group, start=size)
    if not len(others):
        raise group.fail(ValueError("validation_data: expected at least one text, got none"))
    return shares.part(counted), others.part(np.arange(len(others)))


def warn_of_duplicates(corpus: LabelledTexts, training: Part, held_out: Part, group: Group) -> None:
    """Warn, in process 0, of texts that are the same: twice in a part, in both parts, or with other labels.

    Only those go from one process to another. See :func:`textnn.data.audit.find_duplicates`.
    """
    keys = np.concatenate([part.join(corpus.keys, group) for part in (training, held_out)])
    _, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
    if len(counts) == len(keys):
        return
    several = np.split(counts[inverse.reshape(-1)] > 1, [len(training)])
    found: list[Any] = []
    for part, chosen in zip((training, held_out), several, strict=True):
        places = zip(part.places[group.rank].tolist(), part.rows, strict=True)
        own = [(place, corpus.texts[row], corpus.values[row]) for place, row in places if chosen[place]]
        rows = sorted(itertools.chain.from_iterable(group.collect(own) or []), key=lambda row: row[0])
        found += [[text for _, text, _ in rows], [value for _, _, value in rows]]
    if group.rank == 0:
        audit = replace(find_duplicates(*found), training=len(training), held_out=len(held_out))
        for message in audit.messages():
            warnings.warn(message, UserWarning, stacklevel=5)


def warn_of_labels(targets: Targets, weights: Array, classes: Array, whole: bool, group: Group) -> None:
    """Warn, in process 0, of labels that look like a mistake, and of those with which no model can be saved.

    Parameters
    ----------
    targets, weights
        The labels of this process, and how much their texts count.
    classes
        Of all processes.
    whole
        Whether these are all the labels that there will be.
    """
    values = [targets.values[row] for row in np.flatnonzero(weights > 0)]
    names = itertools.chain.from_iterable(values) if targets.several else values
    sizes = {len(labels) for labels in values} if targets.several else set()
    found = group.gather((Counter(names), sizes))
    if group.rank:
        return
    counts: Counter[Any] = sum((counts for counts, _ in found), Counter())
    sizes = set[int]().union(*(sizes for _, sizes in found))
    for message in suspect_labels(counts, targets.several, sizes=sizes, whole=whole):
        warnings.warn(message, LabelWarning, stacklevel=5)
    try:
        labels_to_json(classes)
    except ValueError as error:
        warnings.warn(f"{error}; this classifier predicts, but cannot be saved", LabelWarning, stacklevel=5)


def tell_of_texts(
    texts: list[str],
    streams: Sequence[Sequence[Sequence[str]]],
    limits: Sequence[int | None],
    reporter: Reporter,
    group: Group,
) -> None:
    """Say how many texts are longer than the network reads, and warn of those in which nothing can be seen.

    Parameters
    ----------
    texts
        Of this process.
    streams, limits
        Their tokens in each form, and how many of them count.
    """
    long = [
        sum(limit is not None and len(tokens) > limit for tokens in stream)
        for stream, limit in zip(streams, limits, strict=True)
    ]
    found = group.gather(np.array([len(texts), sum(map(is_blank, texts)), *long]))
    total, blank, *long = np.sum(found, axis=0).tolist()
    missing: Counter[str] = sum(group.gather(missing_words(texts)), Counter())
    for name, count, limit in zip(("max_length", "max_characters"), long, limits, strict=False):
        if count:
            what = f"{limit:,} {'tokens' if name == 'max_length' else 'characters'}"
            share = f"{count:,} of {total:,} texts ({count / total:.1%})"
            reporter.note(f"{share} have more than {what} and are cut ({name})")
    if blank and group.rank == 0:
        warnings.warn(f"texts: {blank:,} of {total:,} have nothing that can be seen", UserWarning, stacklevel=5)
    for message in suspect_texts(missing, total) if group.rank == 0 else ():
        warnings.warn(message, UserWarning, stacklevel=5)


def check_vocabularies(vocabularies: Sequence[Sized], streams: Sequence[Sequence[Sequence[str]]], group: Group) -> None:
    """Refuse texts of which a network would see nothing at all.

    Parameters
    ----------
    vocabularies, streams
        Of the training texts in each form, and the tokens of this process.

    Raises
    ------
    ValueError
        If there is no word in any vocabulary.
    """
    tokens = sum(group.gather(sum(map(len, itertools.chain.from_iterable(streams)))))
    if all(len(vocabulary) <= 2 for vocabulary in vocabularies):
        if not tokens:
            raise group.fail(ValueError("X: expected at least one token, got none from any text"))
        raise group.fail(ValueError("min_count: expected words that occur so often, but none does; take a smaller one"))


def check_validation(validation_data: Any, empty: bool = False) -> tuple[list[str], Targets]:
    """Return texts and labels of a pair ``(texts, labels)``.

    Parameters
    ----------
    validation_data
        What should be a pair.
    empty
        Whether there may be no texts, as in a share of one process.

    Raises
    ------
    TypeError, ValueError
        If it is no such pair.
    """
    if not isinstance(validation_data, tuple | list) or len(validation_data) != 2:
        raise TypeError(f"validation_data: expected a pair (texts, labels), got {type(validation_data).__name__}")
    texts = check_texts(validation_data[0], "validation_data texts")
    if not texts and not empty:
        raise ValueError("validation_data: expected at least one text, got none")
    return texts, read_targets(validation_data[1], len(texts), "validation_data labels")


def check_threshold(threshold: Any) -> float | str:
    """Return the threshold of labels of which a text may have several: a number between 0 and 1, or ``"auto"``.

    Raises
    ------
    TypeError, ValueError
        If it is something else.
    """
    if isinstance(threshold, str) and threshold == "auto":
        return "auto"
    if isinstance(threshold, bool | str) or not hasattr(threshold, "__float__"):
        raise TypeError(f"threshold: expected a number or 'auto', got {type(threshold).__name__} {threshold!r}")
    if not 0 < float(threshold) < 1:
        raise ValueError(f"threshold: expected a number between 0 and 1 or 'auto', got {float(threshold):g}")
    return float(threshold)
