"""Saved classifiers: state and parameters <-> a directory of plain files; ``directory`` has the format."""

from __future__ import annotations

from functools import partial

from textnn.bundle import directory as shared
from textnn.classification.bundle.config import FORMAT
from textnn.classification.bundle.directory import load, save

__all__ = ["FORMAT", "check_target", "load", "read_card", "read_config", "save"]

check_target = partial(shared.check_target, kind=FORMAT)
read_card = partial(shared.read_card, kind=FORMAT)
read_config = partial(shared.read_config, kind=FORMAT)
