"""The pipelines that are compared: raw texts in, labels out, each as quick as it can be made from Python."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from textnn import SentimentClassifier
from textnn.models.predictor import in_chunks, ordered
from textnn.text import make_tokenizer

from .plain import PlainPipeline

Predict = Callable[[Sequence[str]], Any]


@dataclass(frozen=True)
class Pipeline:
    """``predict`` takes texts to labels.

    Attributes
    ----------
    slow
        Whether a sample of the texts is enough.
    same
        Whether its labels have to be those of textnn's.
    """

    name: str
    predict: Predict
    slow: bool = False
    same: bool = False


def make_pipelines(texts: list[str], labels: list[str]) -> list[Pipeline]:
    """Train on texts and return all pipelines, textnn's first."""
    fast = SentimentClassifier(tokenizer="rjieba", random_state=0).fit(texts, labels)
    with tempfile.TemporaryDirectory() as folder:
        fast.save(Path(folder, "model"))
        load = SentimentClassifier.load
        slow = load(Path(folder, "model"), tokenizer="jieba")
        small = load(Path(folder, "model"), frozen="int8")
        live = load(Path(folder, "model"), frozen=False)
    words = make_tokenizer("rjieba")
    return [
        Pipeline("textnn, rjieba", fast.predict),
        Pipeline("textnn, rjieba, int8", small.predict),
        Pipeline("textnn, rjieba, not frozen", live.predict, same=True),
        Pipeline("textnn, jieba", slow.predict, slow=True),
        Pipeline("jieba + plain PyTorch, the same network", PlainPipeline(slow).predict, slow=True, same=True),
        *_fasttext(texts, labels, words),
        _linear("rjieba + TF-IDF + LinearSVC", texts, labels, {"words": words}),
        _linear("TF-IDF of characters + LinearSVC", texts, labels, {"characters": None}),
        _linear(
            "rjieba + TF-IDF of words and characters + LinearSVC", texts, labels, {"words": words, "characters": None}
        ),
    ]


def _fasttext(texts: list[str], labels: list[str], words: Any) -> list[Pipeline]:
    """fastText on pairs of words, in one thread and in as many as textnn takes."""
    import fasttext

    names = sorted(set(labels))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "texts")
        lines = zip(labels, _lines(words.split_many(texts)), strict=True)
        file.write_text("".join(f"__label__{names.index(label)} {line}\n" for label, line in lines), encoding="utf-8")
        model = fasttext.train_supervised(str(file), lr=0.5, epoch=5, wordNgrams=2, thread=1, verbose=0)

    def predict(chunk: Sequence[str]) -> list[str]:
        # Its own predict() makes arrays in a way that numpy 2 refuses.
        found, _ = model.f.multilinePredict([f"{line}\n" for line in _lines(words.split_many(chunk))], 1, 0.0, "strict")
        return [names[int(best[0].removeprefix("__label__"))] if best else names[0] for best in found]

    def in_threads(texts: Sequence[str]) -> list[str]:
        parts = ordered(predict, in_chunks(texts, 1024), torch.get_num_threads())
        return [label for part in parts for label in part]

    return [
        Pipeline("rjieba + fastText", predict),
        Pipeline("rjieba + fastText, in threads", in_threads),
    ]


def _lines(tokens: Sequence[list[str]]) -> list[str]:
    return [" ".join(" ".join(words).split()) for words in tokens]


def _linear(name: str, texts: list[str], labels: list[str], features: dict[str, Any]) -> Pipeline:
    """TF-IDF of words, which take a tokenizer, of characters, or of both."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline, make_union
    from sklearn.svm import LinearSVC

    kinds: dict[str, dict[str, Any]] = {
        "words": {"tokenizer": features.get("words"), "token_pattern": None, "lowercase": False, "ngram_range": (1, 2)},
        "characters": {"analyzer": "char", "ngram_range": (1, 4)},
    }
    vectors = make_union(*(TfidfVectorizer(min_df=2, sublinear_tf=True, **kinds[kind]) for kind in features))
    model = make_pipeline(vectors, LinearSVC(C=0.3)).fit(texts, labels)
    return Pipeline(name, model.predict)
