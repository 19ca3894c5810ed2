"""Connections whose other end may fall silent: which of them the kernel is to watch, and for how long."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from textnn.connections import SECONDS, VARIABLE, read_seconds, watched

TCP = socket.IPPROTO_TCP


@contextmanager
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as one,
        server.accept()[0] as other,
    ):
        yield one, other


def test_connections_of_the_block_fail_when_the_other_end_is_silent() -> None:
    with pair() as (before, _):
        with watched(40):
            inside = pair()
            one, other = inside.__enter__()
        for end in (one, other):
            assert end.getsockopt(TCP, socket.TCP_USER_TIMEOUT) == 40_000
            assert end.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            # An idle connection is asked about four times as often as it may be silent.
            assert end.getsockopt(TCP, socket.TCP_KEEPIDLE) == end.getsockopt(TCP, socket.TCP_KEEPINTVL) == 10
        assert before.getsockopt(TCP, socket.TCP_USER_TIMEOUT) == 0, "opened before"
        one.sendall(b"text")
        assert other.recv(4) == b"text"
        inside.__exit__(None, None, None)


def test_other_descriptors_are_left_alone() -> None:
    """A socket of another kind has no such options, and a file is none."""
    with watched(40):
        one, other = socket.socketpair()
        reader, writer = os.pipe()
    one.sendall(b"text")
    assert other.recv(4) == b"text"
    for end in (one, other):
        end.close()
    for descriptor in (reader, writer):
        os.close(descriptor)


def test_the_environment_says_how_long(monkeypatch: pytest.MonkeyPatch) -> None:
    for given, expected in ((None, SECONDS), ("", SECONDS), ("45", 45)):
        monkeypatch.setenv(VARIABLE, given) if given is not None else monkeypatch.delenv(VARIABLE, raising=False)
        assert read_seconds() == expected


@pytest.mark.parametrize("given", ["0", "2", "-5", "1.5", "90000", "2min", "٤٠"])
def test_a_time_that_is_none_is_refused(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, given)
    with pytest.raises(ValueError, match=f"{VARIABLE}: expected a number of seconds from 3 to 86400, got '{given}'"):
        read_seconds()
