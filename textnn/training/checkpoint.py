"""Checkpoints: the state of a training that is under way, in one file that is whole or not there.

    <directory>/training.safetensors    tensors by name; in the metadata state and identity as JSON, and a sum of it all

    write: new file beside it -> flushed to the disk -> renamed -> directory flushed
    read:  identity of the training -> sum -> names, types and shapes of the tensors -> state

The identity of a training is everything that its course follows from: parameters, classes, vocabulary, texts, first
weights. It is stored as names with values, long ones as digests, so that a checkpoint of another training is refused
with a sentence that says what differs. There is no pickle in the file.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import math
import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from textnn.files import sync_directory, sync_file
from textnn.reading import open_regular, parse_json, printable
from textnn.tensor_file import read_header, read_tensors
from textnn.text import RaggedDataset
from textnn.version import __version__

FILE = "training.safetensors"
FORMAT = "textnn-checkpoint"
FORMAT_VERSION = 1

_NEW = f"{FILE}.tmp"
_UNFINISHED = ".tmp??????"  # what safetensors (0.8) writes before it has the name that was asked for
_LONGEST = 60  # characters of a value that is stored, and shown, as it is
_ROWS_AT_ONCE = 4096
_DIGEST = "sha256:"

Tensors = dict[str, Tensor]
Identity = dict[str, str]


class CheckpointError(ValueError):
    """A checkpoint that is damaged, in use, or another training's; the message names the file."""


@dataclass(frozen=True)
class Checkpoint:
    """Where a training keeps its state, and what it does with one that is there.

    Parameters
    ----------
    directory : path
        Made if it is not there; its parents too. It holds nothing else.
    resume : bool, default=False
        Whether to resume from the state that is there. It has to be one of the same training: the same texts, labels
        and parameters, and the same number of processes. If there is none, the training begins. If False, the first
        state that is written replaces what is there.
    seconds : float, default=60.0
        Time between two states within an epoch; after each epoch there is one in any case.

    Raises
    ------
    TypeError, ValueError
        If an argument makes no sense.

    Examples
    --------
    >>> import tempfile
    >>> from textnn import SentimentClassifier
    >>> clf = SentimentClassifier("textcnn", tokenizer="whitespace", epochs=1, random_state=0, verbose=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     checkpoint = Checkpoint(f"{folder}/model.checkpoint", resume=True)
    ...     _ = clf.fit(["好", "差"] * 10, ["good", "bad"] * 10, checkpoint=checkpoint)
    ...     clf.save(f"{folder}/model")
    ...     checkpoint.remove()
    """

    directory: str | os.PathLike[str]
    resume: bool = False
    seconds: float = 60.0

    def __post_init__(self) -> None:
        if not isinstance(self.directory, str | os.PathLike):
            kind = type(self.directory).__name__
            raise TypeError(f"checkpoint: expected a directory or a Checkpoint, got {kind} {self.directory!r}")
        if isinstance(self.seconds, bool) or not isinstance(self.seconds, int | float):
            kind = type(self.seconds).__name__
            raise TypeError(f"checkpoint seconds: expected a number, got {kind} {self.seconds!r}")
        if not 0 <= self.seconds < math.inf:
            raise ValueError(f"checkpoint seconds: expected a number from 0, got {self.seconds}")

    @classmethod
    def of(cls, value: Checkpoint | str | os.PathLike[str] | None) -> Checkpoint | None:
        """Return a checkpoint for a directory; None and checkpoints stay as they are."""
        return value if value is None or isinstance(value, Checkpoint) else cls(value)

    @property
    def file(self) -> Path:
        """The file of the state."""
        return Path(self.directory) / FILE

    def exists(self) -> bool:
        """Return whether a state is there, or something else in its place, which reading it refuses."""
        return os.path.lexists(self.file)

    def version(self) -> tuple[int, int] | None:
        """Return what is another with each state that is written, None if there is none."""
        try:
            found = self.file.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns

    def remove(self) -> None:
        """Remove the state, if any, and the directory, unless it holds something else."""
        self.file.unlink(missing_ok=True)
        self._clear()
        with contextlib.suppress(OSError):
            self.file.parent.rmdir()

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Keep the directory for this process; without a state in it, it is gone afterwards.

        Raises
        ------
        CheckpointError
            If another training keeps its state there.
        OSError
            If it cannot be made.
        """
        directory = self.file.parent
        descriptor = _lock(directory)
        try:
            yield
        finally:
            try:
                # If another directory is there now, it is another training's.
                if _is_at(descriptor, directory) and not self.exists():
                    self.remove()
            finally:
                os.close(descriptor)

    def write(self, tensors: Tensors, state: Mapping[str, Any], identity: Identity) -> None:
        """Replace the state in one step.

        Parameters
        ----------
        tensors
            By name, in any shape, on any device; each has memory of its own.
        state
            What JSON can hold.
        identity
            As :func:`make_identity` returns it.

        Raises
        ------
        OSError
            If it cannot be written; the state before is then as it was.
        """
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        content = json.dumps({"state": state, "identity": identity, "textnn": __version__})
        metadata = {"format": FORMAT, "version": str(FORMAT_VERSION), "content": content, "sum": _sum(content, plain)}
        new = self.file.with_name(_NEW)
        self._clear()
        try:
            save_file(plain, new, metadata=metadata)
            sync_file(new)
            new.replace(self.file)
        except SafetensorError as error:  # how it tells that the disk is full
            raise OSError(f"{new}: {error}") from error
        finally:
            new.unlink(missing_ok=True)
        sync_directory(new.parent)

    def _clear(self) -> None:
        """Remove what a process left that was ended within a write; or a link, which must not be followed."""
        directory = self.file.parent
        for path in (directory / _NEW, *directory.glob(_UNFINISHED)):
            with contextlib.suppress(IsADirectoryError, PermissionError):
                path.unlink(missing_ok=True)

    def read(self, identity: Identity, defaults: Identity | None = None) -> tuple[Tensors, dict[str, Any]]:
        """Return tensors and state, once they are found to be whole and of this training.

        Parameters
        ----------
        identity
            Of the training that wants to go on.
        defaults
            The values of settings that a file may lack, because it was written before they existed.

        Raises
        ------
        CheckpointError
            If the file is damaged, of another format version, or of another training.
        OSError
            If it cannot be read.
        """
        try:
            with open_regular(self.file) as stream:
                header = read_header(stream)
                content = self._check(header.metadata, identity, defaults or {})
                tensors = read_tensors(stream, header)
        except CheckpointError:
            raise
        except ValueError as error:
            raise self.damaged(str(error)) from error
        if header.metadata.get("sum") != _sum(header.metadata["content"], tensors):
            raise self.damaged("its sum is not that of its content")
        return tensors, content["state"]

    def damaged(self, reason: str) -> CheckpointError:
        """Return an error, for raising it."""
        reason = printable(reason, 400)
        return CheckpointError(f"{self.file}: the checkpoint is damaged ({reason}); remove it, or train without resume")

    def _check(self, metadata: Mapping[str, str], identity: Identity, defaults: Identity) -> dict[str, Any]:
        if metadata.get("format") != FORMAT:
            raise CheckpointError(f"{self.file}: expected a checkpoint of textnn, got another file")
        version = metadata.get("version")
        if version != str(FORMAT_VERSION):
            raise CheckpointError(
                f"{self.file}: the checkpoint has the format version {version!s:.40}, this textnn reads "
                f"{FORMAT_VERSION}; go on with the textnn that wrote it"
            )
        try:
            content = parse_json(metadata["content"], constants=True)
            stored = {**defaults, **content["identity"]}
            dict(content["state"])
            if not all(isinstance(value, str) for value in stored.values()):
                raise ValueError("expected an identity of strings")
        except (ValueError, KeyError, TypeError) as error:
            raise self.damaged(f"its metadata: {error}") from error
        if different := differences(stored, identity):
            raise CheckpointError(f"{self.file}: the checkpoint is of another training: {printable(different)}")
        return dict(content)


def make_identity(values: Mapping[str, Any]) -> Identity:
    """Return the identity of a training: each value as it is shown, or its digest if that is long.

    Parameters
    ----------
    values
        Numbers, strings, and lists and dictionaries of them; datasets and dictionaries of tensors, which stand for
        their content.
    """
    identity = {}
    for name, value in values.items():
        if isinstance(value, RaggedDataset):
            identity[name] = _digest_of_data(value)
            continue
        if isinstance(value, Mapping) and value and all(isinstance(tensor, Tensor) for tensor in value.values()):
            identity[name] = _digest(*(tensor for _, tensor in sorted(value.items())))
            continue
        shown = repr(value)
        identity[name] = shown if len(shown) <= _LONGEST else _digest(shown.encode("utf-8", "surrogatepass"))
    return identity


def differences(stored: Identity, now: Identity) -> str:
    """Return what differs between the identities of two trainings as a sentence, empty if nothing does."""
    parts = []
    for name in dict.fromkeys([*now, *stored]):
        before, after = stored.get(name, "absent"), now.get(name, "absent")
        if before == after:
            continue
        digests = before.startswith(_DIGEST) or after.startswith(_DIGEST)
        parts.append(f"{name} changed" if digests else f"{name} was {before} and is {after} now")
    return ", ".join(parts)


def _lock(directory: Path) -> int:
    """Return a descriptor of the directory, made if it is not there, that no other training gets.

    A training that ends removes the directory that it holds: one that was opened just before is locked in vain, as it
    has no name any more, and all begins again.
    """
    while True:
        directory.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise CheckpointError(f"{directory}: another training that is running keeps its state there") from None
            except OSError:  # a file system without locks
                pass
            if _is_at(descriptor, directory):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _is_at(descriptor: int, directory: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), directory.stat())
    except FileNotFoundError:
        return False


def _digest(*parts: bytes | Tensor) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part if isinstance(part, bytes) else _bytes(part.detach().cpu().contiguous()))
    return _DIGEST + digest.hexdigest()


def _digest_of_data(data: RaggedDataset) -> str:
    """Digest what the rows of a dataset hold, in their order, however they lie in memory."""
    parts: list[bytes | Tensor] = [repr([len(data), len(data.others), data.weights is None, *data.aligned]).encode()]
    for rows in torch.arange(len(data)).split(_ROWS_AT_ONCE):
        batch = data.batch(rows)
        tensors = [*batch.inputs, batch.labels, batch.weights, *batch.aligned.values()]
        parts.append(_digest(*(tensor for tensor in tensors if tensor is not None)).encode())
    return _digest(*parts)


def _sum(content: str, tensors: Tensors) -> str:
    """A sum over everything in a file: it finds damage, not intent."""
    total = zlib.crc32(content.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        total = zlib.crc32(f"{name} {tensor.dtype} {list(tensor.shape)}".encode(), total)
        total = zlib.crc32(_bytes(tensor), total)
    return f"{total:08x}"


def _bytes(tensor: Tensor) -> Any:
    """The memory of a contiguous tensor."""
    return tensor.reshape(-1).view(torch.uint8).numpy()
