"""The laboratory behind HTTP: pages, panels, trainings, and what a wrong request is told."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from threading import Event
from typing import Any

import pytest
from starlette.testclient import TestClient
from waiting import HANG, wait_until

from textnn.lab import exhibits
from textnn.lab.exhibit import ANY, Exhibit, Slider
from textnn.lab.panels import Both, Panel, table
from textnn.lab.site import app
from textnn.lab.site.app import create_app, settings_for
from textnn.lab.site.rooms import MOST_TRAININGS, Rooms, TrainingGoneError

SLUG = "vanishing-gradients"


def count(**given: Any) -> list[Panel]:
    return [table("t", ["n"], [[given["n"]], [str(given.get("model"))]])]


def count_up(**given: Any) -> Iterator[list[Panel]]:
    for number in range(given["n"]):
        yield [table("t", ["n"], [[number]])]


def fail(**given: Any) -> list[Panel]:
    raise RuntimeError("a secret")


def small(run: Any = count, live: Any = count_up, model: str | None = None, slug: str = "small") -> Exhibit:
    words = Both("words", "话")
    return Exhibit(slug, words, words, words, (Slider("n", words, 3, 1, 5),), run, "print()", live, model)


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(create_app(exhibits()), base_url="http://127.0.0.1") as client:
        yield client


def data_of(page: str) -> Any:
    found = re.search(r'<script type="application/json" id="data">(.*)</script>', page)
    assert found is not None
    return json.loads(found[1])


def test_there_is_a_list_and_a_page_for_each_exhibit(client: TestClient) -> None:
    listed = data_of(client.get("/").text)
    assert listed["exhibit"] is None
    assert [one["slug"] for one in listed["exhibits"]] == [one.slug for one in exhibits()]
    for one in exhibits():
        answer = client.get(f"/{one.slug}")
        assert answer.status_code == 200
        assert data_of(answer.text)["exhibit"] == one.describe()
        assert f"<title>{one.title.en} – textnn lab</title>" in answer.text


def test_all_that_a_page_links_is_there(client: TestClient) -> None:
    page = client.get(f"/{SLUG}").text
    links = re.findall(r'(?:src|href)="(static/[^"]+)"', page)
    assert len(links) == 9
    for link in links:
        answer = client.get(f"/{link}")
        assert answer.status_code == 200, link
        assert client.get(f"/{link}", headers={"If-None-Match": answer.headers["etag"]}).status_code == 304


def test_pages_may_load_nothing_from_elsewhere(client: TestClient) -> None:
    answer = client.get(f"/{SLUG}")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    for part in (
        answer.text,
        *(client.get(f"/static/{name}").text for name in ("lab.js", "draw.js", "lab.css", "base.css")),
    ):
        addresses = set(re.findall(r"https?://[^\s\"')]+", part)) - {"http://www.w3.org/2000/svg"}
        assert addresses == set()


def test_settings_change_the_panels(client: TestClient) -> None:
    usual = client.post("/run", json={"exhibit": SLUG, "settings": {}}).json()["panels"]
    other = client.post("/run", json={"exhibit": SLUG, "settings": {"length": 20, "forget_bias": 0}}).json()["panels"]
    assert len(usual[0]["series"][0]["x"]) == 51
    assert len(other[0]["series"][0]["x"]) == 21
    assert client.post("/run", json={"exhibit": SLUG}).json()["panels"] == usual


def test_a_training_goes_on_step_by_step(client: TestClient) -> None:
    begun = client.post("/live", json={"exhibit": SLUG, "settings": {"memory": 5, "hidden": 8}}).json()
    lengths = [len(begun["panels"][1]["series"][0]["x"])]
    for _ in range(3):
        found = client.post("/step", json={"training": begun["training"]}).json()
        assert found["done"] is False
        lengths.append(len(found["panels"][1]["series"][0]["x"]))
    assert lengths == [0, 10, 20, 30]


def test_two_trainings_do_not_meet(client: TestClient) -> None:
    keys = [client.post("/live", json={"exhibit": "neurons"}).json()["training"] for _ in range(2)]
    assert keys[0] != keys[1]
    client.post("/step", json={"training": keys[0]})
    first, second = (client.post("/step", json={"training": key}).json()["panels"] for key in keys)
    assert [len(panels[1]["series"][0]["y"]) for panels in (first, second)] == [20, 10]


def test_a_training_may_end() -> None:
    with TestClient(create_app([small()]), base_url="http://localhost") as client:
        key = client.post("/live", json={"exhibit": "small", "settings": {"n": 2}}).json()["training"]
        assert client.post("/step", json={"training": key}).json()["done"] is False
        assert client.post("/step", json={"training": key}).json() == {"panels": None, "done": True}
        gone = client.post("/step", json={"training": key})
        assert gone.status_code == 404
        assert gone.json()["error"]["code"] == "training_gone"


def test_what_a_first_visit_would_wait_for_is_done_before_unless_the_user_brings_a_model() -> None:
    done = list[str]()
    taking = replace(small(model="tagger"), prepare=(lambda: done.append("tagger"),))
    other = replace(small(slug="other"), prepare=(lambda: done.append("other"), lambda: done.append("more")))
    for models, expected in (({}, ["tagger", "other", "more"]), ({"tagger": "mine"}, ["other", "more"])):
        done.clear()
        for call in Rooms([taking, other], models).preparations():
            call()
        assert done == expected


def test_nobody_waits_for_a_preparation_as_long_as_requests_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time stands still, so that the last request was just now."""
    monkeypatch.setattr(app, "loop_time", lambda: 0.0)
    waits, done = list[float](), list[str]()
    sleep = asyncio.sleep

    async def wait(seconds: float) -> None:
        waits.append(seconds)
        await sleep(min(seconds, 0.001))

    monkeypatch.setattr(app.asyncio, "sleep", wait)
    exhibit = replace(small(), prepare=(lambda: done.append("at the wrong time"),))
    with TestClient(create_app([exhibit], prepare=True), base_url="http://localhost") as client:
        for _ in range(3):
            assert client.post("/run", json={"exhibit": "small"}).status_code == 200
        wait_until(lambda: waits.count(app.QUIET) > 2)
    assert done == []


@pytest.mark.parametrize("prepare", [True, False])
def test_the_site_prepares_between_requests_if_it_is_told_to(prepare: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "QUIET", 0.0)
    done = Event()
    exhibit = replace(small(), prepare=(lambda: 1 // 0, done.set))  # one that fails is not the end of it
    with TestClient(create_app([exhibit], prepare=prepare), base_url="http://localhost") as client:
        assert client.post("/run", json={"exhibit": "small"}).status_code == 200
        if prepare:
            assert done.wait(HANG)
        assert client.post("/run", json={"exhibit": "small"}).status_code == 200
    assert done.is_set() == prepare


def test_only_the_latest_trainings_are_kept() -> None:
    rooms = Rooms([small()])
    first, _ = rooms.begin("small", {})
    second, _ = rooms.begin("small", {})
    assert rooms.step(first) is not None, "used last, and so kept longest"
    for _ in range(MOST_TRAININGS - 1):
        rooms.begin("small", {})
    assert rooms.step(first) is not None
    with pytest.raises(TrainingGoneError):
        rooms.step(second)


def test_an_exhibit_gets_the_users_model_of_its_kind_or_none() -> None:
    taking, other = small(model="tagger"), small(slug="other")
    rooms = Rooms([taking, other], {"tagger": "mine", "classifier": "not this one"})
    assert rooms.run("small", {})[0]["rows"][1] == ["mine"]
    assert rooms.run("other", {})[0]["rows"][1] == ["None"]
    assert Rooms([taking]).run("small", {})[0]["rows"][1] == ["None"]
    rooms = Rooms([small(model=ANY)], {"tagger": "mine"})
    assert rooms.run("small", {})[0]["rows"][1] == ["{'tagger': 'mine'}"]


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "message"),
    [
        ("/run", {"exhibit": "none"}, 422, "invalid_setting", "exhibit: expected one of "),
        ("/run", {"exhibit": SLUG, "settings": {"length": 1e9}}, 422, "invalid_setting", "length: expected an integer"),
        ("/run", {"exhibit": SLUG, "settings": {"length": 10**400}}, 422, "invalid_setting", "length: expected an int"),
        ("/run", {"exhibit": SLUG, "settings": {"no": 1}}, 422, "invalid_setting", "no: expected a setting of vanish"),
        ("/run", {"exhibit": SLUG, "settings": {"length": [1]}}, 422, "invalid_request", "settings.length"),
        ("/run", {"exhibit": SLUG, "more": 1}, 422, "invalid_request", "more: "),
        ("/run", {}, 422, "invalid_request", "exhibit: "),
        ("/live", {"exhibit": "descent"}, 422, "invalid_setting", "exhibit: expected one with a training"),
        ("/step", {"training": "no"}, 404, "training_gone", "This training is not kept any more; begin it again."),
        ("/step", {"training": "x" * 101}, 422, "invalid_request", "training: "),
        ("/other", {}, 404, "not_found", "There is nothing at this path"),
    ],
)
def test_a_wrong_request_is_told_what_was_expected(
    client: TestClient, path: str, body: Any, status: int, code: str, message: str
) -> None:
    answer = client.post(path, json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.json()["error"]["message"].startswith(message)


def test_a_body_may_not_be_large(client: TestClient) -> None:
    assert client.post("/run", json={"exhibit": "x" * (1 << 17)}).status_code == 413


def test_a_failure_says_nothing_of_its_cause() -> None:
    with TestClient(create_app([small(fail)]), base_url="http://localhost", raise_server_exceptions=False) as client:
        answer = client.post("/run", json={"exhibit": "small"})
    assert answer.status_code == 500
    assert "secret" not in answer.text


def test_on_this_machine_only_its_own_names_are_answered_for() -> None:
    with TestClient(create_app([small()], settings=settings_for("127.0.0.1"))) as client:
        for host in ("127.0.0.1", "localhost:8000", "[::1]:8000"):
            assert client.get("/", headers={"Host": host}).status_code == 200
        assert client.get("/", headers={"Host": "elsewhere.example.org"}).status_code == 421
    with TestClient(create_app([small()], settings=settings_for("0.0.0.0"))) as client:
        assert client.get("/", headers={"Host": "elsewhere.example.org"}).status_code == 200


def test_it_is_watched_like_any_server(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    client.post("/run", json={"exhibit": "descent"})
    assert 'textnn_requests_total{path="/run",status="200"}' in client.get("/metrics").text
