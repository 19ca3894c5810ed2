"""Findings as lines of JSON: written one at a time, so that a program that is killed leaves what it had found."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def add(path: Path, kind: str, **fields: Any) -> None:
    """Append a row; NaN and infinity, which JSON has no names for, become null."""
    plain = {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in fields.items()}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"kind": kind, **plain}, ensure_ascii=False) + "\n")


def read(path: Path) -> list[Row]:
    """Return the rows of a file, none where there is no file; a last line that was cut off is left out."""
    return list(_complete(path)) if path.exists() else []


def _complete(path: Path) -> Iterator[Row]:
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            yield row
