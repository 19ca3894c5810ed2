"""Saved models: a directory of plain files, written at once or not at all, checked before it is used.

    model.safetensors    the weights
    config.json          format version, architecture, options, tokenizer, figures of the training, sums of the files
    labels.json          the classes, with their types
    vocabulary.txt       one token a line, in the order of the ids
    user_dictionary.txt  of the tokenizer; may be empty
    stop_words.txt       of the tokenizer; may be empty
    README.md            a card for people; nothing reads it

    save: files -> hidden directory beside the target -> flushed to the disk -> exchanged with the target
    load: config.json -> sizes and sums of the other files -> shapes -> weights

There is no pickle and no code in it. Nothing is allocated by the word of a file: shapes follow from the options, which
are limited, and must be those of the tensors before these are read.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from textnn.card import write_card
from textnn.evaluation import EvaluationReport
from textnn.files import exchange, new_sibling, sync_directory, sync_file
from textnn.labels import labels_from_json, labels_to_json
from textnn.models import build_model, resolve_options
from textnn.text import CallableTokenizer, Tokenizer, Vocabulary, load_words, save_words, tokenizer_from_config

if TYPE_CHECKING:
    from textnn.classifier import SentimentClassifier

FORMAT = "textnn-model"
FORMAT_VERSION = 1

WEIGHTS, CONFIG, LABELS, VOCABULARY = "model.safetensors", "config.json", "labels.json", "vocabulary.txt"
USER_DICTIONARY, STOP_WORDS, CARD = "user_dictionary.txt", "stop_words.txt", "README.md"
# Their size and sum stand in config.json. The card may be edited.
_SUMMED = (WEIGHTS, LABELS, VOCABULARY, USER_DICTIONARY, STOP_WORDS)
_FILES = {*_SUMMED, CONFIG, CARD}
_MAX_CONFIG = 1 << 24

# Parameters of the classifier that are not stored as they are: files hold the lists, the others belong to a machine.
_NOT_STORED = {"tokenizer", "user_dictionary", "stop_words", "random_state", "device", "verbose"}


class BundleError(RuntimeError):
    """A model directory that cannot be written or read; the message names the file."""


def save(classifier: SentimentClassifier, path: str | os.PathLike[str], report: EvaluationReport | None = None) -> None:
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
    tokenizer: Callable[[str], list[str]] | None = None,
    device: str = "cpu",
    kind: type[SentimentClassifier] | None = None,
) -> SentimentClassifier:
    """Load a saved classifier.

    Parameters
    ----------
    path
        The directory.
    tokenizer
        The function that the model was trained with, if it was trained with one.
    device
        Where to use the model.
    kind
        The class to make; :class:`~textnn.SentimentClassifier` if None.

    Raises
    ------
    BundleError
        If the directory is none of textnn's, is damaged or of an unknown format version, or a function is needed or
        not wanted as ``tokenizer``.
    """
    if kind is None:
        from textnn.classifier import SentimentClassifier

        kind = SentimentClassifier
    directory = Path(path)
    config = read_config(directory)
    _check_sums(directory, config)
    with _reading(directory / LABELS):
        classes = labels_from_json(_parse(directory / LABELS))
    with _reading(directory / VOCABULARY):
        vocabulary = Vocabulary.load(directory / VOCABULARY)
    made = _make_tokenizer(directory, config, tokenizer)
    with _reading(directory / CONFIG):
        architecture = _get(config, "architecture", str)
        options = resolve_options(architecture, _get(config, "options", dict))
        training = _get(config, "training", dict)
        parameters = _parameters(kind, config, made)
        classifier = kind(**parameters, device=device)
        classifier.options_ = options
        classifier.seed_ = _get(training, "seed", int)
        classifier.n_texts_ = _get(training, "texts", int)
        classifier.best_epoch_ = _get(training, "best_epoch", int)
        classifier.history_ = _get(training, "history", list)
        confusion = training.get("validation_confusion")
        report = None if confusion is None else EvaluationReport.from_confusion(classes.tolist(), confusion)
        classifier.validation_report_ = report
        # On the meta device a model has shapes but no memory.
        with torch.device("meta"):
            model = build_model(architecture, len(vocabulary), len(classes), options)
    weights = _read_weights(directory / WEIGHTS, model.state_dict())
    model.load_state_dict(weights, assign=True)
    classifier.classes_, classifier.vocabulary_, classifier.tokenizer_ = classes, vocabulary, made
    classifier.model_ = model.to(device).eval()
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
    with _reading(file):
        if file.stat().st_size > _MAX_CONFIG:
            raise ValueError(f"expected at most {_MAX_CONFIG:,} bytes, got {file.stat().st_size:,}")
        config = _parse(file)
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
    with _reading(file):
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
        if foreign := sorted(names - _FILES):
            raise BundleError(
                f"{target}: the model there would be replaced, but with it {', '.join(foreign[:5])}, "
                "which textnn did not write; move it away or save elsewhere"
            )
    return target


def _write(classifier: SentimentClassifier, directory: Path, report: EvaluationReport | None) -> None:
    from safetensors.torch import save_file

    tokenizer = classifier.tokenizer_
    try:
        labels = labels_to_json(classifier.classes_)
    except ValueError as error:
        raise BundleError(f"{LABELS}: {error}") from error
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in classifier.model_.state_dict().items()}
    save_file(weights, directory / WEIGHTS, metadata={"format": "pt"})
    (directory / LABELS).write_bytes(_json(labels))
    classifier.vocabulary_.save(directory / VOCABULARY)
    save_words(tokenizer.user_dictionary, directory / USER_DICTIONARY)
    save_words(tokenizer.stop_words, directory / STOP_WORDS)
    config = _make_config(classifier)
    config["files"] = {name: _sum(directory / name) for name in _SUMMED}
    (directory / CONFIG).write_bytes(_json(config))
    (directory / CARD).write_text(write_card(classifier, config, report), encoding="utf-8", errors="replace")
    for name in _FILES:
        sync_file(directory / name)
    sync_directory(directory)


def _make_config(classifier: SentimentClassifier) -> dict[str, Any]:
    from textnn import __version__

    tokenizer = classifier.tokenizer_
    parameters = {name: value for name, value in classifier.get_params().items() if name not in _NOT_STORED}
    # A name is kept as a name; a tokenizer that the user made comes back as one, out of its own configuration.
    if isinstance(classifier.tokenizer, str):
        parameters["tokenizer"] = classifier.tokenizer
    report = classifier.validation_report_
    config: dict[str, Any] = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "textnn": __version__,
        "torch": torch.__version__,
        "architecture": classifier.model_.name,
        "options": classifier.options_,
        "parameters": parameters,
        "tokenizer": tokenizer.config(),
        "training": {
            "texts": classifier.n_texts_,
            "seed": classifier.seed_,
            "best_epoch": classifier.best_epoch_,
            "history": classifier.history_,
            "validation_confusion": None if report is None else report.confusion.tolist(),
        },
    }
    if isinstance(tokenizer, CallableTokenizer):
        config["note"] = "The tokenizer is a function, which is not stored: pass it to load(path, tokenizer=function)."
    return config


def _parameters(kind: type[SentimentClassifier], config: dict[str, Any], tokenizer: Tokenizer) -> dict[str, Any]:
    """Return the arguments of the classifier that was saved."""
    stored = _get(config, "parameters", dict)
    names = set(inspect.signature(kind).parameters) - _NOT_STORED
    parameters = {name: tuple(v) if isinstance(v, list) else v for name, v in stored.items() if name in names}
    if isinstance(tokenizer, CallableTokenizer):
        return {**parameters, "tokenizer": tokenizer.function, "stop_words": tokenizer.stop_words or None}
    if "tokenizer" not in stored:
        return {**parameters, "tokenizer": tokenizer}
    lists = {"user_dictionary": tokenizer.user_dictionary or None, "stop_words": tokenizer.stop_words or None}
    return {**parameters, "tokenizer": tokenizer.name, **lists}


def _make_tokenizer(directory: Path, config: dict[str, Any], function: Callable[[str], list[str]] | None) -> Tokenizer:
    with _reading(directory / USER_DICTIONARY):
        user_dictionary = load_words(directory / USER_DICTIONARY)
    with _reading(directory / STOP_WORDS):
        stop_words = load_words(directory / STOP_WORDS)
    with _reading(directory / CONFIG):
        stored = _get(config, "tokenizer", dict)
        if stored.get("kind") == CallableTokenizer.name:
            if function is None:
                raise ValueError(
                    f"the model was trained with the function {stored.get('function')} as its tokenizer, which is not "
                    "stored; load it with load(path, tokenizer=function)"
                )
            return CallableTokenizer(function, stop_words)
        if function is not None:
            raise ValueError(f"tokenizer: expected None, since the model holds its tokenizer, {stored.get('kind')!r}")
        tokenizer = tokenizer_from_config(stored, user_dictionary, stop_words)
        trained_with, installed = stored.get("version"), tokenizer.config().get("version")
    if trained_with != installed:
        warnings.warn(
            f"{directory}: trained with version {trained_with} of the tokenizer {tokenizer.name!r}, now used with "
            f"version {installed}; tokens may differ",
            stacklevel=4,
        )
    return tokenizer


def _read_weights(file: Path, expected: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a file, once their names, types and shapes are those expected."""
    from safetensors import SafetensorError, safe_open

    with _reading(file):
        try:
            with safe_open(file, framework="pt") as tensors:
                names = set(tensors.keys())
                if names != set(expected):
                    missing, foreign = sorted(set(expected) - names), sorted(names - set(expected))
                    raise ValueError(f"expected the tensors of this model; missing: {missing}, unknown: {foreign}")
                for name, tensor in expected.items():
                    shape = tensors.get_slice(name).get_shape()
                    if shape != list(tensor.shape):
                        raise ValueError(f"{name}: expected the shape {list(tensor.shape)}, got {shape}")
                # Copies: the file is mapped, and may change or shrink as long as the model lives.
                weights = {name: tensors.get_tensor(name).clone() for name in expected}
        except SafetensorError as error:
            raise ValueError(f"expected a safetensors file, got: {error}") from error
        for name, tensor in expected.items():
            if weights[name].dtype != tensor.dtype:
                raise ValueError(f"{name}: expected {tensor.dtype}, got {weights[name].dtype}")
    return weights


def _check_sums(directory: Path, config: dict[str, Any]) -> None:
    with _reading(directory / CONFIG):
        sums = _get(config, "files", dict)
    for name in _SUMMED:
        file = directory / name
        if not file.is_file():
            raise BundleError(f"{file}: the file is missing; the model is not complete")
        with _reading(file):
            stored = sums.get(name)
            if not isinstance(stored, dict):
                raise ValueError(f"{CONFIG} does not list this file")
            size = file.stat().st_size
            if size != stored.get("bytes"):
                raise ValueError(
                    f"expected {stored.get('bytes')} bytes, got {size}; the file is damaged or was changed"
                )
            if _sum(file) != stored:
                raise ValueError("expected other content (SHA-256 differs); the file is damaged or was changed")


def _sum(file: Path) -> dict[str, Any]:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return {"bytes": file.stat().st_size, "sha256": digest.hexdigest()}


def _json(value: Any) -> bytes:
    def plain(other: Any) -> Any:
        # Parameters may be numpy's numbers and arrays.
        return other.tolist() if hasattr(other, "tolist") else str(other)

    try:
        return (json.dumps(value, indent=2, ensure_ascii=False, default=plain) + "\n").encode("utf-8")
    except UnicodeEncodeError:
        # Half a surrogate pair in a label has no UTF-8, but an escape.
        return (json.dumps(value, indent=2, default=plain) + "\n").encode("ascii")


def _parse(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes().decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"expected JSON, got: {error}; the file is damaged") from error


def _get(config: dict[str, Any], key: str, kind: type) -> Any:
    value = config.get(key)
    if not isinstance(value, kind):
        found = "nothing" if key not in config else type(value).__name__
        raise ValueError(f"expected {key!r} to be of the type {kind.__name__}, got {found}")
    return value


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    """Turn what goes wrong with a file into an error that names it."""
    try:
        yield
    except BundleError:
        raise
    except (ValueError, TypeError, KeyError, OSError, OverflowError) as error:
        message = str(error)
        raise BundleError(message if message.startswith(f"{file}") else f"{file}: {message}") from error
