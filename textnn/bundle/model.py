"""The parts that saved models of several tasks have: vocabularies, tokenizers, weights, metrics of the training.

state, parameters, what the task has of its own -> ``write_config`` -> config.json
files and config.json -> ``read_vocabulary``, ``read_words``, ``read_splitter``, ``read_facts``, ``load_weights``
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from textnn.bundle.config import Format, get, seal
from textnn.bundle.files import (
    CONFIG,
    STOP_WORDS,
    USER_DICTIONARY,
    VOCABULARY,
    WEIGHTS,
    Directory,
    Sum,
    file_sum,
    reading,
    to_json,
)
from textnn.bundle.tokenizer import Request, load_tokenizer, write_tokenizer
from textnn.text import Tokenizer, Vocabulary, parse_words, save_words
from textnn.text.levels import CHAR, LEVELS, TOKENIZER, Splitter
from textnn.version import __version__

Network = TypeVar("Network", bound=nn.Module)


def write_config(
    directory: Path,
    kind: Format,
    state: Any,
    parameters: Mapping[str, Any],
    training: Mapping[str, Any],
    own: Mapping[str, Any],
) -> dict[str, Any]:
    """Write and return the configuration of a model whose other files are written.

    Parameters
    ----------
    directory, kind
        Where, and its format.
    state, parameters
        The estimator; parameters that the format does not store are left out.
    training
        What the task tells of the training.
    own
        What the configuration has beside, or in place of, what every model's has.
    """
    config = seal(
        {
            "format": kind.name,
            "format_version": kind.version,
            "textnn": __version__,
            "torch": torch.__version__,
            "options": state.options,
            "parameters": {name: value for name, value in parameters.items() if name not in kind.not_stored},
            "training": {
                "seed": state.seed,
                "best_epoch": state.best_epoch,
                "history": state.history,
                **training,
            },
            **own,
            "files": {file.name: file_sum(file) for file in sorted(directory.iterdir())},
        }
    )
    (directory / CONFIG).write_bytes(to_json(config))
    return config


def read_facts(config: dict[str, Any], **counts: str) -> dict[str, Any]:
    """Return what a configuration tells of the training: seed, best epoch, history, and counts by their fields.

    Raises
    ------
    ValueError
        If something is missing, or makes no sense.
    """
    training = get(config, "training", dict)
    facts = {name: get(training, name, int) for name in ("seed", "best_epoch")}
    facts |= {name: get(training, stored, int) for name, stored in counts.items()}
    history = get(training, "history", list)
    if not all(isinstance(epoch, dict) for epoch in history):
        raise ValueError("expected 'history' to be a list of objects, one an epoch")
    if not 0 <= facts["best_epoch"] <= len(history):
        raise ValueError(f"expected 'best_epoch' of {len(history)} epochs, got {facts['best_epoch']}")
    return {**facts, "history": history}


def stored_parameters(config: dict[str, Any], kind: Format, names: Collection[str]) -> dict[str, Any]:
    """Return the stored parameters of the estimator that are among some names.

    Raises
    ------
    ValueError
        If they are none.
    """
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in get(config, "parameters", dict).items()
        if name in names and name not in kind.not_stored
    }


def load_weights(
    model: Network, directory: Directory, sums: Mapping[str, Sum], device: torch.device | str = "cpu"
) -> Network:
    """Give a network that was made on the meta device its weights; return it on a device, ready to predict.

    Raises
    ------
    BundleError
        If the file is damaged, or of another network.
    """
    model.load_state_dict(directory.read_weights(model.state_dict(), sums[WEIGHTS]), assign=True)
    return model.to(device).eval()


def read_vocabulary(directory: Directory, sums: Mapping[str, Sum], name: str = VOCABULARY) -> Vocabulary:
    """Return a vocabulary.

    Raises
    ------
    BundleError
        If its file is damaged.
    """
    content = directory.read(name, sums[name])
    with reading(directory.file(name)):
        return Vocabulary.parse(content, directory.file(name))


def read_words(directory: Directory, sums: Mapping[str, Sum], name: str) -> list[str]:
    """Return a list of words.

    Raises
    ------
    BundleError
        If its file is damaged.
    """
    content = directory.read(name, sums[name])
    with reading(directory.file(name)):
        return parse_words(content, directory.file(name))


def write_words(tokenizer: Tokenizer, directory: Path) -> None:
    """Write the lists of a tokenizer, and its files if it is a model."""
    save_words(tokenizer.user_dictionary, directory / USER_DICTIONARY)
    save_words(tokenizer.stop_words, directory / STOP_WORDS)
    write_tokenizer(tokenizer, directory)


def read_tokenizer(
    directory: Directory, config: dict[str, Any], sums: Mapping[str, Sum], request: Request, argument: str = "tokenizer"
) -> Tokenizer:
    """Return the tokenizer to use a model with; see :func:`textnn.bundle.tokenizer.load_tokenizer`.

    Raises
    ------
    BundleError
        As there, and if its files are missing or damaged.
    """
    with reading(directory.path / CONFIG):
        if missing := [name for name in (USER_DICTIONARY, STOP_WORDS) if name not in sums]:
            raise ValueError(f"expected {directory.file(missing[0]).name} of a model with a tokenizer in 'files'")
    words, stop_words = (read_words(directory, sums, name) for name in (USER_DICTIONARY, STOP_WORDS))
    return load_tokenizer(directory, config, sums, words, stop_words, request, argument)


def write_splitter(splitter: Splitter, vocabulary: Vocabulary, directory: Path) -> dict[str, Any]:
    """Write how texts become tokens and ids; return what the configuration says of it."""
    vocabulary.save(directory / VOCABULARY)
    if splitter.tokenizer is None:
        return {"level": splitter.level, "tokenizer": {}}
    write_words(splitter.tokenizer, directory)
    return {"level": splitter.level, "tokenizer": splitter.tokenizer.config()}


def read_splitter(
    directory: Directory, config: dict[str, Any], sums: Mapping[str, Sum], request: Request, argument: str = "tokenizer"
) -> tuple[Splitter, Vocabulary]:
    """Return how texts become tokens and ids, out of what :func:`write_splitter` wrote.

    Raises
    ------
    BundleError
        If a file is damaged, or the tokenizer is not here.
    ValueError
        If a tokenizer is asked for, and the model has tokens of its own.
    """
    with reading(directory.path / CONFIG):
        level = get(config, "level", str)
        if level not in LEVELS:
            raise ValueError(f"expected 'level' to be {', '.join(LEVELS[:-1])} or {LEVELS[-1]}, got {level!r:.40}")
    if request is not None and level != TOKENIZER:
        tokens = "characters" if level == CHAR else "words of its own"
        raise ValueError(f"{argument}: expected none for a model whose tokens are {tokens}, got {request!r:.40}")
    splitter, vocabulary = Splitter(level), read_vocabulary(directory, sums)
    if level == TOKENIZER:
        splitter.tokenizer = read_tokenizer(directory, config, sums, request, argument)
    return splitter, vocabulary
