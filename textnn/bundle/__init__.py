"""Saved models of any task: directories of plain files, each task with a :class:`Format` and files of its own."""

from __future__ import annotations

from textnn.bundle.config import Format
from textnn.bundle.directory import (
    check_target,
    checkpoint_directory,
    read_bundle,
    read_card,
    read_config,
    read_format,
    write_bundle,
    write_weights,
)
from textnn.bundle.files import BundleError

__all__ = [
    "BundleError",
    "Format",
    "check_target",
    "checkpoint_directory",
    "read_bundle",
    "read_card",
    "read_config",
    "read_format",
    "write_bundle",
    "write_weights",
]
