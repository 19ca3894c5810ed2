"""An unfinished output file that outlives its process, so that another one can resume it.

    .out.csv.partial        the rows so far
    .out.csv.partial.json   how they are made (settings), and how many of them count: texts, bytes, checksum

    rows -> the partial file -> flushed to the disk -> state replaced in one step -> ... -> renamed to out.csv

The state never claims more than is on the disk: when a process resumes, it cuts off whatever follows the bytes that the
state names. One process at a time holds the partial file, by a lock that ends with the process.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import itertools
import json
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from _textnn_cli.common import RunError, note
from _textnn_cli.rows import Row, Sink

if TYPE_CHECKING:
    from textnn.text import Record

SECONDS = 1.0
"""How often what has been written is flushed to the disk, at most."""

_VERSION = 1
_LARGEST_STATE = 1 << 20  # bytes; it has some hundred


class ResumeError(ValueError):
    """The earlier run cannot be resumed; the message says why and what to do."""


@dataclass
class State:
    """What counts of a partial file.

    Attributes
    ----------
    texts, empty
        How many texts are done, and how many of these are empty.
    size
        Bytes of the partial file that hold their rows; 0 before there is a header.
    checksum
        Of these texts.
    """

    texts: int = 0
    empty: int = 0
    size: int = 0
    checksum: str = ""


class PartialFile(Sink):
    """A partial file that this process holds; :func:`open_partial` makes it.

    Attributes
    ----------
    state
        What is safe on the disk.
    """

    def __init__(self, target: Path, stream: IO[str], settings: dict[str, Any], state: State) -> None:
        super().__init__(stream)
        self.state = state
        self._target, self._settings = target, settings
        self._sum = hashlib.blake2b(digest_size=16)
        self._saved_at = 0.0

    def skip(self, records: Iterator[Record], source: str) -> None:
        """Read past the texts that are done.

        Raises
        ------
        ResumeError
            If they are not the same texts as before.
        """
        from textnn.text import CorpusError

        with suppress(CorpusError):
            for record in itertools.islice(records, self.state.texts):
                self._add(record.line, record.text)
        self.texts, self.empty = self.state.texts, self.state.empty
        if self.texts and self._sum.hexdigest() != self.state.checksum:
            raise ResumeError(
                f"--resume: the first {self.texts:,} texts of {source} are not those that {self._target} was started "
                "with; leave out --resume to start again"
            )

    def count(self, row: Row) -> None:
        """Count a row that was written."""
        super().count(row)
        self._add(row.line, row.text)

    def flush(self) -> None:
        """Make what was written and counted safe, unless that was done a moment ago."""
        if time.monotonic() < self._saved_at + SECONDS:
            return
        self._sync()
        size = os.fstat(self.stream.fileno()).st_size
        self.state = State(self.texts, self.empty, size, self._sum.hexdigest())
        _write_state(self._target, {"version": _VERSION, "settings": self._settings, **asdict(self.state)})
        self._saved_at = time.monotonic()

    def finish(self) -> None:
        """Give the file its name; what was there before is replaced in one step."""
        from textnn.files import sync_directory

        self._sync()
        rows = _rows_path(self._target)
        if self._target.exists():
            rows.chmod(self._target.stat().st_mode & 0o777)
        rows.replace(self._target)
        sync_directory(self._target.parent)
        _state_path(self._target).unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove what was written."""
        _rows_path(self._target).unlink(missing_ok=True)
        _state_path(self._target).unlink(missing_ok=True)

    def _add(self, line: int, text: str) -> None:
        self._sum.update(f"{line}\t{text}\n".encode("utf-8", "surrogatepass"))

    def _sync(self) -> None:
        self.stream.flush()
        os.fsync(self.stream.fileno())


@contextmanager
def open_partial(target: str, settings: dict[str, Any], resume: bool, quiet: bool) -> Iterator[PartialFile]:
    """Open the partial file of ``target``, new or, with ``resume``, as far as it got; finish it if the block ends well.

    After bad input there is no partial file; after any other error, or Ctrl-C, what is safe on the disk stays there for
    the next process, and standard error says how to resume.

    Parameters
    ----------
    target
        The file to make: one that exists is a regular file.
    settings
        All that the rows depend on, by the names that a user knows, as values of JSON.
    resume
        Whether to resume from what is there.
    quiet
        Whether to be silent about an earlier run that is not resumed.

    Raises
    ------
    ResumeError
        If what is there was made with other settings or is damaged.
    RunError
        If another process is at work on it.
    OSError
        If it cannot be written.
    """
    from textnn.text import CorpusError

    path = Path(os.path.realpath(target))
    settings = json.loads(json.dumps(settings))
    with _locked(path, target) as stream:
        left = _left_over(path, stream)
        if resume:
            state = _check_state(target, left, settings)
            if not state.texts:
                note(f"{target}: nothing to resume, starting with the first text", quiet)
        else:
            state = State()
            if left is not None:
                count = left.get("texts")
                done = f" after {count:,} texts" if isinstance(count, int) else ""
                note(
                    f"{target}: an earlier run was interrupted{done}; starting again (--resume would continue it)",
                    quiet,
                )
        if not state.texts:
            _state_path(path).unlink(missing_ok=True)
        stream.truncate(state.size)
        stream.seek(0, os.SEEK_END)
        partial = PartialFile(path, stream, settings, state)
        try:
            yield partial
            partial.finish()
        except ResumeError:
            raise
        except BaseException as error:
            if isinstance(error, CorpusError) or not partial.state.texts:
                partial.discard()
            else:
                note(
                    f"{target}: {partial.state.texts:,} texts are done; run the same command with --resume to continue"
                )
            raise


def _rows_path(target: Path) -> Path:
    return target.with_name(f".{target.name}.partial")


def _state_path(target: Path) -> Path:
    return target.with_name(f".{target.name}.partial.json")


@contextmanager
def _locked(target: Path, name: str) -> Iterator[IO[str]]:
    """Open the partial file for reading and writing as it is, or make it, and hold it against other processes."""
    path = _rows_path(target)
    other = f"{name}: cannot be written: expected a regular file at {path}, got something else"
    try:
        number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR):
            raise RunError(other) from None
        raise
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise RunError(other)
    with open(number, "r+", encoding="utf-8", errors="backslashreplace", newline="") as stream:  # noqa: PTH123  # a descriptor has no path
        busy = f"{name}: another process is writing it"
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(busy) from None
        except OSError:
            pass  # a file system without locks
        # Another process may just have finished: then this is its output under its own name.
        if not path.exists() or not os.path.samestat(os.fstat(number), path.stat()):
            raise RunError(busy)
        yield stream


def _left_over(target: Path, stream: IO[str]) -> dict[str, Any] | None:
    """Return the state that an earlier process left, {} if it is damaged, None if there is none."""
    from textnn.reading import parse_json, read_regular

    size = os.fstat(stream.fileno()).st_size
    try:
        state = parse_json(read_regular(_state_path(target), _LARGEST_STATE))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {}
    if not size:
        return None  # finished, but for the removal of the state
    known = isinstance(state, dict) and state.get("version") == _VERSION and isinstance(state.get("settings"), dict)
    if not known or any(type(state.get(field.name)) is not type(field.default) for field in fields(State)):
        return {}
    return state if 0 <= state["size"] <= size and 0 <= state["empty"] <= state["texts"] else {}


def _check_state(target: str, left: dict[str, Any] | None, settings: dict[str, Any]) -> State:
    if left is None:
        return State()
    if not left:
        raise ResumeError(f"--resume: the partial output of {target} is damaged; leave out --resume to start again")
    if not left["texts"]:
        return State()
    from textnn.reading import printable

    before = left["settings"]
    others = [
        f"{name} was {_show(before.get(name))} and is {_show(settings.get(name))} now"
        for name in {**before, **settings}
        if before.get(name) != settings.get(name)
    ]
    if others:
        raise ResumeError(
            f"--resume: {target} was started with other settings: {printable('; '.join(others))}. "
            "Use the same settings, or leave out --resume to start again"
        )
    return State(**{field.name: left[field.name] for field in fields(State)})


def _show(value: Any) -> str:
    shown = "not given" if value is None else json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."


def _write_state(target: Path, values: dict[str, Any]) -> None:
    path = _state_path(target)
    # The lock makes this process the only one here: the name can be the same each time, and nothing is left behind.
    new = path.with_name(f"{path.name}.new")
    # A process may have been killed here and left it; or somebody put a link there, which must not be followed.
    new.unlink(missing_ok=True)
    with new.open("x", encoding="utf-8", errors="backslashreplace") as file:
        json.dump(values, file, ensure_ascii=False, indent=1)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
