"""Trainings that are certain to be killed in the middle: behind some state they stop and wait for it.

stop_behind(states, reached)             from now on, in this process
python kills.py STATES REACHED train ... ``textnn train ...`` in one that does so
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

from textnn.training.checkpoint import Checkpoint

MORE = 2
"""States that are still written meanwhile, so that a kill finds a training at work."""


def stop_behind(states: int, reached: Path) -> None:
    """Make the file as soon as so many states are written, write some more, and wait for the end."""
    write, written = Checkpoint.write, 0

    def counted(self: Checkpoint, *arguments: Any, **options: Any) -> None:
        nonlocal written
        write(self, *arguments, **options)
        written += 1
        if written == states:
            reached.touch()
        while written >= states + MORE:
            signal.pause()

    Checkpoint.write = counted  # type: ignore[method-assign]


if __name__ == "__main__":
    from _textnn_cli import main

    stop_behind(int(sys.argv[1]), Path(sys.argv[2]))
    del sys.argv[1:3]
    main()
