"""bench/throughput: the opponent in plain PyTorch computes what textnn computes, so that only the time differs."""

from __future__ import annotations

import pytest
import torch

from bench.throughput.pipelines import make_pipelines
from bench.throughput.plain import PlainPipeline
from textnn import SentimentClassifier

pytestmark = pytest.mark.slow

TEXTS = [
    "房间很干净，服务也好",
    "太差了，再也不来",
    "物流很快，包装完好！！",
    "用了两天就坏了",
    "好",
    "",
    "  ",
    "很 好 2-3 次",
]
LABELS = ["good", "bad", "good", "bad", "good", "bad", "bad", "good"]


@pytest.mark.parametrize("ensemble", [1, 2])
def test_the_plain_network_has_the_logits_of_the_trained_one(ensemble: int) -> None:
    small = {"embedding_dim": 8, "channels": 8, "ngram_buckets": 256, "epochs": 2, "verbose": 0}
    classifier = SentimentClassifier(ensemble=ensemble, min_count=1, random_state=0, **small)
    classifier.fit(TEXTS * 10, LABELS * 10)
    expected = classifier.state_.predictor.logits(TEXTS)
    torch.testing.assert_close(PlainPipeline(classifier).logits(TEXTS), expected, rtol=1e-3, atol=1e-4)


def test_all_pipelines_take_raw_texts_to_labels() -> None:
    pytest.importorskip("fasttext")
    pytest.importorskip("rjieba")
    pipelines = make_pipelines(TEXTS * 10, LABELS * 10)
    assert pipelines[0].name == "textnn, rjieba"
    for one in pipelines:
        found = list(one.predict(TEXTS))
        assert len(found) == len(TEXTS), one.name
        assert set(found) <= {"good", "bad"}, one.name
