"""Saved models: directories of plain files; ``directory`` has the format."""

from __future__ import annotations

from textnn.bundle.config import FORMAT, FORMAT_VERSION
from textnn.bundle.directory import (
    check_target,
    checkpoint_directory,
    load,
    read_card,
    read_config,
    save,
)
from textnn.bundle.files import BundleError

__all__ = [
    "FORMAT",
    "FORMAT_VERSION",
    "BundleError",
    "check_target",
    "checkpoint_directory",
    "load",
    "read_card",
    "read_config",
    "save",
]
