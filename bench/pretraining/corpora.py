"""The texts: a test part that is the same for all, and the rest, from which labels are drawn."""

from __future__ import annotations

import random
import zipfile
from pathlib import Path

from textnn.text import read_corpus

from ..accuracy.corpora import Part, Split, distinct

TESTED = 5_000
"""Texts of the test part, or a tenth of all if these are fewer."""


def divide(path: Path, limit: int | None = None) -> tuple[Part, Part]:
    """Read a file, each text once; return the texts to learn from, and those to test with.

    The test part is the same whatever is drawn from the rest. So one language model serves all draws, and has read no
    text of it.

    Parameters
    ----------
    path
        A file that ``textnn train`` reads, or a ZIP archive of one.
    limit
        Take so many texts.

    Raises
    ------
    SystemExit
        If there is no such file.
    """
    if not path.is_file():
        raise SystemExit(f"{path}: no such file")
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as file:
            read = read_corpus(file, format=Path(file.name).suffix[1:])
    else:
        read = read_corpus(path)
    part = distinct(Part(read.texts, read.labels))
    order = list(range(len(part)))
    random.Random(0).shuffle(order)
    order = order[:limit]
    tested = min(TESTED, len(order) // 10)
    return part.take(order[tested:]), part.take(order[:tested])


def draw(pool: Part, test: Part, size: int | None, number: int) -> Split:
    """Return a draw: ``size`` texts with labels, of which a ninth is for who chooses settings; None: all there are."""
    rows = random.Random(1000 + number).sample(range(len(pool)), len(pool) if size is None else min(size, len(pool)))
    ninth = -(-len(rows) // 9)
    return Split(pool.take(rows[ninth:]), pool.take(rows[:ninth]), test)
