"""What the tests of the laboratory share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest

NEEDED = ("fastapi", "uvicorn", "prometheus_client", "limits", "httpx2")
# Without the optional dependencies of the server there is nothing to test in these.
collect_ignore = (
    [] if all(map(find_spec, NEEDED)) else ["test_lab_site.py", "test_lab_browser.py", "test_lab_progress.py"]
)


@pytest.fixture(scope="session", autouse=True)
def kept_models(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The laboratory's small models, of these tests and of the servers that they start, in a folder of their own."""
    os.environ["TEXTNN_CACHE"] = str(tmp_path_factory.mktemp("kept"))


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from browsing import start

    driver = start(tmp_path_factory.mktemp("profile"), "en-US")
    yield driver
    driver.quit()


@pytest.fixture(scope="session")
def running() -> Iterator[Any]:
    from bench.serving.process import ServerProcess

    with ServerProcess(None, "--no-browser", command=("-m", "textnn", "lab")) as process:
        yield process
