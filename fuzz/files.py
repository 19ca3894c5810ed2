"""Damaged files on the disk: where they lie, and saved models with changes.

valid files, choices of the engine -> files with damage, with checksums that fit it or not -> the folder of the process
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from fuzz import seeds
from fuzz.mutation import Entropy, damage_bytes, damage_tensors, damage_value, write_json
from textnn.bundle.config import seal

_folders: dict[int, tempfile.TemporaryDirectory[str]] = {}


def folder() -> Path:
    """Return a directory of this process, in memory where the system has such a place."""
    if os.getpid() not in _folders:
        # A driver removes its own also where the engine ends the process without a word.
        memory = os.environ.get("TEXTNN_FUZZ_FOLDER") or ("/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
        _folders[os.getpid()] = tempfile.TemporaryDirectory(prefix="textnn-fuzz-", dir=memory)
    return Path(_folders[os.getpid()].name)


def damaged(entropy: Entropy, valid: Any) -> bytes:
    """Return one of some files with changes, or bytes of the engine's own."""
    if entropy.below(8) == 0:
        return entropy.rest()
    content: bytes = entropy.choice(valid)
    for _ in range(entropy.below(4)):
        content = damage_bytes(content, entropy)
    return content


def damage_model(files: dict[str, bytes], entropy: Entropy, directory: Path) -> Path:
    """Write a saved model with changes; return where."""
    config = json.loads(files["config.json"])
    sums_fit, config_text = entropy.below(8) > 0, None
    for _ in range(1 + entropy.below(2)):
        name = entropy.choice(["config.json", *sorted(config["files"]), "config.json"])
        if name == "config.json":
            for _ in range(1 + entropy.below(2)):
                config = damage_value(config, entropy)
            if not (isinstance(config, dict) and isinstance(config.get("files"), dict)):
                break
        elif name == "model.safetensors":
            files[name] = damage_tensors(files[name], entropy)
        elif name == "labels.json" and entropy.below(2):
            files[name] = write_json(damage_value(json.loads(seeds.LABELS[0]), entropy), entropy)
        elif name in files:
            files[name] = damage_bytes(files[name], entropy)
    if sums_fit and isinstance(config, dict) and isinstance(config.get("files"), dict):
        for name, stored in config["files"].items():
            if name in files and isinstance(stored, dict) and entropy.below(16):
                config["files"][name] = {"bytes": len(files[name]), "sha256": hashlib.sha256(files[name]).hexdigest()}
        with contextlib.suppress(ValueError, RecursionError):
            config = seal(config)
    config_text = write_json(config, entropy)
    directory.mkdir(exist_ok=True)
    for file in directory.iterdir():
        if file.name not in files:
            file.unlink()
    for name, content in {**files, "config.json": config_text}.items():
        (directory / name).write_bytes(content)
    return directory
