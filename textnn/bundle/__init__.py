"""Saved models: directories of plain files; ``directory`` has the format."""

from __future__ import annotations

from textnn.bundle.directory import FORMAT, FORMAT_VERSION, check_target, load, read_card, read_config, save
from textnn.bundle.files import BundleError

__all__ = ["FORMAT", "FORMAT_VERSION", "BundleError", "check_target", "load", "read_card", "read_config", "save"]
