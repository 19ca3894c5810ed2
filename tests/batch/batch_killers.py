"""Scorers that stop or die in the middle of a file, for tests of what becomes of it."""

from __future__ import annotations

import os
import signal
import warnings
from pathlib import Path
from typing import Any

from textnn.batch import Scorer


class Killer(Scorer):
    """Kills its process at a text that says so: the first ``times`` times, counted by files beside ``marks``."""

    def __init__(self, path: Path, marks: Path, times: int, **options: Any) -> None:
        super().__init__(path, **options)
        self._marks, self._times = str(marks), times

    def __call__(self, batch: Any) -> Any:
        if "kill" in batch["text"].to_pylist():
            for number in range(self._times):
                try:
                    os.close(os.open(f"{self._marks}{number}", os.O_CREAT | os.O_EXCL))
                except FileExistsError:
                    continue
                os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(batch)


class Waiter(Scorer):
    """Makes a file ``mark`` plus the process's number, and waits for the end, at a text that says so."""

    def __init__(self, path: Path, mark: Path, **options: Any) -> None:
        super().__init__(path, **options)
        self._mark = str(mark)

    def __call__(self, batch: Any) -> Any:
        if "wait" in batch["text"].to_pylist():
            Path(f"{self._mark}{os.getpid()}").touch()
            while True:
                signal.pause()
        return super().__call__(batch)


class Warner(Scorer):
    """Warns of every table."""

    def __call__(self, batch: Any) -> Any:
        warnings.warn("a table came", stacklevel=1)
        return super().__call__(batch)
