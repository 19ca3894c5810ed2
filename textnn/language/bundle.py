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
from textnn.bundle.config import Format, file_sums, get
from textnn.bundle.directory import config_of, read_bundle, write_bundle, write_weights
from textnn.bundle.files import CARD, CONFIG, STOP_WORDS, USER_DICTIONARY, VOCABULARY, WEIGHTS, Directory, reading
from textnn.bundle.model import load_weights, read_facts, read_splitter, stored_parameters, write_config, write_splitter
from textnn.bundle.tokenizer import TOKENIZER_FILES, Request, check_request
from textnn.data.inputs import check_device
from textnn.language.card import write_card
from textnn.language.defaults import build_network, resolve_options
from textnn.language.encoding import CHAR
from textnn.language.parameters import NOT_STORED
from textnn.language.state import State

FORMAT = Format(
    "textnn-language-model",
    1,
    summed=(WEIGHTS, VOCABULARY),
    optional=(USER_DICTIONARY, STOP_WORDS, *TOKENIZER_FILES),
    unsummed=(CONFIG, CARD),
    names=frozenset({"textnn", "torch", "cell", "level", "tokenizer", "options", "parameters", "training"}),
    not_stored=NOT_STORED,
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
    training = {"texts": state.n_texts, "tokens": state.n_tokens}
    own = {"cell": state.model.name, **write_splitter(state.splitter, state.vocabulary, directory)}
    config = write_config(directory, FORMAT, state, parameters, training, own)
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
    splitter, vocabulary = read_splitter(directory, config, sums, request)
    with reading(directory.file(VOCABULARY)):
        if splitter.level == CHAR and not all(len(token) == 1 for token in vocabulary.tokens[2:]):
            raise ValueError("expected single characters")
    with reading(directory.file(CONFIG)):
        cell = get(config, "cell", str)
        options = resolve_options(cell, get(config, "options", dict), splitter.words)
        parameters = stored_parameters(config, FORMAT, names)
        facts = read_facts(config, n_texts="texts", n_tokens="tokens")
        # On the meta device a model has shapes but no memory.
        with torch.device("meta"):
            model = build_network(cell, len(vocabulary), options)
    state = State(splitter, vocabulary, load_weights(model, directory, sums, device), options, **facts)
    return state, {**parameters, "level": splitter.given}
