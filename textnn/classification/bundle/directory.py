"""Saved classifiers: a directory of plain files (``textnn.bundle``).

model.safetensors    the weights
config.json          format version, architecture, options, tokenizer, figures of the training, sums of all files
labels.json          the classes, with their types
vocabulary.txt       one token a line, in the order of the ids
characters.txt       the same of characters, where the network reads them
user_dictionary.txt  of the tokenizer; may be empty
stop_words.txt       of the tokenizer; may be empty
tokenizer-...        the files of a segmenter, where that is the tokenizer
README.md            a card for people; nothing reads it
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from textnn.bundle.config import file_sums, get
from textnn.bundle.directory import config_of, read_bundle, write_bundle, write_weights
from textnn.bundle.files import (
    CARD,
    CHARACTERS,
    CONFIG,
    VOCABULARY,
    BundleError,
    Directory,
    reading,
    to_json,
)
from textnn.bundle.model import load_weights, read_facts, read_tokenizer, read_vocabulary, write_words
from textnn.bundle.tokenizer import Request, check_request
from textnn.classification.bundle.card import write_card
from textnn.classification.bundle.config import (
    FORMAT,
    LABELS,
    is_multilabel,
    stored_parameters,
    stored_prediction,
    write_classifier_config,
)
from textnn.classification.evaluation.calibration import Calibration
from textnn.classification.evaluation.judging import Report, report_from_counts
from textnn.classification.objectives import make_objective
from textnn.classification.state import State
from textnn.data.labels import labels_from_json, labels_to_json
from textnn.data.targets import LABEL
from textnn.models import build_model, resolve_options
from textnn.reading import parse_json
from textnn.text import CallableTokenizer, Tokenizer
from textnn.text.tokenizers import AUTO, ModelTokenizer


def save(
    state: State, parameters: Mapping[str, Any], path: str | os.PathLike[str], report: Report | None = None
) -> None:
    """Save a fitted classifier as a directory.

    Parameters
    ----------
    state, parameters
        The classifier.
    path
        The directory; see :func:`textnn.bundle.write_bundle`.
    report
        An evaluation to show in the model card.

    Raises
    ------
    BundleError
        If ``path`` exists and is not a textnn model, a label is of a type that cannot be stored, or writing fails.
    """
    write_bundle(path, FORMAT, lambda directory: _write(state, parameters, directory, report))


def load(
    path: str | os.PathLike[str], tokenizer: Request, device: str, names: Collection[str]
) -> tuple[State, dict[str, Any]]:
    """Load a saved classifier, with those of its parameters that are named; see :meth:`SentimentClassifier.load`.

    Raises
    ------
    BundleError, TypeError, ValueError
        As there.
    """
    check_request(tokenizer)
    return read_bundle(path, partial(_load, request=tokenizer, device=device, names=names))


def _load(directory: Directory, request: Request, device: str, names: Collection[str]) -> tuple[State, dict[str, Any]]:
    config = config_of(directory, FORMAT)
    with reading(directory.path / CONFIG):
        sums = file_sums(config, FORMAT)
    content = directory.read(LABELS, sums[LABELS])
    with reading(directory.path / LABELS):
        classes = labels_from_json(parse_json(content, constants=True), fewest=1 if is_multilabel(config) else 2)
    vocabularies = [read_vocabulary(directory, sums, name) for name in (VOCABULARY, CHARACTERS) if name in sums]
    made = read_tokenizer(directory, config, sums, request)
    with reading(directory.path / CONFIG):
        architecture = get(config, "architecture", str)
        options = resolve_options(architecture, get(config, "options", dict))
        parameters, training = _parameters(config, made, request, names), get(config, "training", dict)
        facts: dict[str, Any] = {
            **read_facts(config, n_texts="texts"),
            "validation_report": report_from_counts(classes.tolist(), training),
            "calibration": Calibration.from_dict(training.get("calibration")),
            **stored_prediction(config.get("prediction"), len(classes)),
        }
        objective = make_objective(options.get("output", "softmax"), facts["label_kind"] != LABEL, 0.0)
        # On the meta device a model has shapes but no memory.
        with torch.device("meta"):
            model = build_model(architecture, [*map(len, vocabularies)], objective.outputs(len(classes)), options)
    state = State(
        classes=classes,
        tokenizer=made,
        vocabulary=vocabularies[0],
        characters=vocabularies[1] if CHARACTERS in sums else None,
        model=load_weights(model, directory, sums, device),
        options=options,
        **facts,
    )
    return state, parameters


def _write(state: State, parameters: Mapping[str, Any], directory: Path, report: Report | None) -> None:
    try:
        labels = labels_to_json(state.classes)
    except ValueError as error:
        raise BundleError(f"{LABELS}: {error}") from error
    write_weights(state.model.state_dict(), directory)
    (directory / LABELS).write_bytes(to_json(labels))
    state.vocabulary.save(directory / VOCABULARY)
    if state.characters is not None:
        state.characters.save(directory / CHARACTERS)
    write_words(state.tokenizer, directory)
    config = write_classifier_config(state, parameters, directory)
    (directory / CARD).write_text(write_card(state, config, report), encoding="utf-8", errors="replace")


def _parameters(
    config: dict[str, Any], tokenizer: Tokenizer, request: Request, names: Collection[str]
) -> dict[str, Any]:
    """Return the arguments of the classifier that was saved."""
    parameters = stored_parameters(config, names)
    if isinstance(tokenizer, CallableTokenizer):
        return {**parameters, "tokenizer": tokenizer.function, "stop_words": tokenizer.stop_words or None}
    named = "tokenizer" in config["parameters"] and not isinstance(request, Tokenizer)
    if not named or isinstance(tokenizer, ModelTokenizer):
        return {**parameters, "tokenizer": tokenizer}
    # What a fit on other texts is to choose anew.
    name = AUTO if config["parameters"]["tokenizer"] == AUTO and request is None else tokenizer.name
    lists = {"user_dictionary": tokenizer.user_dictionary or None, "stop_words": tokenizer.stop_words or None}
    return {**parameters, "tokenizer": name, **lists}
