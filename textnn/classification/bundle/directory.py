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
    STOP_WORDS,
    USER_DICTIONARY,
    VOCABULARY,
    WEIGHTS,
    BundleError,
    Directory,
    file_sum,
    reading,
    to_json,
)
from textnn.bundle.tokenizer import Request, check_request, load_tokenizer, write_tokenizer
from textnn.classification.bundle.card import write_card
from textnn.classification.bundle.config import (
    FORMAT,
    LABELS,
    is_multilabel,
    make_config,
    stored_parameters,
    stored_prediction,
)
from textnn.classification.evaluation.calibration import Calibration
from textnn.classification.evaluation.judging import Report, report_from_counts
from textnn.classification.objectives import make_objective
from textnn.classification.state import State
from textnn.data.labels import labels_from_json, labels_to_json
from textnn.data.targets import LABEL
from textnn.models import build_model, resolve_options
from textnn.reading import parse_json
from textnn.text import CallableTokenizer, Tokenizer, Vocabulary, parse_words, save_words
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
    classes_file, vocabulary_file = directory.read(LABELS, sums[LABELS]), directory.read(VOCABULARY, sums[VOCABULARY])
    with reading(directory.path / LABELS):
        classes = labels_from_json(parse_json(classes_file, constants=True), fewest=1 if is_multilabel(config) else 2)
    vocabularies = [_vocabulary(directory.path / VOCABULARY, vocabulary_file)]
    if CHARACTERS in sums:
        characters_file = directory.read(CHARACTERS, sums[CHARACTERS])
        vocabularies.append(_vocabulary(directory.path / CHARACTERS, characters_file))
    words = {}
    for name in (USER_DICTIONARY, STOP_WORDS):
        content = directory.read(name, sums[name])
        with reading(directory.path / name):
            words[name] = parse_words(content, directory.path / name)
    made = load_tokenizer(directory, config, sums, words[USER_DICTIONARY], words[STOP_WORDS], request)
    with reading(directory.path / CONFIG):
        architecture = get(config, "architecture", str)
        options = resolve_options(architecture, get(config, "options", dict))
        training = get(config, "training", dict)
        parameters = _parameters(config, made, request, names)
        facts: dict[str, Any] = {
            "seed": get(training, "seed", int),
            "n_texts": get(training, "texts", int),
            "best_epoch": get(training, "best_epoch", int),
            "history": get(training, "history", list),
            "validation_report": report_from_counts(classes.tolist(), training),
            "calibration": Calibration.from_dict(training.get("calibration")),
            **stored_prediction(config.get("prediction"), len(classes)),
        }
        if not all(isinstance(epoch, dict) for epoch in facts["history"]):
            raise ValueError("expected 'history' to be a list of objects, one an epoch")
        objective = make_objective(options.get("output", "softmax"), facts["label_kind"] != LABEL, 0.0)
        # On the meta device a model has shapes but no memory.
        with torch.device("meta"):
            model = build_model(architecture, [*map(len, vocabularies)], objective.outputs(len(classes)), options)
    weights = directory.read_weights(model.state_dict(), sums[WEIGHTS])
    model.load_state_dict(weights, assign=True)
    state = State(
        classes=classes,
        tokenizer=made,
        vocabulary=vocabularies[0],
        characters=vocabularies[1] if CHARACTERS in sums else None,
        model=model.to(device).eval(),
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
    save_words(state.tokenizer.user_dictionary, directory / USER_DICTIONARY)
    save_words(state.tokenizer.stop_words, directory / STOP_WORDS)
    write_tokenizer(state.tokenizer, directory)
    config = make_config(state, parameters, {file.name: file_sum(file) for file in sorted(directory.iterdir())})
    (directory / CONFIG).write_bytes(to_json(config))
    (directory / CARD).write_text(write_card(state, config, report), encoding="utf-8", errors="replace")


def _vocabulary(file: Path, content: bytes) -> Vocabulary:
    with reading(file):
        return Vocabulary.parse(content, file)


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
