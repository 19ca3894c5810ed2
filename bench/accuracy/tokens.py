"""Words of texts, found once: tokenizing is slow, and the same for all seeds and for all who use one tokenizer."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from textnn.text import make_tokenizer

Tokenizer = Callable[[str], list[str]]
Progress = Callable[[int], None]

SNOWNLP = "snownlp"
_EVERY = 50


def load_tokenizer(name: str) -> Tokenizer:
    """Return one of textnn's tokenizers by its name, or snownlp's with its stop words, as its classifier uses it."""
    if name != SNOWNLP:
        return make_tokenizer(name)
    from snownlp import normal, seg

    def words(text: str) -> list[str]:
        found: list[str] = normal.filter_stop(seg.seg(text))
        return found

    return words


def packages(name: str | None) -> list[str]:
    """Return the packages whose versions a tokenizer's words depend on."""
    return [name] if name in ("jieba", "rjieba", SNOWNLP) else []


class Tokens:
    """A tokenizer that knows the words of some texts.

    A pickle of it holds the tokenizer's name alone: what a model needs that is to read new texts.

    Attributes
    ----------
    name
        That of the tokenizer.
    seconds
        What finding the words of the texts took.
    """

    def __init__(self, name: str) -> None:
        self.name, self.seconds = name, 0.0
        self._known: dict[str, list[str]] = {}
        self._tokenizer: Tokenizer | None = None

    def prepare(self, texts: Iterable[str], progress: Progress = lambda _: None, kept: Path | None = None) -> Tokens:
        """Find the words of texts.

        Parameters
        ----------
        texts
            Each once, in the same order every time.
        progress
            Called with the number of texts done since its last call.
        kept
            A file to keep the words in as they are found, for tokenizers that take hours: the next run reads it and
            goes on where it ends.
        """
        waiting = list(texts)
        if kept is not None:
            for seconds, text, words in _read(kept):
                self.seconds += seconds
                self._known[text] = words
        whole = len(waiting)
        waiting = [text for text in waiting if text not in self._known]
        progress(whole - len(waiting))
        for start in range(0, len(waiting), _EVERY):
            lines = []
            for text in waiting[start : start + _EVERY]:
                begin = time.process_time()
                words = self._find(text)
                seconds = time.process_time() - begin
                self.seconds += seconds
                self._known[text] = words
                lines.append(json.dumps([round(seconds, 6), text, words]) + "\n")
            if kept is not None:
                kept.parent.mkdir(parents=True, exist_ok=True)
                with kept.open("a", encoding="ascii") as file:
                    file.writelines(lines)
            progress(len(lines))
        return self

    def __call__(self, text: str) -> list[str]:
        known = self._known.get(text)
        return self._find(text) if known is None else known

    def _find(self, text: str) -> list[str]:
        if self._tokenizer is None:
            self._tokenizer = load_tokenizer(self.name)
        return self._tokenizer(text)

    def __getstate__(self) -> dict[str, Any]:
        return {"name": self.name, "seconds": 0.0, "_known": {}, "_tokenizer": None}


def _read(path: Path) -> Iterator[tuple[float, str, list[str]]]:
    """Yield what has been kept; a line that was not written to its end is taken off the file."""
    if not path.exists():
        return
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        with path.open("r+b") as file:
            file.truncate(whole)
    for line in data[:whole].splitlines():
        seconds, text, words = json.loads(line)
        yield seconds, text, words
