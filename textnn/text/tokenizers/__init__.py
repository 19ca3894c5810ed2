"""Tokenizers: from a text to its tokens.

    text -> split (jieba, rjieba, characters, white space, a saved segmenter, a function of the user's)
         -> without stop words -> tokens

Each tokenizer tells what it is made of (``config``, ``user_dictionary``, ``stop_words``), so that a saved model can be
given the same one again. ``make_tokenizer`` turns what users write (a name, a function, paths) into a tokenizer.
docs/tokenizers.md compares them.
"""

from __future__ import annotations

from textnn.text.tokenizers.base import Tokenizer
from textnn.text.tokenizers.dictionary import DictionaryTokenizer
from textnn.text.tokenizers.jieba import JiebaTokenizer
from textnn.text.tokenizers.make import AUTO, TOKENIZERS, Words, check_name, make_tokenizer, tokenizer_from_config
from textnn.text.tokenizers.model import SEGMENTER, ModelTokenizer, provided
from textnn.text.tokenizers.plain import CallableTokenizer, CharTokenizer, WhitespaceTokenizer
from textnn.text.tokenizers.processes import split_in_processes
from textnn.text.tokenizers.rjieba import RJiebaTokenizer
from textnn.text.tokenizers.unicode import MixedTokenizer, UnicodeTokenizer

__all__ = [
    "AUTO",
    "SEGMENTER",
    "TOKENIZERS",
    "CallableTokenizer",
    "CharTokenizer",
    "DictionaryTokenizer",
    "JiebaTokenizer",
    "MixedTokenizer",
    "ModelTokenizer",
    "RJiebaTokenizer",
    "Tokenizer",
    "UnicodeTokenizer",
    "WhitespaceTokenizer",
    "Words",
    "check_name",
    "make_tokenizer",
    "provided",
    "split_in_processes",
    "tokenizer_from_config",
]
