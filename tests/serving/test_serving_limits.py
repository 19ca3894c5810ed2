"""How often one client may ask, and for which names a server answers."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from textnn import SentimentClassifier
from textnn.serving import Settings
from textnn.serving.errors import ServingError
from textnn.serving.limits import Places, RateLimiter, name_client

Serve = Callable[..., TestClient]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time of day, at the beginning of a minute; it moves when the test moves it."""
    now = [60.0 * (time.time() // 60 + 1)]
    monkeypatch.setattr(time, "time", lambda: now[0])
    return now


@pytest.mark.usefixtures("clock")
def test_a_client_that_asks_too_often_has_to_wait(serve: Serve, classifier: SentimentClassifier) -> None:
    client = serve(classifier, rate_limit="2/minute")
    found = [client.post("/predict", json={"text": "好"}) for _ in range(3)]
    assert [one.status_code for one in found] == [200, 200, 429]
    assert 1 <= int(found[2].headers["Retry-After"]) <= 61
    assert found[2].json()["error"]["code"] == "rate_limited"
    for path in ("/", "/healthz", "/metrics", "/model"):
        assert client.get(path).status_code == 200, "only work counts"
    assert 'textnn_rejected_total{reason="rate_limited"} 1.0' in client.get("/metrics").text


@pytest.mark.usefixtures("clock")
def test_clients_are_counted_for_themselves_and_their_memory_is_bounded() -> None:
    limiter = RateLimiter(Settings(rate_limit="1/minute", max_clients=3))
    assert [limiter.hit(f"10.0.0.{n}") is None for n in (1, 2, 3)] == [True] * 3
    assert limiter.hit("10.0.0.1") is not None
    assert limiter.hit("10.0.0.4") is None  # the first of those that are counted together
    assert all(limiter.hit(f"10.0.{n}.1") is not None for n in range(1, 200))
    assert len(limiter._storage.storage) <= 4


def test_the_window_ends(clock: list[float]) -> None:
    limiter = RateLimiter(Settings(rate_limit="1/second"))
    assert limiter.hit("10.0.0.1") is None
    wait = limiter.hit("10.0.0.1")
    assert wait is not None
    assert 0 <= wait <= 1
    clock[0] += 1.5
    assert limiter.hit("10.0.0.1") is None


@pytest.mark.parametrize("rate", ["often", "0/minute", "100/second;5/hour", "10/second,3/minute", "-1/minute"])
def test_a_rate_that_is_not_one_limit_above_zero_is_refused(rate: str) -> None:
    with pytest.raises(ValueError, match="rate_limit: expected one number above 0 .* got '" + rate):
        Settings(rate_limit=rate)


@pytest.mark.parametrize("rate", ["0", "", " 0 "])
def test_zero_is_no_limit(rate: str) -> None:
    assert not Settings(rate_limit=rate).limited


def test_a_client_holds_its_own_places_until_they_are_given_back() -> None:
    places = Places(2, "requests")
    with places.take("10.0.0.1"), places.take("10.0.0.1"):
        with places.take("10.0.0.2"), pytest.raises(ServingError, match="at most 2 requests of one client") as caught:
            places.take("10.0.0.1").__enter__()
        assert (caught.value.status, caught.value.code) == (429, "client_busy")
    with places.take("10.0.0.1"):
        pass
    assert not places._taken, "clients that are gone take no memory"


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", "unknown"),
        ("<script>" * 1000, "unknown"),
    ],
    ids=lambda value: value[:30],
)
def test_an_address_is_counted_as(address: str, name: str) -> None:
    assert name_client(address) == name


def test_a_server_answers_only_for_the_names_it_is_given(serve: Serve, classifier: SentimentClassifier) -> None:
    client = serve(classifier, allowed_hosts=("LocalHost", "*.Example.org", "[::1]"))
    for host, status in {
        "localhost": 200,
        "LOCALHOST:8000": 200,
        "a.example.org": 200,
        "[::1]:80": 200,
        "example.org.evil.com": 421,
        "evilexample.org": 421,
        "": 421,
    }.items():
        assert client.get("/healthz", headers={"Host": host}).status_code == status, host
