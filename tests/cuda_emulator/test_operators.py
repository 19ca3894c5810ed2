"""The operators' CUDA kernels where something is made hard for them: another order of threads, sanitizers, no barriers.

The usual order is for ``pytest --device cuda-emulated``, and the removal of every barrier for mutation.py.
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path

import pytest
from cuda_emulator import build, checks, mutation, operators, report
from waiting import HANG

sys.path.insert(0, str(operators.ROOT))

from fuzz.operators import driver, recording

pytestmark = pytest.mark.skipif(build.missing() is not None, reason=str(build.missing()))


@functools.cache
def compiled(flavour: str) -> Path:
    return operators.compile_operators(flavour)


def check(flavour: str, order: str) -> None:
    result = checks.run(flavour, order, library=compiled(flavour), timeout=10 * HANG)
    assert {case: wrong for case, wrong in result["cases"].items() if wrong} == {}
    kernels = {kernel.split(".")[1] for kernel in checks.kernels_in_sources()}
    assert kernels - set(result["kernels"]) == set(), "kernels that no case launches"


@pytest.mark.slow
@pytest.mark.parametrize("order", ["reverse", "random:7"])
def test_results_do_not_depend_on_the_order_of_threads(order: str) -> None:
    check("plain", order)


@pytest.mark.slow
def test_no_data_races() -> None:
    check("race", "forward")


@pytest.mark.slow
@pytest.mark.skipif(
    build.missing() is None and not build.runtime("libasan.so"), reason="the compiler has no address sanitizer"
)
def test_nothing_for_the_sanitizers_to_report() -> None:
    check("asan", "forward")


@pytest.mark.slow
@pytest.mark.skipif(
    build.missing() is None and not build.runtime("libasan.so"), reason="the compiler has no address sanitizer"
)
def test_wrong_arguments_are_refused_or_harmless() -> None:
    """As in tests/test_fuzz_operators.py, on the CUDA operators; the kernels have the sanitizers."""
    environment = checks.environment_of("asan")
    environment["ASAN_OPTIONS"] += ":allocator_may_return_null=1:max_allocation_size_mb=1024"
    setting = driver.Setting(seed=2, emulated=compiled("asan"), environment=environment, sanitized=True)
    names = [name for name in recording.operators() if "Tensor" in str(recording.schema_of(name))]
    figures = driver.run(names, 25, setting)
    assert figures.findings == [], str(figures)
    assert figures.calls == 25 * len(names)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "barrier", "unit"),
    [
        ("pool.cu", "__syncthreads()", "pool.cu"),
        ("product.cu", "__syncwarp()", "product.cu"),
        ("recurrent_persistent.cuh", "this_grid().sync()", "recurrent_persistent_forward.cu"),
    ],
)
def test_a_barrier_that_is_gone_is_missed(file: str, barrier: str, unit: str) -> None:
    chosen = next(m for m in mutation.mutants() if (m.file, m.barrier, m.unit) == (file, barrier, unit))
    (result,) = mutation.run([chosen]).values()
    assert result["found"] is not None, f"no case misses {chosen.place}"


def test_kernels_can_be_told_apart_by_their_names() -> None:
    assert report.shared_names() == []
