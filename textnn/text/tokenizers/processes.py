"""Tokenizing in several processes, for a tokenizer that is slow.

texts -> parts -> forked processes: split_many -> lists of tokens, sent back -> one list, in the texts' order

Threads do not help: jieba is Python, and rjieba does not let other threads run while it cuts. Sending tokens back takes
a small part of the time that jieba needs to find them; of rjieba's time it is too much to be worth the trouble.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

from textnn.text.tokenizers.base import Tokenizer
from textnn.text.tokenizers.dictionary import DictionaryTokenizer
from textnn.text.tokenizers.model import ModelTokenizer

_PART = 256  # texts sent at a time: much less than a second's work, and much more than a message costs

_tokenizer: Tokenizer | None = None  # of a worker process


def split_in_processes(tokenizer: Tokenizer, texts: Sequence[str], processes: int) -> list[list[str]]:
    """Return ``tokenizer.split_many(texts)``, found by several processes.

    It pays for jieba, and for slow functions, on some thousand texts or more. A segmenter uses all cores by itself: no
    process is started for one. The processes are forks of this one: they
    begin with the dictionary that is loaded already, and a tokenizer need not be picklable.

    Parameters
    ----------
    tokenizer : Tokenizer
        Any tokenizer.
    texts : sequence of str
        The texts.
    processes : int
        How many; with 1 none are started.

    Returns
    -------
    list of list of str
        The tokens of each text, in the order of the texts.

    Raises
    ------
    TypeError, ValueError
        If ``processes`` is no positive integer, ``texts`` are no strings, or as the tokenizer does.
    concurrent.futures.process.BrokenProcessPool
        If a process is killed.

    Examples
    --------
    >>> from textnn.text import CharTokenizer
    >>> split_in_processes(CharTokenizer(), ["很好", "OK"], processes=1)
    [['很', '好'], ['O', 'K']]
    """
    if not isinstance(processes, int) or isinstance(processes, bool):
        raise TypeError(f"processes: expected an integer, got {type(processes).__name__}")
    if processes < 1:
        raise ValueError(f"processes: expected at least 1, got {processes}")
    if isinstance(texts, str):
        raise TypeError("texts: expected a sequence of strings, got one string")
    parts = [texts[start : start + _PART] for start in range(0, len(texts), _PART)]
    processes = min(processes, len(parts))
    if processes < 2 or isinstance(tokenizer, ModelTokenizer):
        return tokenizer.split_many(texts)
    if isinstance(tokenizer, DictionaryTokenizer):
        tokenizer.split("")  # loads the dictionary once, for all
    executor = ProcessPoolExecutor(processes, multiprocessing.get_context("fork"), _set_tokenizer, (tokenizer,))
    try:
        return [tokens for part in executor.map(_split_part, parts) for tokens in part]
    finally:
        executor.shutdown(cancel_futures=True)


def _set_tokenizer(tokenizer: Tokenizer) -> None:
    global _tokenizer
    _tokenizer = tokenizer


def _split_part(texts: Sequence[str]) -> list[list[str]]:
    assert _tokenizer is not None
    return _tokenizer.split_many(texts)
