"""The texts: verses of Tang poems, of which every twentieth is held out, drawn by a seed that is the same for all.

A verse that occurs more than once stays where it was drawn first, so none that is held out is trained on.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from textnn.language.encoding import Splitter, TextEncoder, count
from textnn.text import Vocabulary

_PART = 20


class Verses(NamedTuple):
    """Verses to train on, to choose settings by, and to measure with; none in two of these."""

    training: list[str]
    validation: list[str]
    test: list[str]


def verses(data: Path, limit: int | None = None) -> Verses:
    """Read the verses and divide them.

    Raises
    ------
    SystemExit
        If the file is not there.
    """
    path = data / "tang_poetry.zip"
    if not path.exists():
        raise SystemExit(f"{path}: no such file; --data names the folder that has it")
    with zipfile.ZipFile(path) as archive:
        lines = archive.read("poetry.txt").decode("utf-8").splitlines()[:limit]
    different = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    order = np.random.RandomState(0).permutation(len(different)).tolist()
    parts = [[different[row] for row in order[first::_PART]] for first in range(_PART)]
    rest = [verse for part in parts[2:] for verse in part]
    return Verses(rest, parts[1], parts[0])


class Coder:
    """Ids of verses, each behind END, with the vocabulary of those that are trained on."""

    def __init__(self, texts: list[str], min_count: int = 2) -> None:
        splitter = Splitter("char")
        self.vocabulary: Vocabulary = count(splitter, texts, min_count, None)
        self.encode = TextEncoder(splitter, self.vocabulary)

    def rows(self, texts: list[str]) -> list[Tensor]:
        """Return the ids of each verse between two END, int64 [tokens + 2]."""
        ids, lengths = self.encode(texts)
        end = torch.zeros(1, dtype=torch.int64)
        return [torch.cat([part.long(), end]) for part in ids.split(lengths.tolist())]
