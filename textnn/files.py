"""Files and directories that appear complete or not at all.

    new name beside the target -> written -> flushed to the disk -> renamed to the target

A rename within a directory is the one step that no reader and no crash can see half done.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def new_sibling(target: Path) -> Path:
    """Make an empty hidden directory beside ``target``, with the permissions that the user's mask gives."""
    sibling = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
    sibling.mkdir()
    return sibling


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


@contextmanager
def atomic_text(target: str | os.PathLike[str]) -> Iterator[IO[str]]:
    """Open a UTF-8 file for writing that gets its name only when the block ends well.

    After an error, or Ctrl-C, there is no new file, and one that was there before is as it was. What is not a regular
    file (a device, a pipe) cannot be replaced and is written directly. Half a surrogate pair, which UTF-8 does not
    have, is written as an escape.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    path = Path(os.path.realpath(target))
    if path.exists() and not path.is_file():
        with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            yield file
        return
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        with temporary.open("x", encoding="utf-8", errors="backslashreplace", newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            temporary.chmod(path.stat().st_mode & 0o777)
        temporary.replace(path)
        sync_directory(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _swap(one: Path, other: Path) -> bool:
    """Exchange two names in one step (Linux: renameat2); False where that does not exist."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError, TypeError):
        return False
    return bool(rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0)
