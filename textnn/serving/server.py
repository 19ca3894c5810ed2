"""uvicorn around the application: sockets, and an end that loses no request.

    SIGTERM or Ctrl-C -> no new connections -> every answer closes its connection -> what is under way is finished -> 0
    a second one      -> the process ends at once

A request that arrives on an open connection just before it is closed would be lost without a trace: its client sees a
connection that was reset. So connections are not closed at once, but after their next answer, or after a moment in
which nothing came.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import sys
from functools import partial
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from textnn.serving.guard import SURPLUS
from textnn.serving.settings import Settings

log = logging.getLogger("textnn.serving")

GRACE = 0.5
"""Seconds in which open connections may still bring a request, at the end."""

HEADER_SECONDS = 10.0
"""In which the head of a request has to arrive, from its first byte or from the beginning of a connection."""

SPARE = 32
"""Connections beyond the limit that get an answer saying so; those beyond them are closed without one."""

ENDING_SECONDS = 5.0
"""In which a client has to take the rest of its answer, at the end."""


class PromptProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """HTTP that waits for ever neither for a request nor until its answer is taken.

    Parameters
    ----------
    settings
        ``timeout``, within which a client has to take what is sent to it, and ``max_connections``.
    more
        Those of uvicorn's protocol.
    """

    def __init__(self, *, settings: Settings, **more: Any) -> None:
        super().__init__(**more)
        self._settings = settings
        self._deadline: asyncio.TimerHandle | None = None  # for the head of a request
        self._taking: asyncio.TimerHandle | None = None  # for what is sent to be taken

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)
        surplus = len(self.connections) - self._settings.max_connections
        if surplus > SPARE:
            transport.abort()
            return
        if surplus > 0:
            self.app_state = {**self.app_state, SURPLUS: True}  # type: ignore[has-type]
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Stop waiting when a request is there; begin with the first byte of the next one."""
        super().data_received(data)
        if not self._between_requests:
            self._stop()
        elif self._deadline is None:
            self._wait()

    def connection_lost(self, error: Exception | None) -> None:
        """Stop waiting."""
        self._stop()
        self._stop_taking()
        super().connection_lost(error)

    def pause_writing(self) -> None:
        """Begin to wait until the client has taken some of what is sent."""
        super().pause_writing()
        self._await_taking(self._settings.timeout)

    def resume_writing(self) -> None:
        """Wait no longer for that; the rest has as long again."""
        super().resume_writing()
        self._await_taking(self._settings.timeout)

    def on_response_complete(self) -> None:
        """Wait until the rest of an answer has been taken: a connection that is closed waits for that, too."""
        if self._taking is None:
            self._await_taking(self._settings.timeout)
        super().on_response_complete()

    def shutdown(self) -> None:
        """Begin to end; what has been sent must be taken soon."""
        self._await_taking(min(ENDING_SECONDS, self._settings.timeout))
        super().shutdown()

    @property
    def _between_requests(self) -> bool:
        return self.cycle is None or bool(self.cycle.response_complete)

    def _wait(self) -> None:
        self._deadline = self.loop.call_later(HEADER_SECONDS, self._expire)

    def _stop(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _expire(self) -> None:
        self._deadline = None
        if self._between_requests:
            self.transport.close()

    def _await_taking(self, seconds: float) -> None:
        self._stop_taking()
        if self.transport.get_write_buffer_size():
            self._taking = self.loop.call_later(seconds, self._give_up)

    def _stop_taking(self) -> None:
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None

    def _give_up(self) -> None:
        if self.flow.write_paused or self.transport.is_closing():
            self._taking = None
            self.transport.abort()
        else:  # little is left, and more may be asked for
            self._await_taking(self._settings.timeout)


class Server(uvicorn.Server):
    """uvicorn's server with another end."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._state = app.state.serving

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end at the first signal; end at the second."""
        if self.should_exit:
            sys.stderr.flush()
            os._exit(128 + sig)
        self.should_exit = self._state.draining = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what comes on open connections for a moment, then end as uvicorn does."""
        await asyncio.sleep(0)  # connections that the system has made already are taken over
        for server in self.servers:
            server.close()
        self._state.closing = True
        loop = asyncio.get_running_loop()
        end = loop.time() + GRACE
        while self.server_state.connections and loop.time() < end:
            await asyncio.sleep(0.02)
        await super().shutdown(sockets)


def open_sockets(host: str, port: int) -> list[socket.socket]:
    """Return a socket for each address of a host, bound but not yet listening; port 0 takes any that is free.

    Raises
    ------
    OSError
        If the host has no address, or the port cannot be had.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    absent: OSError | None = None
    for family, _, _, _, address in dict.fromkeys(found):
        # Where the port is left to the system, all addresses get the same one.
        number = sockets[0].getsockname()[1] if sockets else port
        try:
            sockets.append(_bind(family, (address[0], number, *address[2:])))
        except OSError as error:
            # A name may have an address of a kind that this machine does not use.
            if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                absent = error
                continue
            for one in sockets:
                one.close()
            raise _cannot_listen(host, port, error) from error
    if not sockets:
        raise _cannot_listen(host, port, absent or OSError("no address"))
    return sockets


def _bind(family: int, address: tuple[Any, ...]) -> socket.socket:
    # asyncio sends without delay (TCP_NODELAY) on sockets that say they are TCP, else an answer waits for 40 ms.
    one = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind(address)
    except OSError:
        one.close()
        raise
    return one


def _cannot_listen(host: str, port: int, error: OSError) -> OSError:
    return OSError(f"cannot listen on {host}, port {port}: {error.strerror or error}")


def run(
    app: FastAPI,
    sockets: list[socket.socket],
    settings: Settings,
    trusted_proxies: str = "",
    log_level: str = "info",
    access_log: bool = True,
) -> None:
    """Serve until a signal comes, in the main thread.

    Parameters
    ----------
    app
        What :func:`textnn.serving.create_app` returned.
    sockets
        From :func:`open_sockets`; they are closed at the end.
    settings
        Those of the application.
    trusted_proxies
        Addresses, with commas between them, whose X-Forwarded-For header says who the client is.
    log_level
        ``"debug"``, ``"info"``, ``"warning"``, ``"error"`` or ``"critical"``.
    access_log
        Whether to log a line for each request, without its text.
    """
    config = uvicorn.Config(
        app,
        http=partial(PromptProtocol, settings=settings),  # type: ignore[arg-type]
        ws="none",
        lifespan="on",
        log_config=_log_config(log_level),
        log_level=log_level,
        access_log=access_log,
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=trusted_proxies or None,
        server_header=False,
        timeout_graceful_shutdown=round(settings.timeout + 5),
    )
    Server(config, app).run(sockets)
    log.info("Ended; %d requests were answered", app.state.metrics.answered)


def _log_config(level: str) -> dict[str, Any]:
    """Return uvicorn's configuration, all of it on standard error, with the logger of this package."""
    config: dict[str, Any] = {**uvicorn.config.LOGGING_CONFIG}
    config["handlers"] = {name: {**one, "stream": "ext://sys.stderr"} for name, one in config["handlers"].items()}
    ours = {"handlers": ["default"], "level": level.upper(), "propagate": False}
    config["loggers"] = {**config["loggers"], "textnn.serving": ours}
    return config
