"""Fixtures that every test of the operators shares, and the device that they run on.

    pytest                          the CPU kernels, each test with every instruction set
    pytest --device cuda            the CUDA kernels on a GPU
    pytest --device cuda-emulated   the CUDA kernels on the CPU, by the emulator in tests/cuda_emulator

On both CUDA devices the tests of the operators and layers alone are run, each with both forms of the recurrence.
What is marked as slow is left out (pyproject.toml); ``-m slow`` runs it, ``-m ""`` everything.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator

import pytest
import torch
from operator_tests import CUDA_TESTS, OPERATOR_TESTS

from textnn import backends

try:
    from hypothesis import HealthCheck, settings
except ImportError:  # of what needs it the files say so themselves
    pass
else:
    # How long an example takes, or is in the making, depends on how busy the machine is.
    settings.register_profile("textnn", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("textnn")

os.environ["TEXTNN_CACHE"] = ""  # the small models of the laboratory are not kept where the user's are

DEVICES = ("cpu", "cuda", "cuda-emulated")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--device", choices=DEVICES, default="cpu", help="what the tests of the operators run on")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "cpu: about what only the CPU does; a CUDA kernel stops at a value out of range")
    device = config.getoption("--device")
    if device == "cuda":
        if not (backends.cuda_built() and torch.cuda.is_available()):
            raise pytest.UsageError("--device cuda needs a GPU, and textnn built with TEXTNN_CUDA=1 (textnn info)")
        torch.set_default_device("cuda")
    if device == "cuda-emulated":
        from cuda_emulator import build, operators

        if lack := build.missing():
            raise pytest.UsageError(f"--device cuda-emulated: {lack}")
        torch.set_num_threads(1)  # torch's own threads would spin beside the emulator's
        config.emulated = operators.load()  # type: ignore[attr-defined]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    cpu = config.getoption("--device") == "cpu"
    chosen = [item for item in items if (item.path.stem not in CUDA_TESTS if cpu else item.path.stem in OPERATOR_TESTS)]
    kept = set(chosen)
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = chosen
    for item in chosen:
        if not cpu and item.get_closest_marker("cpu"):
            item.add_marker(pytest.mark.skip(reason="about the CPU"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "capability" in metafunc.fixturenames:
        cpu = metafunc.config.getoption("--device") == "cpu"
        recurrent = any(word in metafunc.module.__name__ for word in ("lstm", "recurrent"))
        forms = [form for form in backends.RECURRENT_FORMS if form != "auto"] if recurrent else ["auto"]
        sets = backends.supported_cpu_capabilities()
        if "bfloat16" not in metafunc.module.__name__:  # of other products it has the code of AVX-512
            sets = [name for name in sets if not name.endswith("_bf16")]
        metafunc.parametrize("capability", sets if cpu else forms, indirect=True)


@pytest.fixture
def capability(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run the test once with each instruction set that this CPU has; on CUDA with each form of the recurrence."""
    name = request.param
    with backends.use_cuda_recurrence(name) if name in backends.RECURRENT_FORMS else backends.use_cpu_capability(name):
        yield name


@pytest.fixture
def bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the CPU for one that multiplies bfloat16: every CPU can, and few do it fast."""
    monkeypatch.setattr(backends, "has_bfloat16", lambda: True)


@pytest.fixture
def deterministic() -> Iterator[None]:
    """Run the test in torch's deterministic mode; the CPU kernels know no other."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def library(request: pytest.FixtureRequest) -> Iterator[ctypes.CDLL]:
    """The emulated operators, whose log of launches begins here."""
    library = request.config.emulated
    library.cuemu_log_enable(1)
    library.cuemu_log_clear()
    yield library
    library.cuemu_log_enable(0)
    library.textnn_emulate(None, 0)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
    torch._dynamo.reset()
