"""What the tests of exports share: classifiers, texts that are hard on them, and what runs an export's predict.py."""

from __future__ import annotations

import importlib.util
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from samples import FILLERS, WORDS, make_reviews

from textnn import SentimentClassifier

# float32 in another order; the probabilities of predict_proba are made of logits in double precision.
TOLERANCE = 1e-5

HARD = [
    "",
    " ",
    "好",
    "很 好",
    "未知 的词 全部 没有 见过",
    "😀 很 差 <script>alert('x')</script> & \x00 \ud800",
    "[PAD] [UNK] 喜欢 [PAD]",
    " ".join(random.Random(1).choices([*FILLERS, "喜欢", "x"], k=3000)),
]


def make_texts(count: int, seed: int = 0) -> list[str]:
    """Return texts of 0 to 40 words."""
    source = random.Random(seed)
    words = [*FILLERS, *(word for words in WORDS.values() for word in words), "新词", "😀"]
    return [" ".join(source.choices(words, k=source.choice([0, 1, 2, 3, 8, 40]))) for _ in range(count)]


def load_script(directory: Path, **arguments: Any) -> Any:
    """Return the classifier of an export's predict.py."""
    spec = importlib.util.spec_from_file_location("predict", directory / "predict.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Classifier(directory, **arguments)


def run_script(directory: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(directory / "predict.py"), *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, encoding="utf-8", check=False)


def plain(label: Any) -> Any:
    """Return a label as labels.json has it."""
    return {"tuple": list(label)} if isinstance(label, tuple) else label


def fit(make: Callable[..., SentimentClassifier], name: str) -> SentimentClassifier:
    """Return a small classifier of an architecture, or of a variation of one."""
    texts, labels = make_reviews(200, 3)
    rows = [int(label == "good") for label in labels]
    several = [
        [label, "long"] if len(text) > 14 else [] if label == "bad" else [label]
        for text, label in zip(texts, labels, strict=True)
    ]
    if name == "tfidf with spaces":
        return make("tfidf-textcnn", tokenizer="mixed", ensemble=1).fit(
            [f"So {text} OK  Then" for text in texts], labels
        )
    if name == "wide ensemble":
        return make("wide-textcnn", ensemble=3, word_ngrams=(1, 3)).fit(texts, labels)
    if name == "wide without n-grams":
        return make("wide-textcnn", ensemble=2, word_ngrams=(), character_ngrams=()).fit(texts, labels)
    if name == "ensemble":
        return make("bilstm", ensemble=2, num_layers=2).fit(texts, labels)
    if name == "sigmoid":
        return make("textcnn", output="sigmoid", kernel_sizes=(2, 5)).fit(texts, rows)
    if name == "several labels":
        return make("wide-textcnn", ensemble=2, threshold="auto", calibrate=True).fit(texts, several)
    if name == "characters":
        return make("textcnn", tokenizer="char", stop_words=["的", "了"], max_length=12).fit(texts, labels)
    if name == "jieba":
        return make("lstm", tokenizer="rjieba", user_dictionary=["价格书 5", "房间很"]).fit(texts, labels)
    return make(name).fit(texts, labels)


def assert_same(classifier: SentimentClassifier, directory: Path) -> None:
    """Compare an export's probabilities and labels with the classifier's, for texts in batches and alone."""
    other = load_script(directory)
    for count in (1, 2, 33):
        texts = make_texts(count, count)
        np.testing.assert_allclose(other.predict_proba(texts), classifier.predict_proba(texts), atol=TOLERANCE, rtol=0)
    np.testing.assert_allclose(other.predict_proba(HARD), classifier.predict_proba(HARD), atol=TOLERANCE, rtol=0)
    for text in HARD:
        # Alone: no longer text makes room for windows of the kernels.
        found, expected = other.predict_proba([text]), classifier.predict_proba([text])
        np.testing.assert_allclose(found, expected, atol=TOLERANCE, rtol=0, err_msg=repr(text[:40]))
    labels = [
        plain(label) if text.strip() else None for text, label in zip(HARD, classifier.predict(HARD), strict=True)
    ]
    assert other.predict(HARD) == labels
