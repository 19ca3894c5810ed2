"""textnn/serving/batching.py: requests of the same moment become one batch, and none of them is lost or harmed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest
from waiting import HANG, forward, until

from textnn.serving.batching import Batcher, ItemError, QueueFullError


class Work:
    """Doubles numbers; remembers the batches; can be held up, and fails on numbers below 0."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.go = threading.Event()
        self.go.set()

    def __call__(self, items: list[int]) -> Sequence[int]:
        self.batches.append(items)
        assert self.go.wait(HANG)
        if any(item < 0 for item in items):
            raise ValueError("below 0")
        return [2 * item for item in items]


def run(test: Callable[[Work], Coroutine[Any, Any, None]]) -> Work:
    work = Work()
    asyncio.run(test(work))
    return work


def make(work: Work, max_batch: int = 8, max_wait: float = 0.0, max_queue: int = 100) -> Batcher[int, int]:
    return Batcher(work, max_batch, max_wait, max_queue, "test")


def test_each_submission_gets_the_results_of_its_own_items_in_order() -> None:
    async def test(work: Work) -> None:
        batcher = make(work, max_batch=4)
        found = await asyncio.gather(*(batcher.submit(list(range(n))) for n in range(1, 8)))
        assert found == [[2 * item for item in range(n)] for n in range(1, 8)]

    assert all(len(batch) <= 4 for batch in run(test).batches)


def test_what_comes_within_the_wait_is_one_batch() -> None:
    async def test(work: Work) -> None:
        batcher = make(work, max_wait=HANG)
        first = batcher.submit([1])
        await until(lambda: batcher._ready is not None, "it waits for more")
        second = batcher.submit([2])
        assert not work.batches
        forward(HANG)
        await asyncio.gather(first, second)

    assert run(test).batches == [[1, 2]]


def test_a_full_batch_does_not_wait() -> None:
    async def test(work: Work) -> None:
        batcher = make(work, max_batch=2, max_wait=10 * HANG)
        first = batcher.submit([1])
        await until(lambda: batcher._ready is not None, "it waits for more")
        await asyncio.wait_for(asyncio.gather(first, batcher.submit([2])), HANG)

    assert run(test).batches == [[1, 2]]


def test_a_batch_does_not_wait_when_nothing_more_is_coming() -> None:
    async def test(work: Work) -> None:
        coming = True
        batcher: Batcher[int, int] = Batcher(work, 8, 10 * HANG, 100, "test", more_to_come=lambda: coming)
        first = batcher.submit([1])
        await until(lambda: batcher._ready is not None, "it waits for more")
        assert not work.batches
        coming = False  # what was on its way is here
        await asyncio.wait_for(asyncio.gather(first, batcher.submit([2])), HANG)
        assert await asyncio.wait_for(batcher.submit([3]), HANG) == [6]

    assert run(test).batches == [[1, 2], [3]]


def test_what_comes_while_a_batch_is_at_work_is_the_next_batch() -> None:
    async def test(work: Work) -> None:
        batcher = make(work)
        work.go.clear()
        first = batcher.submit([0])
        await until(lambda: bool(work.batches))
        others = [batcher.submit([number]) for number in (1, 2, 3)]
        assert batcher.waiting == 3
        work.go.set()
        await asyncio.gather(first, *others)

    assert run(test).batches == [[0], [1, 2, 3]]


def test_a_large_submission_is_spread_over_batches() -> None:
    async def test(work: Work) -> None:
        assert await make(work, max_batch=4).submit(list(range(10))) == list(range(0, 20, 2))

    assert [len(batch) for batch in run(test).batches] == [4, 4, 2]


def test_an_item_that_fails_harms_no_other() -> None:
    async def test(work: Work) -> None:
        batcher = make(work, max_wait=0.05)
        good, bad, also_good = batcher.submit([1, 2]), batcher.submit([3, -4, -5]), batcher.submit([6])
        assert await good == [2, 4]
        assert await also_good == [12]
        with pytest.raises(ItemError) as caught:
            await bad
        assert caught.value.position == 1
        assert isinstance(caught.value.__cause__, ValueError)

    run(test)


def test_work_that_loses_a_result_is_a_failure_and_no_hang() -> None:
    async def test(_: Work) -> None:
        batcher: Batcher[int, int] = Batcher(lambda items: [], 8, 0.0, 100, "test")
        with pytest.raises(ItemError):
            await asyncio.wait_for(batcher.submit([1, 2]), HANG)

    run(test)


def test_a_failure_outside_of_items_is_told_and_the_next_batch_is_done() -> None:
    async def test(work: Work) -> None:
        faults = [OSError("no figures")]

        def observe(items: int) -> None:
            if faults:
                raise faults.pop()

        batcher: Batcher[int, int] = Batcher(work, 8, 0.0, 100, "test", observe)
        both = batcher.submit([1]), batcher.submit([2, 3])
        for future in both:
            with pytest.raises(ItemError) as caught:
                await asyncio.wait_for(future, HANG)
            assert isinstance(caught.value.__cause__, OSError)
        assert await asyncio.wait_for(batcher.submit([4]), HANG) == [8]

    assert run(test).batches == [[4]]


@pytest.mark.parametrize("fault", [SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError()], ids=repr)
def test_work_that_wants_to_end_the_program_is_a_failure_like_any_other(fault: BaseException) -> None:
    def work(items: list[int]) -> list[int]:
        if 0 in items:
            raise fault
        return items

    async def test(_: Work) -> None:
        batcher: Batcher[int, int] = Batcher(work, 2, 0.0, 100, "test")
        bad, good = batcher.submit([1, 0, 2]), batcher.submit([3, 4])
        with pytest.raises(ItemError) as caught:
            await asyncio.wait_for(bad, 10)
        assert caught.value.__cause__ is fault
        assert await asyncio.wait_for(good, 10) == [3, 4]

    run(test)


def test_what_waits_when_its_event_loop_ends_is_told_so() -> None:
    async def test(work: Work) -> None:
        work.go.clear()
        batcher = make(work)
        future = batcher.submit([1])
        await until(lambda: bool(work.batches))
        assert batcher._runner is not None
        batcher._runner.cancel()
        with pytest.raises(ItemError):
            await asyncio.wait_for(future, HANG)
        work.go.set()

    run(test)


def test_a_submission_that_is_given_up_leaves_the_queue() -> None:
    async def test(work: Work) -> None:
        batcher = make(work, max_queue=3)
        work.go.clear()
        first = batcher.submit([0])
        await until(lambda: bool(work.batches))
        given_up, kept = batcher.submit([1, 2]), batcher.submit([3])
        with pytest.raises(QueueFullError):
            batcher.submit([4])
        given_up.cancel()
        await asyncio.sleep(0)
        assert batcher.waiting == 1
        late = batcher.submit([5, 6])  # there is room again
        work.go.set()
        assert await asyncio.gather(first, kept, late) == [[0], [6], [10, 12]]

    assert run(test).batches == [[0], [3, 5, 6]]


def test_a_submission_that_is_given_up_at_work_harms_no_other() -> None:
    async def test(work: Work) -> None:
        batcher = make(work, max_wait=0.02)
        work.go.clear()
        given_up, kept = batcher.submit([1]), batcher.submit([2])
        await until(lambda: bool(work.batches))
        given_up.cancel()
        work.go.set()
        assert await kept == [4]

    assert run(test).batches == [[1, 2]]


def test_closing_waits_for_everything_and_ends_the_thread() -> None:
    before = set(threading.enumerate())

    async def test(work: Work) -> None:
        batcher = make(work, max_batch=1)
        futures = [batcher.submit([number]) for number in range(5)]
        await batcher.drain()
        assert all(future.done() for future in futures)
        assert set(threading.enumerate()) - before
        await batcher.close()
        assert not set(threading.enumerate()) - before

    run(test)
