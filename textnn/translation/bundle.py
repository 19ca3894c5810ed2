"""Saved translators: a directory of plain files (``textnn.bundle``).

model.safetensors    the weights
config.json          format version, cell, attention, both sides, options, figures of the training, sums of all files
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
from textnn.bundle.config import Format, file_sums, get, seal
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
    file_sum,
    reading,
    to_json,
)
from textnn.bundle.tokenizer import TOKENIZER_FILES, Request, check_request, load_tokenizer, write_tokenizer
from textnn.data.inputs import check_device
from textnn.text import Vocabulary, parse_words, save_words
from textnn.text.levels import LEVELS, TOKENIZER, Splitter
from textnn.translation.card import write_card
from textnn.translation.defaults import build_network, resolve_options
from textnn.translation.parameters import NOT_STORED
from textnn.translation.state import State
from textnn.version import __version__

_SIDES = (SOURCE, TARGET)
FORMAT = Format(
    "textnn-translator",
    1,
    summed=(WEIGHTS, *(f"{side}{VOCABULARY}" for side in _SIDES)),
    optional=tuple(f"{side}{name}" for side in _SIDES for name in (USER_DICTIONARY, STOP_WORDS, *TOKENIZER_FILES)),
    unsummed=(CONFIG, CARD),
    names=frozenset({"textnn", "torch", "cell", "attention", "source", "target", "options", "parameters", "training"}),
    parts={name: frozenset({"level", "tokenizer"}) for name in ("source", "target")},
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
    for prefix, side in sides.items():
        _write_side(directory, prefix, *side)
    training = {
        "pairs": state.n_pairs,
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
            "attention": state.model.attention,
            **{prefix[:-1]: _describe(splitter) for prefix, (splitter, _) in sides.items()},
            "options": state.options,
            "parameters": {name: value for name, value in parameters.items() if name not in NOT_STORED},
            "training": training,
            "files": {file.name: file_sum(file) for file in sorted(directory.iterdir())},
        }
    )
    (directory / CONFIG).write_bytes(to_json(config))
    (directory / CARD).write_text(write_card(state, config), encoding="utf-8", errors="replace")


def _write_side(directory: Path, prefix: str, splitter: Splitter, vocabulary: Vocabulary) -> None:
    with tempfile.TemporaryDirectory(dir=directory) as inside:
        folder = Path(inside)
        vocabulary.save(folder / VOCABULARY)
        if splitter.tokenizer is not None:
            save_words(splitter.tokenizer.user_dictionary, folder / USER_DICTIONARY)
            save_words(splitter.tokenizer.stop_words, folder / STOP_WORDS)
            write_tokenizer(splitter.tokenizer, folder)
        for file in folder.iterdir():
            file.rename(directory / f"{prefix}{file.name}")


def _describe(splitter: Splitter) -> dict[str, Any]:
    return {
        "level": splitter.level,
        "tokenizer": {} if splitter.tokenizer is None else splitter.tokenizer.config(),
    }


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
        training, stored = get(config, "training", dict), get(config, "parameters", dict)
        history = get(training, "history", list)
        if not all(isinstance(epoch, dict) for epoch in history):
            raise ValueError("expected 'history' to be a list of objects, one an epoch")
        facts: dict[str, Any] = {
            "seed": get(training, "seed", int),
            "n_pairs": get(training, "pairs", int),
            "n_tokens": get(training, "tokens", int),
            "best_epoch": get(training, "best_epoch", int),
            "history": history,
        }
        if not 0 <= facts["best_epoch"] <= len(history):
            raise ValueError(f"expected 'best_epoch' of {len(history)} epochs, got {facts['best_epoch']}")
        # On the meta device a model has shapes but no memory.
        with torch.device("meta"):
            model = build_network(cell, attention, len(source_vocabulary), len(target_vocabulary), options)
    model.load_state_dict(directory.read_weights(model.state_dict(), sums[WEIGHTS]), assign=True)
    model = model.to(device).eval()
    state = State(source, source_vocabulary, target, target_vocabulary, model, options, **facts)
    parameters = {name: v for name, v in stored.items() if name in names and name not in NOT_STORED}
    return state, {**parameters, "source_level": source.given, "target_level": target.given}


def _read_side(
    directory: Directory, config: Mapping[str, Any], sums: Mapping[str, Sum], prefix: str, request: Request
) -> tuple[Splitter, Vocabulary]:
    name = prefix[:-1]
    part = directory.part(prefix, sums)
    own = {file.removeprefix(prefix): sum_ for file, sum_ in sums.items() if file.startswith(prefix)}
    with reading(directory.file(CONFIG)):
        side = get(dict(config), name, dict)
        level = get(side, "level", str)
        if level not in LEVELS:
            raise ValueError(f"expected 'level' to be {', '.join(LEVELS[:-1])} or {LEVELS[-1]}, got {level!r:.40}")
    if request is not None and level != TOKENIZER:
        raise ValueError(f"{name}_tokenizer: expected None for a model of {level}s, got {request!r:.40}")
    content = part.read(VOCABULARY, own[VOCABULARY])
    with reading(part.file(VOCABULARY)):
        vocabulary = Vocabulary.parse(content, part.file(VOCABULARY))
    splitter = Splitter(level)
    if level == TOKENIZER:
        words = {}
        for file in (USER_DICTIONARY, STOP_WORDS):
            with reading(directory.file(CONFIG)):
                if file not in own:
                    raise ValueError(f"expected {prefix}{file} of a model with a tokenizer in 'files'")
            content = part.read(file, own[file])
            with reading(part.file(file)):
                words[file] = parse_words(content, part.file(file))
        known = {**side, "parameters": {}}
        splitter.tokenizer = load_tokenizer(
            part, known, own, words[USER_DICTIONARY], words[STOP_WORDS], request, f"{name}_tokenizer"
        )
    return splitter, vocabulary
