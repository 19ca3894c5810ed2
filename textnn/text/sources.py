"""Lines of text from files and streams of unknown encoding.

Readers of corpora want lines, with their numbers, in constant memory, and an error that names the line where the text
stops being text. The data flows:

    path, "-" or stream -> bytes -> encoding found in a sample -> decoder that marks bad bytes -> lines -> checked lines

Bad bytes are decoded to marks (Python's "surrogateescape") instead of raising at once: a decoder works on blocks and
would complain thousands of lines early, the mark sits where the byte was.
"""

from __future__ import annotations

import codecs
import io
import os
import re
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from textnn.reading import printable

Source = str | os.PathLike[str] | IO[Any]
"""A path, "-" for standard input, or an open stream of bytes or text."""

SAMPLE_SIZE = 1 << 16
LONGEST_LINE = 1 << 25
"""Characters in a line at most. A file without line breaks would else be read into memory whole."""

# GB18030 text happens to be valid UTF-8 for a few characters, never for many: after these, a bad byte is damage.
_CERTAIN = 8
_BAD_BYTE = re.compile("[\udc80-\udcff]")
_FOREIGN = (
    (b"\xff\xfe", "UTF-16 (name it with encoding='utf-16')"),
    (b"\xfe\xff", "UTF-16 (name it with encoding='utf-16')"),
    (b"PK\x03\x04", "a ZIP archive (unpack it first)"),
    (b"\x1f\x8b", "a gzip archive (unpack it first)"),
)


class CorpusError(ValueError):
    """A corpus that cannot be read: the message is "FILE, line N: expected ..., got ..."."""


@dataclass(frozen=True)
class Lines:
    """The lines of a source, each with its line ending, and what is known about it.

    Attributes
    ----------
    name
        The file's path as given, or a name for the stream; error messages start with it.
    suffix
        Of the file's name, lower case, with its dot; empty for a stream.
    encoding
        The encoding that the lines are read with.
    """

    name: str
    suffix: str
    encoding: str
    iterator: Iterator[str]

    def __iter__(self) -> Iterator[str]:
        return self.iterator

    def error(self, line: int, message: str) -> CorpusError:
        """Make the error for a line, counted from 1; what the message quotes of the file is cut and made printable."""
        return CorpusError(f"{self.name}, line {line}: {printable(message)}")


@contextmanager
def open_lines(source: Source, encoding: str | None = None) -> Iterator[Lines]:
    """Open a source for reading its lines once.

    Parameters
    ----------
    source
        A path, ``"-"`` for standard input, or a stream of bytes or text; a stream is left open.
    encoding
        Any text encoding of Python. None finds UTF-8 or GB18030 by strict decoding: the first part of the source that
        has other characters than ASCII decides. A byte order mark at the start is dropped.

    Raises
    ------
    CorpusError
        If there is no such file, it cannot be read or is evidently something else than text; while its lines are read,
        if there are none, or a byte does not fit the encoding or is NUL.
    ValueError
        If the encoding is unknown.
    """
    if encoding is not None:
        try:
            # _is_text_encoding is what open() itself asks; "hex" and the like are codecs but not of text.
            known = cast(Any, codecs.lookup(encoding))._is_text_encoding
        except (LookupError, ValueError):
            known = False
        if not known:
            raise ValueError(f"encoding: expected a text encoding such as 'utf-8' or 'gb18030', got {encoding!r}")
    if isinstance(source, str | os.PathLike) and str(source) != "-":
        name = os.fspath(source)
        with _open_file(name) as file:
            yield _byte_lines(file, name, Path(name).suffix.lower(), encoding)
        return
    stream: Any = sys.stdin if isinstance(source, str | os.PathLike) else source
    if not hasattr(stream, "read"):
        raise TypeError(f"path: expected a path, '-' or an open stream, got {type(stream).__name__}")
    name = "standard input" if stream is sys.stdin else str(getattr(stream, "name", "stream"))
    binary = getattr(stream, "buffer", stream)
    if isinstance(binary, io.TextIOBase):
        yield _checked(cast(IO[str], binary), name, "", "decoded", None)
    else:
        yield _byte_lines(binary, name, "", encoding)


def _open_file(name: str) -> IO[bytes]:
    path = Path(name)
    if path.is_dir():
        raise CorpusError(f"{name}: expected a file, got a directory")
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise CorpusError(f"{name}: expected a file, but there is none of this name") from None
    except (OSError, ValueError) as error:
        raise CorpusError(f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _byte_lines(stream: IO[bytes], name: str, suffix: str, encoding: str | None) -> Lines:
    head = _read(stream, SAMPLE_SIZE)
    if encoding is None:
        for mark, meaning in _FOREIGN:
            if head.startswith(mark):
                raise CorpusError(f"{name}, line 1: expected UTF-8 or GB18030 text, got {meaning}")
        sample, ended = head, len(head) < SAMPLE_SIZE
        if _is_regular(stream):
            start = stream.tell()
            while sample.isascii() and not ended:
                sample = _read(stream, SAMPLE_SIZE)
                ended = len(sample) < SAMPLE_SIZE
            stream.seek(start)
        found = _detect(sample, ended)
    else:
        found = codecs.lookup(encoding).name
    text = io.TextIOWrapper(
        io.BufferedReader(_Chain(head, stream), SAMPLE_SIZE), encoding=found, errors="surrogateescape", newline=""
    )
    return _checked(text, name, suffix, found, encoding)


def _is_regular(stream: IO[bytes]) -> bool:
    """Whether a stream can be read to its end and then again: a device such as /dev/zero has none."""
    if not stream.seekable():
        return False
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (OSError, AttributeError, ValueError):  # in memory
        return True


def _read(stream: IO[bytes], size: int) -> bytes:
    """Read ``size`` bytes, fewer only at the end; an unbuffered pipe gives less at a time."""
    parts = []
    while size > 0 and (part := stream.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _detect(sample: bytes, ended: bool) -> str:
    """Return the encoding of a sample; UTF-8 if it is neither, so that reading finds the bad byte."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample, final=ended)
        return "utf-8"
    except UnicodeDecodeError as error:
        good = sample[: error.start].decode("utf-8")
    if sum(not character.isascii() for character in good) < _CERTAIN:
        try:
            codecs.getincrementaldecoder("gb18030")().decode(sample, final=ended)
            return "gb18030"
        except UnicodeDecodeError:
            pass
    return "utf-8"


def _checked(text: IO[str], name: str, suffix: str, found: str, named: str | None) -> Lines:
    """Add the checks of each line; they run as the lines are read."""
    expected = "UTF-8 or GB18030 text" if found == "utf-8" and named is None else f"{found} text"
    hint = "; if the file has another encoding, name it" if named is None else ""

    def lines() -> Iterator[str]:
        number = 0
        while True:
            try:
                line = text.readline(LONGEST_LINE + 1)
            except UnicodeError as error:
                message = f"{name}, after line {number}: expected {expected}, got other bytes ({error!s:.200})"
                raise CorpusError(message) from error
            except OSError as error:
                raise CorpusError(f"{name}, after line {number}: cannot be read: {error.strerror or error}") from error
            if number == 0 and not (line := line.removeprefix("\ufeff")):
                raise CorpusError(f"{name}, line 1: expected text, but the file is empty")
            if not line:
                return
            number += 1
            if len(line) > LONGEST_LINE:
                raise CorpusError(
                    f"{name}, line {number}: expected lines of at most {LONGEST_LINE:,} characters, got a longer one"
                )
            if "\0" in line:
                raise CorpusError(
                    f"{name}, line {number}: expected {expected}, got a NUL byte; "
                    "the file is damaged, not text, or in another encoding such as UTF-16"
                )
            if not line.isascii() and (bad := _BAD_BYTE.search(line)):
                raise CorpusError(
                    f"{name}, line {number}: expected {expected}, "
                    f"got the byte 0x{ord(bad[0]) - 0xDC00:02x} at character {bad.start() + 1}{hint}"
                )
            yield line

    return Lines(name, suffix, found, lines())


class _Chain(io.RawIOBase):
    """Bytes that have been read already, then the rest of their stream, which stays open."""

    def __init__(self, head: bytes, stream: IO[bytes]) -> None:
        self._head = memoryview(head)
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = len(buffer)
        part: Any = self._head[:size]
        if part:
            self._head = self._head[size:]
        else:
            # read1 hands over what a pipe holds now; read would wait until it holds all.
            part = getattr(self._stream, "read1", self._stream.read)(size)
        buffer[: len(part)] = part
        return len(part)
