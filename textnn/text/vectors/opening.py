"""Opening a file of vectors: compressed or not, known by its first bytes rather than by its name."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import re
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, cast

from textnn.reading import open_regular, printable

_BLOCK = 1 << 16
# What xz -9 needs; a file says itself how much memory unpacking it takes, and could say 4 GB.
_XZ_MEMORY = 1 << 27
_ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
_BZIP2 = re.compile(rb"BZh[1-9]\x31\x41\x59\x26\x53\x59")


class Source:
    """An open file whose bytes come decompressed, and whose progress is told.

    Attributes
    ----------
    stream
        The bytes; it can be read, and begun anew.
    """

    def __init__(self, stream: IO[bytes], raw: IO[bytes], progress: Callable[[int], None] | None) -> None:
        self.stream, self._raw, self._progress = stream, raw, progress
        self._size, self._done = os.fstat(raw.fileno()).st_size, 0

    def report(self, end: bool = False) -> None:
        """Tell how many bytes of the file were read since the last time; all of them at the end."""
        position = self._size if end else min(self._raw.tell(), self._size)
        if self._progress is not None and position > self._done:
            self._progress(position - self._done)
            self._done = position


@contextmanager
def open_source(path: Path, progress: Callable[[int], None] | None) -> Iterator[Source]:
    """Open a file, compressed or not.

    Raises
    ------
    ValueError
        If it is no regular file, or an archive of several.
    OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError
        If it is missing or damaged; also while it is read.
    """
    with ExitStack() as stack:
        try:
            raw = stack.enter_context(open_regular(path, follow=True))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        head = raw.read(10)
        raw.seek(0)
        stream = stack.enter_context(_decompressed(raw, head, path)) if head else raw
        yield Source(stream, raw, progress)


class _Xz(io.RawIOBase):
    """The content of a file of xz, one stream or several, in a limit of memory."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self._decompressor: lzma.LZMADecompressor | None = None
        self._rest = b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Begin anew; there is no other way."""
        if (offset, whence) != (0, io.SEEK_SET):
            raise io.UnsupportedOperation("expected a seek to the beginning")
        self._decompressor, self._rest = None, b""
        return self._raw.seek(0)

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer, or a part of it; 0 at the end."""
        while True:
            if self._decompressor is None or self._decompressor.eof:
                # Between streams there may be padding.
                self._rest = (self._decompressor.unused_data if self._decompressor else b"").lstrip(b"\0")
                self._rest = self._rest or self._raw.read(_BLOCK).lstrip(b"\0")
                if not self._rest:
                    return 0
                self._decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_MEMORY)
            if self._decompressor.needs_input and not self._rest:
                self._rest = self._raw.read(_BLOCK)
                if not self._rest:
                    raise EOFError
            data, self._rest = self._decompressor.decompress(self._rest, len(buffer)), b""
            if data:
                buffer[: len(data)] = data
                return len(data)


def _decompressed(raw: IO[bytes], head: bytes, path: Path) -> IO[bytes]:
    if head.startswith(b"\x1f\x8b"):
        return cast(IO[bytes], gzip.GzipFile(fileobj=raw))
    if _BZIP2.match(head):
        return cast(IO[bytes], bz2.BZ2File(raw))
    if head.startswith(b"\xfd7zXZ\0"):
        return cast(IO[bytes], io.BufferedReader(_Xz(raw), _BLOCK))
    if not head.startswith(b"PK\x03\x04"):
        return raw
    return _only_member(raw, path)


def _only_member(raw: IO[bytes], path: Path) -> IO[bytes]:
    try:
        archive = zipfile.ZipFile(raw)
        members = [entry for entry in archive.infolist() if not entry.is_dir() and not _by_the_way(entry.filename)]
        if len(members) == 1:
            if members[0].compress_type not in _ZIP_METHODS:  # LZMA takes as much memory as the file says
                raise NotImplementedError("that compression method is not supported")
            return archive.open(members[0])
    except (RuntimeError, ValueError, OverflowError, struct.error) as error:
        # Encrypted, of a later version, or damaged in one of the ways that zipfile has no error of its own for.
        raise ValueError(f"{path}: cannot be read: {error}") from error
    names = printable(", ".join(entry.filename[:80] for entry in members[:5]))
    raise ValueError(f"{path}: expected a ZIP archive with one file, got {len(members)}: {names}")


def _by_the_way(name: str) -> bool:
    """Whether a file in an archive is one that macOS adds."""
    return name.startswith("__MACOSX/")
