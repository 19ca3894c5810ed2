"""The operators' CUDA kernels where something is made hard for them: another order of threads, sanitizers, no barriers.

Values and gradients of every case in the usual order are for ``pytest --device cuda-emulated``; all cases under the
sanitizers, and every barrier, for report.py and mutation.py.
"""

from __future__ import annotations

import functools
from typing import Any

import pytest
from cuda_emulator import build, checks, mutation, operators, report

pytestmark = pytest.mark.skipif(build.missing() is not None, reason=str(build.missing()))
# Together they launch every kernel; the quickest that do.
CASES = (
    "adam",
    "bilstm steps float32",
    "embedding_lstm float32",
    "embedding_text_conv of a large vocabulary",
    "frozen_text_conv",
    "lstm persistent H=20 tf32",
    "lstm persistent H=24 float16",
    "lstm projected float32",
    "lstm_cell float32",
    "max_mean_pool and embedding float32",
    "text_conv tf32",
)


@functools.cache
def compiled(flavour: str) -> Any:
    return operators.compile_operators(flavour)


def check(flavour: str, order: str, names: tuple[str, ...] = ()) -> None:
    result = checks.run(flavour, order, names, compiled(flavour), timeout=300)
    assert {case: wrong for case, wrong in result["cases"].items() if wrong} == {}
    assert set(names) <= set(result["cases"])
    kernels = {kernel.split(".")[1] for kernel in checks.kernels_in_sources()}
    assert kernels - set(result["kernels"]) == set(), "kernels that no case launches"


@pytest.mark.parametrize("order", ["reverse", "random:7"])
def test_results_do_not_depend_on_the_order_of_threads(order: str) -> None:
    check("plain", order)


def test_no_data_races() -> None:
    check("race", "forward", CASES)


@pytest.mark.skipif(
    build.missing() is None and not build.runtime("libasan.so"), reason="the compiler has no address sanitizer"
)
def test_nothing_for_the_sanitizers_to_report() -> None:
    check("asan", "forward", CASES)


@pytest.mark.parametrize(
    ("file", "barrier", "unit"),
    [
        ("pool.cu", "__syncthreads()", "pool.cu"),
        ("product.cu", "__syncwarp()", "product.cu"),
        ("lstm_persistent.cuh", "this_grid().sync()", "lstm_persistent_forward.cu"),
    ],
)
def test_a_barrier_that_is_gone_is_missed(file: str, barrier: str, unit: str) -> None:
    chosen = next(m for m in mutation.mutants() if (m.file, m.barrier, m.unit) == (file, barrier, unit))
    (result,) = mutation.run([chosen]).values()
    assert result["found"] is not None, f"no case misses {chosen.place}"


def test_kernels_can_be_told_apart_by_their_names() -> None:
    assert report.shared_names() == []
