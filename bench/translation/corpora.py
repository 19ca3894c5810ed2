"""The pairs: English and Chinese sentences of Tatoeba, split so that no English sentence is on two sides.

A sentence with several translations is one source to be translated, with as many right translations.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

_PART = 20


class Sentences(NamedTuple):
    """Sources, and all right translations of each."""

    sources: list[str]
    references: list[list[str]]

    def pairs(self) -> tuple[list[str], list[str]]:
        """Return each source as often as it has translations, and these."""
        sources = [source for source, several in zip(*self, strict=True) for _ in several]
        return sources, [target for several in self.references for target in several]


class Corpus(NamedTuple):
    """Sentences to train on, to choose the epoch by, and to measure with."""

    training: Sentences
    validation: Sentences
    test: Sentences


def corpus(data: Path, limit: int | None = None) -> Corpus:
    """Read the pairs and divide them.

    Raises
    ------
    SystemExit
        If the file is not there.
    """
    path = data / "tatoeba_en_zh.zip"
    if not path.exists():
        raise SystemExit(f"{path}: no such file; --data names the folder that has it")
    with zipfile.ZipFile(path) as archive:
        lines = archive.read("cmn.txt").decode("utf-8").splitlines()
    found: dict[str, list[str]] = {}
    for line in lines:
        source, target = (" ".join(text.split()) for text in line.split("\t")[:2])
        found.setdefault(source, []).append(target)
    sources = list(found)
    order = np.random.RandomState(0).permutation(len(sources)).tolist()[:limit]
    parts = [[sources[row] for row in order[first::_PART]] for first in range(_PART)]
    rest = [source for part in parts[2:] for source in part]
    return Corpus(*(Sentences(part, [found[source] for source in part]) for part in (rest, parts[1], parts[0])))
