"""How many threads a recurrence takes, and whether both directions run side by side: decisions at 1, 2, 4 and 8."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import recurrent_oracle as oracle
from conftest import ANY_TEAM
from harness import Memory, Pool, assert_same_bits
from recurrent_oracle import Call, Case

COSTS = 400e3, 2500.0  # those that users have
THREADS = (1, 2, 4, 8)
WORKS = (0.0, 1e4, 399e3, 400e3, 1e6, 3e6, 1e8)


@pytest.fixture
def costs(native: Any) -> Iterator[None]:
    native.set_team_costs(*COSTS)
    yield
    native.set_team_costs(*ANY_TEAM)


@pytest.fixture
def any_work(native: Any) -> Iterator[None]:
    """As many threads as there are, however little there is to do."""
    native.set_team_costs(1.0, 0.0)
    yield
    native.set_team_costs(*ANY_TEAM)


@pytest.mark.parametrize(
    ("work", "threads"),
    [
        (399e3, (1, 1, 1, 1)),  # too little for a second thread
        (400e3, (1, 2, 2, 2)),
        (1.2e6, (1, 2, 4, 4)),
        (1e8, (1, 2, 4, 8)),
    ],
)
def test_each_thread_has_its_least_work_where_nobody_waits(
    native: Any, costs: None, work: float, threads: tuple[int, ...]
) -> None:
    """Sequences are shared out: 12 or more for each thread."""
    for most, expected in zip(THREADS, threads, strict=True):
        assert native.recurrent_team(most, work, 100, 96, True) == (expected, expected > 1)


@pytest.mark.parametrize(
    ("step", "threads"),
    [
        (4e3, (1, 2, 2, 2)),  # a barrier of two costs more than half of it, and is taken as it always was
        (42e3, (1, 2, 4, 4)),  # B = 1, H = 64
        (90e3, (1, 2, 4, 6)),
        (364e3, (1, 2, 4, 8)),  # B = 1, H = 256
    ],
)
def test_barriers_bound_the_threads(native: Any, costs: None, step: float, threads: tuple[int, ...]) -> None:
    """One sequence of 1000 steps with so many multiply-adds each: the cost W / n + T n 2500 is the least."""
    for most, expected in zip(THREADS, threads, strict=True):
        found, share_rows = native.recurrent_team(most, 1000 * step, 1000, 1, True)
        assert (found, share_rows) == (expected, False)
        if found > 2:
            prices = {n: step / n + n * COSTS[1] for n in range(1, most + 1)}
            assert prices[found] <= 1.05 * min(prices.values())


@pytest.mark.parametrize("fits", [False, True])
@pytest.mark.parametrize("B", [1, 3, 23, 24, 40])
def test_directions_of_one_and_two_threads(native: Any, costs: None, B: int, fits: bool) -> None:
    for work, T in itertools.product(WORKS, (1, 50, 1000)):
        assert not native.side_by_side(1, work, T, B, fits)
        assert native.side_by_side(2, work, T, B, fits) is (B < 24 and fits)


@pytest.mark.parametrize(
    ("step", "at_four", "at_eight"),
    [
        (300.0, True, True),  # one thread for each direction: half of them would do nothing
        (20e3, True, True),  # 20,000 beside each other against 10,000 + 2 * 2 * 5,000 by twos
        (39e3, True, True),
        (60e3, False, False),
        (1e6, False, False),
    ],
)
def test_directions_of_more_threads(native: Any, costs: None, step: float, at_four: bool, at_eight: bool) -> None:
    for threads, expected in ((4, at_four), (8, at_eight)):
        assert native.side_by_side(threads, 1000 * step, 1000, 1, True) is expected
        assert not native.side_by_side(threads, 1000 * step, 1000, 24, True), "sequences are shared out"
        assert not native.side_by_side(threads, 1000 * step, 1000, 1, False), "the cache is too small"


CASES = [
    Case((3, 0, 5), 17, 18, 5),
    Case((7, 1, 4, 4, 2, 9, 3), 3, 33, reverse=True),
    Case((1,) * 29, 5, 9),
    Case((2, 0, 11, 1) * 13, 7, 21),
    Case((3, 0, 5), 5, 17, cell="gru"),
    Case((4,) * 25, 6, 19, cell="rnn_tanh"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_any_number_of_threads_gives_the_same_bits(
    native: Any, any_work: None, memory: Memory, instruction_set: str, case: Case
) -> None:
    call = Call(native, memory, case, np.float32, oracle.inputs(case, np.float32))
    kept = call.forward()
    gradients = call.backward(kept)
    for threads in (1, 2, 3, 4, 8):
        pool = Pool("threads", threads)
        assert native.recurrent_team(threads, 1e3, 5, 1, True)[0] == threads
        assert_same_bits(call.forward(pool), kept, f"forward, {pool}")
        assert_same_bits(call.backward(kept, pool), gradients, f"backward, {pool}")
