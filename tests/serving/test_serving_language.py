"""The HTTP interface of language models: what is written, how it is scored, and how mistakes are told."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
from answers import error_of
from starlette.testclient import TestClient

from textnn import LanguageModel

Serve = Callable[..., TestClient]
VERSES = [a + b + "。" for a in ("春风", "秋月", "山雨") for b in ("来去", "何时", "无人")] * 6


@pytest.fixture(scope="module")
def model(_one_thread: None) -> LanguageModel:
    small: dict[str, Any] = {"embedding_dim": 12, "hidden_size": 24, "window": 8, "batch_size": 4}
    return LanguageModel(**small, epochs=10, learning_rate=0.02, random_state=0, verbose=0).fit(VERSES)


def test_prompts_are_continued_as_the_model_does(serve: Serve, model: LanguageModel) -> None:
    client = serve(model)
    asked = {"prompt": "春", "tokens": 4, "temperature": 0.7, "top_k": 5, "top_p": 0.9, "seed": 3, "stop": ["来", "x"]}
    expected = model.generate("春", 4, 0.7, 5, 0.9, seed=3, stop=["来", "x"])
    assert client.post("/continue", json=asked).json() == {"text": expected, "unknown": []}
    found = client.post("/continue", json={"prompt": "秋", "temperature": 0}).json()
    assert found["text"] == model.generate("秋", temperature=0)
    found = client.post("/continue", json={"prompt": "", "beam": 3}).json()
    assert found["text"] == model.generate(beam=3)
    found = client.post("/continue", json={"prompts": ["春", "春", ""], "tokens": 3, "seed": 2**63 - 1}).json()
    texts = [model.generate(prompt, 3, seed=seed) for prompt, seed in (("春", 2**63 - 1), ("春", 0), ("", 1))]
    assert [one["text"] for one in found["predictions"]] == texts


def test_unknown_tokens_are_told_the_sender_alone(serve: Serve, model: LanguageModel) -> None:
    client = serve(model)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = client.post("/continue", json={"prompt": "春x龍x", "seed": 0}).json()
    assert found["unknown"] == ["x", "龍"]
    assert "[UNK]" not in found["text"]


def test_texts_get_the_scores_of_the_model(serve: Serve, model: LanguageModel) -> None:
    client = serve(model)
    texts = ["春风来去。", "", "x" * 500]
    found = client.post("/score", json={"texts": texts}).json()["predictions"]
    for one, scores in zip(found, model.score_tokens(texts), strict=True):
        assert one["log_probability"] == pytest.approx(scores.sum())
        assert one["tokens"] == len(scores)
        assert "each" not in one
    found = client.post("/score", json={"text": "春风", "each": True}).json()
    assert [name for name, _ in found["each"]] == ["春", "风", ""]
    assert sum(score for _, score in found["each"]) == pytest.approx(found["log_probability"])
    assert found["perplexity"] == pytest.approx(model.perplexity(["春风"]))


@pytest.mark.parametrize(
    ("path", "asked", "code", "message"),
    [
        ("/continue", {}, "invalid_request", "expected either 'prompt', a string, or 'prompts', a list of strings"),
        ("/continue", {"prompt": "x", "tokens": 51}, "too_much", "tokens: expected at most 50, got 51."),
        ("/continue", {"prompt": "x", "beam": 17}, "too_much", "beam: expected at most 16, got 17."),
        ("/continue", {"prompt": "x", "beam": 2, "seed": 1}, "invalid_request", "beside 'beam', which draws nothing"),
        ("/continue", {"prompt": "x", "temperature": -1}, "invalid_request", "temperature: "),
        ("/continue", {"prompt": "x", "top_p": 0}, "invalid_request", "top_p: "),
        ("/continue", {"prompt": "x", "stop": [""]}, "invalid_request", "stop[0]: "),
        ("/continue", {"prompt": "x", "stop": ["x"] * 17}, "invalid_request", "stop: "),
        ("/continue", {"prompt": "x" * 10_001}, "text_too_long", "prompt: expected at most 10,000 characters"),
        ("/continue", {"prompts": []}, "no_texts", "prompts: expected at least one prompt, got none."),
        ("/score", {"text": 1}, "invalid_request", "text: "),
        ("/score", {"text": "x", "prompt": "x"}, "invalid_request", "prompt: "),
    ],
)
def test_what_makes_no_sense_is_refused(
    path: str, asked: dict[str, Any], code: str, message: str, serve: Serve, model: LanguageModel
) -> None:
    error = error_of(serve(model, max_tokens=50).post(path, json=asked), 422)
    assert error["code"] == code
    assert message in error["message"]


def test_the_model_and_its_paths_are_described(serve: Serve, model: LanguageModel) -> None:
    client = serve(model)
    facts = client.get("/model").json()
    assert (facts["task"], facts["paths"]) == ("language", ["/continue", "/score"])
    assert facts["training_texts"] == model.state_.n_texts
    assert facts["validation_perplexity"] == model.state_.validation_perplexity
    assert facts["limits"]["max_tokens"] == 1000
    described = client.get("/openapi.json").json()["paths"]
    for path in facts["paths"]:
        post = described[path]["post"]
        assert {"200", "422", "429", "503", "504"} <= set(post["responses"])
        for example in post["requestBody"]["content"]["application/json"]["examples"].values():
            assert client.post(path, json=example["value"]).status_code == 200, example
    error = error_of(client.post("/predict", json={"text": "x"}), 404)
    assert "it has /continue and /score" in error["message"]
    assert 'data-task="language"' in client.get("/").text
    assert "export async function run" in client.get("/static/language.js").text
