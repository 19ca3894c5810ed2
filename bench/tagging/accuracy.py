"""Accuracy: F1 of words, of words with their parts of speech, and of named entities, over several seeds."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import textnn
from textnn.tagging import Span, score_spans

from ..harness import console
from .corpora import Words, named_entities, newspaper, test_part

TASKS = ("segmentation", "segmentation + parts of speech", "named entities")
ARCHITECTURES = ("bilstm-crf", "bigru-crf", "cnn-crf", "ngram-crf")


def word_spans(words: list[str], kinds: list[str] | None = None) -> list[Span]:
    """Return the places of words in their text."""
    spans, place = [], 0
    for number, word in enumerate(words):
        spans.append(Span(place, place + len(word), kinds[number] if kinds else ""))
        place += len(word)
    return spans


def parts_of(data: Words, held_out: int = 10) -> tuple[Words, Words]:
    """Return nine tenths of the lines, and the last tenth without lines that stand in the others."""
    cut = len(data.words) * (held_out - 1) // held_out
    training = Words(data.words[:cut], data.kinds[:cut])
    rest = Words(data.words[cut:], data.kinds[cut:])
    return training, rest.without({"".join(words) for words in training.words})


def run(task: str, architecture: str, seed: int, data: Path, options: dict[str, Any]) -> dict[str, Any]:
    """Train with a seed, and return F1, seconds and options."""
    tagger = textnn.SequenceTagger(architecture, random_state=seed, verbose=0, **options)
    start = time.perf_counter()
    if task == TASKS[0]:
        test = test_part(data)
        tagger.fit_words(newspaper().without({"".join(words) for words in test}).words)
        seconds = time.perf_counter() - start
        found = tagger.stream_cut("".join(words) for words in test)
        spans = [word_spans([word for word, _ in words]) for words in found]
        scores = score_spans([word_spans(words) for words in test], spans)
    elif task == TASKS[1]:
        training, held_out = parts_of(newspaper())
        tagger.fit_words(training.words, training.kinds)
        seconds = time.perf_counter() - start
        found = tagger.stream_cut("".join(words) for words in held_out.words)
        spans = [word_spans([w for w, _ in words], [kind for _, kind in words]) for words in found]
        scores = score_spans(list(map(word_spans, held_out.words, held_out.kinds)), spans)
    else:
        training, test = named_entities(data)
        tagger.fit(training.tokens, training.tags)
        seconds = time.perf_counter() - start
        scores = tagger.evaluate(test.tokens, test.tags).spans
        assert scores is not None
    return {
        "task": task,
        "name": architecture,
        "seed": seed,
        "F1": scores.overall.f1,
        "precision": scores.overall.precision,
        "recall": scores.overall.recall,
        "seconds": seconds,
        "epochs": len(tagger.history_),
    }


def others(task: str, data: Path) -> Iterator[dict[str, Any]]:
    """Yield the F1 of programs that bring their own models, on the same sentences."""
    if task == TASKS[2]:
        return
    for name, cut in segmenters(task == TASKS[1]).items():
        if task == TASKS[0]:
            test = test_part(data)
            true = [word_spans(words) for words in test]
            spans = [word_spans([word for word, _ in cut("".join(words))]) for words in test]
        else:
            test_words = parts_of(newspaper())[1]
            true = list(map(word_spans, test_words.words, test_words.kinds))
            found = [cut("".join(words)) for words in test_words.words]
            spans = [word_spans([w for w, _ in words], [kind for _, kind in words]) for words in found]
        overall = score_spans(true, spans).overall
        yield {"task": task, "name": name, "F1": overall.f1, "precision": overall.precision, "recall": overall.recall}


def segmenters(tags: bool = False) -> dict[str, Callable[[str], list[tuple[str, str]]]]:
    """Return what else is installed: from a text to its words, with parts of speech where it has them and if wanted."""
    found: dict[str, Callable[[str], list[tuple[str, str]]]] = {}
    if tags:
        posseg = importlib.import_module("jieba.posseg")
        found["jieba.posseg"] = lambda text: [(pair.word, pair.flag) for pair in posseg.cut(text)]
    else:
        jieba = importlib.import_module("jieba")
        found["jieba"] = lambda text: [(word, "") for word in jieba.cut(text)]
        try:
            rjieba = importlib.import_module("rjieba")
            found["rjieba"] = lambda text: [(word, "") for word in rjieba.cut(text)]
        except ModuleNotFoundError:
            console.print("rjieba is not installed: left out")
    try:
        thulac: Any = importlib.import_module("thulac").thulac(seg_only=not tags)
        found["thulac"] = lambda text: [(pair[0], pair[1]) for pair in thulac.cut(text)]
    except ModuleNotFoundError:
        console.print("thulac is not installed: left out")
    return found
