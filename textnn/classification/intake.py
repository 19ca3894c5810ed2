"""What a fit begins with: texts with labels as the network takes them, and the parts that they fall into.

texts, labels, weights, validation data -> Inputs --all processes'--> Inputs of process 0
Inputs -> LabelledTexts -> texts to train on | texts that are held out -> warnings
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence, Sized
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from textnn.circumstances import warn
from textnn.classification.weighting import check_weights
from textnn.data.audit import find_duplicates
from textnn.data.inputs import check_texts
from textnn.data.labels import labels_to_json
from textnn.data.splitting import Numbers, split, text_keys
from textnn.data.suspects import LabelWarning, missing_words, suspect_labels, suspect_texts
from textnn.data.targets import Targets, check_kind, joint_kind, read_targets
from textnn.distributed import Group
from textnn.text import is_blank

if TYPE_CHECKING:
    from textnn.training.progress import Reporter

Array = np.ndarray[Any, np.dtype[Any]]

Parts = tuple[Numbers, Numbers]
"""The rows to train on, and those that are held out."""

VALIDATION = "validation_data labels"


@dataclass(frozen=True)
class Inputs:
    """What a fit is given: texts, labels, how much each text counts, and texts with labels that are held out."""

    texts: list[str]
    targets: Targets
    weights: Array
    held_out: tuple[list[str], Targets] | None


def read_inputs(texts: Any, labels: Any, sample_weight: Any, validation_data: Any) -> Inputs:
    """Check what a process is given.

    Raises
    ------
    TypeError, ValueError
        If an argument makes no sense by itself.
    """
    texts = check_texts(texts, "X")
    targets, weights = read_targets(labels, len(texts), "y"), check_weights(sample_weight, len(texts))
    if validation_data is None:
        return Inputs(texts, targets, weights, None)
    if not isinstance(validation_data, tuple | list) or len(validation_data) != 2:
        raise TypeError(f"validation_data: expected a pair (texts, labels), got {type(validation_data).__name__}")
    others = check_texts(validation_data[0], "validation_data texts")
    return Inputs(texts, targets, weights, (others, read_targets(validation_data[1], len(others), VALIDATION)))


def join_inputs(own: Inputs, group: Group) -> Inputs | None:
    """Return what all processes are given, in process 0, in the order of one process that has it all; else None.

    Raises
    ------
    ValueError
        In every process, if the kinds of their labels differ, or some have no validation data.
    """
    if group.size == 1:
        return own
    group.check_same("the parameters", {"validation_data": own.held_out is not None})
    texts, targets = _join(own.texts, own.targets, "y", group)
    weights = np.array(group.join(own.weights.tolist()) or (), dtype=np.float64)
    held_out = None if own.held_out is None else _join(*own.held_out, VALIDATION, group)
    return None if group.rank else Inputs(texts, targets, weights, held_out)


def _join(texts: list[str], targets: Targets, argument: str, group: Group) -> tuple[list[str], Targets]:
    shares = group.gather((targets.kind, targets.columns, len(targets)))
    try:
        kind, columns = joint_kind(shares, argument)
    except ValueError as error:
        raise group.fail(error) from None
    return group.join(texts) or [], Targets(kind, group.join(targets.values) or [], columns)


@dataclass(frozen=True)
class LabelledTexts:
    """Texts to train on and then those of ``validation_data``, with labels as the network takes them.

    Attributes
    ----------
    kind, classes
        Of the labels; see :class:`textnn.data.targets.Targets`.
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


def make_corpus(kind: str, classes: Array, inputs: Inputs) -> LabelledTexts:
    """Put the texts that a fit is given together.

    Raises
    ------
    ValueError
        If there is validation data without texts or of another kind, or a label is none of the classes.
    """
    texts, targets, weights = inputs.texts, inputs.targets, inputs.weights
    codes = [targets.encode(classes, "y", weights > 0)]
    values = targets.sorted_values(classes)
    if inputs.held_out is not None:
        more_texts, more = inputs.held_out
        if not more_texts:
            raise ValueError("validation_data: expected at least one text, got none")
        check_kind(more, kind, VALIDATION)
        codes.append(more.encode(classes, VALIDATION))
        texts, values = texts + more_texts, values + more.sorted_values(classes)
        weights = np.concatenate([weights, np.ones(len(more_texts))])
    size, validation = len(inputs.texts), inputs.held_out is not None
    return LabelledTexts(
        kind, classes, texts, values, np.concatenate(codes), weights, text_keys(texts), size, validation
    )


def split_corpus(corpus: LabelledTexts, fraction: float, seed: int) -> Parts:
    """Return the rows to train on, in their order, and those that are held out: a part of them, or those given.

    Texts that do not count are in neither part. See :func:`textnn.data.splitting.split`.
    """
    counted = np.flatnonzero(corpus.weights[: corpus.size] > 0)
    if corpus.validation:
        return counted, np.arange(corpus.size, len(corpus.texts))
    training, held_out = split(corpus.codes[counted], corpus.keys[counted], fraction, seed)
    return counted[training], counted[held_out]


def warn_of_duplicates(corpus: LabelledTexts, training: Numbers, held_out: Numbers) -> None:
    """Warn of texts that are the same: twice in a part, in both parts, or with other labels."""
    _, inverse, counts = np.unique(
        corpus.keys[np.concatenate([training, held_out])], return_inverse=True, return_counts=True
    )
    if len(counts) == len(training) + len(held_out):
        return
    several = np.split(counts[inverse.reshape(-1)] > 1, [len(training)])
    found: list[Any] = []
    for rows, chosen in zip((training, held_out), several, strict=True):
        same = rows[chosen].tolist()
        found += [[corpus.texts[row] for row in same], [corpus.values[row] for row in same]]
    audit = replace(find_duplicates(*found), training=len(training), held_out=len(held_out))
    for message in audit.messages():
        warn(message)


def warn_of_labels(targets: Targets, weights: Array, classes: Array, whole: bool) -> None:
    """Warn of labels that look like a mistake, and of those with which no model can be saved.

    Parameters
    ----------
    targets, weights, classes
        The labels, how much their texts count, and their classes.
    whole
        Whether these are all the labels that there will be.
    """
    values = [targets.values[row] for row in np.flatnonzero(weights > 0)]
    names = Counter(itertools.chain.from_iterable(values) if targets.several else values)
    sizes = {len(labels) for labels in values} if targets.several else set[int]()
    for message in suspect_labels(names, targets.several, sizes=sizes, whole=whole):
        warn(message, LabelWarning)
    try:
        labels_to_json(classes)
    except ValueError as error:
        warn(f"{error}; this classifier predicts, but cannot be saved", LabelWarning)


def tell_of_texts(
    texts: list[str], streams: Sequence[Sequence[Sequence[str]]], limits: Sequence[int | None], reporter: Reporter
) -> None:
    """Say how many texts are longer than the network reads, and warn of those in which nothing can be seen.

    Parameters
    ----------
    texts, streams
        The texts, and their tokens in each form.
    limits
        How many tokens count in each form.
    """
    total = len(texts)
    for name, stream, limit in zip(("max_length", "max_characters"), streams, limits, strict=False):
        if limit is not None and (count := sum(len(tokens) > limit for tokens in stream)):
            what = f"{limit:,} {'tokens' if name == 'max_length' else 'characters'}"
            share = f"{count:,} of {total:,} texts ({count / total:.1%})"
            reporter.note(f"{share} have more than {what} and are cut ({name})")
    if blank := sum(map(is_blank, texts)):
        warn(f"texts: {blank:,} of {total:,} have nothing that can be seen")
    for message in suspect_texts(missing_words(texts), total):
        warn(message)


def check_vocabularies(vocabularies: Sequence[Sized], streams: Sequence[Sequence[Sequence[str]]]) -> None:
    """Refuse texts of which a network would see nothing at all.

    Parameters
    ----------
    vocabularies, streams
        Of the training texts in each form, and the tokens of all texts.

    Raises
    ------
    ValueError
        If there is no word in any vocabulary.
    """
    if all(len(vocabulary) <= 2 for vocabulary in vocabularies):
        if not any(map(len, itertools.chain.from_iterable(streams))):
            raise ValueError("X: expected at least one token, got none from any text")
        raise ValueError("min_count: expected words that occur so often, but none does; take a smaller one")


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
