"""What a command shows on a terminal while it works: how far it is, or that it is at work."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress(done: int, shown: bool, unit: str = "texts") -> Iterator[Callable[[int], None]]:
    """Show on a terminal how many texts are done, and how many a second; gives a function to call with their number."""
    if not shown or sys.stderr is None or not sys.stderr.isatty():
        yield lambda number: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    begun = time.monotonic()
    with Progress(*columns, console=Console(stderr=True), transient=True, refresh_per_second=5) as bar:
        task = bar.add_task(f"{done:,} {unit}", total=None)

        def show(number: int) -> None:
            rate = (number - done) / max(time.monotonic() - begun, 1e-9)
            bar.update(task, description=f"{number:,} {unit}, {rate:,.0f} {unit}/s")

        yield show


@contextmanager
def busy(what: str, quiet: bool) -> Iterator[None]:
    """Show on a terminal what a command is doing, and for how long."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True, refresh_per_second=5) as bar:
        bar.add_task(what, total=None)
        yield
