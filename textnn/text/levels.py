"""From texts to tokens and ids, and from tokens to text.

    char         each character, white space too               joined: the text, to the letter
    word         words with the space before them; each Chinese character; punctuation; other white space: the same
    a tokenizer  what it finds; between two of its tokens a space where both are of a script with spaces

Each text is encoded behind the mark END, so that what follows its last token is the mark of the next one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from textnn.models.predictor import in_chunks
from textnn.text.encoding import tokenize
from textnn.text.scripts import combining_marks
from textnn.text.tokenizers import CallableTokenizer, ModelTokenizer, Tokenizer, WhitespaceTokenizer, make_tokenizer
from textnn.text.vocabulary import TokenCounts, Vocabulary

CHAR, WORD, TOKENIZER = "char", "word", "tokenizer"
LEVELS = (CHAR, WORD, TOKENIZER)
END, UNKNOWN = Vocabulary.PAD_ID, Vocabulary.UNK_ID
"""Ids of the mark before each text, which is also what follows its last token, and of tokens that are not known."""

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
    def of(cls, level: Any, argument: str = "level") -> Splitter:
        """Return a splitter for what a user gives: ``"char"``, ``"word"``, or what ``make_tokenizer`` takes.

        Parameters
        ----------
        level
            What is given.
        argument
            Its name, for messages.

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
            raise type(error)(f"{argument}: expected 'char', 'word' or a tokenizer; {message}") from error

    @property
    def given(self) -> Any:
        """What a user would give for the level."""
        tokenizer = self.tokenizer
        if tokenizer is None:
            return self.level
        if isinstance(tokenizer, CallableTokenizer) and not tokenizer.stop_words:
            return tokenizer.function
        plain = not (isinstance(tokenizer, ModelTokenizer) or tokenizer.stop_words or tokenizer.user_dictionary)
        return tokenizer.name if plain else tokenizer

    def describe(self) -> str:
        """Return the name of the tokens, for people."""
        if self.tokenizer is not None:
            return f"of {self.tokenizer.describe()}"
        return "characters" if self.level == CHAR else "words"

    def config(self) -> Any:
        """Return what identifies it: the level, and the configuration of the tokenizer."""
        return [self.level, self.tokenizer.config() if self.tokenizer else None]

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
        return " " if is_spaced(before[-1]) and is_spaced(after[0]) else ""

    def join(self, tokens: Sequence[str]) -> str:
        """Return the text of some tokens."""
        return "".join(self.gap(*pair) + pair[1] for pair in pairwise(["", *tokens]))


def is_spaced(character: str) -> bool:
    """Return whether a character is a letter or digit of a script with spaces between words."""
    return character.isalnum() and not _UNSPACED.match(character)


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
