"""Running one input under watch: its time, its memory, and what it raised.

    target, data -> limits set -> target(data) -> nothing | a documented error | a finding
                                              -> seconds by the clock, growth of the memory

The limit is on the processor's time: another program that is at work does not make an input a finding. What waits for
ever without working (for a pipe, say) is ended by the clock. The figures are the clock's too, the longer of the two.
"""

from __future__ import annotations

import resource
import signal
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SECONDS = 2.0
PATIENCE = 600.0  # by the clock
GROWTH = 300 * 2**20
ADDRESSES = 3 * 2**30  # beyond what the process has when it begins

Target = Callable[[bytes], None]


class TooLongError(BaseException):
    """An input that took too long; not an Exception, so that nothing takes it for one of its own."""


@dataclass
class Figures:
    """What the inputs of a target came to.

    Attributes
    ----------
    inputs, refused
        How many there were, and how many ended in a documented error.
    seconds, slowest
        By the clock, for all and for the slowest.
    largest
        Growth of the memory by the largest, in bytes.
    findings
        One line for each kind of finding.
    """

    target: str
    engine: str
    seed: int
    inputs: int = 0
    refused: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    largest: int = 0
    findings: list[str] = field(default_factory=list)


class Watch:
    """Runs a target's inputs and keeps their figures.

    Parameters
    ----------
    target
        Takes an input.
    allowed
        The errors that it may raise, and nothing derived from them that says less.
    figures
        To be filled.
    folder
        Where findings are written.
    """

    def __init__(self, target: Target, allowed: tuple[type[Exception], ...], figures: Figures, folder: Path) -> None:
        self.target, self.allowed, self.figures, self.folder = target, allowed, figures, folder
        signal.signal(signal.SIGPROF, _too_long)
        signal.signal(signal.SIGALRM, _too_long)

    def limit_memory(self) -> None:
        """Let the process have so much memory and no more."""
        addresses = _status("VmSize") + ADDRESSES
        resource.setrlimit(resource.RLIMIT_AS, (addresses, resource.getrlimit(resource.RLIMIT_AS)[1]))

    def run(self, data: bytes) -> str | None:
        """Run an input; return what was found, or None."""
        figures, found, trace = self.figures, None, ""
        _reset_peak()
        before, start = _status("VmRSS"), time.perf_counter()
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        signal.setitimer(signal.ITIMER_REAL, PATIENCE)
        try:
            self.target(data)
        except TooLongError:
            found, trace = "took too long", traceback.format_exc()
        except self.allowed as error:
            figures.refused += 1
            found = _judge(error, self.allowed)
        except Exception as error:
            found, trace = f"{type(error).__name__}: {error!s:.200}", traceback.format_exc()
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)
        taken, growth = time.perf_counter() - start, max(0, _status("VmHWM") - before)
        figures.inputs += 1
        figures.seconds += taken
        figures.slowest, figures.largest = max(figures.slowest, taken), max(figures.largest, growth)
        if found is None and growth > GROWTH:
            found = f"memory grew by {growth / 2**20:.0f} MB"
        if found is not None:
            self._keep(data, found, trace)
        return found

    def _keep(self, data: bytes, found: str, trace: str) -> None:
        kind = found.encode("unicode_escape").decode("ascii")
        place = trace.strip().splitlines()[-3:-2] if trace else []
        line = f"{kind} {''.join(place).strip()}".strip()
        if line in self.figures.findings or len(self.figures.findings) >= 50:
            return
        self.figures.findings.append(line)
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / f"crash-{self.figures.target}-{len(self.figures.findings)}"
        file.write_bytes(data)
        file.with_suffix(".txt").write_text(f"{found}\n\n{trace}", encoding="utf-8", errors="backslashreplace")


def _judge(error: Exception, allowed: tuple[type[Exception], ...]) -> str | None:
    """Return what is wrong with an error that is allowed: it must be a sentence that can be shown."""
    from textnn.reading import escape_controls

    message = str(error)
    if isinstance(error, UnicodeError) and UnicodeError not in allowed:
        return f"{type(error).__name__} says what Python says: {message[:100]}"
    if len(message) > 3000:
        return f"a message of {len(message):,} characters: {message[:100]}"
    if escape_controls(message) != message:
        return f"a message with control characters: {message[:200]!a}"
    return "a message without words" if len(message) < 10 else None


def _too_long(*_: Any) -> None:
    raise TooLongError


def _reset_peak() -> None:
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _status(name: str) -> int:
    """Return a size of this process in bytes, as Linux tells it."""
    with open("/proc/self/status", "rb") as file:  # noqa: PTH123  # thousands of times a second
        content = file.read()
    start = content.index(name.encode() + b":") + len(name) + 1
    return int(content[start : content.index(b"kB", start)]) * 1024
