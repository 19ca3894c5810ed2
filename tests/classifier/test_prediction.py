"""Prediction in bulk: the results of one text at a time, in order, whatever the threads do."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import torch

from textnn.prediction import in_chunks, ordered


def test_results_come_in_order_although_later_ones_are_done_first() -> None:
    def work(item: int) -> int:
        time.sleep(0.02 if item % 3 == 0 else 0.0)
        return item * item

    assert list(ordered(work, range(20), 4)) == [item * item for item in range(20)]


def test_no_more_is_read_than_the_workers_need() -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    results = ordered(lambda item: item, items(), 2)
    assert [next(results) for _ in range(5)] == [1, 2, 3, 4, 5]
    assert taken <= 5 + 3
    results.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("workers", [1, 3])
def test_an_error_comes_at_its_place(workers: int) -> None:
    def work(item: int) -> int:
        if item == 3:
            raise ValueError("three")
        return item

    results = ordered(work, range(6), workers)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)


def test_the_threads_end_with_the_stream_also_when_it_is_left_early() -> None:
    results = ordered(lambda item: item, range(100), 3)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("textnn")]


def test_each_worker_computes_on_one_core_and_the_caller_on_as_many_as_before() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        assert set(ordered(lambda _: torch.get_num_threads(), range(8), 2)) == {1}
        assert torch.get_num_threads() == 3
        assert list(ordered(lambda _: torch.get_num_threads(), range(1), 1)) == [3]
    finally:
        torch.set_num_threads(before)


def test_chunks_hold_all_items_once() -> None:
    assert list(in_chunks(range(7), 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(in_chunks([], 3)) == []
