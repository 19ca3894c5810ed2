"""What the paths of every task share: queues of work, and the way from a request through one of them to its answer.

request -> checked body -> items -> queue -> batch -> results -> views -> JSON
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, TypeVar

from fastapi import Request, Response

from textnn.serving.batching import Batcher, QueueFullError
from textnn.serving.bodies import Model, OneOrSeveral, read
from textnn.serving.errors import GoneError, JSONResponse, ServingError
from textnn.serving.guard import State
from textnn.serving.metrics import Metrics
from textnn.serving.settings import Settings

Item = TypeVar("Item")
Result = TypeVar("Result")
Body = TypeVar("Body", bound=OneOrSeveral)
Key = TypeVar("Key", bound=Hashable)


class Desk:
    """Where requests are taken and answered.

    Parameters
    ----------
    settings, metrics, state
        Of the server.
    """

    def __init__(self, settings: Settings, metrics: Metrics, state: State) -> None:
        self.settings, self.metrics, self.state = settings, metrics, state
        self._queues: list[Batcher[Any, Any]] = []

    def queue(self, name: str, work: Callable[[list[Item]], Sequence[Result]]) -> Batcher[Item, Result]:
        """Make a queue whose items are worked on in batches; see :class:`Batcher`."""
        settings = self.settings
        return self._watch(
            name,
            Batcher(
                work,
                settings.max_batch,
                settings.max_wait / 1e3,
                settings.max_queue,
                f"textnn-{name}",
                self.metrics.batches.observe,
                lambda: self.state.arriving > 0,
            ),
        )

    def slow_queue(self, name: str, work: Callable[[list[Item]], Sequence[Result]], most: int) -> Batcher[Item, Result]:
        """Make a queue whose items take long and are worked on one by one, for at most so many of them."""
        return self._watch(name, Batcher(work, 1, 0.0, most, f"textnn-{name}"))

    def _watch(self, name: str, queue: Batcher[Item, Result]) -> Batcher[Item, Result]:
        self._queues.append(queue)
        self.metrics.watch_queue(name, lambda: queue.waiting)
        return queue

    async def close(self) -> None:
        """Wait until all that was asked for is done."""
        for queue in self._queues:
            await queue.close()

    async def read(self, request: Request, model: type[Model]) -> Model:
        """Return the body of a request; see :func:`textnn.serving.bodies.read`."""
        return await read(request, model, self.settings)

    async def reply(
        self,
        request: Request,
        body: type[Body],
        queue: Batcher[Item, Result],
        items: Callable[[Body], list[Item]],
        show: Callable[[Body, list[Result]], list[dict[str, Any]]],
    ) -> Response:
        """Answer a request for one thing or several.

        Parameters
        ----------
        request
            The request.
        body
            What it must hold.
        queue
            Where it is worked on.
        items
            From the body to what is queued; may be nothing.
        show
            From the body and the results to an object for each thing asked for.
        """
        self.state.arriving += 1
        try:
            asked = await self.read(request, body)
        finally:
            self.state.arriving -= 1
        asked.check(self.settings)
        queued = items(asked)
        self.metrics.texts.inc(len(asked.items))
        found = show(asked, await self.answer(request, queue, queued) if queued else [])
        return JSONResponse(found[0] if asked.single else {"predictions": found})

    async def answer(self, request: Request, queue: Batcher[Item, Result], items: list[Item]) -> list[Result]:
        """Return what comes of the items.

        Parameters
        ----------
        request
            Whoever sent it may go away; the items then leave the queue.
        queue
            What works on them.
        items
            One or more.

        Raises
        ------
        ServingError
            If the queue is full, or time is over.
        ItemError
            If the work failed.
        GoneError
            If the client went away.
        """
        timeout = self.settings.timeout
        try:
            future = queue.submit(items)
        except QueueFullError:
            raise ServingError(503, "overloaded", "Too many texts are waiting; try again.", retry_after=1) from None
        leaving = asyncio.ensure_future(_until_gone(request))
        either: list[asyncio.Future[Any]] = [future, leaving]
        try:
            await asyncio.wait(either, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if future.done():
                return future.result()
            if leaving.done():
                raise GoneError
            raise ServingError(504, "timeout", f"There was no answer within {timeout:g} seconds.", retry_after=1)
        finally:
            leaving.cancel()
            future.cancel()


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def by_key(items: Sequence[tuple[Key, Item]], work: Callable[[Key, list[Item]], Iterable[Result]]) -> list[Result]:
    """Return the result of each item, in order, where those with the same key are worked on together.

    Examples
    --------
    >>> by_key([("a", 1), ("b", 2), ("a", 3)], lambda key, numbers: [(key, sum(numbers)) for _ in numbers])
    [('a', 4), ('b', 2), ('a', 4)]
    """
    places: dict[Key, list[int]] = {}
    for place, (key, _) in enumerate(items):
        places.setdefault(key, []).append(place)
    found: dict[int, Result] = {}
    for key, those in places.items():
        found.update(zip(those, work(key, [items[place][1] for place in those]), strict=True))
    return [found[place] for place in range(len(items))]
