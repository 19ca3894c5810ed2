"""Saved models: a directory of plain files, written at once or not at all, checked before it is used.

    model.safetensors    the weights
    config.json          format version, architecture, options, tokenizer, figures of the training, sums of the files
    labels.json          the classes, with their types
    vocabulary.txt       one token a line, in the order of the ids
    characters.txt       the same of characters, where the network reads them
    user_dictionary.txt  of the tokenizer; may be empty
    stop_words.txt       of the tokenizer; may be empty
    README.md            a card for people; nothing reads it

    save: files -> hidden directory beside the target -> flushed to the disk -> exchanged with the target
    load: config.json -> sizes and sums of the other files -> shapes -> weights

There is no pickle and no code in it. Nothing is allocated by the word of a file: shapes follow from the options, which
are limited, and must be those of the tensors before these are read.
"""

from __future__ import annotations

import inspect
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from textnn.bundle.card import write_card
from textnn.bundle.files import (
    CARD,
    CHARACTERS,
    CONFIG,
    FILES,
    LABELS,
    STOP_WORDS,
    USER_DICTIONARY,
    VOCABULARY,
    WEIGHTS,
    BundleError,
    check_sums,
    file_sum,
    get,
    parse_json,
    read_weights,
    reading,
    to_json,
)
from textnn.bundle.tokenizer import Request, check_request, load_tokenizer
from textnn.data.labels import labels_from_json, labels_to_json
from textnn.evaluation.calibration import Calibration
from textnn.evaluation.judging import Report, report_counts, report_from_counts
from textnn.files import exchange, new_sibling, sync_directory, sync_file
from textnn.fitted import is_multilabel, prediction_config, restore_prediction
from textnn.models import build_model, resolve_options
from textnn.text import CallableTokenizer, Tokenizer, Vocabulary, save_words

if TYPE_CHECKING:
    from textnn.classifier import SentimentClassifier

FORMAT = "textnn-model"
FORMAT_VERSION = 1

_MAX_CONFIG = 1 << 24

# Parameters of the classifier that are not stored as they are: files hold the lists, the others belong to a machine.
_NOT_STORED = {"tokenizer", "user_dictionary", "stop_words", "random_state", "device", "verbose"}


def save(classifier: SentimentClassifier, path: str | os.PathLike[str], report: Report | None = None) -> None:
    """Save a fitted classifier as a directory.

    Parameters
    ----------
    classifier
        A fitted classifier.
    path
        The directory; its parents are made. An existing model is replaced in one step: whoever reads the directory
        finds the old model or the new one, also after a crash.
    report
        An evaluation to show in the model card.

    Raises
    ------
    BundleError
        If ``path`` exists and is not a textnn model, a label is of a type that cannot be stored, or writing fails.
    """
    target = check_target(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = new_sibling(target)
        try:
            _write(classifier, temporary, report)
            exchange(temporary, target)
        finally:
            # The half-written model after an error, the replaced one otherwise.
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise BundleError(f"{target}: cannot be written: {error.strerror or error}") from error


def load(
    path: str | os.PathLike[str],
    tokenizer: Request = None,
    device: str = "cpu",
    kind: type[SentimentClassifier] | None = None,
) -> SentimentClassifier:
    """Load a saved classifier.

    Parameters
    ----------
    path
        The directory.
    tokenizer
        None: that of the training, which must be installed in the same version. A name (``"rjieba"``), a function or a
        Tokenizer is used in its place, with a warning if it is not the same. A name takes over the model's options,
        user dictionary and stop words. A model that was trained with a function needs it here.
    device
        Where to use the model.
    kind
        The class to make; :class:`~textnn.SentimentClassifier` if None.

    Raises
    ------
    BundleError
        If the directory is none of textnn's, is damaged or of an unknown format version, or the tokenizer of the
        training is not here and none is given.
    TypeError, ValueError
        If ``tokenizer`` is nothing of that kind, or its library is not installed.
    """
    check_request(tokenizer)
    if kind is None:
        from textnn.classifier import SentimentClassifier

        kind = SentimentClassifier
    directory = Path(path)
    config = read_config(directory)
    check_sums(directory, config)
    with reading(directory / LABELS):
        classes = labels_from_json(parse_json(directory / LABELS), fewest=1 if is_multilabel(config) else 2)
    with reading(directory / VOCABULARY):
        vocabulary = Vocabulary.load(directory / VOCABULARY)
    characters = None
    if CHARACTERS in config["files"]:
        with reading(directory / CHARACTERS):
            characters = Vocabulary.load(directory / CHARACTERS)
    made = load_tokenizer(directory, config, tokenizer)
    with reading(directory / CONFIG):
        architecture = get(config, "architecture", str)
        options = resolve_options(architecture, get(config, "options", dict))
        training = get(config, "training", dict)
        parameters = _parameters(kind, config, made, by_name=not isinstance(tokenizer, Tokenizer))
        classifier = kind(**parameters, device=device)
        classifier.options_ = options
        classifier.seed_ = get(training, "seed", int)
        classifier.n_texts_ = get(training, "texts", int)
        classifier.best_epoch_ = get(training, "best_epoch", int)
        classifier.history_ = get(training, "history", list)
        classifier.validation_report_ = report_from_counts(classes.tolist(), training)
        classifier.calibration_ = Calibration.from_dict(training.get("calibration"))
        restore_prediction(classifier, config.get("prediction"), len(classes))
        # On the meta device a model has shapes but no memory.
        vocabularies = [words for words in (vocabulary, characters) if words is not None]
        with torch.device("meta"):
            outputs = classifier.objective.outputs(len(classes))
            model = build_model(architecture, [*map(len, vocabularies)], outputs, options)
    weights = read_weights(directory / WEIGHTS, model.state_dict())
    model.load_state_dict(weights, assign=True)
    classifier.classes_, classifier.tokenizer_ = classes, made
    classifier.vocabulary_, classifier.characters_ = vocabulary, characters
    classifier.model_ = model.to(device).eval()
    classifier._get_ready()
    return classifier


def read_config(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return a model's ``config.json``, without looking at the other files.

    Raises
    ------
    BundleError
        If there is none, it is damaged, or it is of another program or format version.
    """
    directory = Path(path)
    if not directory.is_dir():
        found = "a file" if directory.exists() else "nothing of this name"
        raise BundleError(f"{directory}: expected the directory of a textnn model, got {found}")
    file = directory / CONFIG
    if not file.is_file():
        raise BundleError(f"{file}: the file is missing, so this is not the directory of a textnn model")
    with reading(file):
        if file.stat().st_size > _MAX_CONFIG:
            raise ValueError(f"expected at most {_MAX_CONFIG:,} bytes, got {file.stat().st_size:,}")
        config = parse_json(file)
        if not isinstance(config, dict) or config.get("format") != FORMAT:
            raise ValueError(f"expected the configuration of a textnn model ('format': {FORMAT!r}), got another file")
        version = config.get("format_version")
        if version != FORMAT_VERSION:
            raise ValueError(
                f"the model has the format version {version!r}, this textnn reads version {FORMAT_VERSION}; "
                "use the textnn that wrote it, or a newer one"
            )
    return config


def read_card(path: str | os.PathLike[str]) -> str:
    """Return a model's card, without control characters, which could rewrite a terminal.

    Raises
    ------
    BundleError
        If the directory is no textnn model, or the card is missing or no text.
    """
    read_config(path)
    file = Path(path) / CARD
    if not file.is_file():
        raise BundleError(f"{file}: the file is missing")
    with reading(file):
        if file.stat().st_size > _MAX_CONFIG:
            raise ValueError(f"expected at most {_MAX_CONFIG:,} bytes, got {file.stat().st_size:,}")
        text = file.read_text(encoding="utf-8")
    return "".join(character for character in text if character in "\n\t" or character.isprintable())


def check_target(path: str | os.PathLike[str]) -> Path:
    """Return the directory that a model may be saved as, links resolved.

    Raises
    ------
    BundleError
        If something is there that a model must not replace.
    """
    target = Path(os.path.realpath(path))
    try:
        if not target.is_dir():
            if target.exists():
                raise BundleError(f"{target}: expected a directory to save the model as, got a file")
            parent = next(folder for folder in target.parents if folder.exists())
            if not parent.is_dir() or not os.access(parent, os.W_OK):
                raise BundleError(f"{target}: expected a place where a directory can be made, but {parent} is none")
            return target
        names = {entry.name for entry in target.iterdir()}
    except OSError as error:
        raise BundleError(f"{target}: cannot be read: {error.strerror or error}") from error
    if names and CONFIG not in names:
        raise BundleError(f"{target}: expected an empty directory or a textnn model to replace, got other files")
    if names:
        read_config(target)
        if foreign := sorted(names - FILES):
            raise BundleError(
                f"{target}: the model there would be replaced, but with it {', '.join(foreign[:5])}, "
                "which textnn did not write; move it away or save elsewhere"
            )
    return target


def _write(classifier: SentimentClassifier, directory: Path, report: Report | None) -> None:
    from safetensors.torch import save_file

    tokenizer = classifier.tokenizer_
    try:
        labels = labels_to_json(classifier.classes_)
    except ValueError as error:
        raise BundleError(f"{LABELS}: {error}") from error
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in classifier.model_.state_dict().items()}
    save_file(weights, directory / WEIGHTS, metadata={"format": "pt"})
    (directory / LABELS).write_bytes(to_json(labels))
    shutil.copymode(directory / LABELS, directory / WEIGHTS)  # safetensors leaves it to its owner alone
    classifier.vocabulary_.save(directory / VOCABULARY)
    if classifier.characters_ is not None:
        classifier.characters_.save(directory / CHARACTERS)
    save_words(tokenizer.user_dictionary, directory / USER_DICTIONARY)
    save_words(tokenizer.stop_words, directory / STOP_WORDS)
    config = _make_config(classifier)
    config["files"] = {file.name: file_sum(file) for file in sorted(directory.iterdir())}
    (directory / CONFIG).write_bytes(to_json(config))
    (directory / CARD).write_text(write_card(classifier, config, report), encoding="utf-8", errors="replace")
    for file in directory.iterdir():
        sync_file(file)
    sync_directory(directory)


def _make_config(classifier: SentimentClassifier) -> dict[str, Any]:
    from textnn import __version__

    tokenizer = classifier.tokenizer_
    parameters = {name: value for name, value in classifier.get_params().items() if name not in _NOT_STORED}
    # A name is kept as a name; a tokenizer that the user made comes back as one, out of its own configuration.
    if isinstance(classifier.tokenizer, str):
        parameters["tokenizer"] = classifier.tokenizer
    config: dict[str, Any] = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "textnn": __version__,
        "torch": torch.__version__,
        "architecture": classifier.model_.name,
        "options": classifier.options_,
        "parameters": parameters,
        "tokenizer": tokenizer.config(),
        "prediction": prediction_config(classifier),
        "training": {
            "texts": classifier.n_texts_,
            "seed": classifier.seed_,
            "best_epoch": classifier.best_epoch_,
            "history": classifier.history_,
            **report_counts(classifier.validation_report_),
            "calibration": None if classifier.calibration_ is None else asdict(classifier.calibration_),
        },
    }
    if isinstance(tokenizer, CallableTokenizer):
        config["note"] = "The tokenizer is a function, which is not stored: pass it to load(path, tokenizer=function)."
    return config


def _parameters(
    kind: type[SentimentClassifier], config: dict[str, Any], tokenizer: Tokenizer, by_name: bool
) -> dict[str, Any]:
    """Return the arguments of the classifier that was saved."""
    stored = get(config, "parameters", dict)
    names = set(inspect.signature(kind).parameters) - _NOT_STORED
    parameters = {name: tuple(v) if isinstance(v, list) else v for name, v in stored.items() if name in names}
    if isinstance(tokenizer, CallableTokenizer):
        return {**parameters, "tokenizer": tokenizer.function, "stop_words": tokenizer.stop_words or None}
    if "tokenizer" not in stored or not by_name:
        return {**parameters, "tokenizer": tokenizer}
    lists = {"user_dictionary": tokenizer.user_dictionary or None, "stop_words": tokenizer.stop_words or None}
    return {**parameters, "tokenizer": tokenizer.name, **lists}
