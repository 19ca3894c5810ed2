"""The files of a saved model: their names, and reading each once, with an error that names it.

    directory, opened -> file, opened in it -> size as config.json has it -> bytes -> SHA-256 as config.json has it
                                            -> tensors of the expected names, types and shapes

All files are opened in the directory that was found at the start: a model that is put in its place meanwhile is not
mixed with it. What is summed is what is used; no file is read twice.
"""

from __future__ import annotations

import copy
import errno
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from textnn.reading import open_regular, printable
from textnn.tensor_file import read_header, read_tensors
from textnn.text.wordlist import LARGEST_FILE

WEIGHTS, CONFIG, VOCABULARY = "model.safetensors", "config.json", "vocabulary.txt"
USER_DICTIONARY, STOP_WORDS, CARD = "user_dictionary.txt", "stop_words.txt", "README.md"
CHARACTERS, WORDS = "characters.txt", "words.txt"  # only where the network reads them, or knows them
TOKENIZER = "tokenizer-"
"""What stands before the names of a tokenizer's files, where that is a model itself."""
SOURCE, TARGET = "source-", "target-"
"""What stands before the names of the files of either side, where a model has two."""

SMALL = 1 << 24
"""Bytes of a file at most, unless it is in ``LARGEST``. A user's dictionary is small: each prefix is an entry."""

# The weights are bounded by the shapes that they must have.
LARGEST: dict[str, int | None] = {
    WEIGHTS: None,
    VOCABULARY: LARGEST_FILE,
    CHARACTERS: LARGEST_FILE,
    WORDS: LARGEST_FILE,
    f"{TOKENIZER}{WEIGHTS}": None,
    f"{TOKENIZER}{VOCABULARY}": LARGEST_FILE,
    f"{TOKENIZER}{WORDS}": LARGEST_FILE,
}
LARGEST |= {f"{side}{name}": size for side in (SOURCE, TARGET) for name, size in LARGEST.items()}

Sum = dict[str, Any]
"""A file's size, ``bytes``, and its ``sha256``."""


class BundleError(RuntimeError):
    """A model directory that cannot be written or read; the message names the file."""


class Directory:
    """The directory of a model, open for reading its files.

    Attributes
    ----------
    path
        As it was given.
    """

    def __init__(self, path: str | os.PathLike[str], descriptor: int) -> None:
        self.path, self._descriptor = Path(path), descriptor
        self._changed = os.fstat(descriptor).st_mtime_ns
        self._prefix, self._sums = "", dict[str, Sum]()

    def part(self, prefix: str, sums: Mapping[str, Sum]) -> Directory:
        """Return the model within this one whose files have a prefix before their names.

        Parameters
        ----------
        prefix
            What stands before them.
        sums
            Sizes and sums that this model's configuration has for its files; they count beside its own ones.
        """
        part = copy.copy(self)
        own = {name: sum_ for name, sum_ in sums.items() if name.startswith(prefix)}
        part._prefix = f"{self._prefix}{prefix}"
        part._sums = {**self._sums, **{f"{self._prefix}{name}": sum_ for name, sum_ in own.items()}}
        return part

    def file(self, name: str) -> Path:
        """Return the path of one of the files, for messages."""
        return self.path / f"{self._prefix}{name}"

    def is_replaced(self) -> bool:
        """Return whether another directory stands at the path now, or other files in it."""
        try:
            now = self.path.stat()
            return not os.path.samestat(now, os.fstat(self._descriptor)) or now.st_mtime_ns != self._changed
        except OSError:
            return True

    def open(self, name: str) -> IO[bytes]:
        """Open one of the files.

        Raises
        ------
        BundleError
            If it is missing, no regular file, too large, or cannot be opened.
        """
        file = self.file(name)
        with reading(file):
            try:
                # Caches of models and mounted configurations hold links.
                stream = open_regular(file.name, self._descriptor, follow=True)
            except FileNotFoundError:
                if file.name == CONFIG:
                    raise ValueError("the file is missing, so this is not the directory of a textnn model") from None
                whole = "" if name == CARD else "; the model is not complete"
                raise ValueError(f"the file is missing{whole}") from None
            size, largest = os.fstat(stream.fileno()).st_size, LARGEST.get(file.name, SMALL)
            if largest is not None and size > largest:
                stream.close()
                raise ValueError(f"expected at most {largest:,} bytes, got {size:,}")
        return stream

    def read(self, name: str, expected: Sum | None = None) -> bytes:
        """Return the content of a file, once it is the expected one.

        Raises
        ------
        BundleError
            If it cannot be read, or has another size or sum.
        """
        sums, file = self._expected(name, expected), self.file(name)
        with reading(file), self.open(name) as stream:
            for each in sums:
                check_size(stream, each)
            data = stream.read((LARGEST.get(file.name, SMALL) or 0) + 1)
            for each in sums:
                check_sum(hashlib.sha256(data), each)
        return data

    def _expected(self, name: str, own: Sum | None) -> list[Sum]:
        """Return the sums that a file must have: its model's own one, and that of the model around it."""
        return [sum_ for sum_ in (own, self._sums.get(f"{self._prefix}{name}")) if sum_ is not None]

    def read_weights(self, shapes: dict[str, Tensor], expected: Sum) -> dict[str, Tensor]:
        """Return the weights, once their file has the expected sum, names, types, shapes and finite numbers.

        Parameters
        ----------
        shapes
            Tensors, without memory, of the types and shapes that are expected.
        expected
            Size and sum.

        Raises
        ------
        BundleError
            If they have not.
        """
        digest, sums = hashlib.sha256(), self._expected(WEIGHTS, expected)
        with reading(self.file(WEIGHTS)), self.open(WEIGHTS) as stream:
            for each in sums:
                check_size(stream, each)
            try:
                header = read_header(stream, digest.update)
                _check_shapes({name: (entry.dtype, entry.shape) for name, entry in header.entries.items()}, shapes)
            except ValueError:
                # Damage is the better explanation, where it is one.
                while block := stream.read(1 << 20):
                    digest.update(block)
                for each in sums:
                    check_sum(digest, each)
                raise
            weights = read_tensors(stream, header, digest.update)
            for each in sums:
                check_sum(digest, each)
            for name, tensor in weights.items():
                if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                    raise ValueError(f"{name}: expected finite numbers, got infinite ones or NaN")
        return weights


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[Directory]:
    """Open the directory of a model.

    Raises
    ------
    BundleError
        If it is none, or cannot be opened.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError) as error:
        found = "nothing of this name" if error.errno == errno.ENOENT else "a file"
        where = printable(f"{path}")
        raise BundleError(f"{where}: expected the directory of a textnn model, got {found}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BundleError(printable(f"{path}: cannot be read: {reason}")) from error
    try:
        yield Directory(path, descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def reading(file: Path) -> Iterator[None]:
    """Turn what goes wrong with a file into an error that names it.

    Raises
    ------
    BundleError
        In place of the errors that damaged or missing content causes; without what a terminal would obey, and never
        longer than a few lines.
    """
    try:
        yield
    except BundleError:
        raise
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        message = str(error)
        raise BundleError(printable(message if message.startswith(f"{file}") else f"{file}: {message}")) from error
    except OSError as error:
        raise BundleError(printable(f"{file}: cannot be read: {error.strerror or error}")) from error


def check_size(stream: IO[bytes], expected: Sum) -> None:
    """Compare the size of an open file with the one in the configuration.

    Raises
    ------
    ValueError
        If it is another.
    """
    size = os.fstat(stream.fileno()).st_size
    if size != expected["bytes"]:
        raise ValueError(f"expected {expected['bytes']} bytes, got {size}; the file is damaged or was changed")


def check_sum(digest: Any, expected: Sum) -> None:
    """Compare the sum of what was read with the one in the configuration.

    Raises
    ------
    ValueError
        If it is another.
    """
    if digest.hexdigest() != expected["sha256"]:
        raise ValueError("expected other content (SHA-256 differs); the file is damaged or was changed")


def file_sum(file: Path) -> Sum:
    """Return a file's size and SHA-256."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return {"bytes": file.stat().st_size, "sha256": digest.hexdigest()}


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


def _check_shapes(found: dict[str, tuple[torch.dtype, tuple[int, ...]]], expected: dict[str, Tensor]) -> None:
    if set(found) != set(expected):
        missing, foreign = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
        raise ValueError(f"expected the tensors of this model; missing: {missing[:10]}, unknown: {foreign[:10]}")
    for name, tensor in expected.items():
        dtype, shape = found[name]
        if shape != tuple(tensor.shape):
            raise ValueError(f"{name}: expected the shape {list(tensor.shape)}, got {list(shape)}")
        if dtype != tensor.dtype:
            raise ValueError(f"{name}: expected {tensor.dtype}, got {dtype}")
