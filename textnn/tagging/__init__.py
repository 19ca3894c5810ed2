"""Tags for tokens: named entities, parts of speech, word segmentation.

file --files--> sentences: tokens, tags --schemes--> spans: (start, end, type) --metrics--> precision, recall, F1
"""

from __future__ import annotations

from textnn.tagging.entities import Entity
from textnn.tagging.evaluation import TaggingReport
from textnn.tagging.explanation import EntityExplanation, TokenEffect
from textnn.tagging.files import FORMATS, Sentence, TaggedReport, iter_tagged, read_tagged
from textnn.tagging.metrics import SpanScore, SpanScores, score_spans
from textnn.tagging.schemes import SCHEMES, Span, convert_tags, find_scheme, spans_of, tags_of
from textnn.tagging.segmenter import Segmenter

__all__ = [
    "FORMATS",
    "SCHEMES",
    "Entity",
    "EntityExplanation",
    "Segmenter",
    "Sentence",
    "Span",
    "SpanScore",
    "SpanScores",
    "TaggedReport",
    "TaggingReport",
    "TokenEffect",
    "convert_tags",
    "find_scheme",
    "iter_tagged",
    "read_tagged",
    "score_spans",
    "spans_of",
    "tags_of",
]
