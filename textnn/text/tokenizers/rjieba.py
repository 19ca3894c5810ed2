"""Chinese words, by rjieba: jieba's method and dictionary in compiled code, about 20 times as fast.

    text -> rjieba's cut                                              -> tokens     (nearly all texts)
    text -> stand-ins -> rjieba's cut -> cut further -> put back      -> tokens     (texts where rjieba differs)

rjieba leaves some runs of letters and digits in one piece that jieba cuts, takes more characters for Chinese ones, and
refuses surrogates. One look at a text tells whether it has any of that; then it is brought in line, so that models
trained with either can be used with the other. docs/tokenizers.md has what remains.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterable, Iterator
from typing import Any

from textnn.text.tokenizers.dictionary import DictionaryTokenizer, Entry
from textnn.text.tokenizers.jieba import import_jieba, load_jieba

# Chinese characters to rjieba, others to jieba (which knows U+4E00 to U+9FD5), and surrogates, which rjieba refuses.
_FOREIGN = "\u3400-\u4dbf\u9fd6-\u9fff\uf900-\ufaff\ud800-\udfff\U00020000-\U0003ffff"
_STAND_IN = "\ufffd"  # to both of them a token of its own
_FOREIGN_CHARACTER = re.compile(f"[{_FOREIGN}]")
# Where they may differ: a foreign character, or a sign between letters or digits. It begins with a set of characters,
# not with alternatives, as the search is then twice as fast.
_DIFFERENT = re.compile(f"[a-zA-Z0-9{_FOREIGN}](?:(?<![a-zA-Z0-9])|[-_.%+#&][a-zA-Z0-9])")
# Words, numbers and percentages in what is not Chinese: jieba's finalseg.re_skip.
_RUNS = re.compile(r"([a-zA-Z0-9]+(?:\.\d+)?%?)")
# Never part of a text's Chinese, so never a token that matters.
_FILLER = "\u3000\u3000"


class RJiebaTokenizer(DictionaryTokenizer):
    """Chinese words, by rjieba: the tokens of :class:`JiebaTokenizer` in a small part of its time.

    Where rjieba on its own would cut otherwise, the tokens are brought in line with jieba's, but for ties: a few texts
    in 100,000, with one character many times in a row, are cut elsewhere in that row. The instance of rjieba is this
    tokenizer's own, and is loaded at the first text, which takes half a second; a second more with a user dictionary,
    whose counts are jieba's.

    Needs the package rjieba: ``pip install rjieba``.

    Parameters
    ----------
    user_dictionary : iterable of str, optional
        Lines ``word``, ``word count``, ``word tag`` or ``word count tag``. A word without a count takes that of jieba,
        which keeps it in one piece.
    stop_words : iterable of str, optional
        Tokens to leave out.
    hmm : bool, default=True
        Whether to guess words that the dictionary does not hold.

    Raises
    ------
    TypeError, ValueError
        If an entry is not a string, or is not a line of that form; if rjieba is not installed.

    Examples
    --------
    >>> RJiebaTokenizer(user_dictionary=["很快"])("物流很快，包装完好")
    ['物流', '很快', '，', '包装', '完好']
    """

    name = "rjieba"

    def __init__(
        self,
        user_dictionary: Iterable[str] | None = None,
        stop_words: Iterable[str] | None = None,
        hmm: bool = True,
    ) -> None:
        super().__init__(user_dictionary, stop_words, hmm)
        self.version()

    def split(self, text: str) -> list[str]:
        """Return rjieba's words of a text, as jieba would cut it."""
        return self._split_each([text])[0]

    @classmethod
    def version(cls) -> str:
        """Return rjieba's version.

        Raises
        ------
        ValueError
            If it is not installed.
        """
        try:
            return importlib.metadata.version("rjieba")
        except importlib.metadata.PackageNotFoundError as error:
            raise ValueError(
                "tokenizer: 'rjieba' needs the package rjieba, which is not installed: pip install rjieba"
            ) from error

    def _split_each(self, texts: list[str]) -> list[list[str]]:
        cut, hmm, different = self._loaded().cut, self.hmm, _DIFFERENT.search
        return [self._split_different(text) if different(text) else cut(text, hmm) for text in texts]

    def _split_different(self, text: str) -> list[str]:
        rjieba = self._loaded()
        tokens: Iterable[str] = rjieba.cut(_FOREIGN_CHARACTER.sub(_STAND_IN, text), self.hmm)
        if self.hmm:
            tokens = _cut_further(tokens, rjieba.has_word)
        return _put_back(tokens, text)

    def _load(self, entries: list[Entry]) -> Any:
        self.version()
        from rjieba import Jieba

        rjieba = Jieba()
        if entries:
            _add_words(rjieba, [word for word, _ in entries], load_jieba(entries))
        return rjieba


def _cut_further(tokens: Iterable[str], is_word: Any) -> Iterator[str]:
    """Yield the tokens, cut where jieba's model cuts what is not Chinese; words of the dictionary stay whole."""
    for token in tokens:
        if len(token) == 1 or not token.isascii() or is_word(token):
            yield token
        else:
            yield from filter(None, _RUNS.split(token))


def _put_back(tokens: Iterable[str], text: str) -> list[str]:
    """Return the tokens with the text's own characters; together they are as long as the text."""
    start, own = 0, []
    for token in tokens:
        own.append(text[start : start + len(token)])
        start += len(token)
    return own


def _add_words(rjieba: Any, words: list[str], jieba: Any) -> None:
    """Give rjieba the counts that jieba has, of these words and of all words together.

    rjieba's own suggestions differ by one for a quarter of the words, for it computes them with logarithms. That is
    enough to cut some: jieba's exceed by one at most what would leave a word in pieces. Words with characters that no
    token of several holds add to the sum alone, as in jieba.
    """
    holds = import_jieba().re_han_default.fullmatch
    added = {word for word in words if holds(word)}
    for word in added:
        rjieba.add_word(word, jieba.FREQ[word], None)
    # jieba adds the new count of a word that it had and keeps the old one in the sum; rjieba takes it out.
    left_out = sum(jieba.FREQ[word] for word in set(words) - added)
    if rest := jieba.total - sum(jieba.FREQ.values()) + left_out:
        rjieba.add_word(_FILLER, rest, None)
