"""The HTTP interface: what goes in, what comes out, and how a mistake is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from answers import error_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_models import train
from starlette.requests import Request
from starlette.testclient import TestClient

from textnn import SentimentClassifier, serving
from textnn.serving import Settings, create_app
from textnn.serving.bodies import TextsRequest, read
from textnn.serving.guard import HEADERS

Serve = Callable[..., TestClient]
JSON = {"Content-Type": "application/json"}
REVIEW = "房间很好"
PARTS = Path(serving.__file__).parent / "page"
HOSTILE = [
    "",
    " \n",
    "😀😀",
    "\u0000",
    "</p><script>alert(1)</script>",
    "未见过的字鱻",
    "好" * 5000,
    "e\u0301 \u202e",
]


def test_a_text_gets_its_label_and_all_probabilities(client: TestClient, classifier: SentimentClassifier) -> None:
    found = client.post("/predict", json={"text": REVIEW}).json()
    row = classifier.predict_proba([REVIEW])[0]
    assert found["label"] == classifier.predict([REVIEW])[0] == "good"
    assert found["probability"] == pytest.approx(row.max())
    assert [one["label"] for one in found["probabilities"]] == ["bad", "good"]
    assert [one["probability"] for one in found["probabilities"]] == pytest.approx(row.tolist())


def test_several_texts_get_theirs_in_order_whatever_is_in_them(
    client: TestClient, classifier: SentimentClassifier
) -> None:
    found = client.post("/predict", json={"texts": HOSTILE}).json()["predictions"]
    expected: list[Any] = classifier.predict(HOSTILE).tolist()
    seen = [bool(text.strip("\0 \n")) for text in HOSTILE]
    assert [one["label"] for one in found] == [e if s else None for e, s in zip(expected, seen, strict=True)]


def test_a_text_with_nothing_in_it_has_no_prediction(client: TestClient) -> None:
    nothing = {"label": None, "probability": None, "probabilities": None}
    assert client.post("/predict", json={"text": " "}).json() == nothing


@pytest.mark.parametrize(
    "labels", [(0, 1), (True, False), ("<b>", "好\ud800"), ((1, "a"), (2, "b")), (1, "1")], ids=repr
)
def test_labels_stay_json_values_where_they_can(serve: Serve, labels: tuple[Any, Any]) -> None:
    texts = ["好", "差"] * 20
    client = serve(train().set_params(epochs=1).fit(texts, list(labels) * 20))
    found = client.post("/predict", json={"text": "好"}).json()
    plain = [label if not isinstance(label, tuple) else str(label) for label in labels]
    assert {(type(one["label"]), one["label"]) for one in found["probabilities"]} == {(type(x), x) for x in plain}
    for label in plain:  # and are understood
        explained = client.post("/explain", content=json.dumps({"text": "好", "label": label}), headers=JSON)
        if isinstance(label, str) and "\ud800" in label:
            error_of(explained, 400)  # no valid Unicode, and so no valid JSON
        else:
            assert explained.status_code == 200, explained.text
            assert explained.json()["label"] == label


def test_a_model_of_several_labels_lists_those_above_their_thresholds(serve: Serve) -> None:
    labels: list[Any] = [["price"] if number % 2 else ["price", "room"] for number in range(200)]
    classifier = train(labels, threshold=0.3)
    client = serve(classifier)
    found = client.post("/predict", json={"texts": [REVIEW, ""]}).json()["predictions"]
    assert found[0]["labels"] == classifier.predict([REVIEW])[0]
    assert "label" not in found[0]
    assert found[1] == {"labels": None, "probabilities": None}
    assert client.get("/model").json()["thresholds"] == [0.3, 0.3]
    assert client.post("/explain", json={"text": REVIEW, "label": "room"}).json()["label"] == "room"


def test_a_sigmoid_of_two_classes_has_both_probabilities(serve: Serve) -> None:
    found = serve(train(output="sigmoid")).post("/predict", json={"text": REVIEW}).json()
    assert sum(one["probability"] for one in found["probabilities"]) == pytest.approx(1)


@pytest.mark.parametrize("text", [HOSTILE[2], *HOSTILE[4:]], ids=ascii)
def test_an_explanation_is_that_of_the_classifier(
    client: TestClient, classifier: SentimentClassifier, text: str
) -> None:
    found = client.post("/explain", json={"text": text, "label": "bad"})
    assert found.status_code == 200, found.text
    expected = json.loads(json.dumps(classifier.explain(text, "bad").to_dict()))
    assert found.json()["tokens"] == expected["tokens"]
    assert found.json()["label"] == "bad"


@pytest.mark.parametrize("text", HOSTILE[:2], ids=ascii)
def test_a_text_with_nothing_in_it_has_no_explanation_either(client: TestClient, text: str) -> None:
    for more in ({}, {"label": "bad"}, {"method": "occlusion"}):
        found = client.post("/explain", json={"text": text, **more}).json()
        assert (found.pop("text"), found.pop("tokens"), found.pop("ngrams")) == (text, [], [])
        assert found == dict.fromkeys(("label", "probability", "probabilities", "method", "base"))


def test_only_methods_for_the_model_are_taken(client: TestClient, serve: Serve) -> None:
    def ask(one: TestClient, method: str) -> Any:
        return one.post("/explain", json={"text": REVIEW, "method": method})

    for method in ("exact", "occlusion", "integrated gradients", "integrated-gradients"):
        assert ask(client, method).json()["method"] == method.replace("-", " ")
    lstm = serve(train(architecture="lstm", channels=None, epochs=1))
    assert ask(lstm, "auto").json()["method"] == "integrated gradients"
    error = error_of(ask(lstm, "exact"), 422)
    assert error["field"] == "method"
    assert "'integrated gradients'" in error["message"]
    assert "'exact'" not in error["message"]


def test_a_method_is_not_sent_back(client: TestClient) -> None:
    for method in ("magic", "x" * 500_000):
        response = client.post("/explain", json={"text": "a", "method": method})
        assert error_of(response, 422)["field"] == "method"
        assert len(response.content) < 300
        assert method not in response.text


def test_long_texts_are_explained_only_by_what_is_quick(client: TestClient, serve: Serve) -> None:
    lstm = serve(train(architecture="lstm", channels=None, epochs=1), max_explained=100)
    long = {"text": "好" * 2001}
    for one, body in (
        (client, {**long, "method": "occlusion"}),
        (client, {**long, "method": "integrated gradients"}),
        (lstm, {"text": "好" * 101}),
    ):
        error = error_of(one.post("/explain", json=body), 422)
        assert (error["code"], error["field"]) == ("text_too_long", "text")
        assert "characters for the method" in error["message"]
    assert client.post("/explain", json=long).json()["method"] == "exact"
    assert lstm.post("/explain", json={"text": "好" * 100}).status_code == 200


def test_by_default_the_predicted_class_is_explained(client: TestClient) -> None:
    assert client.post("/explain", json={"text": REVIEW}).json()["label"] == "good"


@pytest.mark.parametrize(
    ("body", "status", "code", "part"),
    [
        (b"", 400, "invalid_json", "JSON"),
        (b"{", 400, "invalid_json", "JSON"),
        (b'{"text": "\\ud800"}', 400, "invalid_json", "JSON"),
        (b'{"text": "\xff"}', 400, "invalid_json", "JSON"),
        (b"[" * 100_000, 400, "invalid_json", "recursion"),
        (b"[]", 422, "invalid_request", "object"),
        (b'{"text": "a", "text": "b"}', 400, "invalid_json", "'text' more than once"),
        (b"{}", 422, "invalid_request", "either 'text'"),
        (b'{"text": NaN}', 422, "invalid_request", "text"),
        (b'{"text": 1e999}', 422, "invalid_request", "text"),
        (b'{"text": ["a"]}', 422, "invalid_request", "text"),
        (b'{"text": "a", "texts": ["b"]}', 422, "invalid_request", "either 'text'"),
        (b'{"texts": ["a", null]}', 422, "invalid_request", "texts[1]"),
        (b'{"texts": "abc"}', 422, "invalid_request", "texts"),
        (b'{"texts": []}', 422, "no_texts", "at least one"),
        (b'{"text": "a", "x\\u597d": 1}', 422, "invalid_request", "x?"),
        (json.dumps({"texts": ["a"] * 257}).encode(), 422, "too_many_texts", "at most 256, got 257"),
        (json.dumps({"texts": ["a", "a" * 10_001]}).encode(), 422, "text_too_long", "texts[1]"),
        (json.dumps({"text": "a" * 10_001}).encode(), 422, "text_too_long", "10,001"),
        (json.dumps({"text": "a" * (1 << 20)}).encode(), 413, "body_too_large", "1,048,576 bytes"),
    ],
    ids=lambda value: value[:30] if isinstance(value, bytes) else None,
)
def test_a_mistake_is_told_in_one_form(client: TestClient, body: bytes, status: int, code: str, part: str) -> None:
    error = error_of(client.post("/predict", content=body, headers=JSON), status)
    assert error["code"] == code
    assert part in error["message"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"label": "good"}, "text"),
        ({"text": "a", "label": "neither"}, "label"),
        ({"text": "a", "label": {"a": 1}}, "label"),
        ({"text": "a", "method": "guess"}, "method"),
        ({"text": "a", "method": 5}, "method"),
    ],
)
def test_an_explanation_that_cannot_be_given_says_why(client: TestClient, body: dict[str, Any], field: str) -> None:
    assert error_of(client.post("/explain", json=body), 422)["field"] == field


def test_other_types_methods_and_paths_are_refused_in_the_same_form(client: TestClient) -> None:
    assert error_of(client.post("/predict", data={"text": "a"}), 415)["code"] == "unsupported_media_type"
    assert error_of(client.get("/predict"), 405)["code"] == "method_not_allowed"
    for path in ("/nothing", "/docs", "/static/../app.py", "/static/", "/predict/"):
        assert error_of(client.get(path), 404)["code"] == "not_found"


NAMES = st.sampled_from(["text", "texts", "label", "method"])
BODIES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=BODIES | st.dictionaries(NAMES, BODIES), raw=st.binary())
def test_no_body_makes_the_server_fail(client: TestClient, body: Any, raw: bytes) -> None:
    for path in ("/predict", "/explain"):
        for content in (json.dumps(body).encode(), raw):
            response = client.post(path, content=content, headers=JSON)
            assert response.status_code in (200, 400, 422), (content, response.text)
            if response.status_code != 200:
                error_of(response, response.status_code)


def test_an_application_may_be_started_again(classifier: SentimentClassifier) -> None:
    app = create_app(classifier, Settings(rate_limit="0"))
    for _ in range(2):
        with TestClient(app) as client:
            assert client.get("/healthz").json() == {"status": "ok"}
            assert client.post("/predict", json={"text": REVIEW}).status_code == 200


def test_labels_that_json_does_not_have_are_texts(serve: Serve) -> None:
    client = serve(train().set_params(epochs=1).fit(["很好", "很差"] * 20, [float("inf"), -1.0] * 20))
    found = client.post("/explain", json={"text": "好", "label": "inf"})
    assert (found.status_code, found.json()["label"]) == (200, "inf")


def test_health_says_when_the_server_ends(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.head("/healthz").status_code == 200
    state = client.app.state.serving  # type: ignore[attr-defined]
    state.draining = state.closing = True
    response = client.get("/healthz")
    assert (response.status_code, response.json()) == (503, {"status": "shutting down"})
    assert response.headers["connection"] == "close"


@pytest.mark.parametrize("length", [b"\xb2", b"-1", b"1_0"])
def test_a_length_that_is_no_number_is_left_aside(length: bytes) -> None:
    async def receive() -> Any:
        return {"type": "http.request", "body": b'{"text": "a"}', "more_body": False}

    headers = [(b"content-type", b"application/json"), (b"content-length", length)]
    request = Request({"type": "http", "headers": headers}, receive)
    assert asyncio.run(read(request, TextsRequest, Settings())).text == "a"


def test_control_characters_come_back_as_escapes(client: TestClient) -> None:
    kind = client.post("/predict", content=b"{}", headers={"Content-Type": "text/\x1b[2J"})
    assert error_of(kind, 415)["message"].endswith(r"got text/\x1b[2j.")
    method = client.request("\x1b[2J", "/predict")
    assert error_of(method, 405)["message"] == r"This path does not take the method \x1b[2J."
    name = error_of(client.post("/predict", json={"\x1b[2J": 1}), 422)
    assert (name["message"], name["field"]) == (r"\x1b[2J: Extra inputs are not permitted.", r"\x1b[2J")


def test_figures_are_kept_of_each_application_alone(serve: Serve, classifier: SentimentClassifier) -> None:
    one, other = serve(classifier), serve(classifier)
    one.post("/predict", json={"texts": ["a", "b"]})
    one.post("/predict", content=b"x", headers=JSON)
    one.get("/" + "a" * 50)
    figures = one.get("/metrics").text
    assert 'textnn_requests_total{path="/predict",status="200"} 1.0' in figures
    assert 'textnn_requests_total{path="other",status="404"} 1.0' in figures
    assert 'textnn_rejected_total{reason="invalid_json"} 1.0' in figures
    assert "textnn_texts_total 2.0" in figures
    assert "/predict" not in other.get("/metrics").text


def test_every_answer_forbids_what_is_external(client: TestClient) -> None:
    answers = [client.get("/"), client.get("/nothing"), client.post("/predict", content=b""), client.get("/metrics")]
    for answer in answers:
        for name, value in HEADERS.items():
            assert answer.headers[name] == value
    assert "frame-ancestors 'none'" in HEADERS["Content-Security-Policy"]


def test_the_page_has_a_title_that_is_no_markup_and_parts_of_its_own_alone(
    serve: Serve, classifier: SentimentClassifier
) -> None:
    client = serve(classifier, title="<i>评论</i> & co")
    page = client.get("/")
    assert "<title>&lt;i&gt;评论&lt;/i&gt; &amp; co</title>" in page.text
    parts = sorted(path.name for path in PARTS.iterdir() if path.suffix != ".html")
    assert {"page.css", "page.js", "words.js", "icon.svg", "entities.js"} <= set(parts)
    for name in parts:
        part = client.get(f"/static/{name}")
        assert part.status_code == 200
        assert "//" not in part.text.replace("http://www.w3.org/2000/svg", "").replace("// ", "")
        again = client.get(f"/static/{name}", headers={"If-None-Match": part.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert "innerHTML" not in part.text


def test_a_proxy_may_show_the_server_under_another_path(serve: Serve, classifier: SentimentClassifier) -> None:
    client = serve(classifier, root_path="/reviews")
    for prefix in ("", "/reviews"):  # whether or not the proxy takes the prefix away
        assert client.post(f"{prefix}/predict", json={"text": REVIEW}).json()["label"] == "good"
    assert 'path="/predict",status="200"} 2.0' in client.get("/metrics").text
    assert client.get("/openapi.json").json()["servers"] == [{"url": "/reviews"}]


def test_only_a_fitted_classifier_is_served() -> None:
    from sklearn.exceptions import NotFittedError

    with pytest.raises(NotFittedError):
        create_app(SentimentClassifier())


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"max_batch": 0}, "max_batch: expected 1"),
        ({"max_wait": -1}, "max_wait"),
        ({"timeout": float("nan")}, "timeout"),
        ({"max_per_client": 0}, "max_per_client: expected 1"),
        ({"max_connections": 0}, "max_connections: expected 1"),
        ({"max_explained": 0}, "max_explained: expected 1"),
        ({"max_texts": 2000}, "max_texts: expected at most max_queue"),
        ({"rate_limit": "often"}, "600/minute"),
        ({"root_path": "reviews"}, "root_path"),
    ],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], part: str) -> None:
    with pytest.raises(ValueError, match=part):
        Settings(**settings)


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, classifier: SentimentClassifier) -> None:
    import importlib.util

    from typer import Typer
    from typer.testing import CliRunner

    from _textnn_cli.serve import serve

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "fastapi" else find(name))
    with pytest.raises(ImportError, match=r"serving needs fastapi: pip install fastapi$"):
        create_app(classifier)
    app = Typer()
    app.command()(serve)
    result = CliRunner().invoke(app, ["model"])
    assert result.exit_code == 1
    assert "pip install fastapi" in result.output
