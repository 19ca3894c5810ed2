"""Every way that a request to a served model can be bad; each case sends one and returns the answer."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from waiting import HANG, wait_until

from textnn import SentimentClassifier

Case = tuple[str, Callable[[SentimentClassifier], Any]]

JSON = {"Content-Type": "application/json"}


def ask(
    method: str, path: str, times: int = 1, settings: dict[str, Any] | None = None, **request: Any
) -> Callable[[SentimentClassifier], Any]:
    """Send a request so many times to a server of its own; the last answer counts."""

    def send(classifier: SentimentClassifier) -> Any:
        from starlette.testclient import TestClient

        from textnn.serving import create_app

        app = create_app(classifier, _settings(settings))
        with TestClient(app, raise_server_exceptions=False) as client:
            for _ in range(times):
                response = client.request(method, path, **request)
        return response

    return send


def post(content: Any, path: str = "/predict", **more: Any) -> Callable[[SentimentClassifier], Any]:
    """Send a body: bytes as they are, anything else as JSON."""
    body = {"content": content, "headers": JSON} if isinstance(content, bytes) else {"json": content}
    return ask("POST", path, **body, **more)


def _settings(given: dict[str, Any] | None) -> Any:
    from textnn.serving import Settings

    return Settings(**{"rate_limit": "0", "max_text": 1000, **(given or {})})


def _instead(classifier: SentimentClassifier, first: Callable[[], object]) -> SentimentClassifier:
    """Return a classifier that does something before each prediction, but for that with which a server warms up."""
    other = copy.copy(classifier)

    def predict(texts: list[str]) -> Any:
        if texts != ["."]:
            first()
        return classifier.predict_proba(texts)

    other.predict_proba = predict  # type: ignore[method-assign]
    return other


def _faulty(classifier: SentimentClassifier) -> Any:
    def fail() -> None:
        raise RuntimeError("a fault with /etc/passwd in its message")

    return post({"texts": ["a"]})(_instead(classifier, fail))


def crowded(*sizes: int, **settings: int) -> Callable[[SentimentClassifier], Any]:
    """Send a text while requests of so many texts each are under way: the first is at work, the others wait."""

    def send(classifier: SentimentClassifier) -> Any:
        from starlette.testclient import TestClient

        from textnn.serving import create_app

        begun, go = threading.Event(), threading.Event()

        def hold() -> None:
            begun.set()
            go.wait(HANG)

        app = create_app(_instead(classifier, hold), _settings({"max_texts": 1, **settings}))
        with TestClient(app) as client, ThreadPoolExecutor(len(sizes)) as pool:
            try:
                first, *others = sizes
                pool.submit(client.post, "/predict", json={"texts": ["a"] * first})
                assert begun.wait(HANG)
                for size in others:
                    pool.submit(client.post, "/predict", json={"texts": ["a"] * size})
                waiting = f'textnn_queue_length{{queue="predict"}} {sum(others):.1f}'
                wait_until(lambda: waiting in client.get("/metrics").text, waiting)
                return client.post("/predict", json={"texts": ["a"]})
            finally:
                go.set()

    return send


def _late(classifier: SentimentClassifier) -> Any:
    """Send a text; its prediction is held up until the answer has come."""
    from starlette.testclient import TestClient

    from textnn.serving import create_app

    go = threading.Event()
    app = create_app(_instead(classifier, lambda: go.wait(HANG)), _settings({"timeout": 0.2}))
    with TestClient(app) as client:
        try:
            return client.post("/predict", json={"texts": ["a"]})
        finally:
            go.set()


CASES: list[Case] = [
    ("a path that is not there", ask("GET", "/../../etc/passwd")),
    ("a path of another task", post({"text": "a"}, "/entities")),
    ("another method", ask("GET", "/predict")),
    ("a method with control characters", ask("\x1b[2J", "/predict")),
    ("no JSON", ask("POST", "/predict", content=b"texts=a", headers={"Content-Type": "text/plain"})),
    ("an empty body", post(b"")),
    ("damaged JSON", post(b'{"texts": ["a"')),
    ("JSON that is no UTF-8", post(b'{"texts": ["\xff"]}')),
    ("JSON that is nested without end", post(b'{"texts": ' + b"[" * 10**5 + b"]" * 10**5 + b"}")),
    ("a body that is too large", post({"texts": ["a" * 2000]}, settings={"max_body": 1000})),
    ("neither text nor texts", post({})),
    ("a name that is not known", post({"texts": ["a"], "model": "/etc/passwd"})),
    ("texts that are no list", post({"texts": "a"})),
    ("a text that is none", post({"texts": ["a", 1]})),
    ("no texts", post({"texts": []})),
    ("too many texts", post({"texts": ["a"] * 300})),
    ("a text that is too long", post({"texts": ["a", "b" * 1001]})),
    ("a label that the model does not have", post({"text": "好", "label": "<script>"}, "/explain")),
    ("a method that is not known", post({"text": "好", "method": "magic"}, "/explain")),
    (
        "a method that takes long for such a text",
        post({"text": "好" * 900, "method": "occlusion"}, "/explain", settings={"max_explained": 500}),
    ),
    ("a name twice", post(b'{"text": "a", "text": "b"}')),
    ("too many requests", post({"texts": ["a"]}, times=3, settings={"rate_limit": "2/hour"})),
    ("more requests of a client at once than it may have", crowded(1, max_per_client=1)),
    ("more requests at once than the server takes", crowded(1, max_queue=1)),
    ("more texts than may wait", crowded(1, 3, max_queue=3, max_texts=3)),
    ("no answer in time", _late),
    (
        "another name in the Host header",
        post({"texts": ["a"]}, settings={"allowed_hosts": ("reviews.example.org",)}),
    ),
    ("a fault of the program", _faulty),
]
