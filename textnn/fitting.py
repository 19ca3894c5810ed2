"""Fitting a classifier: from raw texts and labels to everything that a fitted classifier has.

    texts -> tokens -> vocabulary -> ids -> split -> model trained -> Fitted

In a group of processes each begins with a share of the texts and tokenizes it; only small things go between them:

    labels -> classes, codes of all texts -> the same split everywhere
    counts of the tokens of each share    -> the vocabulary
    ids of each share                     -> the ids of all texts, in the order of one process that has them all
    probabilities, texts of the errors    -> the report on the validation part

Alone a process is a group of one.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from textnn.distributed import Group, Numbers, joint_numbers
from textnn.evaluation import EvaluationReport
from textnn.inputs import check_device, check_texts, check_validation, make_seed
from textnn.labels import check_labels, encode_labels, find_classes
from textnn.models import TextModel, build_model, resolve_options
from textnn.progress import make_reporter
from textnn.text import (
    RaggedDataset,
    TokenCounts,
    Tokenizer,
    Vocabulary,
    encode_tokens,
    make_tokenizer,
    tokenize,
)
from textnn.training import Trained, TrainingOptions, predict_logits, seeded, set_seed, stratified_split, train

if TYPE_CHECKING:
    from textnn.classifier import SentimentClassifier

Array = np.ndarray[Any, np.dtype[Any]]

# The parameters that are options of an architecture; None is the architecture's own default.
OPTIONS = (
    "min_count",
    "max_vocabulary",
    "max_length",
    "embedding_dim",
    "hidden_size",
    "num_layers",
    "channels",
    "kernel_sizes",
    "dropout",
    "word_dropout",
    "epochs",
    "batch_size",
    "learning_rate",
    "weight_decay",
    "label_smoothing",
    "validation_fraction",
    "patience",
)


@dataclass(frozen=True)
class Fitted:
    """What a fit came to; the same in all processes of a group."""

    classes: Array
    tokenizer: Tokenizer
    vocabulary: Vocabulary
    model: TextModel
    options: dict[str, Any]
    seed: int
    n_texts: int
    trained: Trained
    report: EvaluationReport | None


@dataclass(frozen=True)
class Part:
    """The texts to train on, or those that are held out.

    Attributes
    ----------
    rows
        This process's texts of the part, as positions in its share.
    places
        For each process the places of its texts within the part, rising: ``places[rank][i]`` is that of ``rows[i]``.
    """

    rows: list[int]
    places: list[Numbers]

    def __len__(self) -> int:
        return sum(len(places) for places in self.places)


def fit(
    classifier: SentimentClassifier,
    texts: Iterable[str],
    labels: Iterable[Hashable],
    validation_data: tuple[Iterable[str], Iterable[Hashable]] | None,
    group: Group,
) -> Fitted:
    """Train by the parameters of a classifier, which stays as it is; see :meth:`SentimentClassifier.fit`.

    Parameters
    ----------
    classifier
        Its parameters are used.
    texts, labels, validation_data
        In a group of processes the share of this one.
    group
        The processes that train together.
    """
    with group.together():
        options = resolve_options(classifier.architecture, {name: getattr(classifier, name) for name in OPTIONS})
        device = check_device(classifier.device)
        seed = make_seed(classifier.random_state)
        texts = check_texts(texts)
        values = check_labels(labels, len(texts))
    names = group.gather(list(dict.fromkeys(values)))
    with group.together():
        classes = find_classes(list(itertools.chain.from_iterable(names)))
        codes = encode_labels(values, classes)
        more_texts, more_labels = _check_validation(validation_data, group)
        more_codes = encode_labels(more_labels, classes, "validation_data labels")
        tokenizer = make_tokenizer(classifier.tokenizer, classifier.user_dictionary, classifier.stop_words)
        settings = {"architecture": classifier.architecture, "validation_data": validation_data is not None, **options}
        words = repr((tokenizer.stop_words, tokenizer.user_dictionary)).encode("utf-8", "surrogatepass")
        settings |= {"tokenizer": tokenizer.config(), "checksum of its words": zlib.crc32(words)}
    group.check_same("the parameters", settings)
    seed = group.first(seed)
    if validation_data is None:
        training, held_out = _split(codes, options["validation_fraction"], seed, group)
    else:
        training, held_out = _whole(len(codes), 0, group), _whole(len(more_codes), len(codes), group)
        if not held_out:
            raise group.fail(ValueError("validation_data: expected at least one text, got none"))
    texts, codes = texts + more_texts, codes + more_codes

    reporter = make_reporter(classifier.verbose if group.rank == 0 else 0)
    with reporter.tokenizing(len(texts)) as progress, group.together():
        tokens = list(tokenize(texts, tokenizer, progress))
    vocabulary = _make_vocabulary(tokens, training, options, group)
    data, validation = (
        _encode(tokens, codes, part, vocabulary, options["max_length"], group) for part in (training, held_out)
    )
    del tokens
    with seeded(seed, device):
        model = build_model(classifier.architecture, len(vocabulary), len(classes), options).to(device)
        group.share_weights(model)
        if group.rank:  # other dropout in each part of a batch
            set_seed(seed + group.rank, device)
        generator = torch.Generator().manual_seed(seed)
        trained = train(model, data, TrainingOptions.of(options), generator, validation, reporter, device, group)
    report = _report(model, validation, texts, held_out, classes, device, group) if held_out else None
    return Fitted(classes, tokenizer, vocabulary, model, options, seed, len(training), trained, report)


def _check_validation(
    validation_data: tuple[Iterable[str], Iterable[Hashable]] | None, group: Group
) -> tuple[list[str], list[Hashable]]:
    if validation_data is None:
        return [], []
    if group.size > 1 and isinstance(validation_data, tuple | list) and len(validation_data) == 2:
        # A share may be empty.
        texts = check_texts(validation_data[0], "validation_data texts")
        return texts, check_labels(validation_data[1], len(texts), "validation_data labels")
    return check_validation(validation_data)


def _whole(size: int, start: int, group: Group) -> Part:
    """The part that has all texts of each share, from a position in the share on."""
    sizes = group.gather(size)
    return Part(list(range(start, start + size)), [joint_numbers(sizes, rank) for rank in range(group.size)])


def _split(codes: Sequence[int], fraction: float, seed: int, group: Group) -> tuple[Part, Part]:
    """Split the texts of all processes into those to train on, in their order, and those that are held out."""
    shares = group.gather(np.asarray(codes, dtype=np.int64))
    sizes = [len(share) for share in shares]
    numbers = [joint_numbers(sizes, rank) for rank in range(group.size)]
    joint = np.empty(sum(sizes), dtype=np.int64)
    for number, share in zip(numbers, shares, strict=True):
        joint[number] = share
    training, held_out = stratified_split(joint.tolist(), fraction, seed)
    return _part(sorted(training), numbers, group.rank), _part(held_out, numbers, group.rank)


def _part(chosen: Sequence[int], numbers: Sequence[Numbers], rank: int) -> Part:
    """The part with the texts of these numbers among all, in this order."""
    place = np.full(sum(map(len, numbers)), -1)
    place[list(chosen)] = np.arange(len(chosen))
    rows, places = [], []
    for number in numbers:
        there = np.flatnonzero(place[number] >= 0)
        there = there[np.argsort(place[number[there]])]
        rows.append(there.tolist())
        places.append(place[number[there]])
    return Part(rows[rank], places)


def _make_vocabulary(tokens: Sequence[list[str]], training: Part, options: dict[str, Any], group: Group) -> Vocabulary:
    """Count the tokens of each share; process 0 makes the vocabulary for all."""
    counts = TokenCounts()
    for row, place in zip(training.rows, training.places[group.rank].tolist(), strict=True):
        counts.add(place, tokens[row])
    parts = group.collect(counts)
    vocabulary = None
    if parts is not None:
        vocabulary = Vocabulary.from_counts(TokenCounts.joint(parts), options["min_count"], options["max_vocabulary"])
    vocabulary = group.first(vocabulary)
    assert vocabulary is not None
    return vocabulary


def _encode(
    tokens: Sequence[list[str]],
    codes: Sequence[int],
    part: Part,
    vocabulary: Vocabulary,
    max_length: int | None,
    group: Group,
) -> RaggedDataset:
    """Return the ids of all texts of the part, those of the other processes included."""
    own = encode_tokens((tokens[row] for row in part.rows), vocabulary, max_length, [codes[row] for row in part.rows])
    if group.size == 1:
        return own
    return RaggedDataset.joint(group.gather(own), [torch.from_numpy(places) for places in part.places])


def _report(
    model: TextModel,
    validation: RaggedDataset,
    texts: Sequence[str],
    held_out: Part,
    classes: Array,
    device: torch.device,
    group: Group,
) -> EvaluationReport:
    assert validation.labels is not None
    codes = validation.labels.tolist()
    probabilities = softmax(predict_logits(model, validation, device=device, group=group))
    wrong = probabilities.argmax(axis=1) != np.asarray(codes)
    # Only the texts of errors are shown, so only they go from one process to the others.
    own = zip(held_out.places[group.rank].tolist(), held_out.rows, strict=True)
    shown: dict[int, str] = {}
    for found in group.gather({place: texts[row] for place, row in own if wrong[place]}):
        shown.update(found)
    labels = classes.tolist()
    return EvaluationReport.from_predictions(
        labels, [labels[code] for code in codes], probabilities, [shown.get(row, "") for row in range(len(codes))]
    )


def softmax(logits: torch.Tensor) -> Array:
    """Return probabilities in double precision, so that rows sum to 1 to the last digit that anyone prints."""
    return torch.softmax(logits.double(), dim=1).numpy()
