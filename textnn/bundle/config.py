"""The configuration of a saved model, ``config.json``: that what stands in it is what was written.

    values -> a sum over all of them, among them -> config.json
    config.json -> JSON -> format and version -> sum -> known names only -> sizes and sums of the other files

A task says by a :class:`Format` what its configurations have. A name that it does not know is refused where predictions
follow from what stands there. Configurations from before there was a sum have none and are read without it.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from textnn.bundle.files import Sum, to_json
from textnn.reading import parse_json

_SUM = "sha256"
_READERS = {
    "textnn-model": "SentimentClassifier",
    "textnn-tagger": "SequenceTagger",
    "textnn-language-model": "LanguageModel",
    "textnn-translator": "Translator",
}
"""Who reads the formats that there are, for messages."""
_DIGEST = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Format:
    """What the saved models of a task are.

    Attributes
    ----------
    name, version
        What ``format`` and ``format_version`` say.
    summed, optional
        Files whose size and sum stand in the configuration, and those that not every model has.
    unsummed
        Files beside them: the configuration, and what may be edited.
    names
        The names at the top of a configuration, beside those that this module writes and reads.
    parts
        The names in parts of it.
    not_stored
        Parameters of the estimator that a model does not keep as they are.
    """

    name: str
    version: int
    summed: tuple[str, ...]
    optional: tuple[str, ...]
    unsummed: tuple[str, ...]
    names: frozenset[str]
    parts: Mapping[str, frozenset[str]] = field(default_factory=dict)
    not_stored: Collection[str] = ()

    @property
    def files(self) -> set[str]:
        """All files of a model."""
        return {*self.summed, *self.optional, *self.unsummed}


def seal(config: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration in plain values, with the sum of what stands in it; an older sum is replaced."""
    plain = _finite(json.loads(to_json(config)))
    return {**plain, _SUM: _sum(plain)}


def parse_config(data: bytes, kind: Format) -> dict[str, Any]:
    """Return the configuration that a file holds.

    Raises
    ------
    ValueError
        If it is damaged, or of another program or format version.
    """
    config = _parse(data)
    if not isinstance(config, dict) or config.get("format") != kind.name:
        other = _READERS.get(str(config.get("format"))) if isinstance(config, dict) else None
        found = "another file" if other is None else f"a model that {other}.load reads"
        raise ValueError(f"expected the configuration of a textnn model ('format': {kind.name!r}), got {found}")
    version = config.get("format_version")
    if type(version) is not int or version != kind.version:
        raise ValueError(
            f"the model has the format version {version!r:.40}, this textnn reads version {kind.version}; "
            "use the textnn that wrote it, or a newer one"
        )
    if _SUM in config and config[_SUM] != _sum(config):
        raise ValueError("expected other content (its SHA-256 differs); the file is damaged or was changed")
    refuse_unknown("names", config, {"format", "format_version", "files", _SUM, *kind.names})
    for part, names in kind.parts.items():
        if isinstance(config.get(part), dict):
            refuse_unknown(repr(part), config[part], names)
    return config


def parse_format(data: bytes) -> str:
    """Return the name of the format that a configuration says it has.

    Raises
    ------
    ValueError
        If it is damaged, or says none.
    """
    config = _parse(data)
    if not isinstance(config, dict) or not isinstance(config.get("format"), str):
        raise ValueError("expected the configuration of a textnn model, got another file")
    return str(config["format"])


def _parse(data: bytes) -> Any:
    try:
        return parse_json(data)
    except ValueError as error:
        raise ValueError(f"{error}; the file is damaged") from error


def file_sums(config: dict[str, Any], kind: Format) -> dict[str, Sum]:
    """Return size and sum of each file of the model but the configuration.

    Raises
    ------
    ValueError
        If they are not stored as they should be.
    """
    sums = get(config, "files", dict)
    refuse_unknown("'files'", sums, {*kind.summed, *kind.optional})
    for name in (*kind.summed, *(name for name in kind.optional if name in sums)):
        stored = sums.get(name)
        if not isinstance(stored, dict) or set(stored) != {"bytes", "sha256"}:
            raise ValueError(f"expected bytes and sha256 of {name} in 'files', got {stored!r:.80}")
        if type(stored["bytes"]) is not int or not _DIGEST.fullmatch(str(stored["sha256"])):
            raise ValueError(f"expected bytes and sha256 of {name} in 'files', got {stored!r:.80}")
    return sums


def get(config: dict[str, Any], key: str, kind: type) -> Any:
    """Return a value of a configuration, of the type that it must have.

    Raises
    ------
    ValueError
        If it is missing or of another type.
    """
    value = config.get(key)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        found = "nothing" if key not in config else type(value).__name__
        raise ValueError(f"expected {key!r} to be of the type {kind.__name__}, got {found}")
    return value


def refuse_unknown(where: str, values: dict[str, Any], known: Collection[str]) -> None:
    """Refuse names that this version does not know.

    Raises
    ------
    ValueError
        If there is one.
    """
    if unknown := sorted(set(values) - set(known)):
        names = ", ".join(repr(name[:40]) for name in unknown[:5])
        raise ValueError(
            f"expected only {', '.join(sorted(known))} as {where if where == 'names' else f'names in {where}'}, "
            f"got {names}; was the model written by a newer textnn?"
        )


def _sum(config: dict[str, Any]) -> str:
    """Sum what a configuration says, however it is laid out."""
    content = {name: value for name, value in config.items() if name != _SUM}
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode("ascii")).hexdigest()


def _finite(value: Any) -> Any:
    """Replace numbers that JSON does not have (a loss that became infinite, say) by null."""
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
