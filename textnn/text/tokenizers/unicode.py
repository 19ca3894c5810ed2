"""Words of scripts with spaces, by Unicode's rules, and texts that have Chinese between them.

text -> case folded -> cut at word boundaries (Unicode Standard Annex 29) -> without white space -> tokens
text -> runs of Chinese -> jieba's words  --+
     -> what is between them -> as above  --+-> tokens
"""

from __future__ import annotations

import functools
from typing import Any

import regex

from textnn.text.tokenizers.base import Tokenizer
from textnn.text.tokenizers.dictionary import DictionaryTokenizer, Entry
from textnn.text.tokenizers.jieba import JiebaTokenizer, import_jieba
from textnn.text.tokenizers.rjieba import RJiebaTokenizer

# Compiled at the first text: half of the import of this module would be that.
_BOUNDARY = functools.cache(lambda: regex.compile(r"\b", regex.WORD | regex.VERSION1))
_CHINESE = functools.cache(lambda: regex.compile(r"(\p{Han}+)"))


class UnicodeTokenizer(Tokenizer):
    """Words and punctuation marks by Unicode's rules for word boundaries, case folded; white space is left out.

    For scripts with spaces between words. Contractions, numbers and abbreviations stay whole: ``can't``, ``3.14``,
    ``u.s``; each Chinese character is a token of its own.

    Parameters
    ----------
    stop_words
        Tokens to leave out, case folded.

    Raises
    ------
    TypeError
        If a stop word is not a string.

    Examples
    --------
    >>> UnicodeTokenizer()("I can't find the Straße (no. 3.14)!")
    ['i', "can't", 'find', 'the', 'strasse', '(', 'no', '.', '3.14', ')', '!']

    Notes
    -----
    Unicode Standard Annex 29, "Unicode Text Segmentation", section 4, as the package regex has it.
    """

    name = "unicode"

    def split(self, text: str) -> list[str]:
        """Return the words of a text, case folded."""
        return _words(text.casefold())


class MixedTokenizer(DictionaryTokenizer):
    """Texts in Chinese and in scripts with spaces: jieba's words in runs of Chinese characters, Unicode's between them.

    rjieba finds the Chinese words where it is installed, the same ones in less time.

    Parameters
    ----------
    user_dictionary, stop_words, hmm
        As for :class:`JiebaTokenizer`.

    Raises
    ------
    TypeError, ValueError
        As for :class:`JiebaTokenizer`.

    Examples
    --------
    >>> MixedTokenizer()("I love 这家酒店, 房间很干净")
    ['i', 'love', '这家', '酒店', ',', '房间', '很', '干净']
    """

    name = "mixed"

    def split(self, text: str) -> list[str]:
        """Return the words of a text."""
        tokens: list[str] = []
        for number, piece in enumerate(_CHINESE().split(text)):  # every second one is a run of Chinese
            tokens += self._loaded().split(piece) if number % 2 else _words(piece.casefold())
        return tokens

    @classmethod
    def version(cls) -> str:
        """Return jieba's version."""
        return str(import_jieba().__version__)

    def _load(self, entries: list[Entry]) -> Any:
        return chinese_tokenizer()(self.user_dictionary, hmm=self.hmm)


def chinese_tokenizer() -> type[DictionaryTokenizer]:
    """Return the tokenizer of rjieba where it is installed, else that of jieba."""
    try:
        RJiebaTokenizer.version()
    except ValueError:
        return JiebaTokenizer
    return RJiebaTokenizer


def _words(text: str) -> list[str]:
    return [word for word in _BOUNDARY().split(text) if word and not word.isspace()]
