"""The options of a language model and what suits it: cell, level -> options -> a network with fresh weights."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from textnn.language.network import CELLS, LanguageNetwork
from textnn.models.options import FLOAT32, find_name, resolve

_CHARACTERS: dict[str, Any] = {
    "min_count": 2,
    "max_vocabulary": None,
    "embedding_dim": 200,
    "hidden_size": 400,
    "num_layers": 1,
    "tied": True,
    "dropout": 0.2,
    "embedding_dropout": 0.1,
    "weight_dropout": 0.0,
    "context": "text",
    "shuffle": True,
    "window": 64,
    "epochs": 10,
    "min_steps": 600,
    "full_steps": 0,
    "batch_size": 32,
    "learning_rate": 2e-3,
    "weight_decay": 0.0,
    "clip_norm": 1.0,
    "schedule": "linear",
    "warmup": 0.02,
    "precision": FLOAT32,
    "validation_fraction": 0.05,
    "patience": 2,
    "bucket": False,
}
_WORDS: Mapping[str, Any] = {"max_vocabulary": 30000, "dropout": 0.4, "embedding_dropout": 0.3, "weight_dropout": 0.2}


def resolve_options(cell: str, given: Mapping[str, Any], words: bool = False) -> dict[str, Any]:
    """Return the options of a language model, those given in place of the defaults; None stands for "not given".

    Parameters
    ----------
    cell, given
        Its name, and options by name.
    words
        Whether tokens are words, which are many and of which each is rare.

    Raises
    ------
    ValueError
        If there is no such cell or option, or a value makes no sense.
    TypeError
        If a value is of the wrong type.
    """
    find_name(cell, tuple(CELLS), "cell")
    return resolve(cell, {**_CHARACTERS, **(_WORDS if words else {})}, given)


def build_network(cell: str, vocabulary_size: int, options: Mapping[str, Any]) -> LanguageNetwork:
    """Make a network with fresh weights, which come from torch's global generator."""
    signature = inspect.signature(LanguageNetwork).parameters
    names = [name for name, value in signature.items() if value.kind is value.KEYWORD_ONLY]
    return LanguageNetwork(cell, vocabulary_size, **{name: options[name] for name in names})
