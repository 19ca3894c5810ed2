"""What every part gets and what it gives back."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

from tools.gpu_check.machine import Machine
from tools.gpu_check.rows import Row
from tools.gpu_check.running import Finished

PASSED, FAILED, CUT, NOT_RUN = "passed", "failed", "cut short", "not run"


@dataclass(frozen=True)
class Setting:
    """Where the check runs. On the device "cpu" it only tries itself out, on tiny sizes."""

    machine: Machine
    device: str
    folder: Path  # for what programs leave behind while they run

    @property
    def cores(self) -> int:
        return self.machine.cores

    def python(self, *arguments: object) -> list[str]:
        """Return the call of a Python program of this repository."""
        return [sys.executable, *map(str, arguments)]


@dataclass(frozen=True)
class Outcome:
    """The state of a part, a sentence about it, and what it found."""

    state: str
    sentence: str
    rows: list[Row] = field(default_factory=list)


def ending(finished: Finished) -> str:
    """Say how a program ended that did not succeed."""
    return "ended by its time limit" if finished.code is None else f"{finished.end} (exit code {finished.code})"


# Threads that spin while they wait would take the cores from the programs beside them.
QUIET = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
