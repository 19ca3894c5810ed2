"""Requests to a served model within this process, without a socket: all that a client can send.

    bytes -> method, path, headers, chunks of a body (``mutation``) -> the application -> an answer, which is checked

An ASGI server would refuse some of these heads before the application sees them; others may let them through.
"""

from __future__ import annotations

import asyncio
import functools
import json
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fuzz import seeds
from fuzz.mutation import TOKENS, Entropy, damage_bytes, damage_value, write_json

App = Any

PATHS = (
    *("/predict", "/predict", "/predict", "/explain", "/explain", "/", "/model", "/openapi.json", "/static/page.js"),
    *("/entities", "/cut", "/tags"),
    *("/continue", "/score"),
)
METHODS = (*["POST"] * 12, "GET", "HEAD", "PUT", "post", "\x1b[2J", "")
KINDS = (
    *[b"application/json"] * 8,
    b"application/json; charset=utf-8",
    b"application/x+json",
    b"text/plain",
    b"",
    b"\xff",
)
BODIES: tuple[Any, ...] = (
    {"text": "很 好"},
    {"texts": ["很 好", "", "x 😀 <script>", "差 " * 40]},
    {"text": "好 差", "label": "pos", "method": "auto"},
    {"text": "好", "label": "a", "method": "integrated gradients"},
    {"text": " "},
    {},
    {"text": "很 好差", "dictionary": ["好差", "很"]},
    {"sentences": [["很", "好"], [], ["差"]], "marginals": True},
    {"prompt": "很 好", "tokens": 4, "temperature": 0.5, "top_k": 3, "top_p": 0.9, "seed": 1, "stop": ["好"]},
    {"prompts": ["很", "", "x😀"], "tokens": 3, "beam": 2},
    {"text": "很 好", "each": True},
)
LIMITS = {"max_text": 200, "max_texts": 8, "max_body": 3000, "max_explained": 50, "max_tokens": 20}
STATUSES = frozenset({200, 400, 404, 405, 413, 415, 422})
PATIENCE = 600.0


class RefusedError(ValueError):
    """The application has refused a request, as it documents; the message is what the client is told."""


@functools.cache
def _served() -> tuple[asyncio.AbstractEventLoop, list[App]]:
    """Return a loop, and applications: with one label a text, with several, of entities, of words, and of text."""
    from textnn import LanguageModel, SentimentClassifier, SequenceTagger
    from textnn.serving import Settings, create_app

    apps = []
    for model in (seeds.models()[0], seeds.models()[4]):
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for name, content in model.items():
                (Path(folder) / name).write_bytes(content)
            apps.append(create_app(SentimentClassifier.load(folder), Settings(rate_limit="0", **LIMITS)))
    taggers = [SequenceTagger("ngram-crf", epochs=1, random_state=0, verbose=0) for _ in range(2)]
    taggers[0].fit(["很好", "好差"] * 20, [["B-X", "I-X"], ["O", "B-Y"]] * 20)
    taggers[1].fit_words(["很 好差", "差 好"] * 20)
    small = {"embedding_dim": 3, "hidden_size": 2, "window": 8, "batch_size": 2, "min_count": 1}
    writer = LanguageModel(**small, epochs=1, random_state=0, verbose=0).fit(["很好", "好差", "差 好"] * 20)
    apps += [create_app(model, Settings(rate_limit="0", **LIMITS)) for model in (*taggers, writer)]
    return asyncio.new_event_loop(), apps


def send_request(data: bytes) -> None:
    """Send a request; what is answered has the form that is documented, and fits what was asked."""
    entropy = Entropy(data)
    loop, apps = _served()
    app = entropy.choice(apps)
    body = _body(entropy)
    path, method = entropy.choice(PATHS), entropy.choice(METHODS)
    if entropy.below(16) == 1:
        path = damage_bytes(path.encode(), entropy).decode("latin-1")
    headers = [(b"content-type", entropy.choice(KINDS)), (b"content-length", str(len(body)).encode())]
    for _ in range(entropy.below(4) if entropy.below(4) == 1 else 0):
        place = entropy.below(len(headers))
        name, value = headers[place]
        headers[place] = (
            entropy.choice([name, b"host", b"x-forwarded-for", b"if-none-match"]),
            damage_bytes(value, entropy),
        )
        headers.append(entropy.choice([(b"content-length", b"9" * 30), (b"content-length", b"\xb2"), headers[place]]))
    gone = entropy.below(32) == 1
    answer = loop.run_until_complete(_exchange(app, method, path, headers, _chunks(body, entropy), gone))
    if not answer:
        assert gone, "there was no answer"
        return
    if data in valid():
        assert answer[0]["status"] == 200, answer
    _check(answer, path, body)


def _body(entropy: Entropy) -> bytes:
    value = entropy.choice(BODIES)
    for _ in range(entropy.below(3)):
        value = damage_value(value, entropy)
    kind = entropy.below(4)
    if kind == 0:
        return (
            json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
            if entropy.below(2)
            else entropy.rest()
        )
    content = write_json(value, entropy)
    return damage_bytes(content, entropy) if kind == 1 else content


def _chunks(body: bytes, entropy: Entropy) -> list[bytes]:
    """Return a body in one to four parts, some of which may be empty."""
    ends = sorted(entropy.below(len(body) + 1) for _ in range(entropy.below(4)))
    return [body[begin:end] for begin, end in zip([0, *ends], [*ends, len(body)], strict=True)]


async def _exchange(
    app: App, method: str, path: str, headers: list[tuple[bytes, bytes]], chunks: list[bytes], gone: bool
) -> list[dict[str, Any]]:
    """Return the messages of the answer; a client that goes away does so before its last chunk."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode("utf-8"),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    coming = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    coming[-1] = {"type": "http.disconnect"} if gone else {**coming[-1], "more_body": False}
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if not coming:
            await asyncio.get_running_loop().create_future()  # nothing more comes
        return coming.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await asyncio.wait_for(app(scope, receive, send), PATIENCE)
    return sent


def _check(answer: list[dict[str, Any]], path: str, body: bytes) -> None:
    start, *parts = answer
    assert start["type"] == "http.response.start", start
    assert [part.get("more_body", False) for part in parts] == [True] * (len(parts) - 1) + [False], (
        "no end of the answer"
    )
    content, status = b"".join(part.get("body", b"") for part in parts), start["status"]
    assert status in STATUSES or (status, path[:1]) == (304, "/"), f"the status {status}"
    assert b"content-security-policy" in dict(start["headers"]), start
    if status >= 400:
        error = json.loads(content)["error"] if content else {"code": "none", "message": f"the status {status}"}
        assert {"code", "message"} <= set(error) <= {"code", "message", "field"}, error
        raise RefusedError(error["message"])
    check = _CHECKS.get(path)
    if check is None or not content:
        return
    asked, found = json.loads(body), json.loads(content)
    one, several = {"/tags": ("tokens", "sentences"), "/continue": ("prompt", "prompts")}.get(path, ("text", "texts"))
    items = asked[several] if "predictions" in found else [asked[one]]
    for item, each in zip(items, found.get("predictions", [found]), strict=True):
        assert check(item, each), each


def _predicted(text: str, found: Any) -> bool:
    rows = found["probabilities"]
    return all(0 <= row["probability"] <= 1 for row in rows) if text.strip() else rows is None


def _within(text: str, found: Any) -> bool:
    return all(0 <= token["start"] <= token["end"] <= len(text) for token in found["tokens"])


def _named(text: str, found: Any) -> bool:
    return all(one["text"] == text[one["start"] : one["end"]] and one["text"] for one in found["entities"])


def _tagged(tokens: list[str], found: Any) -> bool:
    return len(tokens) == len(found["tags"]) == len(found.get("marginals", tokens))


def _scored(text: str, found: Any) -> bool:
    names = "".join(name for name, _ in found.get("each") or [[text, 0]])
    return names == text and found["tokens"] == len(text) + 1 and found["perplexity"] >= 1


_CHECKS: dict[str, Callable[[Any, Any], bool]] = {
    "/predict": _predicted,
    "/explain": _within,
    "/entities": _named,
    "/cut": lambda text, found: "".join(found["words"]) == "".join(text.split()),
    "/tags": _tagged,
    "/continue": lambda prompt, found: len(found["text"]) <= LIMITS["max_tokens"] and "[UNK]" not in found["text"],
    "/score": _scored,
}
"""What an answer must be to what was asked."""


@functools.cache
def valid() -> frozenset[bytes]:
    """Return inputs that are requests without a fault."""
    rows = [*((model, body, 0) for model in (0, 1) for body in (0, 1)), (2, 1, 9), (2, 7, 11), (3, 6, 10)]
    rows += [(4, 8, 12), (4, 9, 12), (4, 0, 13), (4, 1, 13), (4, 10, 13)]
    return frozenset(bytes([model, body, 0, 3, 3, path]) for model, body, path in rows)


def beginnings() -> list[bytes]:
    """Return inputs to begin with: each body as it is, then what readers stumble over in its place."""
    paths = {0: (0, 3), 1: (0, 3), 2: (9, 11), 3: (10, 11), 4: (12, 13)}
    plain = [
        bytes([model, body, 0, 3, 3, path])
        for model, those in paths.items()
        for body in range(len(BODIES))
        for path in those
    ]
    return [*plain, *(bytes([0, 0, 0, 0, 1]) + token for token in TOKENS)]
