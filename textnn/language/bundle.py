"""Saved language models: a directory of plain files (``textnn.bundle``).

model.safetensors    the weights
config.json          format version, cell, level, options, tokenizer, metrics of the training, sums of all files
vocabulary.txt       one token a line, in the order of the ids; the first stands for the end of a text
user_dictionary.txt  of a tokenizer; may be empty
stop_words.txt       of a tokenizer; may be empty
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

from textnn.bundle import directory as shared
from textnn.bundle.config import Format, file_sums, get, seal
from textnn.bundle.directory import config_of, read_bundle, write_bundle, write_weights
from textnn.bundle.files import (
    CARD,
    CONFIG,
    STOP_WORDS,
    USER_DICTIONARY,
    VOCABULARY,
    WEIGHTS,
    Directory,
    file_sum,
    reading,
    to_json,
)
from textnn.bundle.tokenizer import TOKENIZER_FILES, Request, check_request, load_tokenizer, write_tokenizer
from textnn.data.inputs import check_device
from textnn.language.card import write_card
from textnn.language.defaults import build_network, resolve_options
from textnn.language.encoding import CHAR, LEVELS, TOKENIZER, Splitter
from textnn.language.parameters import NOT_STORED
from textnn.language.state import State
from textnn.text import Tokenizer, Vocabulary, parse_words, save_words
from textnn.version import __version__

FORMAT = Format(
    "textnn-language-model",
    1,
    summed=(WEIGHTS, VOCABULARY),
    optional=(USER_DICTIONARY, STOP_WORDS, *TOKENIZER_FILES),
    unsummed=(CONFIG, CARD),
    names=frozenset({"textnn", "torch", "cell", "level", "tokenizer", "options", "parameters", "training"}),
    parts={},
)
check_target = partial(shared.check_target, kind=FORMAT)
read_card = partial(shared.read_card, kind=FORMAT)
read_config = partial(shared.read_config, kind=FORMAT)


def save(state: State, parameters: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Save a fitted language model as a directory.

    Parameters
    ----------
    state, parameters
        The language model.
    path
        The directory; see :func:`textnn.bundle.write_bundle`.

    Raises
    ------
    BundleError
        If ``path`` exists and is not a language model of textnn, or writing fails.
    """
    write_bundle(path, FORMAT, partial(write, state, parameters))


def write(state: State, parameters: Mapping[str, Any], directory: Path) -> None:
    """Write the files of a language model into an empty directory."""
    write_weights(state.model.state_dict(), directory)
    state.vocabulary.save(directory / VOCABULARY)
    tokenizer = state.splitter.tokenizer
    if tokenizer is not None:
        save_words(tokenizer.user_dictionary, directory / USER_DICTIONARY)
        save_words(tokenizer.stop_words, directory / STOP_WORDS)
        write_tokenizer(tokenizer, directory)
    training = {
        "texts": state.n_texts,
        "tokens": state.n_tokens,
        "seed": state.seed,
        "best_epoch": state.best_epoch,
        "history": state.history,
    }
    config = seal(
        {
            "format": FORMAT.name,
            "format_version": FORMAT.version,
            "textnn": __version__,
            "torch": torch.__version__,
            "cell": state.model.name,
            "level": state.splitter.level,
            "tokenizer": {} if tokenizer is None else tokenizer.config(),
            "options": state.options,
            "parameters": {name: value for name, value in parameters.items() if name not in NOT_STORED},
            "training": training,
            "files": {file.name: file_sum(file) for file in sorted(directory.iterdir())},
        }
    )
    (directory / CONFIG).write_bytes(to_json(config))
    (directory / CARD).write_text(write_card(state, config), encoding="utf-8", errors="replace")


def load(
    path: str | os.PathLike[str], tokenizer: Request, device: str, names: Collection[str]
) -> tuple[State, dict[str, Any]]:
    """Load a saved language model, with those of its parameters that are named; see :meth:`LanguageModel.load`.

    Raises
    ------
    BundleError
        If the directory is no saved language model, or is damaged.
    TypeError, ValueError
        If there is no such device, or ``tokenizer`` is none.
    """
    check_request(tokenizer)
    return read_bundle(path, partial(_load, request=tokenizer, device=check_device(device), names=names))


def _load(
    directory: Directory, request: Request, device: torch.device, names: Collection[str]
) -> tuple[State, dict[str, Any]]:
    config = config_of(directory, FORMAT)
    with reading(directory.file(CONFIG)):
        sums = file_sums(config, FORMAT)
        level = get(config, "level", str)
        if level not in LEVELS:
            raise ValueError(f"expected 'level' to be {', '.join(LEVELS[:-1])} or {LEVELS[-1]}, got {level!r:.40}")
    if request is not None and level != TOKENIZER:
        tokens = {"char": "characters", "word": "words of its own"}[level]
        raise ValueError(f"tokenizer: expected none for a model whose tokens are {tokens}, got {request!r:.40}")
    content = directory.read(VOCABULARY, sums[VOCABULARY])
    with reading(directory.file(VOCABULARY)):
        vocabulary = Vocabulary.parse(content, directory.file(VOCABULARY))
        if level == CHAR and not all(len(token) == 1 for token in vocabulary.tokens[2:]):
            raise ValueError("expected single characters")
    splitter = Splitter(level)
    if level == TOKENIZER:
        splitter.tokenizer = _tokenizer(directory, config, sums, request)
    with reading(directory.file(CONFIG)):
        cell = get(config, "cell", str)
        options = resolve_options(cell, get(config, "options", dict), splitter.words)
        training, stored = get(config, "training", dict), get(config, "parameters", dict)
        history = get(training, "history", list)
        if not all(isinstance(epoch, dict) for epoch in history):
            raise ValueError("expected 'history' to be a list of objects, one an epoch")
        facts: dict[str, Any] = {
            "seed": get(training, "seed", int),
            "n_texts": get(training, "texts", int),
            "n_tokens": get(training, "tokens", int),
            "best_epoch": get(training, "best_epoch", int),
            "history": history,
        }
        if not 0 <= facts["best_epoch"] <= len(history):
            raise ValueError(f"expected 'best_epoch' of {len(history)} epochs, got {facts['best_epoch']}")
        # On the meta device a model has shapes but no memory.
        with torch.device("meta"):
            model = build_network(cell, len(vocabulary), options)
    model.load_state_dict(directory.read_weights(model.state_dict(), sums[WEIGHTS]), assign=True)
    state = State(splitter, vocabulary, model.to(device).eval(), options, **facts)
    parameters = {name: v for name, v in stored.items() if name in names and name not in NOT_STORED}
    return state, {**parameters, "level": splitter.given}


def _tokenizer(directory: Directory, config: dict[str, Any], sums: dict[str, Any], request: Request) -> Tokenizer:
    words = {}
    for name in (USER_DICTIONARY, STOP_WORDS):
        with reading(directory.file(CONFIG)):
            if name not in sums:
                raise ValueError(f"expected {name} of a model with a tokenizer in 'files'")
        content = directory.read(name, sums[name])
        with reading(directory.file(name)):
            words[name] = parse_words(content, directory.file(name))
    return load_tokenizer(directory, config, sums, words[USER_DICTIONARY], words[STOP_WORDS], request)
