"""The architectures of taggers, and what suits each: name, level -> options -> a network with fresh weights."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from textnn.models.options import FLOAT32, find_name, resolve
from textnn.tagging.encoding import CHAR, WORD
from textnn.tagging.network import TaggingNetwork
from textnn.tagging.tags import TagSet

_COMMON: dict[str, Any] = {
    "min_count": 2,
    "ngram_buckets": 2**20,
    "ngram_dropout": 0.2,
    "epochs": 8,
    "min_steps": 400,
    "full_steps": 0,
    "batch_size": 32,
    "learning_rate": 2e-3,
    "weight_decay": 0.0,
    "clip_norm": 5.0,
    "schedule": "linear",
    "warmup": 0.05,
    "precision": FLOAT32,
    "validation_fraction": 0.1,
    "patience": 3,
    "bucket": True,
    "sparse": True,
}
_DEEP: dict[str, Any] = {
    **_COMMON,
    "ngram_buckets": 0,  # a network alone finds names as well, and more of those that it has not seen
    "epochs": 12,
    "batch_size": 16,
    "embedding_dim": 64,
    "bigram_dim": 32,
    "hidden_size": 128,
    "num_layers": 1,
    "dropout": 0.4,
    "embedding_dropout": 0.3,
    "word_dropout": 0.0,
}
ARCHITECTURES: Mapping[str, Mapping[str, Any]] = {
    "bilstm-crf": _DEEP,
    "bigru-crf": _DEEP,
    "birnn-crf": _DEEP,
    "cnn-crf": {**_DEEP, "num_layers": 3},
    "ngram-crf": _COMMON,
}
"""Of each architecture the defaults for characters."""
SEGMENTS = "segments"
"""Characters that are to become words: what suits them beside the levels."""
_SEGMENTS: Mapping[str, Any] = {
    "ngram_buckets": 2**20,
    "epochs": 5,
    "batch_size": 32,
    "hidden_size": 64,
    "dropout": 0.3,
    "embedding_dropout": 0.2,
}
_MOST_VALUES = 2**26  # of the table of n-grams, by default: 256 MB
_WORDS: Mapping[str, Any] = {"embedding_dim": 100, "channels": 50, "word_dropout": 0.05}
_READS = {CHAR: "characters", SEGMENTS: "characters that become words", WORD: "words"}
_NOT_FOR_WORDS = ("bigram_dim",)


def resolve_options(architecture: str, given: Mapping[str, Any], level: str | None = None) -> dict[str, Any]:
    """Return the options of an architecture, those given in place of the defaults; None stands for "not given".

    Parameters
    ----------
    architecture, given
        Its name, and options by name.
    level
        ``"char"``, ``"word"``, or ``"segments"`` for characters that are to become words; None: it is not known yet,
        and what suits any of them is right.

    Raises
    ------
    ValueError
        If there is no such architecture, it has no such option, or a value makes no sense.
    TypeError
        If a value is of the wrong type.
    """
    defaults = dict(ARCHITECTURES[find_name(architecture, ARCHITECTURES, "architecture")])
    if "embedding_dim" in defaults and level in (WORD, None):
        defaults |= _WORDS
    if level == SEGMENTS:
        defaults |= {name: value for name, value in _SEGMENTS.items() if name in defaults}
    if level == WORD:
        defaults = {name: value for name, value in defaults.items() if name not in _NOT_FOR_WORDS}
    options = resolve(f"{architecture}{f' of {_READS[level]}' if level else ''}", defaults, given)
    buckets, alone = options["ngram_buckets"], "embedding_dim" not in defaults
    if buckets == 1 or (alone and not buckets):
        expected = "at least 2, as it has nothing but n-grams," if alone else "0, or at least 2,"
        raise ValueError(f"ngram_buckets: expected {expected} of the architecture {architecture!r}, got {buckets}")
    return options


def suit_tags(options: Mapping[str, Any], given: Mapping[str, Any], tags: int) -> dict[str, Any]:
    """Return options with fewer rows of n-grams, where many tags make each of them long and the user did not choose."""
    buckets = options["ngram_buckets"]
    while given.get("ngram_buckets") is None and buckets > 2 and buckets * tags > _MOST_VALUES:
        buckets //= 2
    return {**options, "ngram_buckets": buckets}


def build_network(
    architecture: str,
    vocabulary_size: int,
    letters_size: int,
    pairs: int,
    lexicon: bool,
    tags: TagSet,
    options: Mapping[str, Any],
) -> TaggingNetwork:
    """Make a network with fresh weights, which come from torch's global generator.

    Parameters
    ----------
    architecture
        Its name.
    vocabulary_size, letters_size, pairs, lexicon
        As for :class:`TaggingNetwork`.
    tags
        Those to tell apart.
    options
        As :func:`resolve_options` returns them; those of the training are left aside.
    """
    names = [
        name for name, value in inspect.signature(TaggingNetwork).parameters.items() if value.kind is value.KEYWORD_ONLY
    ]
    given = {"pair_dim": options.get("bigram_dim", 0), "letter_channels": options.get("channels", 0)}
    own = {name: given.get(name, options.get(name, 0)) for name in names}
    network = TaggingNetwork(
        architecture.removesuffix("-crf"), vocabulary_size, letters_size, pairs, lexicon, tags.names, tags.inner, **own
    )
    network.name = architecture
    return network
