"""``textnn predict`` of Parquet: a file, or a folder of files, scored into files with the same names.

    FILE -> jobs: those outputs that are not there yet -> an engine -> progress, and how many files are done

An output file is there when it is complete, and it says in its metadata what it was made of. The same command after an
interruption makes the others; another model or other arguments are an error.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from _textnn_cli.common import RunError, note, write_errors
from _textnn_cli.progress import progress

if TYPE_CHECKING:
    from textnn.batch.files import Job

SUFFIX, MAGIC = ".parquet", b"PAR1"
LOCAL, RAY = ENGINES = ("local", "ray")
OPTIONS = {"text": "--text-column", "prefix": "--prefix", "tokenizer": "--tokenizer", "frozen": "--frozen"}


def is_parquet(file: str | None) -> bool:
    """Whether FILE is a folder, or a Parquet file by its name or its first bytes."""
    if file in (None, "-"):
        return False
    path = Path(str(file))
    if path.is_dir() or path.suffix.lower() == SUFFIX:
        return True
    if not path.is_file():
        return False
    try:
        with path.open("rb") as stream:
            return stream.read(len(MAGIC)) == MAGIC
    except OSError:
        return False  # its reader says what is wrong with it


def refuse(parquet: bool, file: str | None, given: dict[str, bool]) -> None:
    """Refuse options that are not of this kind of FILE.

    Raises
    ------
    typer.BadParameter
        If one is given.
    """
    for option, is_given in given.items():
        if is_given:
            expected = "a file of text" if parquet else "a Parquet file, or a folder of them"
            raise typer.BadParameter(f"it is for {expected}, got {file or '--text'}", param_hint=option)


def predict_parquet(
    model: str,
    file: str,
    output: str | None,
    *,
    engine: str | None,
    workers: int | None,
    threads: int | None,
    quiet: bool,
    text_column: str | None,
    probabilities: bool,
    prefix: str,
    tokenizer: str | None,
    frozen: bool,
    dtype: str | None,
) -> None:
    """Score Parquet files; the arguments are the options of ``textnn predict``.

    Raises
    ------
    ValueError, RunError, typer.BadParameter
        If something is not as expected.
    """
    engine = engine or LOCAL
    if engine not in ENGINES:
        raise typer.BadParameter(f"expected {' or '.join(ENGINES)}, got {engine!r}", param_hint="--engine")
    if output in (None, "-"):
        raise typer.BadParameter("Parquet is written to a file or a folder: give its name", param_hint="--output")
    from textnn import packages

    try:
        packages.need(packages.BATCH, "Parquet files need")
        if engine == RAY:
            packages.need(packages.RAY, "--engine ray needs")
    except ImportError as error:
        raise RunError(str(error)) from None
    from _textnn_cli.checks import option_errors
    from textnn.batch import Scorer, files, local
    from textnn.circumstances import usable_cpus

    pairs = _pairs(file, str(output), files.find_files)
    column = _find_column(pairs[0][0], text_column)
    with option_errors(**OPTIONS):
        scorer = Scorer(
            model,
            column,
            probabilities=probabilities,
            prefix=prefix,
            tokenizer=tokenizer,
            frozen=dtype or frozen,
            threads=threads,
        )
    note(f"{file}: {_files(len(pairs))}, text in column {column!r}", quiet)
    arguments = {
        "--text-column": column,
        "--probabilities": probabilities,
        "--prefix": prefix,
        "--frozen": frozen,
        "--dtype": dtype,
        "--tokenizer": tokenizer,
    }
    with _held(file, str(output)):
        planned = [files.plan(scorer, source, target, arguments, OPTIONS) for source, target in pairs]
        jobs = [job for job, done, _ in planned if not done]
        ready = len(planned) - len(jobs)
        if ready:
            note(f"{output}: {ready:,} of {_files(len(planned))} there already", quiet)
        if Path(file).is_dir():
            for job in jobs:
                Path(job.target).parent.mkdir(parents=True, exist_ok=True)
                files.remove_left(job)
        rows, complete = 0, ready

        def done(job: Job, count: int) -> None:
            nonlocal complete
            complete += 1

        try:
            with progress(0, not quiet, "rows") as shown:

                def show(count: int) -> None:
                    nonlocal rows
                    rows += count
                    shown(rows)

                if engine == RAY and jobs:
                    from textnn.batch import cluster

                    cluster.run(scorer, jobs, workers, threads or 1, show, done)
                elif jobs:
                    workers = min(workers or usable_cpus(), len(jobs))
                    scorer.threads = threads or max(1, usable_cpus() // workers)
                    local.run(scorer, jobs, workers, show, done, lambda message: note(f"warning: {message}"))
        except BaseException:
            if len(planned) > 1:
                note(f"{output}: {complete:,} of {_files(len(planned))} done; the same command makes the others")
            raise
    note(f"{output}: {sum(rows for _, _, rows in planned):,} rows in {_files(len(planned))}", quiet)


def _files(count: int) -> str:
    return f"{count:,} file{'' if count == 1 else 's'}"


def _pairs(file: str, output: str, find: Callable[[str], Sequence[str]]) -> list[tuple[str, str]]:
    """Return each input with its output.

    Raises
    ------
    ValueError
        If FILE and --output do not go together.
    """
    source, target = Path(file), Path(output)
    if not source.is_dir():
        if target.is_dir():
            raise ValueError(f"--output: expected the name of a file, as FILE is one, got the folder {output}")
        if target.suffix.lower() != SUFFIX:
            raise ValueError(f"--output: expected a name in {SUFFIX}, as FILE is Parquet, got {output}")
        return [(file, output)]
    if target.exists() and not target.is_dir():
        raise ValueError(f"--output: expected a folder, as FILE is one, got the file {output}")
    inner, outer = source.resolve(), target.resolve()
    if inner in (outer, *outer.parents) or outer in inner.parents:
        raise ValueError(f"--output: expected a folder beside FILE, got {output}, which is FILE, in it or around it")
    return [(str(source / name), str(target / name)) for name in find(file)]


def _find_column(file: str, asked: str | None) -> str:
    """Return the column of the texts, by its name, its number from 0, or the usual names.

    Raises
    ------
    ValueError
        If it cannot be told.
    """
    from textnn.batch.files import opened, reading
    from textnn.text.layout import TEXT_NAMES, fold, is_number

    with reading(file), opened(file) as stream:
        names = stream.schema_arrow.names
    if asked is not None:
        by_number = asked not in names and is_number(asked) and int(asked) < len(names)
        return names[int(asked)] if by_number else asked
    folded = [fold(name) for name in names]
    found = next((names[folded.index(fold(name))] for name in TEXT_NAMES if fold(name) in folded), None)
    if found is None:
        shown = ", ".join(repr(name[:40]) for name in names[:50])
        raise ValueError(
            f"{file}: cannot tell which column holds the text; give its name (option --text-column); the columns are: "
            f"{shown}"
        )
    return found


@contextmanager
def _held(file: str, output: str) -> Iterator[None]:
    """Hold a folder of outputs against other processes of this command; a lock that ends with the process.

    Raises
    ------
    RunError
        If it cannot be made, or another process is writing there.
    """
    if not Path(file).is_dir():
        yield
        return
    with write_errors(output):
        Path(output).mkdir(parents=True, exist_ok=True)
        descriptor = os.open(output, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(f"{output}: another process is writing there") from None
        except OSError:
            pass  # a file system without locks
        yield
    finally:
        os.close(descriptor)
