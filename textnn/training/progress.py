"""Progress of long work: tokenizing and training.

The trainer tells a reporter what happens; the reporter decides what is seen:

    trainer -> batch(loss, accuracy), epoch(record) -> nothing | a line an epoch | a bar with loss, accuracy, time left

Everything goes to standard error, so that results on standard output can be piped.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class Epoch:
    """What an epoch of training came to.

    Attributes
    ----------
    epoch
        Number from 1.
    loss, accuracy
        Means over the training batches as they were seen, with dropout and before each one's update; the second by
        the objective's measure, as is that of the validation part.
    validation_loss, validation_accuracy
        On the validation part after the epoch, the second by the objective's measure; None without one.
    seconds
        Time of the epoch with its validation.
    """

    epoch: int
    loss: float
    accuracy: float
    validation_loss: float | None
    validation_accuracy: float | None
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return the figures by name."""
        return asdict(self)

    def describe(self, epochs: int, measure: str = "accuracy", seen: str = "accuracy") -> str:
        """Return the figures as one line; ``measure`` and ``seen`` name those of validation and of training."""
        line = f"epoch {self.epoch}/{epochs}  loss {self.loss:.4f}  {seen} {self.accuracy:.4f}"
        if self.validation_loss is not None:
            line += f"  validation loss {self.validation_loss:.4f}  {measure} {self.validation_accuracy:.4f}"
        return f"{line}  {self.seconds:.1f} s"


class Reporter:
    """Reports nothing; the others derive from it.

    Attributes
    ----------
    trained_by
        The name of what is measured beside the loss while training.
    """

    trained_by: str = "accuracy"

    def note(self, message: str) -> None:
        """Tell something that is worth a line."""

    @contextmanager
    def tokenizing(self, texts: int) -> Iterator[Callable[[int], None] | None]:
        """Enclose the tokenizing of this many texts; gives a function to call with the number just done."""
        yield None

    @contextmanager
    def reading(self, name: str, size: int) -> Iterator[Callable[[int], None] | None]:
        """Enclose the reading of a file of this many bytes; gives a function to call with the number just done."""
        yield None

    @contextmanager
    def solving(self, outputs: int) -> Iterator[Callable[[], None]]:
        """Enclose the solution of a linear model of so many outputs; gives a function to call after each."""
        yield lambda: None

    @contextmanager
    def training(self, epochs: int, batches: int, done: int = 0) -> Iterator[None]:
        """Enclose a training of at most ``epochs`` with ``batches`` each, of which some may be done already."""
        yield

    def batch(self, loss: float, accuracy: float) -> None:
        """Take the means of the epoch so far, after a batch."""

    def epoch(self, record: Epoch, measure: str) -> None:
        """Take the figures of a finished epoch, and what the validation part was measured by."""


class LineReporter(Reporter):
    """Writes one plain line an epoch: for files and pipes."""

    def __init__(self) -> None:
        self.epochs = 0

    def note(self, message: str) -> None:
        """Write the message."""
        print(message, file=sys.stderr, flush=True)

    @contextmanager
    def training(self, epochs: int, batches: int, done: int = 0) -> Iterator[None]:
        """Remember the number of epochs for the lines."""
        self.epochs = epochs
        yield

    def epoch(self, record: Epoch, measure: str) -> None:
        """Write the epoch's figures."""
        self.note(record.describe(self.epochs, measure, self.trained_by))


class BarReporter(LineReporter):
    """Shows a bar with loss, accuracy and time left, and above it a line for each finished epoch."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console
        self._progress: Any = None
        self._task: Any = None

    def note(self, message: str) -> None:
        """Write the message above the bar."""
        self._console.print(message, highlight=False, markup=False)

    @contextmanager
    def tokenizing(self, texts: int) -> Iterator[Callable[[int], None] | None]:
        """Show how many texts are done."""
        with self._counting(f"tokenizing {texts:,} texts", texts) as count:
            yield count

    @contextmanager
    def reading(self, name: str, size: int) -> Iterator[Callable[[int], None] | None]:
        """Show how much is read."""
        from rich.markup import escape

        with self._counting(f"reading {escape(name)}", size) as count:
            yield count

    @contextmanager
    def solving(self, outputs: int) -> Iterator[Callable[[], None]]:
        """Show how many outputs are done."""
        with self._counting("solving the linear model", outputs) as count:
            yield lambda: count(1)

    @contextmanager
    def training(self, epochs: int, batches: int, done: int = 0) -> Iterator[None]:
        """Show the batches of all epochs as one bar."""
        self.epochs = epochs
        with self._bar(self._name(1 + done // batches), epochs * batches, done):
            yield

    def batch(self, loss: float, accuracy: float) -> None:
        """Move the bar."""
        self._progress.update(self._task, advance=1, figures=f"loss {loss:.4f}  {self.trained_by} {accuracy:.4f}")

    def epoch(self, record: Epoch, measure: str) -> None:
        """Write the epoch's line and name the next one."""
        super().epoch(record, measure)
        self._progress.update(self._task, description=self._name(record.epoch + 1))

    def _name(self, epoch: int) -> str:
        return f"epoch {min(epoch, self.epochs)}/{self.epochs}"

    @contextmanager
    def _counting(self, description: str, total: int) -> Iterator[Callable[[int], None]]:
        with self._bar(description, total):
            yield lambda count: self._progress.advance(self._task, count)

    @contextmanager
    def _bar(self, description: str, total: int, done: int = 0) -> Iterator[None]:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=28),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self._console, transient=True, refresh_per_second=5) as self._progress:
            self._task = self._progress.add_task(description, total=total, completed=done, figures="")
            yield


def make_reporter(verbose: int) -> Reporter:
    """Return the reporter for a verbosity: silent for 0, else a bar on a terminal and lines elsewhere."""
    if not verbose:
        return Reporter()
    from rich.console import Console

    console = Console(stderr=True)
    return BarReporter(console) if console.is_terminal else LineReporter()
