"""Speed: from raw text to words, in one process that may use all threads."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import textnn

from ..harness import console
from .accuracy import ARCHITECTURES, segmenters
from .corpora import newspaper, test_part


def run(data: Path, rounds: int = 5, copies: int = 5) -> list[dict[str, Any]]:
    """Cut the same texts in turn, and return characters a second of each, medians over the rounds.

    The test part of the bakeoff a few times over. Our models are trained for one epoch: how fast they cut does not
    depend on what they learnt.
    """
    texts = ["".join(words) for words in test_part(data)] * copies
    characters = sum(map(len, texts))
    ways: dict[str, Callable[[], object]] = {}
    words = newspaper().words[:3000]
    for architecture in ARCHITECTURES:
        tagger = textnn.SequenceTagger(architecture, random_state=0, epochs=1, verbose=0).fit_words(words)
        ways[f"textnn, {architecture}"] = lambda tagger=tagger: list(tagger.stream_cut(texts))
    for name, cut in segmenters().items():
        few = texts[: len(texts) // copies] if name == "thulac" else texts  # one pass is long enough
        ways[name] = lambda cut=cut, few=few: [cut(text) for text in few]
    shares = {name: 1 / copies if name == "thulac" else 1.0 for name in ways}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for call in ways.values():
        call()
    for number in range(rounds):
        for name, call in ways.items():
            if name == "thulac" and number:
                continue
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
        console.print(f"round {number + 1} of {rounds}")
    return [
        {"name": name, "characters a second": shares[name] * characters / statistics.median(each)}
        for name, each in times.items()
    ] + [{"name": "threads", "characters a second": torch.get_num_threads()}]
