"""How often one client may ask."""

from __future__ import annotations

import ipaddress
import time

from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from textnn.serving.settings import Settings

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
        self._rate, self._max_clients = parse(settings.rate_limit), settings.max_clients
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
