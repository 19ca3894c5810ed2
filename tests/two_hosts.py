"""Two hosts on this machine: network namespaces, and a link between them that can be slow, and cut.

    host a  tun <--> Link: a thread that delays, paces or drops each packet <--> tun  host b

A cut link drops packets without a word, as a router does that lost its power: neither side is told. Addresses are those
that RFC 5737 keeps for examples. Takes root, ``ip`` and /dev/net/tun; :func:`lack` says what is missing.
"""

from __future__ import annotations

import fcntl
import heapq
import os
import select
import shutil
import struct
import subprocess
import threading
import time
from pathlib import Path

ADDRESSES = ("192.0.2.1", "192.0.2.2")
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000  # linux/if_tun.h


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


def lack() -> str | None:
    """What keeps this machine from having two hosts, or None."""
    if shutil.which("ip") is None:
        return "needs the command ip (iproute2)"
    if not Path("/dev/net/tun").exists():
        return "needs /dev/net/tun"
    try:
        with Link():
            return None
    except OSError as error:
        return f"network namespaces cannot be made here ({error})"


class Link:
    """Two hosts and the link between them, which are gone after the block.

    Parameters
    ----------
    delay
        Seconds that a packet takes.
    rate
        Bytes a second in each direction; None: any number.
    """

    def __init__(self, delay: float = 0.0, rate: float | None = None) -> None:
        self.delay, self.rate, self.cut = delay, rate, False
        self.packets = self.bytes = 0
        self.hosts = [f"textnn-{os.getpid()}-{name}" for name in "ab"]
        self._ends: list[int] = []
        self._stop, self._wake = os.pipe()
        self._thread = threading.Thread(target=self._carry, daemon=True)

    def __enter__(self) -> Link:
        try:
            for host, address in zip(self.hosts, ADDRESSES, strict=True):
                _ip("netns", "add", host)
                end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
                self._ends.append(end)
                name = f"textnn{len(self._ends)}"
                fcntl.ioctl(end, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI))
                _ip("link", "set", name, "netns", host)
                _ip("-n", host, "link", "set", name, "name", "wire")
                _ip("-n", host, "addr", "add", f"{address}/24", "dev", "wire")
                for device in ("lo", "wire"):
                    _ip("-n", host, "link", "set", device, "up")
        except OSError:
            self.__exit__()
            raise
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._wake)
        if self._thread.is_alive():
            self._thread.join()
        for descriptor in (self._stop, *self._ends):
            os.close(descriptor)
        for host in self.hosts:
            subprocess.run(["ip", "netns", "del", host], capture_output=True)

    def command(self, host: int, *command: str) -> list[str]:
        """A command that runs on a host."""
        return ["ip", "netns", "exec", self.hosts[host], *command]

    def _carry(self) -> None:
        """Take each packet to the other end when it is due."""
        due: list[tuple[float, int, int, bytes]] = []
        free = [0.0, 0.0]  # when each direction has sent all it was given
        while True:
            now = time.monotonic()
            while due and due[0][0] <= now:
                _, _, end, packet = heapq.heappop(due)
                try:
                    os.write(end, packet)
                except OSError:  # the host's queue is full: packets are lost on real links, too
                    continue
            pause = None if not due else max(due[0][0] - now, 0)
            readable, _, _ = select.select([self._stop, *self._ends], [], [], pause)
            if self._stop in readable:
                return
            now = time.monotonic()
            for number, end in enumerate(self._ends):
                if end not in readable:
                    continue
                packet = os.read(end, 65536)
                self.packets, self.bytes = self.packets + 1, self.bytes + len(packet)
                if self.cut:
                    continue
                free[number] = max(free[number], now) + (len(packet) / self.rate if self.rate else 0.0)
                if free[number] - now > 1.0:  # a queue of a second: TCP has to slow down
                    free[number] -= len(packet) / self.rate if self.rate else 0.0
                    continue
                heapq.heappush(due, (free[number] + self.delay, self.packets, self._ends[1 - number], packet))
