"""What every request passes on its way in and every answer on its way out.

    in:  is the host known? -> is there room, and for this client? -> may it ask again? -> application
    out: errors in one form -> security headers -> figures

The headers forbid the page to load anything from elsewhere or to be shown within another page.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from textnn.serving.errors import GoneError, ServingError, internal_error
from textnn.serving.limits import Places, RateLimiter
from textnn.serving.metrics import Metrics
from textnn.serving.settings import Settings

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_HEADERS = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]

SURPLUS = "surplus"
"""In the state of a scope: the request came on a connection beyond those that the server holds."""

GONE = 499
"""The status under which a client is counted that went away before its answer."""


@dataclass
class State:
    """What is going on in a server.

    Attributes
    ----------
    draining
        Whether it is about to end, and should be sent nothing more.
    closing
        Whether it takes no more connections: those that are open are closed after their next answer.
    working
        Requests to paths that cost something that are under way.
    arriving
        Requests for something that is done in batches, whose body is being read.
    """

    draining: bool = False
    closing: bool = False
    working: int = 0
    arriving: int = 0


class Guard:
    """ASGI middleware around the application.

    Parameters
    ----------
    app
        What it guards.
    settings, metrics, state
        Of the server.
    paths
        The paths that figures are kept of; all others are counted together.
    work
        Those of them that cost something, and are limited.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        metrics: Metrics,
        state: State,
        paths: frozenset[str],
        work: frozenset[str],
    ) -> None:
        self._app, self._settings, self._metrics, self._state = app, settings, metrics, state
        self._paths, self._work = paths, work
        self._limiter = RateLimiter(settings) if settings.limited else None
        self._places = Places(settings.max_per_client, "requests")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._settings.root_path:
            scope = {**scope, "root_path": self._settings.root_path}
        started, path = time.perf_counter(), local_path(scope)
        work = path in self._work and scope["method"] == "POST"
        surplus, status = SURPLUS in scope.get("state", ()), 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), *_HEADERS]
                if self._state.closing or surplus:
                    message["headers"].append((b"connection", b"close"))
            await send(message)

        self._metrics.in_flight.inc()
        self._state.working += work
        try:
            self._check_host(scope)
            if surplus:
                raise ServingError(503, "overloaded", "Too many connections are open; try again.", retry_after=1)
            with self._admit(scope) if work else nullcontext():
                await self._app(scope, receive, sending)
        except GoneError:
            status = status or GONE
        except Exception as error:
            refusal = error if isinstance(error, ServingError) else internal_error(error)
            if status:  # an answer is half sent: all that is left is to break it off
                raise RuntimeError("an answer was broken off") from None
            await self.refuse(refusal, scope, receive, sending)
        finally:
            self._state.working -= work
            self._metrics.in_flight.dec()
            known = path if path in self._paths else "other"
            self._metrics.count(known, status or GONE, time.perf_counter() - started)

    async def refuse(self, error: ServingError, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with an error."""
        if error.status not in (404, 405, 500):
            self._metrics.rejected.labels(error.code).inc()
        await error.response()(scope, receive, send)

    def _check_host(self, scope: Scope) -> None:
        allowed = self._settings.allowed_hosts
        if not allowed:
            return
        host = next((value.decode("latin-1").lower() for name, value in scope["headers"] if name == b"host"), "")
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        if not any(name == one or (one.startswith("*.") and name.endswith(one[1:])) for one in allowed):
            raise ServingError(421, "unknown_host", "This server does not answer for the name in the Host header.")

    def _admit(self, scope: Scope) -> AbstractContextManager[None]:
        if self._state.working > self._settings.max_queue:
            raise ServingError(503, "overloaded", "Too many requests are under way; try again.", retry_after=1)
        address = client_address(scope)
        wait = self._limiter.hit(address) if self._limiter else None
        if wait is not None:
            raise ServingError(
                429,
                "rate_limited",
                f"Expected at most {self._settings.rate_limit} requests of one client; try again later.",
                retry_after=wait,
            )
        return self._places.take(address)


def client_address(scope: Scope) -> str:
    """Return the address that a request comes from, or nothing if there is none."""
    client: Any = scope.get("client") or ("",)
    return str(client[0])


def local_path(scope: Scope) -> str:
    """Return the path without the one under which a proxy shows the server."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    return path[len(root) :] if root and path.startswith(root + "/") else path
