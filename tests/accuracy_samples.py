"""Toy texts and contestants for the tests of bench.accuracy."""

from __future__ import annotations

import io
import random

from rich.console import Console

from bench.accuracy import run
from bench.accuracy.contestants import Contestant, Outcome
from bench.accuracy.corpora import Corpus, Part

GOOD, BAD, EITHER = ("好", "棒", "喜欢"), ("差", "坏", "讨厌"), ("书", "物流", "包装", "店家", "价格", "质量")


def toy(size: int = 200, seed: int = 0) -> Corpus:
    """Texts of words with spaces, each different; one word tells the label."""
    generator = random.Random(seed)
    texts, labels = [], []
    for number in range(size):
        label = ("good", "bad")[number % 2]
        words = [*generator.choices(EITHER, k=4), generator.choice(GOOD if label == "good" else BAD), f"第{number}"]
        generator.shuffle(words)
        texts.append(" ".join(words))
        labels.append(label)
    return Corpus("toy", Part(texts, labels))


class Majority(Contestant):
    """Predicts the usual label, and remembers what it was given."""

    tokenizer = "whitespace"

    def __init__(self, name: str = "plain/majority", **settings) -> None:
        self.name, self.given, self._settings = name, [], settings

    def settings(self):
        return {"grid": (1, 2), "versions": {"plain": "1.0"}, **self._settings}

    def run(self, split, tokens, seed, threads):
        self.given.append((split, tokens, seed, threads))
        return Outcome(["good"] * len(split.test), 1.5, 0.25, choosing=2.0, chosen={"C": 0.1})


class Missing(Majority):
    def settings(self):
        raise ImportError("plain is not installed")


class Broken(Majority):
    def run(self, split, tokens, seed, threads):
        raise ValueError("no luck")


def measure(results, *taking_part, seeds=2, data=None):
    console = Console(file=io.StringIO(), width=200)
    return run.measure([toy(50)] if data is None else data, lambda _: taking_part, seeds, results, 1, console)
