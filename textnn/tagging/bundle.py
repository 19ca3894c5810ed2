"""Saved taggers: a directory of plain files (``textnn.bundle``).

model.safetensors   the weights, the known pairs of characters, the kinds of tokens
config.json         format version, architecture, options, figures of the training, sums of all files
tags.json           the names of the network's tags, and how the user's tags mark spans
vocabulary.txt      one token a line, in the order of the ids
characters.txt      the same of the letters of words, where the network reads them
words.txt           the lexicon of a tagger of characters: the spans of the text that it was trained on
README.md           a card for people; nothing reads it
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
from textnn.bundle.files import (
    CARD,
    CHARACTERS,
    CONFIG,
    VOCABULARY,
    WEIGHTS,
    WORDS,
    Directory,
    reading,
    to_json,
)
from textnn.bundle.model import (
    load_weights,
    read_facts,
    read_vocabulary,
    read_words,
    stored_parameters,
    write_config,
)
from textnn.data.inputs import check_device
from textnn.models.options import integer
from textnn.reading import parse_json
from textnn.tagging.architectures import build_network, resolve_options
from textnn.tagging.card import write_card
from textnn.tagging.encoding import CHAR, LEVELS, WORD
from textnn.tagging.metrics import SpanScore, SpanScores
from textnn.tagging.parameters import NOT_STORED
from textnn.tagging.state import State
from textnn.tagging.tags import MOST_TAGS, TagSet
from textnn.text import save_words

TAGS = "tags.json"
MOST_PAIRS = 2**26
FORMAT = Format(
    "textnn-tagger",
    1,
    summed=(WEIGHTS, TAGS, VOCABULARY),
    optional=(CHARACTERS, WORDS),
    unsummed=(CONFIG, CARD),
    names=frozenset({"textnn", "torch", "architecture", "level", "pairs", "options", "parameters", "training"}),
    not_stored=NOT_STORED,
)
check_target = partial(shared.check_target, kind=FORMAT)
read_card = partial(shared.read_card, kind=FORMAT)
read_config = partial(shared.read_config, kind=FORMAT)


def save(state: State, parameters: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Save a fitted tagger as a directory.

    Parameters
    ----------
    state, parameters
        The tagger.
    path
        The directory; see :func:`textnn.bundle.write_bundle`.

    Raises
    ------
    BundleError
        If ``path`` exists and is not a tagger of textnn, or writing fails.
    """
    write_bundle(path, FORMAT, partial(write, state, parameters))


def write(state: State, parameters: Mapping[str, Any], directory: Path) -> None:
    """Write the files of a tagger into an empty directory."""
    write_weights(state.model.state_dict(), directory)
    (directory / TAGS).write_bytes(to_json({"names": state.tags.names, "scheme": state.tags.scheme}))
    state.vocabulary.save(directory / VOCABULARY)
    if state.letters is not None:
        state.letters.save(directory / CHARACTERS)
    if state.words is not None:
        save_words(state.words, directory / WORDS)
    scores = state.validation_scores
    training = {
        "sentences": state.n_sentences,
        "spans": None if scores is None else {name: [*_counts(score)] for name, score in scores.types.items()},
    }
    own = {"architecture": state.model.name, "level": state.level, "pairs": len(state.model.keys)}
    config = write_config(directory, FORMAT, state, parameters, training, own)
    (directory / CARD).write_text(write_card(state, config), encoding="utf-8", errors="replace")


def load(path: str | os.PathLike[str], device: str, names: Collection[str]) -> tuple[State, dict[str, Any]]:
    """Load a saved tagger, with those of its parameters that are named; see :meth:`SequenceTagger.load`.

    Raises
    ------
    BundleError
        If the directory is no saved tagger, or is damaged.
    ValueError
        If there is no such device.
    """
    return read_bundle(path, partial(_load, device=check_device(device), names=names))


def read(directory: Directory) -> State:
    """Return the tagger whose files stand in an open directory, on the CPU.

    Raises
    ------
    BundleError
        If they are damaged.
    """
    return _load(directory, torch.device("cpu"), ())[0]


def _load(directory: Directory, device: torch.device, names: Collection[str]) -> tuple[State, dict[str, Any]]:
    config = config_of(directory, FORMAT)
    with reading(directory.file(CONFIG)):
        sums = file_sums(config, FORMAT)
    tags_file = directory.read(TAGS, sums[TAGS])
    with reading(directory.file(TAGS)):
        tags = _tags(parse_json(tags_file))
    vocabulary = read_vocabulary(directory, sums)
    letters = read_vocabulary(directory, sums, CHARACTERS) if CHARACTERS in sums else None
    words = read_words(directory, sums, WORDS) if WORDS in sums else None
    with reading(directory.file(CONFIG)):
        architecture, level = get(config, "architecture", str), get(config, "level", str)
        if level not in LEVELS or (level == WORD) is (letters is None):
            raise ValueError(f"expected 'level' to be char, or word beside {CHARACTERS}, got {level!r:.40}")
        if (words is not None) is not (tags.inner is not None and level == CHAR):
            raise ValueError(f"expected {WORDS} of a tagger of characters that finds spans, and of it alone")
        options = resolve_options(architecture, get(config, "options", dict), level)
        pairs = integer(0, MOST_PAIRS)("pairs", config.get("pairs"))
        parameters = stored_parameters(config, FORMAT, names)
        facts = read_facts(config, n_sentences="sentences")
        facts["validation_scores"] = _scores(config["training"].get("spans"))
        # On the meta device a model has shapes but no memory.
        with torch.device("meta"):
            sizes = len(vocabulary), len(letters) if letters else 0, pairs
            model = build_network(architecture, *sizes, words is not None, tags, options)
    model = load_weights(model, directory, sums, device)
    with reading(directory.file(WEIGHTS)):
        if bool((model.keys.diff() <= 0).any()) or bool((model.kinds < 0).any()):
            raise ValueError("expected rising keys of pairs, and kinds from 0")
    state = State(level, tags, vocabulary, letters, words, model, options, **facts)
    return state, parameters


def _tags(stored: Any) -> TagSet:
    if not isinstance(stored, dict) or {*stored} != {"names", "scheme"}:
        raise ValueError("expected an object with the names of the tags and their scheme")
    names, scheme = stored["names"], stored["scheme"]
    if not isinstance(names, list) or not 0 < len(names) <= MOST_TAGS:
        raise ValueError(f"expected a list of 1 to {MOST_TAGS} names")
    if not all(isinstance(name, str) and name for name in names) or not isinstance(scheme, str | None):
        raise ValueError("expected names of tags, and a scheme or null")
    return TagSet(names, scheme)


def _counts(score: SpanScore) -> tuple[int, int, int]:
    return score.true, score.predicted, score.correct


def _scores(stored: Any) -> SpanScores | None:
    if stored is None:
        return None
    if not isinstance(stored, dict):
        raise ValueError(f"expected 'spans' to be an object, got {type(stored).__name__}")
    for counts in stored.values():
        if not isinstance(counts, list) or len(counts) != 3 or not all(type(n) is int and n >= 0 for n in counts):
            raise ValueError("expected three counts of each type of 'spans'")
    overall = [sum(column) for column in zip([0, 0, 0], *stored.values(), strict=True)]
    return SpanScores({name: SpanScore(*counts) for name, counts in stored.items()}, SpanScore(*overall))
