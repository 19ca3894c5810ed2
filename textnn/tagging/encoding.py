"""From tokens to what a tagger's network reads.

    characters: text or tokens -> folded -> ids                       RaggedDataset
    words:      tokens -> folded -> ids; their letters beside them     RaggedDataset with another form

Characters are folded to one form of their width (Ａ is A), words to small letters and one digit: what is written rarely
is then read as what is written often. The letters of words are read as they are.
"""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch

from textnn.tagging.lexicon import Lexicon
from textnn.text import RaggedDataset, TokenCounts, Vocabulary

CHAR, WORD = "char", "word"
LEVELS = (CHAR, WORD)
LONGEST_WORD = 30
"""Letters of a word that are read; of a longer one the first and the last."""

Tokens = Sequence[str]
"""The tokens of a sentence; where they are characters, a string will do."""

_DIGITS = str.maketrans(dict.fromkeys("0123456789", "0"))
_CODES = 0x110000


_WIDE = {0x3000: 0x20, 0x2236: 0x3A, **{code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}}  # to ASCII
_COARSE = {**dict.fromkeys(map(ord, "0123456789"), 0x30), **dict.fromkeys(map(ord, string.ascii_letters), 0x41)}


def fold_character(token: str, coarse: bool = False) -> str:
    """Return a character of full width as that of ASCII; all others stay.

    Parameters
    ----------
    token
        A character, or several.
    coarse
        Whether all digits are one, and all Latin letters: which ones they are says nothing about where words end.

    Examples
    --------
    >>> fold_character("Ｂ"), fold_character("。"), fold_character("９", coarse=True)
    ('B', '。', '0')
    """
    narrow = token.translate(_WIDE)
    return narrow.translate(_COARSE) if coarse else narrow


def fold_word(token: str) -> str:
    """Return a word in small letters and with 0 for each digit.

    Examples
    --------
    >>> fold_word("1998"), fold_word("Straße")
    ('0000', 'strasse')
    """
    return _fold_usual(token) if len(token) <= LONGEST_WORD else _fold(token)


def _fold(token: str) -> str:
    return unicodedata.normalize("NFKC", token).casefold().translate(_DIGITS)


_fold_usual = lru_cache(maxsize=1 << 14)(_fold)  # of words, not of whatever stands between two spaces


def fold(level: str, coarse: bool) -> Callable[[str], str]:
    """Return the function that folds tokens of a level; see :func:`fold_character`."""
    return partial(fold_character, coarse=coarse) if level == CHAR else fold_word


def fold_settings(level: str, coarse: bool) -> dict[str, Any]:
    """Return what the folding of a level's tokens comes to, for exported models, which do it alone."""
    if level == WORD:
        table = {chr(code): digit for code, digit in _DIGITS.items()}
    else:
        table = {chr(code): fold_character(chr(code), coarse) for code in (*_WIDE, *(_COARSE if coarse else ()))}
    return {"words": level == WORD, "characters": ["".join(table), "".join(table.values())]}


def guess_level(sentences: Iterable[Tokens]) -> str:
    """Tell by some sentences whether their tokens are characters or words."""
    tokens = [token for sentence in sentences for token in sentence]
    single = sum(len(token) == 1 for token in tokens)
    return CHAR if single > 0.9 * len(tokens) else WORD


def make_vocabularies(
    sentences: Iterable[Tokens], level: str, coarse: bool, min_count: int
) -> tuple[Vocabulary, Vocabulary | None]:
    """Count tokens, and the letters of words."""
    counts, letters = TokenCounts(), TokenCounts()
    folded = fold(level, coarse)
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
    coarse
        Whether digits are one, and letters; see :func:`fold_character`.
    vocabulary, letters
        Of tokens; of the letters of words, for that level.
    words
        Those of the lexicon of a tagger of characters.
    """

    def __init__(
        self,
        level: str,
        coarse: bool,
        vocabulary: Vocabulary,
        letters: Vocabulary | None = None,
        words: Sequence[str] | None = None,
    ) -> None:
        self.level, self.vocabulary, self.letters = level, vocabulary, letters
        self._fold, self._coarse = fold(level, coarse), coarse
        self.lexicon = None if words is None else Lexicon(words, self.encode, Vocabulary.UNK_ID)
        self._codes: np.ndarray[tuple[int], np.dtype[np.int32]] | None = None

    def encode(self, tokens: Iterable[str]) -> list[int]:
        """Return the ids of some tokens."""
        return self.vocabulary.encode(map(self._fold, tokens))

    def __call__(self, sentences: Sequence[Tokens], training: bool = False) -> RaggedDataset:
        """Return the ids of sentences, none of which is empty; ``training`` as for :meth:`Lexicon.find`."""
        if self.level == CHAR:
            ids, lengths = self._characters(sentences)
            made = RaggedDataset.of_flat(ids, lengths)
            if self.lexicon is not None:
                known = self.lexicon.find(ids.numpy().astype(np.int64), lengths.numpy(), training)
                made.others = (RaggedDataset.of_flat(torch.from_numpy(known.reshape(-1)), 3 * lengths),)
            return made
        words = RaggedDataset(map(self.encode, sentences))
        words.others = (RaggedDataset(self._spell(tokens) for tokens in sentences),)
        return words

    def _characters(self, sentences: Sequence[Tokens]) -> tuple[torch.Tensor, torch.Tensor]:
        lengths = torch.tensor([len(tokens) for tokens in sentences], dtype=torch.int64)
        text = "".join(each if isinstance(each, str) else "".join(each) for each in sentences)
        if len(text) != int(lengths.sum()):  # a token of several characters
            ids = [id_ for tokens in sentences for id_ in self.encode(tokens)]
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
            for folding in (_COARSE, _WIDE) if self._coarse else (_WIDE,):
                for code, usual in folding.items():
                    table[code] = table[usual]
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
