"""Text in, ragged batches out: tokenizers, vocabulary, corpora, batches.

    corpus file --corpus--> texts, labels --tokenizers--> tokens --vocabulary--> ids --batches--> RaggedBatch

Nothing here knows of layers or models.
"""

from __future__ import annotations

from textnn.text.batches import (
    LengthBucketSampler,
    RaggedBatch,
    RaggedDataset,
    encode,
    encode_tokens,
    tokenize,
)
from textnn.text.columns import LABEL_NAMES, TEXT_NAMES, Column
from textnn.text.corpus import Corpus, read_corpus
from textnn.text.formats import CorpusReport, Record
from textnn.text.records import FORMATS, iter_records
from textnn.text.sources import CorpusError
from textnn.text.tokenizers import (
    TOKENIZERS,
    CallableTokenizer,
    CharTokenizer,
    JiebaTokenizer,
    Tokenizer,
    WhitespaceTokenizer,
    make_tokenizer,
    tokenizer_from_config,
)
from textnn.text.vocabulary import TokenCounts, Vocabulary
from textnn.text.wordlist import load_words, save_words

__all__ = [
    "FORMATS",
    "LABEL_NAMES",
    "TEXT_NAMES",
    "TOKENIZERS",
    "CallableTokenizer",
    "CharTokenizer",
    "Column",
    "Corpus",
    "CorpusError",
    "CorpusReport",
    "JiebaTokenizer",
    "LengthBucketSampler",
    "RaggedBatch",
    "RaggedDataset",
    "Record",
    "TokenCounts",
    "Tokenizer",
    "Vocabulary",
    "WhitespaceTokenizer",
    "encode",
    "encode_tokens",
    "iter_records",
    "load_words",
    "make_tokenizer",
    "read_corpus",
    "save_words",
    "tokenize",
    "tokenizer_from_config",
]
