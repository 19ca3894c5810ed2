"""The files of a saved model: their names, and reading each with an error that names it.

    bytes -> size and SHA-256 as config.json has them -> JSON, or tensors of the expected names, shapes and types

What goes into the files, and what a classifier is made of, is in ``bundle.py``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

WEIGHTS, CONFIG, LABELS, VOCABULARY = "model.safetensors", "config.json", "labels.json", "vocabulary.txt"
USER_DICTIONARY, STOP_WORDS, CARD = "user_dictionary.txt", "stop_words.txt", "README.md"
CHARACTERS = "characters.txt"  # only where the network reads them
# Their size and sum stand in config.json. The card may be edited.
SUMMED = (WEIGHTS, LABELS, VOCABULARY, USER_DICTIONARY, STOP_WORDS)
FILES = {*SUMMED, CHARACTERS, CONFIG, CARD}


class BundleError(RuntimeError):
    """A model directory that cannot be written or read; the message names the file."""


@contextmanager
def reading(file: Path) -> Iterator[None]:
    """Turn what goes wrong with a file into an error that names it.

    Raises
    ------
    BundleError
        In place of the errors that damaged or missing content causes.
    """
    try:
        yield
    except BundleError:
        raise
    except (ValueError, TypeError, KeyError, OSError, OverflowError) as error:
        message = str(error)
        raise BundleError(message if message.startswith(f"{file}") else f"{file}: {message}") from error


def check_sums(directory: Path, config: dict[str, Any]) -> None:
    """Compare the files with the sizes and sums in the configuration.

    Raises
    ------
    BundleError
        If a file is missing, or is another than was saved.
    """
    with reading(directory / CONFIG):
        sums = get(config, "files", dict)
    for name in [*SUMMED, *({CHARACTERS} & set(sums))]:
        file = directory / name
        if not file.is_file():
            raise BundleError(f"{file}: the file is missing; the model is not complete")
        with reading(file):
            stored = sums.get(name)
            if not isinstance(stored, dict):
                raise ValueError(f"{CONFIG} does not list this file")
            size = file.stat().st_size
            if size != stored.get("bytes"):
                raise ValueError(
                    f"expected {stored.get('bytes')} bytes, got {size}; the file is damaged or was changed"
                )
            if file_sum(file) != stored:
                raise ValueError("expected other content (SHA-256 differs); the file is damaged or was changed")


def file_sum(file: Path) -> dict[str, Any]:
    """Return a file's size and SHA-256."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return {"bytes": file.stat().st_size, "sha256": digest.hexdigest()}


def read_weights(file: Path, expected: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a file, once their names, types and shapes are those expected.

    Raises
    ------
    BundleError
        If they are not.
    """
    from safetensors import SafetensorError, safe_open

    with reading(file):
        try:
            with safe_open(file, framework="pt") as tensors:
                names = set(tensors.keys())
                if names != set(expected):
                    missing, foreign = sorted(set(expected) - names), sorted(names - set(expected))
                    raise ValueError(f"expected the tensors of this model; missing: {missing}, unknown: {foreign}")
                for name, tensor in expected.items():
                    shape = tensors.get_slice(name).get_shape()
                    if shape != list(tensor.shape):
                        raise ValueError(f"{name}: expected the shape {list(tensor.shape)}, got {shape}")
                # Copies: the file is mapped, and may change or shrink as long as the model lives.
                weights = {name: tensors.get_tensor(name).clone() for name in expected}
        except SafetensorError as error:
            raise ValueError(f"expected a safetensors file, got: {error}") from error
        for name, tensor in expected.items():
            if weights[name].dtype != tensor.dtype:
                raise ValueError(f"{name}: expected {tensor.dtype}, got {weights[name].dtype}")
    return weights


def to_json(value: Any) -> bytes:
    """Return JSON in UTF-8; in ASCII where the value has half a surrogate pair."""

    def plain(other: Any) -> Any:
        # Parameters may be numpy's numbers and arrays.
        return other.tolist() if hasattr(other, "tolist") else str(other)

    try:
        return (json.dumps(value, indent=2, ensure_ascii=False, default=plain) + "\n").encode("utf-8")
    except UnicodeEncodeError:
        # Half a surrogate pair in a label has no UTF-8, but an escape.
        return (json.dumps(value, indent=2, default=plain) + "\n").encode("ascii")


def parse_json(file: Path) -> Any:
    """Return what a JSON file holds.

    Raises
    ------
    ValueError
        If it is none.
    """
    try:
        return json.loads(file.read_bytes().decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"expected JSON, got: {error}; the file is damaged") from error


def get(config: dict[str, Any], key: str, kind: type) -> Any:
    """Return a value of a configuration, of the type that it must have.

    Raises
    ------
    ValueError
        If it is missing or of another type.
    """
    value = config.get(key)
    if not isinstance(value, kind):
        found = "nothing" if key not in config else type(value).__name__
        raise ValueError(f"expected {key!r} to be of the type {kind.__name__}, got {found}")
    return value
