"""Sentences with people and places in them, and sizes of taggers that train in a moment."""

from __future__ import annotations

import random
from typing import Any

from textnn import SequenceTagger
from textnn.tagging import Span, tags_of

PEOPLE = [["Ann"], ["Bob", "Lee"], ["Eve", "van", "Dam"], ["Max"]]
PLACES = [["Rome"], ["New", "York"], ["Hong", "Kong"], ["Oslo"]]
FILLERS = ["met", "saw", "in", "of", "the", "day", "and", "then", "ran", "."]

ARCHITECTURES = ("bilstm-crf", "bigru-crf", "birnn-crf", "cnn-crf", "ngram-crf")
DEEP = ARCHITECTURES[:-1]
SMALL: dict[str, Any] = {
    "ngram_buckets": 256,
    "epochs": 3,
    "learning_rate": 0.02,
    "random_state": 0,
    "verbose": 0,
}


def make_spans(count: int, seed: int = 0) -> tuple[list[list[str]], list[list[Span]]]:
    """Return sentences of words, and the spans in them, some of which touch."""
    source = random.Random(seed)
    sentences, spans = [], []
    for _ in range(count):
        words: list[str] = []
        found: list[Span] = []
        for _ in range(source.randint(1, 6)):
            kind = source.choice(["PER", "LOC", "", ""])
            names = {"PER": PEOPLE, "LOC": PLACES}.get(kind)
            part = source.choice(names) if names else [source.choice(FILLERS)]
            if names:
                found.append(Span(len(words), len(words) + len(part), kind))
            words += part
        sentences.append(words)
        spans.append(found)
    return sentences, spans


def make_sentences(count: int, scheme: str = "BIO", seed: int = 0) -> tuple[list[list[str]], list[list[str]]]:
    """Return sentences of words with their tags."""
    sentences, spans = make_spans(count, seed)
    return sentences, [tags_of(len(words), found, scheme) for words, found in zip(sentences, spans, strict=True)]


def make_characters(count: int, seed: int = 0) -> tuple[list[str], list[list[str]]]:
    """Return sentences of characters, strings, with their tags."""
    source = random.Random(seed)
    texts, tags = [], []
    for _ in range(count):
        text, those = "", list[str]()
        for _ in range(source.randint(1, 5)):
            kind = source.choice(["PER", "LOC", "", ""])
            part = source.choice({"PER": ["王明", "李"], "LOC": ["北京", "天安门"]}.get(kind, ["去", "在", "的", "。"]))
            text += part
            those += tags_of(len(part), [Span(0, len(part), kind)] if kind else [], "BIO")
        texts.append(text)
        tags.append(those)
    return texts, tags


def make_words(count: int, seed: int = 0) -> list[list[str]]:
    """Return sentences of Chinese words."""
    source = random.Random(seed)
    return [source.choices(["我", "他", "来到", "喜欢", "北京", "天安门", "在", "。"], k=5) for _ in range(count)]


def make_tagger(architecture: str = "ngram-crf", **parameters: Any) -> SequenceTagger:
    """Return a small tagger."""
    sizes = {} if architecture == "ngram-crf" else {"embedding_dim": 6, "hidden_size": 5}
    return SequenceTagger(architecture, **{**SMALL, **sizes, **parameters})
