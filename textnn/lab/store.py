"""Small models on disk: the very first visit trains them, every later one reads them.

    name -> FOLDER / fingerprint / name -> load ---------------------------> the model
                                           not there, or broken -> None
    the model -> save, and in its place at once -> the same folder; those of other fingerprints are deleted

The fingerprint is of what a model depends on: versions, and the sources that make it and its texts. A folder that
cannot be written to is no error: then each process trains its own.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import Any

from textnn.bundle import BundleError
from textnn.version import __version__

VARIABLE = "TEXTNN_CACHE"
"""Of the environment: the folder instead of the user's own; empty, and nothing is kept."""

_SOURCES = ("small.py", "samples.py")
_DIGITS = 16
_FINGERPRINT = re.compile(f"[0-9a-f]{{{_DIGITS}}}")
_PACKAGES = ("torch", "snownlp", "jieba", "rjieba")


def folder() -> Path | None:
    """Return the folder that models are kept in, or None if they are not."""
    given = os.environ.get(VARIABLE)
    if given is not None:
        return Path(given) / "lab" if given else None
    try:
        home = Path.home()
    except RuntimeError:  # nobody's
        return None
    if sys.platform == "darwin":
        base = home / "Library" / "Caches"
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return base / "textnn" / "lab"


def load(name: str, kind: Any) -> Any:
    """Return a model that was kept, or None.

    Parameters
    ----------
    name
        As it was given to :func:`save`.
    kind
        The class of the estimator.
    """
    path = _path(name)
    if path is None or not path.is_dir():
        return None
    try:
        return kind.load(path)
    except Exception:  # whatever is wrong with it, a new one can be made
        return None


def save(name: str, model: Any) -> None:
    """Keep a model, if that is possible, and delete those of other versions."""
    path = _path(name)
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        model.save(path)
        others = [each for each in path.parent.parent.iterdir() if each != path.parent]
    except (OSError, BundleError):
        return
    for other in others:
        if _FINGERPRINT.fullmatch(other.name):  # else it is not ours; a link is not followed
            shutil.rmtree(other, ignore_errors=True)


def _path(name: str) -> Path | None:
    base = folder()
    return None if base is None else base / _fingerprint() / name


@cache
def _fingerprint() -> str:
    found = hashlib.sha256(__version__.encode())
    for package in _PACKAGES:
        try:
            found.update(f"{package} {version(package)}".encode())
        except PackageNotFoundError:
            found.update(package.encode())
    for name in _SOURCES:
        found.update(files("textnn.lab").joinpath(name).read_bytes())
    return found.hexdigest()[:_DIGITS]
