"""Every way that a request to a served model can be bad; each case sends one and returns the answer."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import Any

from textnn.classifier import SentimentClassifier

Case = tuple[str, Callable[[SentimentClassifier], Any]]

JSON = {"Content-Type": "application/json"}


def ask(
    method: str, path: str, times: int = 1, settings: dict[str, Any] | None = None, slow: float = 0.0, **request: Any
) -> Callable[[SentimentClassifier], Any]:
    """Send a request so many times to a server of its own; the last answer counts.

    ``slow`` is how many seconds each prediction takes.
    """

    def send(classifier: SentimentClassifier) -> Any:
        from starlette.testclient import TestClient

        from textnn.serving import Settings, create_app

        if slow:
            classifier = _slow(classifier, slow)
        app = create_app(classifier, Settings(**{"rate_limit": "0", "max_text": 1000, **(settings or {})}))
        with TestClient(app, raise_server_exceptions=False) as client:
            for _ in range(times):
                response = client.request(method, path, **request)
        return response

    return send


def post(content: Any, path: str = "/predict", **more: Any) -> Callable[[SentimentClassifier], Any]:
    """Send a body: bytes as they are, anything else as JSON."""
    body = {"content": content, "headers": JSON} if isinstance(content, bytes) else {"json": content}
    return ask("POST", path, **body, **more)


def _slow(classifier: SentimentClassifier, seconds: float) -> SentimentClassifier:
    other = copy.copy(classifier)
    predict = classifier.predict_proba

    def wait(texts: list[str]) -> Any:
        if texts != ["."]:  # with which a server warms up
            time.sleep(seconds)
        return predict(texts)

    other.predict_proba = wait  # type: ignore[method-assign]
    return other


def _faulty(classifier: SentimentClassifier) -> Any:
    other = copy.copy(classifier)
    predict = classifier.predict_proba

    def fail(texts: list[str]) -> Any:
        if texts != ["."]:
            raise RuntimeError("a fault with /etc/passwd in its message")
        return predict(texts)

    other.predict_proba = fail  # type: ignore[method-assign]
    return post({"texts": ["a"]})(other)


CASES: list[Case] = [
    ("a path that is not there", ask("GET", "/../../etc/passwd")),
    ("another method", ask("GET", "/predict")),
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
    ("no answer in time", post({"texts": ["a"]}, settings={"timeout": 0.2}, slow=0.6)),
    (
        "another name in the Host header",
        post({"texts": ["a"]}, settings={"allowed_hosts": ("reviews.example.org",)}),
    ),
    ("a fault of the program", _faulty),
]
