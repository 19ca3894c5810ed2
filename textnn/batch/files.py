"""One Parquet file scored into another, which appears complete or not at all, and which files are done already.

    input -> batches of so many bytes -> ``Scorer`` -> row groups -> a hidden file beside the output -> its name

An output's metadata says what it was made of: the model, the arguments, and the input, by its size and its footer. A
file that says the same is not made again; one that says something else is an error, and never overwritten.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from textnn.batch.scorer import Scorer
from textnn.files import atomic_bytes
from textnn.reading import printable

SUFFIX = ".parquet"
MADE_OF = b"textnn.made_of"
"""The key in an output's metadata."""

_READ = 1 << 24  # bytes of a batch, about
_ROWS = 1 << 14  # of a batch at most
_GROUP = 1 << 26  # bytes of a row group that is written, about
_GROUP_ROWS = 1 << 17
_BUFFER = 1 << 20  # bytes that are read of a column at a time

Show = Callable[[int], object]
"""Called with a number of rows that were scored."""


class FileError(ValueError):
    """A Parquet file is damaged, or is not the expected one; the message names it."""


class AccessError(OSError):
    """A file cannot be read or written; the message names it."""


@dataclass(frozen=True)
class Job:
    """A file to score.

    Attributes
    ----------
    source, target
        The input and the output.
    made_of
        JSON of what the output follows from.
    """

    source: str
    target: str
    made_of: str


@contextmanager
def reading(path: str, options: Mapping[str, str] | None = None) -> Iterator[None]:
    """Name the file in the errors of a block that reads it, and what is wrong with its content.

    Parameters
    ----------
    path
        The file.
    options
        What users of a command call arguments of :class:`Scorer` in these errors.

    Raises
    ------
    FileError
        In place of Arrow's own error, and of those about its columns.
    AccessError
        In place of an OSError.
    """
    try:
        yield
    except FileError:
        raise
    except (pa.ArrowException, ValueError) as error:
        argument, colon, rest = _first_line(error).partition(":")
        message = f"{(options or {}).get(argument, argument)}{colon}{rest}"
        raise FileError(printable(f"{path}: {message}")) from error
    except OSError as error:
        if error.errno is None:  # Arrow raises it for damaged content, too
            raise FileError(printable(f"{path}: cannot be read as Parquet: {_first_line(error)}")) from error
        raise AccessError(printable(f"{path}: cannot be read: {os.strerror(error.errno)}")) from error


@contextmanager
def _writing(path: str) -> Iterator[None]:
    """Raise an AccessError that names the file in place of an OSError of a block that writes it."""
    try:
        yield
    except AccessError:
        raise
    except OSError as error:
        reason = _first_line(error) if error.errno is None else os.strerror(error.errno)
        raise AccessError(printable(f"{path}: cannot be written: {reason}")) from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def opened(path: str) -> pq.ParquetFile:
    """Open a Parquet file to be read piece by piece; pre-buffered row groups would be held until it is closed."""
    return pq.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False)


def find_files(folder: str) -> list[str]:
    """Return the Parquet files of a folder and those below, relative to it, sorted; no hidden ones, nor _metadata.

    Raises
    ------
    FileError
        If there are none.
    """
    paths = (path for path in Path(folder).rglob("*") if path.suffix.lower() == SUFFIX and path.is_file())
    names = (path.relative_to(folder) for path in paths)
    found = [str(name) for name in names if not any(part.startswith((".", "_")) for part in name.parts)]
    if not found:
        raise FileError(printable(f"{folder}: expected files with names in {SUFFIX}, got none"))
    return sorted(found)


def plan(
    scorer: Scorer, source: str, target: str, arguments: dict[str, Any], options: Mapping[str, str] | None = None
) -> tuple[Job, bool, int]:
    """Return the job of a file, whether it is done already, and the rows of the input.

    Parameters
    ----------
    scorer
        The model as a function.
    source, target
        The input and the output.
    arguments
        What else the output follows from than the model and the input, as values of JSON by the names that a user
        knows.
    options
        See :func:`reading`.

    Raises
    ------
    FileError
        If the input cannot be scored, or the output is there and is made of something else.
    AccessError
        If the input cannot be read.
    """
    scorer.load()
    with reading(source, options):
        with opened(source) as file:
            scorer.schema(file.schema_arrow)
            rows = file.metadata.num_rows
        with Path(source).open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(-8, os.SEEK_END)
            footer = int.from_bytes(stream.read(4), "little")
            stream.seek(-8 - footer, os.SEEK_END)
            digest = hashlib.blake2b(stream.read(footer), digest_size=16).hexdigest()
    made_of = {
        "the model": scorer.identity.checksum,
        **arguments,
        "the size of the input": size,
        "the footer of the input": digest,
    }
    job = Job(source, target, json.dumps(made_of))
    if not os.path.lexists(target):
        return job, False, rows
    found = _made_of(target)
    if differences := [
        f"{name} was {found.get(name)!r} and is {made_of.get(name)!r} now"
        for name in {**found, **made_of}
        if found.get(name) != made_of.get(name)
    ]:
        what = (
            f"is there, made otherwise: {'; '.join(differences)}"
            if found
            else "is there, and no file that this command wrote"
        )
        raise FileError(printable(f"{target}: {what}. Remove it, or write to another place"))
    return job, True, rows


def _made_of(path: str) -> dict[str, Any]:
    """Return what an output says it is made of, {} if it is none of ours."""
    try:
        metadata = pq.read_schema(path).metadata or {}
        found = json.loads(metadata.get(MADE_OF, b"{}"))
    except (pa.ArrowException, OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def score_file(scorer: Scorer, job: Job, show: Show) -> int:
    """Score a file; return its number of rows.

    Parameters
    ----------
    scorer
        The model as a function.
    job
        Which file.
    show
        Called on the way.

    Raises
    ------
    FileError
        If the input is damaged or does not fit.
    AccessError
        If one cannot be read or written.
    """
    rows = 0
    scorer.load()
    with reading(job.source):
        file = opened(job.source)
    with file:
        with reading(job.source):
            schema = scorer.schema(file.schema_arrow)
        schema = schema.with_metadata({**schema.metadata, MADE_OF: job.made_of.encode()})
        with _writing(job.target), atomic_bytes(job.target) as stream, pq.ParquetWriter(stream, schema) as writer:
            group: list[pa.RecordBatch] = []
            for batch in _scored(scorer, job.source, file):
                group.append(batch)
                rows += len(batch)
                show(len(batch))
                if sum(map(len, group)) >= _GROUP_ROWS or sum(each.nbytes for each in group) >= _GROUP:
                    writer.write_table(pa.Table.from_batches(group))
                    group.clear()
            if group:
                writer.write_table(pa.Table.from_batches(group))
    return rows


def _scored(scorer: Scorer, path: str, file: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
    with reading(path):
        for batch in file.iter_batches(batch_size=_rows_at_once(file.metadata)):
            yield scorer(batch)


def _rows_at_once(metadata: pq.FileMetaData) -> int:
    """Return how many rows are read at a time, by the bytes that a row has in the mean of its row group, at most."""
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    a_row = max((group.total_byte_size // max(group.num_rows, 1) for group in groups), default=0)
    return max(1, min(_ROWS, _READ // max(a_row, 1)))


def remove_left(job: Job) -> None:
    """Remove what a process that was killed has left beside a job's output; nobody may be writing it."""
    target = Path(job.target)
    for left in target.parent.glob(f".{glob.escape(target.name)}.{'[0-9a-f]' * 12}.tmp"):
        left.unlink(missing_ok=True)
