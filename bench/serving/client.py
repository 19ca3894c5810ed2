"""Load: so many connections, each with one request at a time, and an account of what became of each request.

    requests (bytes) -> connections -> answers -> Outcome

The client speaks HTTP over bare sockets, which takes it a fraction of what a request costs the server.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Request(NamedTuple):
    """A text on its way, and the label that has to come back."""

    data: bytes
    label: Any


@dataclass
class Outcome:
    """What became of the requests.

    Attributes
    ----------
    seconds
        That the load lasted.
    latencies
        Seconds from sending to the end of the answer, of each answer 200.
    statuses
        How many answers had which status.
    lost
        Requests that were sent on an open connection and got no answer.
    wrong
        Answers with another label than the classifier gives.
    refused
        Connections that the server did not take.
    """

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    lost: int = 0
    wrong: int = 0
    refused: int = 0

    @property
    def answered(self) -> int:
        return sum(self.statuses.values())

    @property
    def errors(self) -> int:
        return self.lost + self.wrong + self.answered - self.statuses[200]


class _LostError(Exception):
    pass


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self.transport: Any = None
        self.open = True
        self._buffer = bytearray()
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        lines = bytes(head).lower().split(b"\r\n")
        headers = dict(line.split(b": ", 1) for line in lines[1:])
        length = int(headers[b"content-length"])
        if len(body) < length or self._answer is None:
            return
        self._buffer = body[length:]
        if headers.get(b"connection") == b"close":
            self.open = False
        if not self._answer.done():
            self._answer.set_result((int(lines[0].split()[1]), bytes(body[:length])))

    def connection_lost(self, error: Exception | None) -> None:
        self.open = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(_LostError())

    async def ask(self, data: bytes) -> tuple[int, bytes]:
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(data)
        return await self._answer


def make_requests(texts: Sequence[str], labels: Sequence[Any]) -> list[Request]:
    """Return a request for each text, with the label that is expected."""
    requests = []
    for text, label in zip(texts, labels, strict=True):
        body = json.dumps({"text": text}, ensure_ascii=False).encode()
        lines = ["POST /predict HTTP/1.1", "Host: x", "Content-Type: application/json", f"Content-Length: {len(body)}"]
        requests.append(Request("".join(f"{line}\r\n" for line in [*lines, ""]).encode() + body, label))
    return requests


async def load(
    port: int,
    requests: Sequence[Request],
    connections: int,
    seconds: float = 0.0,
    count: int = 0,
    outcome: Outcome | None = None,
) -> Outcome:
    """Ask for so many seconds, or until so many requests were sent, or until the server takes no connection.

    Parameters
    ----------
    port
        Of the server on this machine.
    requests
        Sent in turn, over and over.
    connections
        Requests that are under way at a time.
    seconds, count
        When to stop; 0: without this limit.
    outcome
        To be filled in, for whoever watches it meanwhile.
    """
    outcome, turn = outcome or Outcome(), itertools.count()
    began = time.perf_counter()

    async def one() -> None:
        connection: _Connection | None = None
        try:
            while not (seconds and time.perf_counter() - began >= seconds):
                number = next(turn)
                if count and number >= count:
                    break
                if connection is None or not connection.open:
                    connection = await _connect(port)
                    if connection is None:
                        outcome.refused += 1
                        break
                await _ask(connection, requests[number % len(requests)], outcome)
        finally:
            if connection is not None:
                connection.transport.close()

    await asyncio.gather(*(one() for _ in range(connections)))
    outcome.seconds = time.perf_counter() - began
    return outcome


async def _connect(port: int) -> _Connection | None:
    try:
        _, protocol = await asyncio.get_running_loop().create_connection(_Connection, "127.0.0.1", port)
    except ConnectionError:
        return None
    return protocol


async def _ask(connection: _Connection, request: Request, outcome: Outcome) -> None:
    started = time.perf_counter()
    try:
        status, body = await connection.ask(request.data)
    except _LostError:
        outcome.lost += 1
        return
    outcome.statuses[status] += 1
    if status == 200:
        outcome.latencies.append(time.perf_counter() - started)
        outcome.wrong += json.loads(body)["label"] != request.label
