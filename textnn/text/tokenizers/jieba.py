"""Chinese words, by jieba, the reference for its kind: pure Python, and slow."""

from __future__ import annotations

import warnings
from typing import Any

from textnn.text.tokenizers.dictionary import DictionaryTokenizer, Entry


class JiebaTokenizer(DictionaryTokenizer):
    """Chinese words, by jieba.

    The tokens are those of ``jieba.lcut``, spaces and punctuation included. The instance of jieba is this tokenizer's
    own: entries added to it are not seen by other users of jieba in the process, and theirs are not seen here. It is
    loaded at the first text, which takes a second, without jieba's messages and without its cache in the directory for
    temporary files, which any user of the machine could have written.

    Parameters
    ----------
    user_dictionary : iterable of str, optional
        Lines ``word``, ``word count``, ``word tag`` or ``word count tag``. Without a count jieba takes one that keeps
        the word in one piece.
    stop_words : iterable of str, optional
        Tokens to leave out.
    hmm : bool, default=True
        Whether jieba guesses words that its dictionary does not hold.

    Raises
    ------
    TypeError, ValueError
        If an entry is not a string, or is not a line of that form.

    Examples
    --------
    >>> JiebaTokenizer(stop_words=["，"])("物流很快，包装完好")
    ['物流', '很快', '包装', '完好']
    """

    name = "jieba"

    def split(self, text: str) -> list[str]:
        """Return jieba's words of a text."""
        return list(self._loaded().cut(text, HMM=self.hmm))

    @classmethod
    def version(cls) -> str:
        """Return jieba's version."""
        return str(import_jieba().__version__)

    def _load(self, entries: list[Entry]) -> Any:
        return load_jieba(entries)


def load_jieba(entries: list[Entry]) -> Any:
    """Make an instance of jieba that nobody else has, with entries added to its dictionary."""
    tokenizer = import_jieba().Tokenizer()
    # What its initialize() does, but for the messages and the cache file.
    with tokenizer.get_dict_file() as file:
        tokenizer.FREQ, tokenizer.total = tokenizer.gen_pfdict(file)
    tokenizer.initialized = True
    for word, count in entries:
        tokenizer.add_word(word, count)
    return tokenizer


def import_jieba() -> Any:
    """Import jieba without its warnings (invalid escapes in its source, pkg_resources).

    Raises
    ------
    ValueError
        If it is not installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import jieba
        except ImportError as error:
            raise ValueError(
                "tokenizer: 'jieba' needs the package jieba, which is not installed: pip install jieba"
            ) from error
    return jieba
