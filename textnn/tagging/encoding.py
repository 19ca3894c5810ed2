"""From tokens to what a tagger's network reads.

    characters: text or tokens -> folded -> ids                       RaggedDataset
    words:      tokens -> folded -> ids; their letters beside them     RaggedDataset with another form

Characters are folded to one form of their width (Ａ is A), words to small letters and one digit: what is written rarely
is then read as what is written often. The letters of words are read as they are.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from textnn.text import RaggedDataset, TokenCounts, Vocabulary

CHAR, WORD = "char", "word"
LEVELS = (CHAR, WORD)
LONGEST_WORD = 30
"""Letters of a word that are read; of a longer one the first and the last."""

Tokens = Sequence[str]
"""The tokens of a sentence; where they are characters, a string will do."""

_DIGITS = str.maketrans(dict.fromkeys("0123456789", "0"))
_CODES = 0x110000


_WIDE = {0x3000: 0x20, **{code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}}  # full width -> ASCII


def fold_character(token: str) -> str:
    """Return a character of full width as that of ASCII; all others stay.

    Examples
    --------
    >>> fold_character("Ａ"), fold_character("。")
    ('A', '。')
    """
    return token.translate(_WIDE)


@lru_cache(maxsize=1 << 16)
def fold_word(token: str) -> str:
    """Return a word in small letters and with 0 for each digit.

    Examples
    --------
    >>> fold_word("1998"), fold_word("Straße")
    ('0000', 'strasse')
    """
    return unicodedata.normalize("NFKC", token).casefold().translate(_DIGITS)


def fold(level: str) -> Callable[[str], str]:
    """Return the function that folds tokens of a level."""
    return fold_character if level == CHAR else fold_word


def fold_settings(level: str) -> dict[str, Any]:
    """Return what the folding of a level's tokens comes to, for exported models, which do it alone."""
    table: dict[int, int] = _WIDE if level == CHAR else {one: ord(other) for one, other in _DIGITS.items()}
    return {"words": level == WORD, "characters": ["".join(map(chr, codes)) for codes in (table, table.values())]}


def guess_level(sentences: Iterable[Tokens]) -> str:
    """Tell by some sentences whether their tokens are characters or words."""
    tokens = [token for sentence in sentences for token in sentence]
    single = sum(len(token) == 1 for token in tokens)
    return CHAR if single > 0.9 * len(tokens) else WORD


def make_vocabularies(sentences: Iterable[Tokens], level: str, min_count: int) -> tuple[Vocabulary, Vocabulary | None]:
    """Count tokens, and the letters of words."""
    counts, letters = TokenCounts(), TokenCounts()
    folded = fold(level)
    for number, tokens in enumerate(sentences):
        counts.add(number, map(folded, tokens))
        if level == WORD:
            letters.add(number, [letter for token in tokens for letter in token])
    vocabulary = Vocabulary.from_counts(counts, min_count)
    return vocabulary, Vocabulary.from_counts(letters, 2) if level == WORD else None


class TokenEncoder:
    """Makes data sets of sentences.

    Parameters
    ----------
    level
        ``"char"`` or ``"word"``.
    vocabulary, letters
        Of tokens; of the letters of words, for that level.
    """

    def __init__(self, level: str, vocabulary: Vocabulary, letters: Vocabulary | None = None) -> None:
        self.level, self.vocabulary, self.letters = level, vocabulary, letters
        self._codes: np.ndarray[tuple[int], np.dtype[np.int32]] | None = None

    def __call__(self, sentences: Sequence[Tokens]) -> RaggedDataset:
        """Return the ids of sentences, none of which is empty."""
        if self.level == CHAR:
            return RaggedDataset.of_flat(*self._characters(sentences))
        folded, known = fold_word, self.vocabulary
        words = RaggedDataset(known.encode(map(folded, tokens)) for tokens in sentences)
        words.others = (RaggedDataset(self._spell(tokens) for tokens in sentences),)
        return words

    def _characters(self, sentences: Sequence[Tokens]) -> tuple[torch.Tensor, torch.Tensor]:
        lengths = torch.tensor([len(tokens) for tokens in sentences], dtype=torch.int64)
        text = "".join(each if isinstance(each, str) else "".join(each) for each in sentences)
        if len(text) != int(lengths.sum()):  # a token of several characters
            ids = [id_ for tokens in sentences for id_ in self.vocabulary.encode(map(fold_character, tokens))]
            return torch.tensor(ids, dtype=torch.int32), lengths
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        return torch.from_numpy(self._table()[codes]), lengths

    def _table(self) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
        """Return the id of each character of Unicode, made when it is first needed."""
        if self._codes is None:
            table = np.full(_CODES, Vocabulary.UNK_ID, dtype=np.int32)
            for id_, token in enumerate(self.vocabulary.tokens[2:], 2):
                if len(token) == 1:
                    table[ord(token)] = id_
            for wide, narrow in _WIDE.items():
                table[wide] = table[narrow]
            self._codes = table
        return self._codes

    def _spell(self, tokens: Tokens) -> list[int]:
        """Return [PAD] and then the letters of each word."""
        assert self.letters is not None
        ids, half = list[int](), LONGEST_WORD // 2
        for token in tokens:
            ids.append(Vocabulary.PAD_ID)
            ids += self.letters.encode(token if len(token) <= LONGEST_WORD else token[:half] + token[-half:])
        return ids
