"""Connections whose other end may fall silent: a host without power, a cut cable, a firewall that forgot them.

    sockets opened in a block of ``watched`` -> the kernel asks the other end whether it is there -> ETIMEDOUT

A process that ends closes its connections, and the others hear of it at once. A host that vanishes closes nothing: TCP
repeats what was not acknowledged for some fifteen minutes, and waits for an answer without end. Here the kernel asks,
and that of the other host answers however busy its processes are, so that a slow peer is not taken for a lost one.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

VARIABLE = "TEXTNN_PEER_TIMEOUT"
SECONDS = 120


def read_seconds() -> int:
    """Return how many seconds a host may be silent, from the environment.

    Raises
    ------
    ValueError
        If the variable holds something else.
    """
    given = os.environ.get(VARIABLE) or str(SECONDS)
    if not (given.isascii() and given.isdigit() and 3 <= int(given) <= 86400):
        raise ValueError(f"{VARIABLE}: expected a number of seconds from 3 to 86400, got {given!r}")
    return int(given)


@contextmanager
def watched(seconds: int) -> Iterator[None]:
    """Let every TCP connection that is made within the block fail once its other end was silent for so long."""
    before = _sockets()
    yield
    for _, descriptor in _sockets().items() - before.items():
        with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as connection:
            _watch(connection, seconds)


def _sockets() -> dict[str, int]:
    """The open sockets of this process by what the kernel calls them; none where /proc is missing."""
    found = {}
    with suppress(OSError):
        for entry in Path("/proc/self/fd").iterdir():
            with suppress(OSError):  # closed meanwhile
                name = str(entry.readlink())
                if name.startswith("socket:"):
                    found[name] = int(entry.name)
    return found


def _watch(connection: socket.socket, seconds: int) -> None:
    if connection.family not in (socket.AF_INET, socket.AF_INET6) or connection.type != socket.SOCK_STREAM:
        return
    pause = max(seconds // 4, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, pause)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, pause)
    # Both of questions that stay without an answer, and of what was sent and not acknowledged.
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * seconds)
