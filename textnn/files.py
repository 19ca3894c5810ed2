"""Files and directories that appear complete or not at all.

    new name beside the target -> written -> flushed to the disk -> renamed to the target
                                                                 -> of a directory that was there: our files removed

A rename within a directory is the one step that no reader and no crash can see half done. What a directory holds beside
our files is somebody's, and is never removed.

A mount point, such as a container's volume, cannot be renamed, nor a directory in one that cannot be written to. There
the one step is a rename within the directory, and what follows it can be repeated:

    .textnn-new -> written, flushed -> renamed to .textnn-ready: from here on these files are the content
                -> a link or copy of each takes its place -> old files removed -> .textnn-ready removed

A process that is killed before that rename leaves the old files, one that is killed behind it leaves the new ones whole
in ``.textnn-ready``: readers look there if they find a mixture, and who writes next finishes first.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import os
import re
import secrets
import shutil
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from textnn.circumstances import warn

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2

_DESCRIPTOR = re.compile(r"/dev/(stdin|stdout|stderr)|/dev/fd/([0-9]+)|/proc/self/fd/([0-9]+)")

BYTECODE = "__pycache__"
"""The directory that Python makes beside a script that is imported."""


_NEW, READY, _MOVED, CHECKPOINT = INTERIM = (".textnn-new", ".textnn-ready", ".textnn-moved", ".textnn-checkpoint")
"""What may stand in a directory that cannot be renamed: files that are being written; whole ones, whose links or copies
take the places of the old ones; these; the state of a training."""

_SYSTEM = "lost+found"  # what some file systems have at their root


def must_stay(directory: Path) -> bool:
    """Whether a directory is there and cannot be renamed: a mount point, or in a directory that cannot be written."""
    if not directory.is_dir():
        return False
    return _is_mounted(directory) or not os.access(directory.parent, os.W_OK)


def _is_mounted(directory: Path) -> bool:
    if os.path.ismount(directory):
        return True
    try:  # a directory of the same file system that is mounted here, too
        mounts = Path("/proc/self/mountinfo").read_bytes().splitlines()
    except OSError:
        return False
    points = {re.sub(rb"\\([0-7]{3})", lambda code: bytes([int(code[1], 8)]), line.split()[4]) for line in mounts}
    return os.fsencode(os.path.realpath(directory)) in points


def new_sibling(target: Path) -> Path:
    """Make an empty hidden directory beside ``target``, with the permissions that the user's mask gives."""
    sibling = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
    sibling.mkdir()
    return sibling


@contextmanager
def replacing(target: Path, names: Collection[str]) -> Iterator[Path]:
    """Fill a new directory, which takes the place of ``target`` when the block ends well.

    Of a directory that it replaces all is removed if there is nothing in it but files of ``names``. Anything else came
    after the caller had looked: the directory is then kept beside the target, and a warning says where.

    Parameters
    ----------
    target
        The directory, links resolved; it need not be there.
    names
        See :func:`foreign_names`.

    Yields
    ------
    Path
        An empty directory beside the target.

    Raises
    ------
    OSError
        If it cannot be done; ``target`` is then as it was.
    """
    if must_stay(target):
        with _replacing_files(target, names) as new:
            yield new
        return
    new = new_sibling(target)
    made = new.stat()
    try:
        yield new
        exchange(new, target)
    finally:
        # The half-written one after an error, the replaced one otherwise, or nothing.
        if os.path.lexists(new):
            if os.path.samestat(new.lstat(), made):
                shutil.rmtree(new, ignore_errors=True)
            else:
                _remove_replaced(new, target, names)


@contextmanager
def _replacing_files(target: Path, names: Collection[str]) -> Iterator[Path]:
    """Fill a new directory within ``target``, whose files take the places of those of ``names`` when the block ends."""
    finish_replacing(target, names)
    new = target / _NEW
    shutil.rmtree(new, ignore_errors=True)
    try:
        new.mkdir()
        yield new
        _stage(new, target)  # what takes memory on the disk comes before the one step
        sync_directory(new)
        new.rename(target / READY)
    except BaseException:
        for left in (new, target / _MOVED):
            shutil.rmtree(left, ignore_errors=True)
        raise
    sync_directory(target)
    _move_staged(target, names)


def finish_replacing(target: Path, names: Collection[str]) -> None:
    """Finish what a process was killed at when files took the places of others in a directory that cannot be renamed.

    Parameters
    ----------
    target
        The directory.
    names
        See :func:`foreign_names`.

    Raises
    ------
    OSError
        If it cannot be written; readers find the new files in it as before.
    """
    if (target / READY).is_dir():
        _stage(target / READY, target)
        _move_staged(target, names)


def _stage(source: Path, target: Path) -> None:
    """Make a link to each file of ``source``, or a copy where there are no links, to be moved to its place."""
    moved = target / _MOVED
    shutil.rmtree(moved, ignore_errors=True)
    moved.mkdir()
    for file in source.iterdir():
        try:
            os.link(file, moved / file.name)
        except OSError:
            shutil.copy2(file, moved / file.name)
            sync_file(moved / file.name)


def _move_staged(target: Path, names: Collection[str]) -> None:
    ready, moved = target / READY, target / _MOVED
    # In the order in which they were written: a list of sums, which comes last, tells readers of a mixture.
    made = [entry.name for entry in sorted(ready.iterdir(), key=lambda entry: entry.stat().st_mtime_ns)]
    for name in made:
        (moved / name).replace(target / name)
    for entry in list(target.iterdir()):
        if entry.name in names and entry.name not in made and not entry.is_dir():
            entry.unlink()
    sync_directory(target)
    shutil.rmtree(moved)  # a link to the file that it was to replace is still there
    ready.rename(moved)  # while it has its name it is whole
    shutil.rmtree(moved, ignore_errors=True)


def foreign_names(directory: Path, names: Collection[str]) -> list[str]:
    """Return what stands in a directory and is none of our files, sorted.

    Parameters
    ----------
    directory
        Where to look.
    names
        Of our files. Where ``__pycache__`` is one of them, it may hold what Python makes of our scripts.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    own = {*INTERIM, _SYSTEM} if must_stay(directory) else set()
    return sorted(entry.name for entry in directory.iterdir() if entry.name not in own and not _is_ours(entry, names))


def exchange(new: Path, target: Path) -> None:
    """Put the directory ``new`` in place of ``target``; what was there before, if anything, is then at ``new``.

    Raises
    ------
    OSError
        If it cannot be done; ``target`` is then as it was.
    """
    if not target.exists():
        new.rename(target)
    elif not _swap(new, target):
        # Where the system cannot swap two names there is a moment without the target.
        aside = target.with_name(f"{new.name}.old")
        target.rename(aside)
        try:
            new.rename(target)
        except BaseException:
            aside.rename(target)
            raise
        aside.rename(new)
    sync_directory(target.parent)


def sync_file(path: Path) -> None:
    """Flush a file's content to the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_directory(path: Path) -> None:
    """Flush a directory's names to the disk, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def descriptor_of(path: str | os.PathLike[str]) -> int | None:
    """Return the descriptor of this process that a path such as ``/dev/stdout`` stands for, None for others."""
    found = _DESCRIPTOR.fullmatch(os.fspath(path))
    if found is None:
        return None
    name, *numbers = found.groups()
    return ("stdin", "stdout", "stderr").index(name) if name else int(numbers[0] or numbers[1])


def is_replaceable(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a regular file, or nothing yet: it can appear in one step. Pipes and devices cannot."""
    return descriptor_of(path) is None and (Path(path).is_file() or not Path(path).exists())


@contextmanager
def atomic_bytes(target: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a file for writing that gets its name only when the block ends well.

    After an error, or Ctrl-C, there is no new file, and one that was there before is as it was. The new one has the
    permissions of the one that it replaces, before anything is in it. What is not a regular file (a device, a pipe, an
    open descriptor such as /dev/stdout) cannot be replaced and is written directly.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    if not is_replaceable(target):
        descriptor = descriptor_of(target)
        with open(target if descriptor is None else os.dup(descriptor), "wb") as file:  # noqa: PTH123  # not a path only
            yield file
        return
    path = Path(os.path.realpath(target))
    mode = stat.S_IMODE(path.stat().st_mode) & 0o777 if path.exists() else None
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")

    def create(name: str, flags: int) -> int:
        return os.open(name, flags, 0o666 if mode is None else mode)

    try:
        with open(temporary, "xb", opener=create) as file:
            if mode is not None:
                os.fchmod(file.fileno(), mode)  # the user's mask may have taken some
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_directory(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_text(target: str | os.PathLike[str]) -> Iterator[IO[str]]:
    """Open a UTF-8 file as :func:`atomic_bytes` does. Half a surrogate pair, which UTF-8 does not have, is an escape.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    with atomic_bytes(target) as file:
        text = io.TextIOWrapper(
            file, encoding="utf-8", errors="backslashreplace", newline="", line_buffering=file.isatty()
        )
        try:
            yield text
        finally:
            text.detach()  # writes what is left


def _is_ours(entry: Path, names: Collection[str]) -> bool:
    if entry.name not in names or entry.is_symlink() or not entry.is_dir():
        return entry.name in names
    scripts = {Path(name).stem for name in names if name.endswith(".py")}
    return entry.name == BYTECODE and all(
        part.suffix == ".pyc" and part.name.split(".")[0] in scripts and not part.is_dir() for part in entry.iterdir()
    )


def _remove_replaced(old: Path, target: Path, names: Collection[str]) -> None:
    """Remove a directory that was replaced; if something else is in it, keep it under a name that can be seen."""
    with contextlib.suppress(OSError):
        if not foreign_names(old, names):
            for entry in old.iterdir():
                if entry.is_dir() and not entry.is_symlink():
                    for part in entry.iterdir():
                        part.unlink()
                    entry.rmdir()
                else:
                    entry.unlink()
            # Refused if a file has come meanwhile.
            old.rmdir()
            return
    kept = target.with_name(f"{target.name}.replaced-{secrets.token_hex(3)}")
    try:
        old.rename(kept)
    except OSError:
        kept = old
    warn(
        f"{target}: what was there before is kept as {kept}, as it holds what textnn did not write or cannot remove",
    )


def _swap(one: Path, other: Path) -> bool:
    """Exchange two names in one step (Linux: renameat2); False where that does not exist."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError, TypeError):
        return False
    return bool(rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0)
