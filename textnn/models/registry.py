"""The registry of architectures: from a name and options to a network with fresh weights."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from textnn.models.base import CHARACTERS, WORDS, TextModel
from textnn.models.ensemble import Ensemble
from textnn.models.options import find_name, resolve

_SIZES = {WORDS: "vocabulary_size", CHARACTERS: "character_vocabulary_size"}

ARCHITECTURES: dict[str, type[TextModel]] = {}


def register(model: type[TextModel]) -> type[TextModel]:
    """Enter an architecture into the registry under its ``name``; use it as a decorator."""
    if model.name in ARCHITECTURES:
        raise ValueError(f"architecture {model.name!r} is registered already, by {ARCHITECTURES[model.name].__name__}")
    ARCHITECTURES[model.name] = model
    return model


def get_architecture(name: str) -> type[TextModel]:
    """Return the class of an architecture.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    return ARCHITECTURES[find_name(name, ARCHITECTURES, "architecture")]


def resolve_options(architecture: str, given: Mapping[str, Any], spaced: bool = False) -> dict[str, Any]:
    """Return the architecture's options with those given in place of the defaults.

    Parameters
    ----------
    architecture
        Name in the registry.
    given
        Options by name. None stands for "not given".
    spaced
        Whether the texts are in scripts with spaces between words, for which some defaults are others.

    Raises
    ------
    ValueError
        If the architecture has no such option, or a value makes no sense.
    TypeError
        If a value is of the wrong type.
    """
    kind = get_architecture(architecture)
    return resolve(architecture, {**kind.defaults, **(kind.spaced_defaults if spaced else {})}, given)


def build_model(
    architecture: str, vocabulary_sizes: Sequence[int], outputs: int, options: Mapping[str, Any]
) -> TextModel:
    """Make a network with fresh weights, which come from torch's global generator.

    Parameters
    ----------
    architecture
        Name in the registry.
    vocabulary_sizes
        Rows of the embedding table of each form that the architecture reads, in the order of its ``streams``.
    outputs
        Logits a text.
    options
        As :func:`resolve_options` returns them; those of the training are left aside.
    """
    kind = get_architecture(architecture)
    if len(vocabulary_sizes) != len(kind.streams):
        wanted = " and ".join(kind.streams)
        raise ValueError(f"vocabulary_sizes: {architecture!r} reads {wanted}, got {len(vocabulary_sizes)} sizes")
    sizes = dict(zip([_SIZES[stream] for stream in kind.streams], vocabulary_sizes, strict=True))
    names = [name for name in inspect.signature(kind).parameters if name not in ("classes", *_SIZES.values())]
    own = {name: options[name] for name in names}
    networks = 1 if "ensemble" in own else options["ensemble"]  # some make their members themselves
    members = [kind(classes=outputs, **sizes, **own) for _ in range(networks)]
    return members[0] if len(members) == 1 else Ensemble(members)
