"""Programs with a time limit. Each has a process group of its own, and the whole group ends with the limit."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

KEPT = 200_000  # characters of each end of a program's output that a log keeps
_groups: set[int] = set()
_lock = threading.Lock()
_stopped = threading.Event()


@dataclass(frozen=True)
class Job:
    """A program: its name in the log, its command, and what its environment has beside this program's own."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Finished:
    """What became of a program. ``code`` is None where its time limit ended it, or it was not begun in time."""

    name: str
    code: int | None
    seconds: float
    output: str

    @property
    def end(self) -> str:
        """The last line of its output that is not empty."""
        lines = [line.strip() for line in self.output.splitlines() if line.strip()]
        return lines[-1] if lines else "it printed nothing"


class Programs:
    """Runs programs until a moment on the clock of time.monotonic(), and keeps their output in one log."""

    def __init__(self, log: Path, folder: Path, deadline: float) -> None:
        self.log, self.folder, self.deadline = log, folder, deadline

    @property
    def left(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - time.monotonic()

    def run(self, job: Job, limit: float = float("inf")) -> Finished:
        """Run one program until it ends, for at most ``limit`` seconds and not past the deadline."""
        limit, begin = min(limit, self.left), time.monotonic()
        if limit <= 0 or _stopped.is_set():
            return Finished(job.name, None, 0.0, "")
        output = self.folder / f"{job.name.replace('/', '-').replace(' ', '-')}.out"
        with output.open("wb") as file:
            process = subprocess.Popen(
                [str(part) for part in job.command],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, **job.environment},
                cwd=ROOT,
                start_new_session=True,
            )
            with _lock:
                _groups.add(process.pid)
            code: int | None
            try:
                code = process.wait(limit)
            except subprocess.TimeoutExpired:
                code = None
            finally:
                end_group(process.pid)
                process.wait()
        finished = Finished(job.name, code, time.monotonic() - begin, shortened(output))
        self._write(job, finished)
        return finished

    def run_all(self, jobs: Sequence[Job], at_once: int) -> list[Finished]:
        """Run programs side by side; their results in the order of the jobs."""
        with ThreadPoolExecutor(max(1, at_once)) as pool:
            return list(pool.map(self.run, jobs))

    def _write(self, job: Job, finished: Finished) -> None:
        ended = "ended by its time limit" if finished.code is None else f"exit code {finished.code}"
        with _lock, self.log.open("a", encoding="utf-8") as log:
            log.write(f"$ {' '.join(map(str, job.command))}\n{finished.output.rstrip()}\n")
            log.write(f"[{job.name}: {ended}, {finished.seconds:.1f} s]\n\n")


ROOT = Path(__file__).resolve().parents[2]


def end_group(group: int) -> None:
    """End whatever is left of a process group."""
    with _lock:
        _groups.discard(group)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def end_all() -> None:
    """End every program that still runs."""
    for group in list(_groups):
        end_group(group)


def stop() -> None:
    """End every program that still runs, and begin no other: somebody wants this one to end."""
    _stopped.set()
    end_all()


def shortened(path: Path) -> str:
    """Return a program's output, without the middle of a very long one."""
    text = path.read_text(encoding="utf-8", errors="replace")
    if len(text) <= 2 * KEPT:
        return text
    return f"{text[:KEPT]}\n[{len(text) - 2 * KEPT} characters left out]\n{text[-KEPT:]}"
