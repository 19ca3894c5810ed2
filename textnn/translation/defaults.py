"""The options of a translator and what suits it: cell, attention -> options -> a network with fresh weights."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from textnn.models.options import FLOAT32, TRANSLATION, chosen, find_name, resolve
from textnn.translation.network import ATTENTIONS, CELLS, TranslationNetwork

NAMES = ("max_length", *chosen(TRANSLATION))
"""The options that users may give."""

_DEFAULTS: dict[str, Any] = {
    "min_count": 2,
    "max_vocabulary": 30000,
    "max_length": 200,
    "lowercase": True,
    "embedding_dim": 256,
    "hidden_size": 256,
    "num_layers": 1,
    "tied": True,
    "dropout": 0.3,
    "word_dropout": 0.1,
    "label_smoothing": 0.1,
    "epochs": 12,
    "min_steps": 600,
    "full_steps": 0,
    "batch_size": 64,
    "learning_rate": 2e-3,
    "weight_decay": 0.0,
    "clip_norm": 1.0,
    "schedule": "linear",
    "warmup": 0.05,
    "precision": FLOAT32,
    "validation_fraction": 0.05,
    "patience": 3,
    "bucket": True,
    "sparse": True,
}


def resolve_options(cell: Any, attention: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a translator, those given in place of the defaults; None stands for "not given".

    Raises
    ------
    ValueError
        If there is no such cell, attention or option, or a value makes no sense.
    TypeError
        If a value is of the wrong type.
    """
    find_name(cell, tuple(CELLS), "cell")
    if attention is not None and (not isinstance(attention, str) or attention not in ATTENTIONS):
        known = ", ".join(map(repr, ATTENTIONS))
        raise ValueError(f"attention: expected {known} or None, got {attention!r:.40}")
    options = resolve(cell, _DEFAULTS, given)
    if (size := options["hidden_size"]) % 2:
        raise ValueError(
            f"hidden_size: expected an even number, as each direction of the encoder has half of it, got {size}"
        )
    return options


def build_network(
    cell: str, attention: str | None, source_size: int, target_size: int, options: Mapping[str, Any]
) -> TranslationNetwork:
    """Make a network with fresh weights, which come from torch's global generator."""
    signature = inspect.signature(TranslationNetwork).parameters
    names = [name for name, value in signature.items() if value.kind is value.KEYWORD_ONLY]
    return TranslationNetwork(cell, attention, source_size, target_size, **{name: options[name] for name in names})
