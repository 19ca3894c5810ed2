"""What the tests of the command line share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from samples import make_reviews
from typer.testing import CliRunner

import textnn
from _textnn_cli import app

ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": str(Path(textnn.__file__).parent.parent),
    "OMP_NUM_THREADS": "1",
    "PYTHONUNBUFFERED": "1",
}
QUICK = ["--tokenizer", "whitespace", "--embedding-dim", "8", "--epochs", "2"]


def run(*arguments: object, stdin: str | None = None) -> Any:
    """Run a command within this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)


def write_csv(path: Path, count: int = 60, seed: int = 0) -> Path:
    texts, labels = make_reviews(count, seed=seed)
    rows = "".join(f"{label},{text}\n" for text, label in zip(texts, labels, strict=True))
    path.write_text("label,review\n" + rows, encoding="utf-8")
    return path
