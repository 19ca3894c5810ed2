"""Directories of saved models, of any task: written at once or not at all, checked before they are used.

    save: files -> hidden directory beside the target -> flushed to the disk -> exchanged with the target; or within
          the target, where it is a mount point, and then file by file (``textnn.files``)
    load: config.json and its own sum -> each file once, with size and sum -> shapes -> weights

There is no pickle and no code in them. Nothing is allocated by the word of a file: shapes follow from the options,
which are limited, and must be those of the tensors before these are read. docs/safety.md lists all that is refused.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from torch import Tensor

from textnn.bundle.config import Format, parse_config, parse_format
from textnn.bundle.files import CARD, CONFIG, LARGEST, SMALL, WEIGHTS, BundleError, Directory, opened, reading
from textnn.circumstances import warn
from textnn.files import (
    CHECKPOINT,
    READY,
    finish_replacing,
    foreign_names,
    must_stay,
    replacing,
    sync_directory,
    sync_file,
)
from textnn.reading import escape_controls

_ATTEMPTS = 3  # at reading a model that is replaced meanwhile

Model = TypeVar("Model")


def write_bundle(path: str | os.PathLike[str], kind: Format, write: Callable[[Path], None]) -> None:
    """Make a model's directory, or replace it in one step.

    Parameters
    ----------
    path
        The directory; its parents are made. Whoever reads it finds the old model or the new one, also after a crash.
        Files of others that come into it meanwhile are kept beside it, with a warning. In a mount point, such as a
        container's volume, each file is replaced for itself, after all of the new model are whole; if the process is
        killed meanwhile, :func:`read_bundle` reads the new model from a directory within, with a warning, and the next
        one to save or train finishes the replacement.
    kind
        The format.
    write
        Called with an empty directory, into which it writes the files.

    Raises
    ------
    BundleError
        If ``path`` exists and is not such a model, a file is larger than it may be, or writing fails.
    """
    target = check_target(path, kind)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target, kind.files) as directory:
            write(directory)
            for file in directory.iterdir():
                if file.name.endswith(WEIGHTS):
                    shutil.copymode(directory / CONFIG, file)  # safetensors leaves it to its owner alone
                size, largest = file.stat().st_size, LARGEST.get(file.name, SMALL)
                if largest is not None and size > largest:
                    raise BundleError(
                        f"{file.name}: expected at most {largest:,} bytes, got {size:,}; no model was written"
                    )
                sync_file(file)
            sync_directory(directory)
    except (OSError, SafetensorError) as error:
        raise BundleError(f"{target}: cannot be written: {getattr(error, 'strerror', None) or error}") from error


def write_weights(weights: Mapping[str, Tensor], directory: Path) -> None:
    """Write the weights of a network.

    Raises
    ------
    BundleError
        If one is infinite or NaN.
    """
    from safetensors.torch import save_file

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    for name, tensor in plain.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise BundleError(f"{name}: expected finite weights, got infinite ones or NaN; no model was written")
    save_file(plain, directory / WEIGHTS, metadata={"format": "pt"})


def read_bundle(path: str | os.PathLike[str], read: Callable[[Directory], Model]) -> Model:
    """Return what is read from a model's directory; again, if another model takes its place meanwhile.

    Raises
    ------
    BundleError
        If the directory is no model or is damaged.

    Warns
    -----
    UserWarning
        If the process that was replacing the model in a mount point was killed; the new model is read, nothing written.
    """
    for attempt in range(_ATTEMPTS):
        with opened(path) as directory:
            try:
                return read(directory)
            except BundleError:
                # A model that takes the place of the one that is being read takes its files away.
                if attempt < _ATTEMPTS - 1 and directory.is_replaced():
                    continue
                ready = Path(path, READY)
                if not ready.is_dir():
                    raise
        with opened(ready) as directory:
            model = read(directory)
        warn(
            f"{path}: the process that was replacing this model was ended; the new one is read from {READY} in it. "
            "Saving or training a model there puts it into its place first",
        )
        return model
    raise AssertionError  # the last attempt returns or raises


def read_config(path: str | os.PathLike[str], kind: Format) -> dict[str, Any]:
    """Return a model's ``config.json``, without looking at the other files.

    Raises
    ------
    BundleError
        If there is none, it is damaged, or it is of another program or format version.
    """
    with opened(path) as directory:
        return config_of(directory, kind)


def config_of(directory: Directory, kind: Format) -> dict[str, Any]:
    """Return the ``config.json`` of a directory that is open; raises as :func:`read_config` does."""
    content = directory.read(CONFIG)
    with reading(directory.file(CONFIG)):
        return parse_config(content, kind)


def read_format(path: str | os.PathLike[str]) -> str:
    """Return the name of a saved model's format, by which its task is told; nothing else of it is looked at.

    Raises
    ------
    BundleError
        If the directory is no model, or its ``config.json`` is damaged.
    """

    def name(directory: Directory) -> str:
        content = directory.read(CONFIG)
        with reading(directory.file(CONFIG)):
            return parse_format(content)

    return read_bundle(path, name)


def read_card(path: str | os.PathLike[str], kind: Format) -> str:
    """Return a model's card, with escapes in place of control characters, which could rewrite a terminal.

    Raises
    ------
    BundleError
        If the directory is no textnn model, or the card is missing or no text.
    """
    with opened(path) as directory:
        config_of(directory, kind)
        content = directory.read(CARD)
        with reading(directory.path / CARD):
            return escape_controls(content.decode("utf-8"))


def check_target(path: str | os.PathLike[str], kind: Format) -> Path:
    """Return the directory that a model of a format may be saved as, links resolved.

    Raises
    ------
    BundleError
        If something is there that a model must not replace.
    """
    target = Path(os.path.realpath(path))
    try:
        if not target.is_dir():
            if target.exists():
                raise BundleError(f"{target}: expected a directory to save the model as, got a file")
            parent = next(folder for folder in target.parents if folder.exists())
            if not parent.is_dir() or not os.access(parent, os.W_OK):
                raise BundleError(f"{target}: expected a place where a directory can be made, but {parent} is none")
            return target
        if os.access(target, os.W_OK):
            finish_replacing(target, kind.files)
        foreign = foreign_names(target, kind.files)
        names = {*foreign, *(entry.name for entry in target.iterdir() if entry.name in kind.files)}
        if must_stay(target) and not os.access(target, os.W_OK):
            raise BundleError(f"{target}: expected a directory that can be written to")
    except OSError as error:
        raise BundleError(f"{target}: cannot be read: {error.strerror or error}") from error
    if names and CONFIG not in names:
        raise BundleError(f"{target}: expected an empty directory or a textnn model to replace, got other files")
    if names:
        read_config(target, kind)
        if foreign:
            raise BundleError(
                f"{target}: the model there would be replaced, but with it {', '.join(foreign[:5])}, "
                "which textnn did not write; move it away or save elsewhere"
            )
    return target


def checkpoint_directory(target: Path) -> Path:
    """Return where the state of a training is kept: beside the model's directory, or in it if that is a mount point."""
    return target / CHECKPOINT if must_stay(target) else target.with_name(f".{target.name}.checkpoint")
