"""Reviews made of a few words, and a classifier that trains in a moment."""

from __future__ import annotations

import random

from textnn import SentimentClassifier

WORDS = {"good": ["很 好", "喜欢", "值得"], "bad": ["很 差", "失望", "退货"]}
FILLERS = ["房间", "物流", "价格", "书", "服务", "的", "了"]


def reviews(count: int, seed: int = 0) -> tuple[list[str], list[str]]:
    """Texts of 2 to 9 words, and the labels that their words give away."""
    source = random.Random(seed)
    texts, labels = [], []
    for _ in range(count):
        label = source.choice(list(WORDS))
        words = source.choices(FILLERS, k=source.randint(1, 7))
        words.insert(source.randint(0, len(words)), source.choice(WORDS[label]))
        texts.append(" ".join(words))
        labels.append(label)
    return texts, labels


def small(**more: object) -> SentimentClassifier:
    sizes = {"embedding_dim": 8, "channels": 8, "learning_rate": 0.01, "epochs": 2}
    return SentimentClassifier("textcnn", tokenizer="whitespace", random_state=0, verbose=0, **sizes, **more)
