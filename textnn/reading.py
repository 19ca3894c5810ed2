"""Reading files that nobody vouches for: models, checkpoints, word lists, states of broken-off runs.

    path -> what is there? -> a regular file, opened once, its size known -> bytes, not more than expected
    bytes -> UTF-8 -> JSON without what JSON does not have, names twice, or nesting without end -> plain values
    anything from a file that goes into a message -> ``printable``

A pipe would keep its reader waiting, a device has no end, and a link leads elsewhere: what is no regular file is
refused before it is opened. Sizes are looked at before memory is asked for, on the descriptor that is then read.
"""

from __future__ import annotations

import json
import math
import os
import re
import stat
from typing import IO, Any

LONGEST_MESSAGE = 1000
"""Characters of a message that quotes a file, at most."""

DEEPEST = 64
"""How deep lists and objects of JSON may be nested."""

# What a terminal obeys, what turns the direction of a line around, what breaks it, and halves of surrogate pairs. Tabs
# and line breaks stay.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def open_regular(path: str | os.PathLike[str], directory: int | None = None, follow: bool = False) -> IO[bytes]:
    """Open a regular file for reading, without waiting for anything.

    Parameters
    ----------
    path
        The file.
    directory
        Descriptor of the directory that a relative path starts from; None is the working directory.
    follow
        Whether a symbolic link is followed; else it is refused.

    Raises
    ------
    ValueError
        If there is something else than a regular file.
    OSError
        If there is nothing, or it cannot be opened.
    """
    _check_regular(os.stat(path, dir_fd=directory, follow_symlinks=follow))
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)
    descriptor = os.open(path, flags, dir_fd=directory)
    try:
        # Something else may have been put there in between.
        _check_regular(os.fstat(descriptor))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(
    path: str | os.PathLike[str], largest: int, directory: int | None = None, follow: bool = False
) -> bytes:
    """Return the content of a regular file of ``largest`` bytes at most; otherwise as :func:`open_regular`.

    Raises
    ------
    ValueError
        If it is larger, or no regular file.
    OSError
        If it cannot be read.
    """
    with open_regular(path, directory, follow) as stream:
        size = os.fstat(stream.fileno()).st_size
        # A file may also grow while it is read.
        data = stream.read(largest + 1) if size <= largest else b""
    if max(size, len(data)) > largest:
        raise ValueError(f"expected at most {largest:,} bytes, got {max(size, len(data)):,}")
    return data


def parse_json(data: bytes | str, constants: bool = False) -> Any:
    """Return what JSON says.

    Python's reader takes more than the format has. Here a name may stand in an object only once, numbers are finite
    and of a sensible length, and lists and objects are nested 64 deep at most.

    Parameters
    ----------
    data
        UTF-8, or text.
    constants
        Whether ``Infinity``, ``-Infinity`` and ``NaN`` are taken, which Python writes though the format has none.

    Raises
    ------
    ValueError
        If it is something else.
    """

    def constant(name: str) -> float:
        if not constants:
            raise ValueError(f"a number that is none, {name}")
        return float(name)

    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
        value = json.loads(
            text, object_pairs_hook=_unique, parse_int=_integer, parse_float=_number, parse_constant=constant
        )
        _check_depth(value)
    except RecursionError:
        raise ValueError(f"expected JSON, got lists or objects nested more than {DEEPEST} deep") from None
    except ValueError as error:
        raise ValueError(f"expected JSON, got: {printable(str(error))}") from error
    return value


def printable(text: str, longest: int = LONGEST_MESSAGE) -> str:
    """Return text for a terminal or a log: characters that would control it as escapes, cut if it is too long."""
    if len(text) > longest:
        # The end often says what to do.
        head = longest * 2 // 3
        text = f"{text[:head]} [...] {text[len(text) - (longest - head) :]}"
    return escape_controls(text)


def escape_controls(text: str) -> str:
    """Return text with escapes in place of characters that a terminal obeys; line breaks and tabs stay."""
    if text.isprintable():
        return text
    return _UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def _check_regular(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = next((name for test, name in _KINDS if test(found.st_mode)), "something else")
        raise ValueError(f"expected a regular file, got {kind}")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        seen: set[str] = set()
        twice = next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"an object with {twice[:40]!r} more than once")
    return values


def _integer(digits: str) -> int:
    if len(digits) > 1000:
        raise ValueError(f"a number of {len(digits):,} digits")
    return int(digits)


def _number(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError(f"a number too large for a float, {digits[:40]}")
    return value


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(DEEPEST + 1):
        level = [
            part
            for item in level
            if isinstance(item, list | dict)
            for part in (item.values() if isinstance(item, dict) else item)
            if isinstance(part, list | dict)
        ]
        if not level:
            return
    raise ValueError(f"lists or objects nested more than {DEEPEST} deep")
