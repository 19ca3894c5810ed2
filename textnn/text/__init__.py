"""Text in, ragged batches out: tokenizers, vocabulary, corpora, batches.

    corpus file --corpus--> texts, labels --tokenizers--> tokens --vocabulary--> ids --batches--> RaggedBatch

Nothing here knows of layers or models.
"""

from __future__ import annotations

from textnn.text.batches import RaggedBatch, RaggedDataset
from textnn.text.charset import is_blank
from textnn.text.corpus import Corpus, read_corpus
from textnn.text.encoding import (
    CHARACTER_FORMS,
    CharacterTable,
    Encoder,
    character_places,
    encode,
    encode_tokens,
    split_characters,
    tokenize,
)
from textnn.text.layout import FORMATS, LABEL_NAMES, TEXT_NAMES, Column, CorpusReport, Layout
from textnn.text.records import Record, iter_records
from textnn.text.sampler import LengthBucketSampler
from textnn.text.scripts import Scripts
from textnn.text.sources import CorpusError
from textnn.text.streams import TokenStreams
from textnn.text.tokenizers import (
    TOKENIZERS,
    CallableTokenizer,
    CharTokenizer,
    JiebaTokenizer,
    RJiebaTokenizer,
    Tokenizer,
    WhitespaceTokenizer,
    make_tokenizer,
    split_in_processes,
    tokenizer_from_config,
)
from textnn.text.vectors import Vectors, read_vectors
from textnn.text.vocabulary import TokenCounts, Vocabulary
from textnn.text.wordlist import load_words, parse_words, save_words

__all__ = [
    "CHARACTER_FORMS",
    "FORMATS",
    "LABEL_NAMES",
    "TEXT_NAMES",
    "TOKENIZERS",
    "CallableTokenizer",
    "CharTokenizer",
    "CharacterTable",
    "Column",
    "Corpus",
    "CorpusError",
    "CorpusReport",
    "Encoder",
    "JiebaTokenizer",
    "Layout",
    "LengthBucketSampler",
    "RJiebaTokenizer",
    "RaggedBatch",
    "RaggedDataset",
    "Record",
    "Scripts",
    "TokenCounts",
    "TokenStreams",
    "Tokenizer",
    "Vectors",
    "Vocabulary",
    "WhitespaceTokenizer",
    "character_places",
    "encode",
    "encode_tokens",
    "is_blank",
    "iter_records",
    "load_words",
    "make_tokenizer",
    "parse_words",
    "read_corpus",
    "read_vectors",
    "save_words",
    "split_characters",
    "split_in_processes",
    "tokenize",
    "tokenizer_from_config",
]
