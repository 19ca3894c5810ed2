"""What the tests of exported taggers share: small taggers, sentences that are hard on them, and predict.py."""

from __future__ import annotations

import importlib.util
import random
from pathlib import Path
from typing import Any

import torch

from textnn import SequenceTagger
from textnn.tagging.prediction import stream

NAMES = {"PER": ["张三", "李小明", "王五"], "LOC": ["北京", "上海", "黑龙江"]}
FILLERS = ["我", "在", "工作", "。", "今天", "去", "7", "三", "看见", "，", "Ａ", "x", "很好"]
ENGLISH = {"PER": ["Ann", "Bob", "O'Neill"], "LOC": ["Paris", "Kyoto"]}
PLAIN = ["met", "in", "1998", "42", ".", "the", "Re-opened", "Ｗide", "x" * 45]
SMALL: dict[str, Any] = {"random_state": 0, "verbose": 0, "epochs": 4, "ngram_buckets": 2**12, "patience": 0}
DEEP: dict[str, Any] = {**SMALL, "embedding_dim": 12, "hidden_size": 8, "dropout": 0.0}

KINDS = (
    *("bilstm-crf", "bigru-crf", "birnn-crf", "cnn-crf", "ngram-crf"),
    *("words", "segments", "segments of n-grams", "parts of speech"),
)


def make_tagged(count: int, words: bool, seed: int = 0) -> tuple[list[list[str]], list[list[str]]]:
    """Return sentences and their tags in BIO; of words, or of characters."""
    source = random.Random(seed)
    names, fillers = (ENGLISH, PLAIN) if words else (NAMES, FILLERS)
    sentences, tags = [], []
    for _ in range(count):
        tokens, marks = [], []
        for _ in range(source.choice([1, 2, 5, 9])):
            kind = source.choice(["PER", "LOC", ""])
            each = source.choice(names[kind] if kind else fillers)
            parts = [each] if words else list(each)
            tokens += parts
            marks += [f"{'I' if place else 'B'}-{kind}" if kind else "O" for place in range(len(parts))]
        sentences.append(tokens)
        tags.append(marks)
    return sentences, tags


def make_segmented(count: int, seed: int = 0) -> list[list[str]]:
    """Return sentences of words."""
    source = random.Random(seed)
    words = [*FILLERS, *NAMES["PER"], *NAMES["LOC"]]
    return [source.choices(words, k=source.choice([1, 2, 6])) for _ in range(count)]


def fit(kind: str) -> SequenceTagger:
    """Return a small tagger."""
    if kind == "words":
        return SequenceTagger("bilstm-crf", channels=6, num_layers=2, **DEEP).fit(*make_tagged(150, words=True))
    if kind == "segments":
        return SequenceTagger("bilstm-crf", **DEEP).fit_words(make_segmented(150))
    if kind == "segments of n-grams":
        return SequenceTagger("ngram-crf", **SMALL).fit_words(make_segmented(150))
    if kind == "parts of speech":
        sentences, tags = make_tagged(150, words=True)  # no O among them, or they would mark spans
        return SequenceTagger("bigru-crf", **DEEP).fit(
            sentences, [[tag[-1].replace("O", "N") for tag in each] for each in tags]
        )
    options = SMALL if kind == "ngram-crf" else {**DEEP, "num_layers": 2}
    return SequenceTagger(kind, **options).fit(*make_tagged(150, words=False))


def hard_sentences(words: bool) -> list[list[str]]:
    """Return sentences of 0 to 300 tokens, known and unknown."""
    source = random.Random(5)
    sentences = make_tagged(40, words, seed=1)[0] + make_tagged(40, not words, seed=2)[0]
    tokens = [token for sentence in sentences for token in sentence]
    long = [source.choices([*tokens, "\ud800", "新", "😀", "[PAD]", "ＡＢ"], k=k) for k in (1, 2, 3, 300)]
    return [[], *sentences, *long, ["A"], ["\u3000"], ["长长" * 20]]


def emissions_of(tagger: SequenceTagger, sentences: list[list[str]]) -> list[Any]:
    """Return the emissions of a tagger's own network."""
    return list(stream(tagger.state_, sentences, lambda state, emissions, batch: emissions))


def load_script(directory: Path) -> Any:
    """Return the module that an export's predict.py is."""
    spec = importlib.util.spec_from_file_location("predict", directory / "predict.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shake(tagger: SequenceTagger, seed: int = 0) -> SequenceTagger:
    """Give all weights of a fitted tagger random numbers, so that nothing is as it is by chance or by training."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in tagger.state_.model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return tagger
