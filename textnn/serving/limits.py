"""How often one client may ask, and how much at once."""

from __future__ import annotations

import ipaddress
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from textnn.serving.errors import ServingError
from textnn.serving.settings import Settings, parse_rate

_OTHERS = "others"
_HOST_BITS = 64  # of an IPv6 address: a subscriber has all addresses of such a network


class RateLimiter:
    """Counts the requests of each client in windows of time; its memory is bounded.

    Parameters
    ----------
    settings
        ``rate_limit`` and ``max_clients``.
    """

    def __init__(self, settings: Settings) -> None:
        self._rate, self._max_clients = parse_rate(settings.rate_limit), settings.max_clients
        self._storage = MemoryStorage()
        self._windows = FixedWindowRateLimiter(self._storage)

    def hit(self, address: str) -> float | None:
        """Count a request; return None if it is within the limit, else the seconds until it would be."""
        client = name_client(address)
        if (
            len(self._storage.storage) >= self._max_clients
            and not self._windows.get_window_stats(self._rate, client).remaining < self._rate.amount
        ):
            client = _OTHERS
        if self._windows.hit(self._rate, client):
            return None
        return max(0.0, self._windows.get_window_stats(self._rate, client).reset_time - time.time())


class Places:
    """What each client has under way at the moment.

    Parameters
    ----------
    most
        Places of one client.
    things
        What takes a place, in the plural.
    """

    def __init__(self, most: int, things: str) -> None:
        self._most, self._things = most, things
        self._taken: Counter[str] = Counter()

    @contextmanager
    def take(self, address: str) -> Iterator[None]:
        """Hold a place for the client at an address.

        Raises
        ------
        ServingError
            If all of its places are taken.
        """
        client = name_client(address)
        if self._taken[client] >= self._most:
            raise ServingError(
                429,
                "client_busy",
                f"Expected at most {self._most:,} {self._things} of one client at once; try again.",
                retry_after=1,
            )
        self._taken[client] += 1
        try:
            yield
        finally:
            self._taken[client] -= 1
            if not self._taken[client]:
                del self._taken[client]


def name_client(address: str) -> str:
    """Return what the requests of an address are counted under: itself, or the network of an IPv6 address."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"  # a socket of the system, or whatever a proxy wrote
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((int(found) >> _HOST_BITS << _HOST_BITS, 128 - _HOST_BITS)))
    return str(found)
