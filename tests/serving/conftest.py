"""What the tests of the server share: a small model, applications around it, a client of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from small_models import train

from textnn import SentimentClassifier
from textnn.serving import Settings, create_app

if TYPE_CHECKING:
    from starlette.testclient import TestClient

# Without the optional dependencies there is nothing to test here but the batches.
NEEDED = ("fastapi", "uvicorn", "prometheus_client", "limits", "httpx2")
collect_ignore_glob = [] if all(map(find_spec, NEEDED)) else ["test_serving_*.py", "test_browser.py"]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def classifier(_one_thread: None) -> SentimentClassifier:
    """A small model; not to be changed."""
    return train()


@pytest.fixture(scope="session")
def model(classifier: SentimentClassifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, saved."""
    path = tmp_path_factory.mktemp("served") / "model"
    classifier.save(path)
    return path


@pytest.fixture
def serve() -> Iterator[Callable[..., TestClient]]:
    """Make a client of a classifier that is served with some settings."""
    from starlette.testclient import TestClient

    clients = []

    def make(classifier: SentimentClassifier, **settings: object) -> TestClient:
        client = TestClient(create_app(classifier, Settings(**{"rate_limit": "0", **settings})))
        clients.append(client)
        return client.__enter__()

    yield make
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture
def client(classifier: SentimentClassifier, serve: Callable[..., TestClient]) -> TestClient:
    """A client of the small model without a rate limit."""
    return serve(classifier)
