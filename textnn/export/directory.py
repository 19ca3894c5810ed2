"""The directory of an export: what may stand in it, what it may replace; it appears complete or not at all.

files of an export -> hidden directory beside the target -> flushed to the disk -> exchanged with the target
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from textnn.export import onnx, program
from textnn.files import BYTECODE, finish_replacing, foreign_names, replacing, sync_directory, sync_file
from textnn.version import __version__

FORMATS = {"onnx": onnx.NAME, "torch": program.NAME}
"""What can be exported, and the file of the program."""

SETTINGS, LABELS, ARRAYS, SCRIPT, README = (
    *("preprocessing.json", "labels.json", "arrays.npz"),
    *("predict.py", "README.md"),
)
VOCABULARY, CHARACTERS = "vocabulary.txt", "characters.txt"
FILES = {*FORMATS.values(), onnx.DATA, SETTINGS, LABELS, ARRAYS, SCRIPT, README, VOCABULARY, CHARACTERS}
_REPLACED = {*FILES, BYTECODE}  # what an export may replace: whoever imports the script has its bytecode beside it
FORMAT, FORMAT_VERSION = "textnn-export", 1


def check_format(format: str) -> None:  # noqa: A002
    """Refuse a format that there is not.

    Raises
    ------
    ValueError
        With the formats that there are.
    """
    if not isinstance(format, str) or format not in FORMATS:
        close = difflib.get_close_matches(str(format).lower(), FORMATS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"format: expected one of {', '.join(map(repr, FORMATS))}, got {format!r}{hint}")


def check_target(path: str | os.PathLike[str]) -> Path:
    """Return where to export to, links resolved.

    Raises
    ------
    ValueError
        If something is there that an export must not replace.
    """
    target = Path(os.path.realpath(path))
    if target.suffix in (".onnx", ".pt2", ".pt") and not target.is_dir():
        raise ValueError(f"path: expected a directory, in which {' or '.join(FORMATS.values())} will be, got {target}")
    if not target.exists():
        return target
    if not target.is_dir():
        raise ValueError(f"path: expected a directory to export to, got the file {target}")
    if os.access(target, os.W_OK):
        finish_replacing(target, _REPLACED)
    foreign = foreign_names(target, _REPLACED)
    names = {*foreign, *(entry.name for entry in target.iterdir() if entry.name in _REPLACED)}
    if names and not _is_export(target / SETTINGS):
        raise ValueError(f"path: expected an empty directory or an earlier export to replace, got others in {target}")
    if foreign:
        raise ValueError(
            f"path: the export in {target} would be replaced, but with it {', '.join(foreign[:5])}, which textnn did "
            "not write; move it away or export elsewhere"
        )
    return target


def _is_export(settings: Path) -> bool:
    try:
        return bool(json.loads(settings.read_bytes())["format"] == FORMAT)
    except (OSError, ValueError, LookupError, TypeError):
        return False


def write_directory(target: Path, write: Callable[[Path], None]) -> None:
    """Make the directory of an export, or replace it in one step.

    Parameters
    ----------
    target
        As :func:`check_target` returned it.
    write
        Called with an empty directory, into which it writes the files.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target, _REPLACED) as directory:
            write(directory)
            for file in directory.iterdir():
                sync_file(file)
            sync_directory(directory)
    except OSError as error:
        if error.errno is None:
            raise
        # It would name a directory that nobody has heard of.
        raise OSError(error.errno, error.strerror, str(target)) from error


def write_network(
    format: str,  # noqa: A002
    network: nn.Module,
    example: Mapping[str, Tensor],
    axes: Mapping[str, dict[int, str]],
    outputs: tuple[str, ...] | Mapping[str, dict[int, str]],
    directory: Path,
) -> dict[str, Any]:
    """Write a network as a program, and return what the settings say of it.

    Parameters
    ----------
    format
        One of ``FORMATS``.
    network
        For inference; gives a tensor, or several.
    example, axes
        Its inputs by name, and of each the axes that may change, with their names.
    outputs
        Names; with the axes that may change where these are others than those of the first input.
    directory
        Where to write.
    """
    tensors, shapes = tuple(example.values()), list(axes.values())
    if format == "onnx":
        onnx.write_onnx(network, tensors, shapes, [*example], [*outputs], directory)
    else:
        program.write_program(network, tensors, shapes, directory)
    with torch.no_grad():
        results = network(*tensors)
    results = (results,) if isinstance(results, Tensor) else results

    def told(name: str, tensor: Tensor, named: Mapping[int, str]) -> dict[str, Any]:
        shape = [named.get(axis, size) for axis, size in enumerate(tensor.shape)]
        return {"name": name, "dtype": str(tensor.dtype).removeprefix("torch."), "shape": shape}

    first = {axis: name for axis, name in shapes[0].items() if axis < results[0].dim() - 1}
    named = outputs if isinstance(outputs, Mapping) else dict.fromkeys(outputs, first)
    return {
        "program": {"file": FORMATS[format], **({"opset": onnx.OPSET} if format == "onnx" else {})},
        "inputs": [told(name, tensor, axes[name]) for name, tensor in example.items()],
        "outputs": [told(name, result, named[name]) for name, result in zip(outputs, results, strict=True)],
    }


def versions() -> dict[str, Any]:
    """Return what the settings say of the program that wrote them."""
    return {"format": FORMAT, "format_version": FORMAT_VERSION, "textnn": __version__, "torch": torch.__version__}


def write_texts(directory: Path, settings: dict[str, Any], labels: list[Any] | None, script: str, readme: str) -> None:
    """Write the files that people read.

    Parameters
    ----------
    directory
        Where to.
    settings, labels
        Become JSON; None: there are no labels.
    script
        The module of ``textnn.export`` that becomes ``predict.py``.
    readme
        Markdown.
    """
    # Both in ASCII, as a label or a word may have half a surrogate pair.
    for name, content in ((LABELS, labels), (SETTINGS, settings)):
        if content is None:
            continue
        (directory / name).write_text(json.dumps(content, indent=2) + "\n", encoding="ascii")
    source = files("textnn.export").joinpath(script).read_text(encoding="utf-8")
    (directory / SCRIPT).write_text(source, encoding="utf-8", newline="\n")
    (directory / README).write_text(readme, encoding="utf-8", newline="\n")
