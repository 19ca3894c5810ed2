"""Saved models: a directory of plain files, written at once or not at all, checked before it is used.

    model.safetensors    the weights
    config.json          format version, architecture, options, tokenizer, figures of the training, sums of all files
    labels.json          the classes, with their types
    vocabulary.txt       one token a line, in the order of the ids
    characters.txt       the same of characters, where the network reads them
    user_dictionary.txt  of the tokenizer; may be empty
    stop_words.txt       of the tokenizer; may be empty
    README.md            a card for people; nothing reads it

    save: files -> hidden directory beside the target -> flushed to the disk -> exchanged with the target; or within
          the target, where it is a mount point, and then file by file (``textnn.files``)
    load: config.json and its own sum -> each file once, with size and sum -> shapes -> weights

There is no pickle and no code in it. Nothing is allocated by the word of a file: shapes follow from the options, which
are limited, and must be those of the tensors before these are read. docs/safety.md lists all that is refused.
"""

from __future__ import annotations

import inspect
import os
import shutil
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError

from textnn.bundle.card import write_card
from textnn.bundle.config import (
    NOT_STORED,
    file_sums,
    get,
    make_config,
    parse_config,
    stored_parameters,
)
from textnn.bundle.files import (
    CARD,
    CHARACTERS,
    CONFIG,
    FILES,
    LABELS,
    LARGEST,
    STOP_WORDS,
    USER_DICTIONARY,
    VOCABULARY,
    WEIGHTS,
    BundleError,
    Directory,
    file_sum,
    opened,
    reading,
    to_json,
)
from textnn.bundle.tokenizer import Request, check_request, load_tokenizer
from textnn.data.labels import labels_from_json, labels_to_json
from textnn.evaluation.calibration import Calibration
from textnn.evaluation.judging import Report, report_from_counts
from textnn.files import (
    CHECKPOINT,
    READY,
    finish_replacing,
    foreign_names,
    must_stay,
    replacing,
    sync_directory,
    sync_file,
)
from textnn.fitted import is_multilabel, restore_prediction
from textnn.models import build_model, resolve_options
from textnn.reading import escape_controls, parse_json
from textnn.text import CallableTokenizer, Tokenizer, Vocabulary, parse_words, save_words
from textnn.text.tokenizers import AUTO

if TYPE_CHECKING:
    from textnn.classifier import SentimentClassifier

_ATTEMPTS = 3  # at reading a model that is replaced meanwhile


def save(classifier: SentimentClassifier, path: str | os.PathLike[str], report: Report | None = None) -> None:
    """Save a fitted classifier as a directory.

    Parameters
    ----------
    classifier
        A fitted classifier.
    path
        The directory; its parents are made. An existing model is replaced in one step: whoever reads the directory
        finds the old model or the new one, also after a crash. Files of others that come into it meanwhile are kept
        beside it, with a warning. In a mount point, such as a container's volume, each file is replaced for itself,
        after all of the new model are whole; if the process is killed meanwhile, :func:`load` reads the new model from
        a directory within, with a warning, and the next one to save or train finishes the replacement.
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
        with replacing(target, FILES) as directory:
            _write(classifier, directory, report)
    except (OSError, SafetensorError) as error:
        raise BundleError(f"{target}: cannot be written: {getattr(error, 'strerror', None) or error}") from error


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

    Warns
    -----
    UserWarning
        If the process that was replacing the model in a mount point was killed; the new model is read, nothing written.
    """
    check_request(tokenizer)
    if kind is None:
        from textnn.classifier import SentimentClassifier

        kind = SentimentClassifier
    for attempt in range(_ATTEMPTS):
        with opened(path) as directory:
            try:
                return _load(directory, tokenizer, device, kind)
            except BundleError:
                # A model that takes the place of the one that is being read takes its files away.
                if attempt < _ATTEMPTS - 1 and directory.is_replaced():
                    continue
                ready = Path(path, READY)
                if not ready.is_dir():
                    raise
        with opened(ready) as directory:
            classifier = _load(directory, tokenizer, device, kind)
        warnings.warn(
            f"{path}: the process that was replacing this model was ended; the new one is read from {READY} in it. "
            "Saving or training a model there puts it into its place first",
            UserWarning,
            stacklevel=3,
        )
        return classifier
    raise AssertionError  # the last attempt returns or raises


def _load(directory: Directory, request: Request, device: str, kind: type[SentimentClassifier]) -> SentimentClassifier:
    config = _read_config(directory)
    with reading(directory.path / CONFIG):
        sums = file_sums(config)
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
    made = load_tokenizer(directory.path, config, words[USER_DICTIONARY], words[STOP_WORDS], request)
    with reading(directory.path / CONFIG):
        architecture = get(config, "architecture", str)
        options = resolve_options(architecture, get(config, "options", dict))
        training = get(config, "training", dict)
        parameters = _parameters(kind, config, made, request)
        classifier = kind(**parameters, device=device)
        classifier.options_ = options
        classifier.seed_ = get(training, "seed", int)
        classifier.n_texts_ = get(training, "texts", int)
        classifier.best_epoch_ = get(training, "best_epoch", int)
        classifier.history_ = get(training, "history", list)
        if not all(isinstance(epoch, dict) for epoch in classifier.history_):
            raise ValueError("expected 'history' to be a list of objects, one an epoch")
        classifier.validation_report_ = report_from_counts(classes.tolist(), training)
        classifier.calibration_ = Calibration.from_dict(training.get("calibration"))
        restore_prediction(classifier, config.get("prediction"), len(classes))
        # On the meta device a model has shapes but no memory.
        with torch.device("meta"):
            outputs = classifier.objective.outputs(len(classes))
            model = build_model(architecture, [*map(len, vocabularies)], outputs, options)
    weights = directory.read_weights(model.state_dict(), sums[WEIGHTS])
    model.load_state_dict(weights, assign=True)
    classifier.classes_, classifier.tokenizer_ = classes, made
    classifier.vocabulary_ = vocabularies[0]
    classifier.characters_ = vocabularies[1] if CHARACTERS in sums else None
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
    with opened(path) as directory:
        return _read_config(directory)


def read_card(path: str | os.PathLike[str]) -> str:
    """Return a model's card, with escapes in place of control characters, which could rewrite a terminal.

    Raises
    ------
    BundleError
        If the directory is no textnn model, or the card is missing or no text.
    """
    with opened(path) as directory:
        _read_config(directory)
        content = directory.read(CARD)
        with reading(directory.path / CARD):
            return escape_controls(content.decode("utf-8"))


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
        if os.access(target, os.W_OK):
            finish_replacing(target, FILES)
        foreign = foreign_names(target, FILES)
        names = {*foreign, *(entry.name for entry in target.iterdir() if entry.name in FILES)}
        if must_stay(target) and not os.access(target, os.W_OK):
            raise BundleError(f"{target}: expected a directory that can be written to")
    except OSError as error:
        raise BundleError(f"{target}: cannot be read: {error.strerror or error}") from error
    if names and CONFIG not in names:
        raise BundleError(f"{target}: expected an empty directory or a textnn model to replace, got other files")
    if names:
        read_config(target)
        if foreign:
            raise BundleError(
                f"{target}: the model there would be replaced, but with it {', '.join(foreign[:5])}, "
                "which textnn did not write; move it away or save elsewhere"
            )
    return target


def checkpoint_directory(target: Path) -> Path:
    """Return where the state of a training is kept: beside the model's directory, or in it if that is a mount point."""
    return target / CHECKPOINT if must_stay(target) else target.with_name(f".{target.name}.checkpoint")


def _write(classifier: SentimentClassifier, directory: Path, report: Report | None) -> None:
    from safetensors.torch import save_file

    tokenizer = classifier.tokenizer_
    try:
        labels = labels_to_json(classifier.classes_)
    except ValueError as error:
        raise BundleError(f"{LABELS}: {error}") from error
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in classifier.model_.state_dict().items()}
    for name, tensor in weights.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise BundleError(f"{name}: expected finite weights, got infinite ones or NaN; no model was written")
    save_file(weights, directory / WEIGHTS, metadata={"format": "pt"})
    (directory / LABELS).write_bytes(to_json(labels))
    shutil.copymode(directory / LABELS, directory / WEIGHTS)  # safetensors leaves it to its owner alone
    classifier.vocabulary_.save(directory / VOCABULARY)
    if classifier.characters_ is not None:
        classifier.characters_.save(directory / CHARACTERS)
    save_words(tokenizer.user_dictionary, directory / USER_DICTIONARY)
    save_words(tokenizer.stop_words, directory / STOP_WORDS)
    config = make_config(classifier, {file.name: file_sum(file) for file in sorted(directory.iterdir())})
    (directory / CONFIG).write_bytes(to_json(config))
    (directory / CARD).write_text(write_card(classifier, config, report), encoding="utf-8", errors="replace")
    for file in directory.iterdir():
        size, largest = file.stat().st_size, LARGEST.get(file.name)
        if largest is not None and size > largest:
            raise BundleError(f"{file.name}: expected at most {largest:,} bytes, got {size:,}; no model was written")
        sync_file(file)
    sync_directory(directory)


def _read_config(directory: Directory) -> dict[str, Any]:
    content = directory.read(CONFIG)
    with reading(directory.path / CONFIG):
        return parse_config(content)


def _vocabulary(file: Path, content: bytes) -> Vocabulary:
    with reading(file):
        return Vocabulary.parse(content, file)


def _parameters(
    kind: type[SentimentClassifier], config: dict[str, Any], tokenizer: Tokenizer, request: Request
) -> dict[str, Any]:
    """Return the arguments of the classifier that was saved."""
    parameters = stored_parameters(config, set(inspect.signature(kind).parameters) - NOT_STORED)
    if isinstance(tokenizer, CallableTokenizer):
        return {**parameters, "tokenizer": tokenizer.function, "stop_words": tokenizer.stop_words or None}
    if "tokenizer" not in config["parameters"] or isinstance(request, Tokenizer):
        return {**parameters, "tokenizer": tokenizer}
    # What a fit on other texts is to choose anew.
    name = AUTO if config["parameters"]["tokenizer"] == AUTO and request is None else tokenizer.name
    lists = {"user_dictionary": tokenizer.user_dictionary or None, "stop_words": tokenizer.stop_words or None}
    return {**parameters, "tokenizer": name, **lists}
