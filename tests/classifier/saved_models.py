"""What a saved model consists of, and how the tests change its configuration."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from textnn.bundle.config import seal
from textnn.bundle.files import file_sum

FILES = {
    "README.md",
    "config.json",
    "labels.json",
    "model.safetensors",
    "stop_words.txt",
    "user_dictionary.txt",
    "vocabulary.txt",
}


def edit_config(directory: Path, change: Callable[[dict[str, Any]], object], sealed: bool = True) -> None:
    """Change the configuration; bring the sums up to date if ``sealed``, as one would who tampers with a model."""
    file = directory / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    if sealed:
        config["files"] = {name: file_sum(directory / name) for name in config["files"]}
    change(config)
    file.write_text(json.dumps(seal(config) if sealed else config), encoding="utf-8")
