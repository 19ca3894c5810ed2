"""Threads: units and teams under every kind of pool, workspaces, concurrent callers, fork, and flushed subnormals."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import recurrent_oracle
import text_conv_oracle
from conftest import FLAVOUR
from harness import DIFFICULT, ONE, POOLS, Array, Memory, Pool, assert_same_bits

HANG = 600.0  # seconds after which a thread or process will not come any more, on the busiest machine
PATIENCE = 500e-6, 1.0  # seconds that a team waits for its members, at least and at most
ENDLESS = 1e15  # multiply-adds: hours
FLUSH_BITS = 0x8040  # flush-to-zero and denormals-are-zero in MXCSR
LSTM = recurrent_oracle.Case((60, 47, 0, 60, 25), 33, 40, 36)
CONV = text_conv_oracle.Case((30, 0, 17, 9), 40, 50, whole=False, V=60)
ALL_POOLS = [*POOLS, Pool("threads", 3), Pool("merged", 2), Pool("late", 8)]


def run_kernels(native: Any, memory: Memory, pool: Pool) -> dict[str, Array]:
    """Every kernel that works with several threads, once."""
    lstm = recurrent_oracle.Call(native, memory, LSTM, np.float32, recurrent_oracle.inputs(LSTM, np.float32))
    conv = text_conv_oracle.Call(native, memory, CONV, np.float32, text_conv_oracle.inputs(CONV, np.float32))
    kept, maxima = lstm.forward(pool), conv.forward("ids", pool)
    results = {"lstm": kept, "lstm backward": lstm.backward(kept, pool)}
    results |= {"ids": maxima, "vectors": conv.forward("vectors", pool), "conv": conv.backward("ids", maxima, pool)}
    return {f"{kernel}: {name}": array for kernel, arrays in results.items() for name, array in arrays.items()}


@pytest.mark.parametrize("n", [0, 1, 2, 7, 1000])
@pytest.mark.parametrize("pool", ALL_POOLS, ids=str)
def test_every_unit_runs_once_and_flushes(native: Any, pool: Pool, n: int) -> None:
    counts, flushed = native.units(pool.kind, pool.threads, n)
    assert counts == [1] * n
    assert flushed


@pytest.mark.parametrize("size", [1, 2, 3, 8])
@pytest.mark.parametrize("n", [0, 1, 2, 5, 64, 1001])
def test_shares_cover_the_range_evenly(native: Any, n: int, size: int) -> None:
    shares = native.shares(n, size)
    assert [begin for begin, _ in shares] == [0, *[end for _, end in shares[:-1]]]
    assert shares[-1][1] == n
    widths = [end - begin for begin, end in shares]
    assert max(widths) - min(widths) <= 1


@pytest.mark.parametrize("pool", ALL_POOLS, ids=str)
def test_a_team_consists_of_those_who_came(native: Any, pool: Pool) -> None:
    sizes, errors, flushed = native.team(pool.kind, pool.threads, 50, 0)
    members = [size for size in sizes if size]
    assert errors == 0, "a member saw an old value behind a barrier"
    assert flushed
    assert members, "somebody does the work"
    assert members == [len(members)] * len(members), "all are told the same size, and each place is taken once"
    assert sizes[: len(members)] == members, "places are numbered from 0"
    most = {"threads": pool.threads, "late": pool.threads - 1, "merged": max(1, pool.threads - 1)}.get(pool.kind, 1)
    assert len(members) <= most


@pytest.fixture
def patience(native: Any) -> Iterator[Callable[[float, float], None]]:
    """Set how long teams wait for their members, at least and at most."""
    yield native.set_team_patience
    native.set_team_patience(*PATIENCE)


@pytest.fixture
def patient(patience: Callable[[float, float], None]) -> None:
    """Teams wait for their members however long a busy machine takes to start them."""
    patience(HANG, HANG)


def test_patience_grows_with_the_work_within_bounds(native: Any) -> None:
    least, most = PATIENCE
    assert native.team_patience(0) == native.team_patience(1e8) == least
    assert native.team_patience(1e10) == pytest.approx(0.02), "a tenth of 1e10 / 50e9 seconds"
    assert native.team_patience(1e20) == native.team_patience(float("inf")) == most


def test_a_long_call_waits_for_a_slow_thread(native: Any, patience: Callable[[float, float], None]) -> None:
    patience(0, HANG)
    assert native.team("slow", 2, 10, ENDLESS)[0] == [2, 2]
    assert native.team("slow", 4, 10, ENDLESS)[0] == [4] * 4


def test_a_long_call_does_without_a_thread_that_never_comes(
    native: Any, patience: Callable[[float, float], None]
) -> None:
    patience(0, 0.02)
    sizes, errors, _ = native.team("late", 2, 10, ENDLESS)
    assert (sizes, errors) == ([1, 0], 0)


@pytest.mark.usefixtures("patient")
def test_a_team_is_complete_when_everybody_comes_in_time(native: Any) -> None:
    assert native.team("threads", 2, 10, 0)[0] == [2, 2]
    assert native.team("merged", 4, 10, 0)[0] == [3, 3, 3, 0], "two places came with one thread"


@pytest.mark.usefixtures("patient")
def test_barriers_hold_with_more_threads_than_cores(native: Any) -> None:
    for _ in range(3):
        sizes, errors, _ = native.team("threads", 8, 30, 0)
        assert (sizes, errors) == ([8] * 8, 0)


@pytest.mark.usefixtures("patient")
def test_barriers_hold_over_many_steps(native: Any) -> None:
    sizes, errors, _ = native.team("threads", 2, 2000, 0)
    assert (sizes, errors) == ([2, 2], 0)


@pytest.mark.parametrize("pool", ALL_POOLS, ids=str)
def test_kernels_give_the_same_bits_under_every_pool(native: Any, memory: Memory, pool: Pool) -> None:
    expected = run_kernels(native, memory, ONE)
    for attempt in range(3):
        assert_same_bits(run_kernels(native, memory, pool), expected, f"{pool}, attempt {attempt}")


def test_many_callers_at_once(native: Any, memory: Memory) -> None:
    expected, errors = run_kernels(native, memory, ONE), []
    pools = [Pool("threads", 2), Pool("threads", 3), ONE, *DIFFICULT]

    def call(number: int) -> None:
        own = Memory(memory.exact)
        try:
            for attempt in range(6):
                pool = pools[(number + attempt) % len(pools)]
                assert_same_bits(run_kernels(native, own, pool), expected, f"caller {number}, {pool}")
                native.release_workspaces()
            own.check()
        except AssertionError as error:
            errors.append(error)

    callers = [threading.Thread(target=call, args=(number,)) for number in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not errors, errors[0]


def in_a_fork(work: Callable[[], None], seconds: float = HANG) -> str:
    """Run the work in a forked process; how it failed, or nothing. A process that hangs is ended."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return "" if status == 0 else f"the child ended with status {status}"
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return f"the child did not end within {seconds} s"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_kernels_run_after_a_fork(native: Any, memory: Memory) -> None:
    expected = run_kernels(native, memory, Pool("threads", 2))

    def child() -> None:
        assert_same_bits(run_kernels(native, memory, Pool("threads", 2)), expected, "after the fork")

    assert not in_a_fork(child)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.skipif(FLAVOUR == "sanitized", reason="the sanitizer's own allocator may be locked at the fork")
@pytest.mark.skipif("QEMU_CPU" in os.environ, reason="in qemu's child of a fork amid threads no thread starts")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fork_in_the_midst_of_other_callers_work(native: Any, memory: Memory) -> None:
    # The child finds slots of the workspace pool taken by threads that it does not have.
    expected, stop = run_kernels(native, memory, ONE), threading.Event()

    def busy() -> None:
        while not stop.is_set():
            native.workspaces(2, 20)

    threads = [threading.Thread(target=busy) for _ in range(2)]
    for thread in threads:
        thread.start()

    def child() -> None:
        native.release_workspaces()
        for pool in (ONE, Pool("threads", 2)):
            assert_same_bits(run_kernels(native, Memory(), pool), expected, f"after the fork, {pool}")
        assert native.workspaces(2, 50) == 0

    try:
        failures = [in_a_fork(child) for _ in range(10)]
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not any(failures), failures


def test_workspaces_belong_to_one_caller_at_a_time(native: Any) -> None:
    assert native.workspaces(8, 300) == 0


def test_a_workspace_that_is_not_to_be_had_is_an_error(native: Any) -> None:
    with pytest.raises(MemoryError, match=rf"textnn: not enough memory for a buffer of {1 << 60} bytes"):
        native.workspace_address(1 << 60)


def test_a_workspace_is_kept_for_the_next_caller(native: Any) -> None:
    native.release_workspaces()
    size = 3 << 20
    first = native.workspace_address(size)
    assert first % 64 == 0
    assert [native.workspace_address(size) for _ in range(5)] == [first] * 5
    assert native.workspace_address(size // 2) == first, "a smaller one fits into it"
    native.release_workspaces()


@pytest.mark.parametrize("on", [False, True], ids=["off", "on"])
@pytest.mark.parametrize("pool", ALL_POOLS, ids=str)
def test_the_callers_floating_point_mode_comes_back(native: Any, memory: Memory, pool: Pool, on: bool) -> None:
    native.set_flushing(on)
    try:
        mode, changes = native.float_mode() & ~0x3F, native.mode_changes()
        assert native.flushing() == on
        if mode:
            assert mode & FLUSH_BITS == FLUSH_BITS * on
        run_kernels(native, memory, pool)
        native.team(pool.kind, pool.threads, 3, 0)
        native.units(pool.kind, pool.threads, 5)
        assert native.float_mode() & ~0x3F == mode
        assert native.flushing() == on
        assert native.mode_changes() == changes, "a worker thread was left in another mode"
    finally:
        native.set_flushing(False)


@pytest.mark.parametrize("pool", [ONE, Pool("threads", 2), Pool("whole", 2)], ids=str)
def test_kernels_take_subnormal_numbers_for_zero(
    native: Any, memory: Memory, instruction_set: str, dtype: Any, pool: Pool
) -> None:
    small = np.finfo(dtype).tiny / 4
    case = recurrent_oracle.Case((3, 2), 3, 5, biases="", layouts=("flat", "flat"))
    given = recurrent_oracle.inputs(case, dtype)
    zero = {k: [np.zeros_like(a) for a in v] if isinstance(v, list) else np.zeros_like(v) for k, v in given.items()}
    cells = {**zero, "c0": np.full_like(given["c0"], small)}
    kept = recurrent_oracle.Call(native, memory, case, dtype, cells).forward(pool)
    assert not kept["c_n"].any()
    assert not kept["y"].any()
    gradients = {**given, "dy": zero["dy"], "dh_n": zero["dh_n"], "dc_n": np.full_like(given["dc_n"], small)}
    call = recurrent_oracle.Call(native, memory, case, dtype, gradients)
    for name, gradient in call.backward(call.forward(pool), pool).items():
        assert not gradient.any(), name

    conv = text_conv_oracle.Case((3, 2), 3, 5, (2,), activation="identity", bias=False)
    given = text_conv_oracle.inputs(conv, dtype)
    given["weight"] = [np.ones_like(w) for w in given["weight"]]
    given["table"], given["dy"] = np.full_like(given["table"], small), np.full_like(given["dy"], small)
    call_conv = text_conv_oracle.Call(native, memory, conv, dtype, given)
    for source in ("vectors", "ids"):
        maxima = call_conv.forward(source, pool)
        assert not maxima["y"].any(), source
        for name, gradient in call_conv.backward(source, maxima, pool).items():
            assert not gradient.any(), f"{source}: {name}"

    cell = {"input_gates": np.zeros((2, 20), dtype), "c": np.full((2, 5), small, dtype), "B": 2, "H": 5}
    cell |= {name: memory.empty(name, (2, 5), dtype) for name in ("h_next", "c_next")}
    native.lstm_cell(pool.kind, pool.threads, cell)
    assert not cell["c_next"].any()
