"""The HTTP interface when something fails, is late, or is too much at once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from answers import error_of
from starlette.testclient import TestClient
from waiting import HANG, forward, wait_until

from textnn import SentimentClassifier

Serve = Callable[..., TestClient]
JSON = {"Content-Type": "application/json"}
REVIEW = "房间很好"


class Failing:
    """A classifier that can be held up, and that fails for some texts with a message that holds the text."""

    def __init__(self, inner: SentimentClassifier) -> None:
        self._inner = inner
        self.explained: list[str] = []
        self.classified: list[str] = []
        self.go = threading.Event()
        self.go.set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def explain(self, text: str, label: Any = None, method: str = "auto") -> Any:
        if text != ".":  # with which a server finds out what is possible
            self.explained.append(text)
            assert self.go.wait(HANG)
        if "secret" in text:
            raise ValueError(f"cannot explain {text}")
        return self._inner.explain(text, label, method)

    def predict_proba(self, texts: list[str]) -> np.ndarray[Any, Any]:
        if texts != ["."]:
            self.classified += texts
            assert self.go.wait(HANG)
        if any("secret" in text for text in texts):
            raise RuntimeError(f"cannot classify {texts}")
        return self._inner.predict_proba(texts)


@pytest.fixture
def failing(classifier: SentimentClassifier) -> Failing:
    return Failing(classifier)


def queued(client: TestClient, queue: str) -> int:
    """How many texts wait, without those that are worked on."""
    return int(float(client.get("/metrics").text.split(f'textnn_queue_length{{queue="{queue}"}} ')[1].split()[0]))


def test_a_failure_tells_the_client_a_number_and_the_log_no_text(
    serve: Serve, failing: Failing, caplog: pytest.LogCaptureFixture
) -> None:
    client = serve(failing, max_wait=100)
    with caplog.at_level(logging.DEBUG), ThreadPoolExecutor(2) as pool:
        bad = pool.submit(client.post, "/predict", json={"text": "my secret"})
        good = pool.submit(client.post, "/predict", json={"text": REVIEW})
        error = error_of(bad.result(), 500)
        assert good.result().json()["label"] == "good"
    number = error["message"].rsplit(" ", 1)[1].rstrip(".")
    record = next(one for one in caplog.records if number in one.getMessage())
    assert "predict_proba" in record.getMessage()
    assert "secret" not in error["message"] + "".join(one.getMessage() for one in caplog.records)


def test_an_explanation_that_fails_is_no_mistake_of_the_client(serve: Serve, failing: Failing) -> None:
    response = serve(failing).post("/explain", json={"text": "my secret"})
    assert error_of(response, 500)["code"] == "internal"
    assert "secret" not in response.text


def test_a_client_has_a_few_explanations_at_once_and_those_given_up_are_not_begun(
    serve: Serve, failing: Failing
) -> None:
    client = serve(failing, timeout=HANG)
    failing.go.clear()
    with ThreadPoolExecutor(2) as pool:
        late = [pool.submit(client.post, "/explain", json={"text": text}) for text in "ab"]
        wait_until(lambda: failing.explained and queued(client, "explain") == 1)
        third = client.post("/explain", json={"text": "c"})
        assert error_of(third, 429)["code"] == "client_busy"
        assert int(third.headers["Retry-After"]) >= 1
        assert client.post("/explain", json={"text": " "}).status_code == 200, "which costs nothing"
        client.portal.call(forward, HANG)
        for one in late:
            assert error_of(one.result(), 504)["code"] == "timeout"
    failing.go.set()
    assert client.post("/explain", json={"text": "d"}).status_code == 200
    assert len(failing.explained) == 2, failing.explained  # one of "a" and "b", and "d"


def test_a_client_has_so_many_requests_at_once(serve: Serve, failing: Failing) -> None:
    client = serve(failing, max_per_client=1)
    failing.go.clear()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.post, "/predict", json={"text": REVIEW})
        wait_until(lambda: failing.classified)
        error = error_of(client.post("/predict", json={"text": REVIEW}), 429)
        assert (error["code"], "at most 1 requests" in error["message"]) == ("client_busy", True)
        assert client.get("/healthz").status_code == 200
        failing.go.set()
        assert first.result().status_code == 200
    assert client.post("/predict", json={"text": REVIEW}).status_code == 200


def test_no_answer_in_time_is_a_504_and_a_full_queue_a_503(serve: Serve, failing: Failing) -> None:
    client = serve(failing, timeout=HANG, max_queue=2, max_texts=2)
    failing.go.clear()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(client.post, "/predict", json={"text": "a"})
        wait_until(lambda: failing.classified)
        second = pool.submit(client.post, "/predict", json={"texts": ["b", "c"]})
        wait_until(lambda: queued(client, "predict") == 2)
        full = client.post("/predict", json={"text": "d"})
        assert error_of(full, 503)["code"] == "overloaded"
        assert int(full.headers["Retry-After"]) >= 1
        client.portal.call(forward, HANG)
        for late in (first, second):
            assert error_of(late.result(), 504)["code"] == "timeout"
    failing.go.set()
    assert client.post("/predict", json={"text": REVIEW}).json()["label"] == "good"


def test_requests_of_the_same_moment_are_classified_together(serve: Serve, failing: Failing) -> None:
    client = serve(failing)
    failing.go.clear()
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(client.post, "/predict", json={"text": text}) for text in ["很好", "很差"] * 4]
        wait_until(lambda: len(failing.classified) + queued(client, "predict") == 8)
        failing.go.set()
        assert [one.result().json()["label"] for one in waiting] == ["good", "bad"] * 4
    figures = client.get("/metrics").text
    assert "textnn_batch_texts_sum 8.0" in figures
    batches = float(figures.split("textnn_batch_texts_count ")[1].split()[0])
    assert batches <= 2, "what came while the first batch was at work is one batch"
