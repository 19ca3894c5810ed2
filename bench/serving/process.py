"""A server in a process of its own: started, asked until it is ready, ended by a signal."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType

import httpx2

PATIENCE = 600.0  # seconds to wait for what takes a few on an idle machine


class ServerProcess:
    """``textnn serve`` on a free port, within a ``with`` block; it is killed at its end if it still runs.

    Parameters
    ----------
    model
        Directory of a saved model; None for a command that takes none.
    options
        Of the command.
    threads
        Of the network.
    command
        What to run in the place of ``textnn serve``.

    Attributes
    ----------
    port, url
        Where it listens.
    health_checks
        Requests that it has answered to say that it is ready.
    """

    def __init__(
        self, model: Path | None, *options: str, threads: int = 1, command: Sequence[str] = ("-m", "textnn", "serve")
    ) -> None:
        self._log = TemporaryFile()  # noqa: SIM115  # closed in __exit__
        given = [] if model is None else [str(model)]
        arguments = [*given, "--port", "0", "--threads", str(threads), "--no-access-log", *options]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            [sys.executable, *command, *arguments], env=environment, stderr=self._log, stdout=self._log
        )
        self.port = self.health_checks = 0

    def __enter__(self) -> ServerProcess:
        try:
            self._await_ready()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._log.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _await_ready(self) -> None:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self.process.poll() is None:
            if not self.port and (found := re.search(r"served at http://\S+:(\d+)", self.log())):
                self.port = int(found[1])
            try:
                if (
                    self.port
                    and httpx2.get(f"{self.url}/healthz", timeout=PATIENCE, trust_env=False).status_code == 200
                ):
                    self.health_checks += 1
                    return
            except httpx2.TransportError:
                pass
            time.sleep(0.05)
        raise RuntimeError(f"the server did not start:\n{self.log()}")

    def log(self) -> str:
        """Return what it has written so far."""
        return os.pread(self._log.fileno(), 1 << 24, 0).decode(errors="replace")

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def wait(self, timeout: float = PATIENCE) -> int:
        """Wait for its end; return the exit code."""
        return self.process.wait(timeout)

    def answered(self) -> int:
        """Return how many requests it says that it has answered; it says so at its end."""
        found = re.search(r"(\d+) requests were answered", self.log())
        if found is None:
            raise RuntimeError(f"the server did not end in order:\n{self.log()}")
        return int(found[1])
