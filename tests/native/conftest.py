"""Builds and loads the native module, once a session, in the flavour that TEXTNN_NATIVE_FLAVOUR names.

The tests here import no torch, so that they also run under the address sanitizer; a pool of threads of their own takes
the place of torch's.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from typing import Any

import build
import numpy as np
import pytest
from harness import Memory

FLAVOUR = os.environ.get("TEXTNN_NATIVE_FLAVOUR", "plain")


# Little work for many threads: 400,000 multiply-adds for each, and barriers that cost nothing.
ANY_TEAM = 400e3, 0.0


@pytest.fixture(scope="session")
def native(request: pytest.FixtureRequest) -> Any:
    """The compiled module. The sanitized one, where it will be wanted, is compiled meanwhile, in the background."""
    lack = build.missing()
    if lack:
        pytest.skip(lack)
    try:
        module = build.load(build.build(FLAVOUR))
        module.set_team_costs(*ANY_TEAM)
    except RuntimeError as error:
        lines = str(error).splitlines()  # every test fails with these words, so few of them
        first = next((line for line in lines if "error" in line), "")
        pytest.fail(f"{lines[0]} {first} (python tests/native/build.py shows all)", pytrace=False)
    if FLAVOUR == "plain" and any("test_sanitizers" in item.nodeid for item in request.session.items):
        build.in_background("sanitized")
    return module


@pytest.fixture(scope="session")
def emulated(native: Any) -> Any:
    """The module in which instructions that few CPUs have are plain C++ (emulated_instructions.h)."""
    if FLAVOUR != "plain":
        pytest.skip("the other instructions are under test")
    if platform.machine() != "x86_64":
        pytest.skip("instructions of x86")
    module = build.load(build.build("emulated"))
    module.set_team_costs(*ANY_TEAM)
    return module


@pytest.fixture(params=["base", "avx2", "avx512"])
def instruction_set(request: pytest.FixtureRequest, native: Any) -> Iterator[str]:
    """Run the test once with each instruction set that this CPU has."""
    before = native.capability()
    try:
        native.set_capability(request.param)
    except RuntimeError as error:
        pytest.skip(str(error))
    yield request.param
    native.set_capability(before)


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request: pytest.FixtureRequest) -> Any:
    """Both types of every kernel."""
    return request.param


@pytest.fixture
def memory(native: Any) -> Iterator[Memory]:
    """Output arrays whose surroundings are looked at after the test; the mode of the threads is, too."""
    changes = native.mode_changes()
    guarded = Memory(exact=FLAVOUR == "sanitized")
    yield guarded
    guarded.check()
    assert native.mode_changes() == changes, "a kernel left a thread in another floating-point mode than it found"


@pytest.fixture(autouse=True)
def _seed() -> None:
    """In the place of the operators' fixture of this name, which needs torch."""
