"""What the server says of its model: facts, the description of its paths, and texts to try it on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from small_models import train
from starlette.testclient import TestClient

from textnn import SentimentClassifier
from textnn.serving.tasks.classification.examples import REVIEWS, find_examples

Serve = Callable[..., TestClient]


def test_the_model_is_described(client: TestClient, classifier: SentimentClassifier) -> None:
    facts = client.get("/model").json()
    assert facts["classes"] == ["bad", "good"]
    assert facts["architecture"] == "textcnn"
    assert facts["tokenizer"]["kind"] == "char"
    assert facts["training_texts"] == classifier.n_texts_
    assert facts["examples"] == list(REVIEWS)
    assert facts["limits"]["max_text"] == 10_000


@pytest.mark.parametrize(
    "labels",
    [None, [1, 2.5] * 100, [["\ud800"], ["\ud800", "😀"]] * 100, [["a"], []] * 100],
    ids=["one", "numbers", "several", "several, of one class"],
)
def test_the_description_has_examples_of_the_model_and_all_errors(serve: Serve, labels: list[Any] | None) -> None:
    client = serve(train(labels, epochs=1))
    described = client.get("/openapi.json").json()["paths"]
    for path in ("/predict", "/explain"):
        post = described[path]["post"]
        assert {"200", "400", "408", "413", "415", "422", "429", "500", "503", "504"} <= set(post["responses"])
        examples = post["requestBody"]["content"]["application/json"]["examples"]
        assert len(examples) == 2
        for example in examples.values():
            if example["value"].get("label") != "?":  # half of a surrogate pair, which the description cannot have
                assert client.post(path, json=example["value"]).status_code == 200, example
    request = described["/predict"]["post"]["requestBody"]["content"]["application/json"]["examples"]["several texts"]
    answer = described["/predict"]["post"]["responses"]["200"]["content"]["application/json"]["examples"][
        "several texts"
    ]
    found = client.post("/predict", json=request["value"]).json()
    assert [set(one) for one in found["predictions"]] == [set(one) for one in answer["value"]["predictions"]]


@pytest.mark.parametrize(
    ("classes", "tokenizer", "known"),
    [
        (["bad", "good"], "char", True),
        (["Negative", "Neutral", "Positive"], "jieba", True),
        (["好评", "差评"], "rjieba", True),
        (["price", "positive", "negative"], "jieba", True),
        (["positive", "negative"], "whitespace", False),
        (["sports", "finance"], "jieba", False),
        (["positive", "bad"], "jieba", False),
        ([0, 1], "jieba", False),
    ],
    ids=str,
)
def test_reviews_are_examples_where_classes_and_words_are_those_of_reviews(
    classes: list[Any], tokenizer: str, known: bool
) -> None:
    assert bool(find_examples(classes, tokenizer)) == known


def test_no_review_is_shown_where_the_model_is_for_something_else(serve: Serve) -> None:
    client = serve(train(["sports", "finance"] * 100, epochs=1))
    assert client.get("/model").json()["examples"] == []
    shown = [client.get(path).text for path in ("/", "/static/page.js", "/static/words.js", "/openapi.json")]
    for text in (*REVIEWS, "物流", "review", "评论", "negative"):
        assert not [page for page in shown if text in page], text
