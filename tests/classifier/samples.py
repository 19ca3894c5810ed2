"""Reviews made of a few words, and sizes of networks that train in a moment."""

from __future__ import annotations

import random
from typing import Any

WORDS = {"good": ["很 好", "喜欢", "值得"], "bad": ["很 差", "失望", "退货"], "mixed": ["一般", "还行", "凑合"]}
FILLERS = ["房间", "物流", "价格", "书", "服务", "的", "了"]

SMALL: dict[str, dict[str, Any]] = {
    "textcnn": {"embedding_dim": 8, "channels": 8},
    "tfidf-textcnn": {"embedding_dim": 8, "channels": 8, "ngram_buckets": 1024},
    "wide-textcnn": {"embedding_dim": 8, "channels": 8, "ngram_buckets": 1024},
    "lstm": {"embedding_dim": 8, "hidden_size": 8},
    "bilstm": {"embedding_dim": 8, "hidden_size": 8},
    "rnn": {"embedding_dim": 8, "hidden_size": 8},
    "gru": {"embedding_dim": 8, "hidden_size": 8},
    "bigru": {"embedding_dim": 8, "hidden_size": 8},
    "mlp": {"embedding_dim": 8, "hidden_size": 8},
    "lecture-lstm": {"embedding_dim": 8, "hidden_size": 8},
}


def make_reviews(count: int, classes: int = 2, seed: int = 0) -> tuple[list[str], list[str]]:
    """Return texts of 2 to 9 words, and the labels that their words give away."""
    source = random.Random(seed)
    texts, labels = [], []
    for _ in range(count):
        label = source.choice(list(WORDS)[:classes])
        words = source.choices(FILLERS, k=source.randint(1, 7))
        words.insert(source.randint(0, len(words)), source.choice(WORDS[label]))
        texts.append(" ".join(words))
        labels.append(label)
    return texts, labels
