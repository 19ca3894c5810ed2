"""From texts to tokens and ids, and from tokens to text.

    char         each character, white space too               joined: the text, to the letter
    word         words with the space before them; each Chinese character; punctuation; other white space: the same
    a tokenizer  what it finds; between two of its tokens a space where both are of a script with spaces

Each text is encoded behind the mark END, so that what follows its last token is the mark of the next one.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from textnn.language.network import END, UNKNOWN
from textnn.models.predictor import in_chunks
from textnn.text import TokenCounts, Tokenizer, Vocabulary, WhitespaceTokenizer, make_tokenizer, tokenize
from textnn.text.scripts import combining_marks

CHAR, WORD, TOKENIZER = "char", "word", "tokenizer"
LEVELS = (CHAR, WORD, TOKENIZER)

_CHUNK = 1024  # texts
_CODES = 0x110000
_HAN = "\u2e80-\u9fff\uac00-\ud7ff\uf900-\ufaff\uff66-\uff9d\U00020000-\U0003ffff"
_UNSPACED = re.compile(f"[{_HAN}]")


@cache
def _words() -> re.Pattern[str]:
    marks = combining_marks()
    return re.compile(rf" ?[^\W{_HAN}](?:[^\W{_HAN}]|[{marks}])*|[{_HAN}][{marks}]*| ?[^\w\s{_HAN}]+|\s")


class Splitter:
    """Cuts texts into tokens, and joins them.

    Parameters
    ----------
    level
        One of ``LEVELS``.
    tokenizer
        For ``"tokenizer"``.

    Examples
    --------
    >>> Splitter("word").split("He ran, and 他 did.")
    ['He', ' ran', ',', ' and', ' ', '他', ' did', '.']
    """

    def __init__(self, level: str, tokenizer: Tokenizer | None = None) -> None:
        self.level, self.tokenizer = level, tokenizer

    @classmethod
    def of(cls, level: Any) -> Splitter:
        """Return a splitter for what a user gives: ``"char"``, ``"word"``, or what ``make_tokenizer`` takes.

        Raises
        ------
        TypeError, ValueError
            If it is none of these.
        """
        if isinstance(level, str) and level in (CHAR, WORD):
            return cls(level)
        try:
            return cls(TOKENIZER, make_tokenizer(level))
        except (TypeError, ValueError) as error:
            message = str(error).removeprefix("tokenizer: ")
            raise type(error)(f"level: expected 'char', 'word' or a tokenizer; {message}") from error

    @property
    def words(self) -> bool:
        """Whether tokens are something else than characters."""
        return self.level != CHAR

    def split(self, text: str) -> list[str]:
        """Return the tokens of a text."""
        if self.tokenizer is not None:
            return self.tokenizer(text)
        return list(text) if self.level == CHAR else _words().findall(text)

    def split_each(self, texts: Iterable[str]) -> Iterator[Sequence[str]]:
        """Yield the tokens of each text; a text itself stands for its characters."""
        if self.level == CHAR:
            return iter(texts)
        return tokenize(texts, self.split if self.tokenizer is None else self.tokenizer)

    def gap(self, before: str, after: str) -> str:
        """Return what stands between two tokens of a text."""
        if self.tokenizer is None or not before or not after:
            return ""
        if isinstance(self.tokenizer, WhitespaceTokenizer):
            return " "
        last, first = before[-1], after[0]
        spaced = last.isalnum() and first.isalnum() and not _UNSPACED.match(last) and not _UNSPACED.match(first)
        return " " if spaced else ""

    def join(self, tokens: Sequence[str]) -> str:
        """Return the text of some tokens."""
        return "".join(self.gap(*pair) + pair[1] for pair in pairwise(["", *tokens]))


def splitting_settings(splitter: Splitter) -> dict[str, Any]:
    """Return how texts are cut and joined, for programs that have not this one (``textnn.export``)."""
    tokenizer = splitter.tokenizer
    gap = "" if tokenizer is None else "space" if isinstance(tokenizer, WhitespaceTokenizer) else "spaced"
    return {
        "level": splitter.level,
        "tokenizer": None if tokenizer is None else tokenizer.describe(),
        "words": _words().pattern,
        "unspaced": _UNSPACED.pattern,
        "gap": gap,
    }


def count(splitter: Splitter, texts: Iterable[str], min_count: int, max_size: int | None) -> Vocabulary:
    """Return the vocabulary of some texts."""
    counts = TokenCounts()
    for tokens in splitter.split_each(texts):
        counts.counts.update(tokens)
    return Vocabulary.from_counts(counts, min_count, max_size)


class TextEncoder:
    """Gives tokens their ids.

    Parameters
    ----------
    splitter, vocabulary
        How texts are cut, and which tokens are known.
    """

    def __init__(self, splitter: Splitter, vocabulary: Vocabulary) -> None:
        self.splitter, self.vocabulary = splitter, vocabulary

    def __call__(self, texts: Iterable[str]) -> tuple[Tensor, Tensor]:
        """Return the ids of texts, each behind END, int32 [N], and how many of them each has, int64 [texts]."""
        parts = [self._encode(chunk) for chunk in in_chunks(texts, _CHUNK)]
        if not parts:
            return torch.zeros(0, dtype=torch.int32), torch.zeros(0, dtype=torch.int64)
        ids, lengths = (np.concatenate(column) for column in zip(*parts, strict=True))
        return torch.from_numpy(ids), torch.from_numpy(lengths)

    def prompt(self, text: str, warn: bool = True) -> list[int]:
        """Return the ids of a prompt, behind END; warn of what is unknown in it, if asked to."""
        tokens = self.splitter.split(text)
        ids = self.vocabulary.encode(tokens)
        if warn and (unknown := self.unknown(tokens)):
            shown = ", ".join(repr(token[:20]) for token in unknown[:5]) + (", ..." if len(unknown) > 5 else "")
            all_ = "no token of it is" if all(id_ == UNKNOWN for id_ in ids) else "not all of its tokens are"
            message = f"prompt: {all_} in the vocabulary ({shown}); each is read as the unknown token"
            warnings.warn(message, UserWarning, stacklevel=4)
        return [END, *ids]

    def unknown(self, tokens: Sequence[str]) -> list[str]:
        """Return the tokens that are not known, each once."""
        ids = self.vocabulary.encode(tokens)
        return list(dict.fromkeys(token for token, id_ in zip(tokens, ids, strict=True) if id_ == UNKNOWN))

    def _encode(self, texts: list[str]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        if self.splitter.level == CHAR:
            lengths = np.array([len(text) for text in texts], dtype=np.int64)
            codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
            ids = self._table[codes]
        else:
            rows = [self.vocabulary.encode(tokens) for tokens in self.splitter.split_each(texts)]
            lengths = np.array([len(row) for row in rows], dtype=np.int64)
            ids = np.array([id_ for row in rows for id_ in row], dtype=np.int32)
        return np.insert(ids, lengths.cumsum() - lengths, END).astype(np.int32, copy=False), lengths + 1

    @cached_property
    def _table(self) -> np.ndarray[Any, np.dtype[np.int32]]:
        """The id of each character of Unicode."""
        table = np.full(_CODES, UNKNOWN, dtype=np.int32)
        for id_, token in enumerate(self.vocabulary.tokens[2:], 2):
            if len(token) == 1:
                table[ord(token)] = id_
        return table
