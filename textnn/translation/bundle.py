"""Saved translators: a directory of plain files (``textnn.bundle``).

model.safetensors    the weights
config.json          format version, cell, attention, both sides, options, metrics of the training, sums of all files
source-vocabulary.txt, target-vocabulary.txt    one token a line, in the order of the ids
source-user_dictionary.txt, source-stop_words.txt, source-tokenizer-..., target-...    of tokenizers
README.md            a card for people; nothing reads it
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from textnn.bundle import directory as shared
from textnn.bundle.config import Format, file_sums, get
from textnn.bundle.directory import config_of, read_bundle, write_bundle, write_weights
from textnn.bundle.files import (
    CARD,
    CONFIG,
    SOURCE,
    STOP_WORDS,
    TARGET,
    USER_DICTIONARY,
    VOCABULARY,
    WEIGHTS,
    Directory,
    Sum,
    reading,
)
from textnn.bundle.model import load_weights, read_facts, read_splitter, stored_parameters, write_config, write_splitter
from textnn.bundle.tokenizer import TOKENIZER_FILES, Request, check_request
from textnn.data.inputs import check_device
from textnn.text import Vocabulary
from textnn.text.levels import Splitter
from textnn.translation.card import write_card
from textnn.translation.defaults import build_network, resolve_options
from textnn.translation.parameters import NOT_STORED
from textnn.translation.state import State

_SIDES = (SOURCE, TARGET)
FORMAT = Format(
    "textnn-translator",
    1,
    summed=(WEIGHTS, *(f"{side}{VOCABULARY}" for side in _SIDES)),
    optional=tuple(f"{side}{name}" for side in _SIDES for name in (USER_DICTIONARY, STOP_WORDS, *TOKENIZER_FILES)),
    unsummed=(CONFIG, CARD),
    names=frozenset({"textnn", "torch", "cell", "attention", "source", "target", "options", "parameters", "training"}),
    parts={name: frozenset({"level", "tokenizer"}) for name in ("source", "target")},
    not_stored=NOT_STORED,
)
check_target = partial(shared.check_target, kind=FORMAT)
read_card = partial(shared.read_card, kind=FORMAT)
read_config = partial(shared.read_config, kind=FORMAT)


def save(state: State, parameters: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Save a fitted translator as a directory.

    Parameters
    ----------
    state, parameters
        The translator.
    path
        The directory; see :func:`textnn.bundle.write_bundle`.

    Raises
    ------
    BundleError
        If ``path`` exists and is not a translator of textnn, or writing fails.
    """
    write_bundle(path, FORMAT, partial(write, state, parameters))


def write(state: State, parameters: Mapping[str, Any], directory: Path) -> None:
    """Write the files of a translator into an empty directory."""
    write_weights(state.model.state_dict(), directory)
    sides = {
        SOURCE: (state.source_splitter, state.source_vocabulary),
        TARGET: (state.target_splitter, state.target_vocabulary),
    }
    written = {prefix[:-1]: _write_side(directory, prefix, *side) for prefix, side in sides.items()}
    training = {"pairs": state.n_pairs, "tokens": state.n_tokens}
    own = {"cell": state.model.name, "attention": state.model.attention, **written}
    config = write_config(directory, FORMAT, state, parameters, training, own)
    (directory / CARD).write_text(write_card(state, config), encoding="utf-8", errors="replace")


def _write_side(directory: Path, prefix: str, splitter: Splitter, vocabulary: Vocabulary) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=directory) as inside:
        side = write_splitter(splitter, vocabulary, Path(inside))
        for file in Path(inside).iterdir():
            file.rename(directory / f"{prefix}{file.name}")
    return side


def load(
    path: str | os.PathLike[str],
    source_tokenizer: Request,
    target_tokenizer: Request,
    device: str,
    names: Collection[str],
) -> tuple[State, dict[str, Any]]:
    """Load a saved translator, with those of its parameters that are named; see :meth:`Translator.load`.

    Raises
    ------
    BundleError
        If the directory is no saved translator, or is damaged.
    TypeError, ValueError
        If there is no such device, or a tokenizer is none.
    """
    requests = {SOURCE: source_tokenizer, TARGET: target_tokenizer}
    for prefix, request in requests.items():
        try:
            check_request(request)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{prefix[:-1]}_{error}") from None
    return read_bundle(path, partial(_load, requests=requests, device=check_device(device), names=names))


def _load(
    directory: Directory, requests: Mapping[str, Request], device: torch.device, names: Collection[str]
) -> tuple[State, dict[str, Any]]:
    config = config_of(directory, FORMAT)
    with reading(directory.file(CONFIG)):
        sums = file_sums(config, FORMAT)
    (source, source_vocabulary), (target, target_vocabulary) = (
        _read_side(directory, config, sums, prefix, request) for prefix, request in requests.items()
    )
    with reading(directory.file(CONFIG)):
        cell, attention = get(config, "cell", str), config.get("attention")
        options = resolve_options(cell, attention, get(config, "options", dict))
        parameters = stored_parameters(config, FORMAT, names)
        facts = read_facts(config, n_pairs="pairs", n_tokens="tokens")
        # On the meta device a model has shapes but no memory.
        with torch.device("meta"):
            model = build_network(cell, attention, len(source_vocabulary), len(target_vocabulary), options)
    model = load_weights(model, directory, sums, device)
    state = State(source, source_vocabulary, target, target_vocabulary, model, options, **facts)
    return state, {**parameters, "source_level": source.given, "target_level": target.given}


def _read_side(
    directory: Directory, config: Mapping[str, Any], sums: Mapping[str, Sum], prefix: str, request: Request
) -> tuple[Splitter, Vocabulary]:
    name = prefix[:-1]
    part = directory.part(prefix, sums)
    own = {file.removeprefix(prefix): sum_ for file, sum_ in sums.items() if file.startswith(prefix)}
    with reading(directory.file(CONFIG)):
        side = get(dict(config), name, dict)
    return read_splitter(part, {**side, "parameters": {}}, own, request, f"{name}_tokenizer")
