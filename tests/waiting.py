"""Waiting for an event, however busy the machine is.

No test depends on how busy the machine is: what a test waits for is an event that is certain to come, and what has to
be too late for a limit is made so by moving a clock. HANG only ends a test whose event does not come.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

HANG = 600.0


def wait_until(condition: Callable[[], Any], what: str = "", pause: float = 0.005) -> Any:
    """Return what the condition comes to as soon as that is true."""
    end = time.monotonic() + HANG
    while not (found := condition()):
        assert time.monotonic() < end, f"{what or 'it'}: not within {HANG:.0f} s"
        time.sleep(pause)
    return found


async def until(condition: Callable[[], Any], what: str = "") -> None:
    """The same in an event loop; its own clock may be moved meanwhile."""
    end = time.monotonic() + HANG
    while not condition():
        assert time.monotonic() < end, f"{what or 'it'}: not within {HANG:.0f} s"
        await asyncio.sleep(0.001)


def forward(seconds: float) -> None:
    """Let so many seconds pass on the clock of the running event loop."""
    loop = asyncio.get_running_loop()
    now = loop.time
    loop.time = lambda: now() + seconds  # type: ignore[method-assign]
