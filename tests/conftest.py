"""Fixtures that every test of the operators shares."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from textnn import backends


@pytest.fixture(params=backends.supported_cpu_capabilities())
def capability(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run the test once with each instruction set that this CPU has."""
    with backends.use_cpu_capability(request.param):
        yield request.param


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
    torch._dynamo.reset()
