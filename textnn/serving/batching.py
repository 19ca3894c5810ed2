"""Micro-batching: what several requests ask for in the same moment is done in one go.

    submit(items) -> queue -> batch -> ``work(batch)`` in a thread -> the future of each submission

A batch is made of what has come while the one before it was at work, and, as long as more is known to be on its way,
of what comes within ``max_wait`` of its first item. The network takes little more time for many texts than for one, so
that this raises the number of requests a second. Items keep their order; a submission larger than a batch is spread
over several.

All of it but ``work`` happens in one event loop, and so without locks.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

log = logging.getLogger("textnn.serving")


class QueueFullError(Exception):
    """There is no room for a submission at the moment."""


class ItemError(Exception):
    """The work failed on an item; ``position`` is its place in the submission, the cause what was raised."""

    def __init__(self, position: int) -> None:
        super().__init__(f"failed on item {position}")
        self.position = position


@dataclass(frozen=True)
class _Failure:
    error: BaseException


@dataclass(eq=False)
class _Job(Generic[Item, Result]):
    """One submission: how far it has been handed out, and what has come back."""

    items: Sequence[Item]
    future: asyncio.Future[list[Result]]
    arrived: float
    begun: int = 0
    results: list[Result] = field(default_factory=list)

    @property
    def left(self) -> int:
        return len(self.items) - self.begun

    def put(self, outcomes: Sequence[Result | _Failure]) -> None:
        """Take the outcomes of the next items, unless nobody waits for them any more."""
        if self.future.done():
            return
        for outcome in outcomes:
            if isinstance(outcome, _Failure):
                error = ItemError(len(self.results))
                error.__cause__ = outcome.error
                self.future.set_exception(error)
                return
            self.results.append(outcome)
        if len(self.results) == len(self.items):
            self.future.set_result(self.results)


class Batcher(Generic[Item, Result]):
    """Does ``work`` on batches of what is submitted, one batch at a time.

    Parameters
    ----------
    work
        Called in a thread of its own with a list of items; returns a result for each. Where it raises an exception, it
        is called again for each item by itself, so that an item that cannot be worked on harms no other.
    max_batch
        Items of a batch at most.
    max_wait
        Seconds for which a batch waits for more, while there is more to come.
    max_queue
        Items that wait at most, without those that are worked on.
    name
        Of the thread.
    observe
        Called with the number of items of each batch.
    more_to_come
        Says whether it is worth waiting: whether a submission is about to be made.
    """

    def __init__(
        self,
        work: Callable[[list[Item]], Sequence[Result]],
        max_batch: int,
        max_wait: float,
        max_queue: int,
        name: str,
        observe: Callable[[int], None] = lambda items: None,
        more_to_come: Callable[[], bool] = lambda: True,
    ) -> None:
        self._work, self._observe, self._more_to_come = work, observe, more_to_come
        self._max_batch, self._max_wait, self._max_queue = max_batch, max_wait, max_queue
        self._queue: dict[_Job[Item, Result], None] = {}  # in order; a job that is given up leaves at once
        self._waiting = 0
        self._ready: asyncio.Event | None = None  # while a batch waits
        self._runner: asyncio.Task[None] | None = None
        self._name = name
        self._thread: ThreadPoolExecutor | None = None  # from the first batch to the end

    @property
    def waiting(self) -> int:
        """Items that wait."""
        return self._waiting

    def submit(self, items: Sequence[Item]) -> asyncio.Future[list[Result]]:
        """Queue items, one or more; to be called in the event loop.

        Returns
        -------
        Future
            Of the results, in the order of the items. Whoever cancels it takes the items out of the queue. Its
            exception is an :class:`ItemError` if the work failed on an item.

        Raises
        ------
        QueueFullError
            If so many items would have to wait that there is no room.
        """
        if self._waiting + len(items) > self._max_queue:
            raise QueueFullError(f"{self._waiting} of {self._max_queue} places are taken")
        loop = asyncio.get_running_loop()
        job: _Job[Item, Result] = _Job(items, loop.create_future(), loop.time())
        job.future.add_done_callback(lambda _: self._leave(job))
        self._queue[job] = None
        self._waiting += job.left
        if self._ready is not None and self._is_ready():
            self._ready.set()
        if self._runner is None or self._runner.done():
            self._runner = loop.create_task(self._run())
        return job.future

    async def drain(self) -> None:
        """Wait until all that was submitted is done."""
        while self._runner is not None and not self._runner.done():
            await asyncio.wait([self._runner])

    async def close(self) -> None:
        """Drain it and end its thread; what is submitted later has another."""
        await self.drain()
        if self._thread is not None:
            self._thread.shutdown()
            self._thread = None

    def _leave(self, job: _Job[Item, Result]) -> None:
        if job in self._queue:
            del self._queue[job]
            self._waiting -= job.left

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._queue:
            await self._gather()
            batch = self._take()
            if not batch:
                continue
            items = [item for _, part in batch for item in part]
            outcomes: list[Result | _Failure] = []
            try:
                self._observe(len(items))
                self._thread = self._thread or ThreadPoolExecutor(1, self._name)
                outcomes = await loop.run_in_executor(self._thread, self._attempt, items)
            except Exception as error:
                outcomes = [_Failure(error)] * len(items)
            except BaseException as error:  # the event loop ends
                outcomes = [_Failure(error)] * len(items)
                raise
            finally:
                for job, part in batch:
                    job.put(outcomes[: len(part)])
                    outcomes = outcomes[len(part) :]

    async def _gather(self) -> None:
        """Wait until a batch is full, nothing more is coming, or its first item has waited long enough."""
        first = next(iter(self._queue))
        await asyncio.sleep(0)  # what the event loop has at hand is queued first
        left = first.arrived + self._max_wait - asyncio.get_running_loop().time()
        if left <= 0 or self._is_ready():
            return
        self._ready = asyncio.Event()
        try:
            await asyncio.wait_for(self._ready.wait(), left)
        except asyncio.TimeoutError:
            pass
        finally:
            self._ready = None

    def _is_ready(self) -> bool:
        return self._waiting >= self._max_batch or not self._more_to_come()

    def _take(self) -> list[tuple[_Job[Item, Result], Sequence[Item]]]:
        batch, room = [], self._max_batch
        for job in list(self._queue):
            part = job.items[job.begun : job.begun + room]
            job.begun += len(part)
            self._waiting -= len(part)
            room -= len(part)
            batch.append((job, part))
            if not job.left:
                del self._queue[job]
            if not room:
                break
        return batch

    def _attempt(self, items: list[Item]) -> list[Result | _Failure]:
        try:
            results: list[Result | _Failure] = list(self._work(items))
            if len(results) != len(items):
                raise RuntimeError(f"expected {len(items)} results, got {len(results)}")
        except Exception as error:
            if len(items) == 1:
                return [_Failure(error)]
            return [outcome for item in items for outcome in self._attempt([item])]
        except BaseException as error:  # it would end the event loop
            return [_Failure(error)] * len(items)
        return results
