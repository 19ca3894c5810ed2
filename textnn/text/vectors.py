"""Word vectors from a file, for the words of a vocabulary.

    path -> decompressed (by its first bytes) -> lines of bytes -> word wanted? -> values -> Vectors(rows, values)

The text formats of word2vec and fastText: a word and its D values on each line, separated by spaces, below a line
"count D" or without one. Such files have gigabytes and millions of words, of which a vocabulary has a few per cent. So
lines are read one at a time, and a line's values are looked at only if its word is wanted. What is kept grows with the
rows that were found; what a header promises is never allocated.

A word may contain spaces, as in some Chinese files: the last D pieces of a line are its values, the rest is the word.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import math
import os
import re
import struct
import warnings
import zipfile
import zlib
from array import array
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn, cast

import torch
from torch import Tensor

from textnn.reading import open_regular, printable
from textnn.text.vocabulary import Vocabulary

_LONGEST_LINE = 1 << 21
_LARGEST_DIM = 1 << 16  # what an embedding may have; a line of so many values fits
_REPORT_EVERY = 1 << 12
# After so many lines, and at the end, most words must have been UTF-8.
_SAMPLE = 1000
_HEADER = re.compile(rb"\s*([0-9]{1,18})[ \t]+([0-9]{1,18})\s*")
# What is a value rather than the end of a word such as "Windows 10" or "version 2.0".
_VALUE = re.compile(rb"[+-]?[0-9]*\.[0-9]{3,}|[+-]?[0-9.]+[eE][+-]?[0-9]+|-[0-9.]+")
_BZIP2 = re.compile(rb"BZh[1-9]\x31\x41\x59\x26\x53\x59")


@dataclass(frozen=True, eq=False)
class Vectors:
    """The vectors that a file has for the words of a vocabulary.

    Attributes
    ----------
    rows
        Ids of the words that were found, int64 [n], in the order of the file, each once.
    values
        Their vectors, float32 [n, D].
    lines
        The number of vectors in the file.
    wanted
        The number of words that were looked for: those of the vocabulary without its two special tokens.
    duplicates
        Lines that were left out because their word, a wanted one, had been found before.
    undecodable
        Lines that were left out because their word is not UTF-8, as where a tool cut a word within a character.
    """

    rows: Tensor
    values: Tensor
    lines: int
    wanted: int
    duplicates: int
    undecodable: int

    @property
    def dim(self) -> int:
        """The number of values of each vector, D."""
        return self.values.shape[1]

    @property
    def coverage(self) -> float:
        """The share of the wanted words that was found; 0 where none was wanted."""
        return len(self.rows) / self.wanted if self.wanted else 0.0


def read_vectors(
    path: str | os.PathLike[str],
    vocabulary: Vocabulary,
    dim: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Vectors:
    """Read the vectors of a vocabulary's words from a text file of word2vec's or fastText's format.

    The file may be compressed by gzip, bzip2 or xz, or be the only file of a ZIP archive, whatever its name. A first
    line of two whole numbers is a header, count and D; without one, D is the number of values on the first line. Words
    are compared exactly; the first of several equal ones counts. ``[PAD]`` and ``[UNK]`` are not looked for.

    Of the lines of other words it is only checked that they are long enough. A wanted word followed by one value too
    many is an error where the piece looks like a value (a sign, an exponent or three decimals); otherwise it is read as
    a word with a space.

    Parameters
    ----------
    path
        The file.
    vocabulary
        The words to look for.
    dim
        The D that is expected. None takes the file's own.
    progress
        Called now and then with the number of bytes of the file done since its last call; the sum is the file's size.

    Raises
    ------
    ValueError
        With file and line: if the file cannot be read, is empty or cut off, is in another encoding than UTF-8 or in a
        binary format, D is 0 or not ``dim``, a line has a wrong number of values, or a value is no finite number that
        float32 can hold; if ``dim`` is below 1.

    Warns
    -----
    UserWarning
        If the file has another number of vectors than its header says.

    References
    ----------
    Mikolov et al., "Efficient Estimation of Word Representations in Vector Space", 2013; Grave et al., "Learning Word
    Vectors for 157 Languages", 2018.
    """
    if dim is not None and dim < 1:
        raise ValueError(f"dim: expected at least 1, got {dim}")
    name = os.fspath(path)
    reader = _Reader(name, vocabulary, dim)
    try:
        with _open(Path(path), progress) as lines:
            for line in lines:
                reader.take(line)
    except (EOFError, OSError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError) as error:
        where = f"{name}, after line {reader.number}" if reader.number else name
        what = "the file is cut off" if isinstance(error, EOFError) else getattr(error, "strerror", None) or error
        raise ValueError(f"{where}: cannot be read: {what}") from error
    return reader.finish()


class _Reader:
    """Takes the lines of a file one after the other.

    Attributes
    ----------
    number
        The line in work, from 1.
    """

    def __init__(self, name: str, vocabulary: Vocabulary, dim: int | None) -> None:
        self.name, self.number = name, 0
        self._expected, self._dim, self._promised = dim, 0, -1
        # Lone surrogates cannot be written in UTF-8, so no file has words with them.
        words = ((word.encode("utf-8", "replace"), word, row) for row, word in enumerate(vocabulary.tokens))
        self._ids = {key: row for key, word, row in words if row > Vocabulary.UNK_ID and key.decode() == word}
        # A word with spaces is found by what stands before the first.
        self._begins = {key.split(maxsplit=1)[0] for key in self._ids if key.split(maxsplit=1)}
        self._wanted = max(0, len(vocabulary) - 2)
        self._found: dict[int, None] = {}
        self._values = array("f")
        self._lines = self._duplicates = self._undecodable = self._blank = 0

    def take(self, line: bytes) -> None:
        """Read a line, with its line break."""
        self.number += 1
        if len(line) > _LONGEST_LINE:
            self._fail(f"expected lines of at most {_LONGEST_LINE:,} bytes, got a longer one; the file is not text")
        if self.number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
            if line.startswith((b"\xff\xfe", b"\xfe\xff")):
                self._fail("expected UTF-8 text, got UTF-16")
            if header := _HEADER.fullmatch(line):
                self._promised = int(header[1])
                self._set_dim(int(header[2]))
                return
        pieces = line.split(maxsplit=1)
        if not pieces:
            # Of no matter at the end of the file.
            self._blank = self._blank or self.number
            return
        if self._blank:
            self.number = self._blank
            self._fail("expected a word and its values, got a blank line")
        if not self._dim:
            self._set_dim(_count_values(line))
        # Counting spaces is quick; a line that begins with one has it for a word.
        if line.count(b" ") < self._dim and len(line.split()) <= self._dim - line[:1].isspace():
            self._fail_length(line)
        self._lines += 1
        first = pieces[0]
        if first in self._begins:
            self._keep(line)
        elif not first.isascii() and not _is_utf8(first):
            self._undecodable += 1
        if self._lines == _SAMPLE:
            self._check_encoding()

    def finish(self) -> Vectors:
        """Return what was found, after the last line."""
        if not self._lines:
            below = " below the header" if self._dim else ""
            raise ValueError(f"{self.name}: expected word vectors, but there are none{below}; the file is empty")
        self._check_encoding()
        if self._promised not in (-1, self._lines):
            warnings.warn(
                f"{self.name}: the header says {self._promised:,} vectors, the file has {self._lines:,}; "
                "a part of it may be missing",
                stacklevel=3,
            )
        values = torch.frombuffer(self._values, dtype=torch.float32) if self._values else torch.empty(0)
        return Vectors(
            torch.tensor(list(self._found), dtype=torch.int64),
            values.view(len(self._found), self._dim),
            self._lines,
            self._wanted,
            self._duplicates,
            self._undecodable,
        )

    def _set_dim(self, dim: int) -> None:
        if dim < 1:
            self._fail("expected a word and its values, or a header of count and dim, got no values (dim 0)")
        if dim > _LARGEST_DIM:
            self._fail(f"expected vectors of dim {_LARGEST_DIM:,} at most, got dim {dim:,}")
        if self._expected not in (None, dim):
            self._fail(f"expected vectors of dim {self._expected}, got dim {dim}")
        self._dim = dim

    def _keep(self, line: bytes) -> None:
        """Keep the vector of a line, if its word is wanted and new."""
        pieces = line.rsplit(maxsplit=self._dim)
        if len(pieces) <= self._dim:
            if len(pieces) == self._dim and line[:1].isspace():
                return
            self._fail_length(line)
        word = pieces[0].strip()
        spaced = word.split()
        if len(spaced) > 1 and _VALUE.fullmatch(spaced[-1]):
            self._fail_length(line)
        row = self._ids.get(word)
        if row is None:
            return
        if row in self._found:
            self._duplicates += 1
            return
        values = []
        for piece in pieces[1:]:
            try:
                value = float(piece)
            except ValueError:
                value = math.nan
            # Python also takes "1_000".
            if not math.isfinite(value) or b"_" in piece:
                self._fail(f"expected finite numbers after {word.decode()!r}, got {_shown(piece)}")
            values.append(value)
        self._values.extend(values)
        if not all(map(math.isfinite, self._values[-self._dim :])):
            self._fail(f"expected numbers that float32 can hold after {word.decode()!r}, got one that is too large")
        self._found[row] = None

    def _check_encoding(self) -> None:
        if self._undecodable > self._lines / 2:
            raise ValueError(
                f"{self.name}: expected UTF-8 text, but {self._undecodable:,} of {self._lines:,} words up to line "
                f"{self.number} are not; convert the file"
            )

    def _fail_length(self, line: bytes) -> NoReturn:
        pieces = line.split()
        message = f"expected a word and {self._dim} values, got {_shown(pieces[0])} and {len(pieces) - 1}"
        if b"\0" in line or not _is_utf8(line):
            message += "; is the file in a binary format? Convert it to text"
        elif not line.endswith(b"\n"):
            message += "; the file is cut off"
        self._fail(message)

    def _fail(self, message: str) -> NoReturn:
        raise ValueError(f"{self.name}, line {self.number}: {printable(message)}")


@contextmanager
def _open(path: Path, progress: Callable[[int], None] | None) -> Iterator[Iterator[bytes]]:
    """Open a file, compressed or not, and give its lines, longer ones than the limit in part."""
    with ExitStack() as stack:
        try:
            raw = stack.enter_context(open_regular(path, follow=True))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        size = os.fstat(raw.fileno()).st_size
        head = raw.read(10)
        raw.seek(0)
        stream = stack.enter_context(_decompressed(raw, head, path)) if head else raw
        done = 0

        def report(position: int) -> None:
            nonlocal done
            if progress is not None and position > done:
                progress(position - done)
                done = position

        def lines() -> Iterator[bytes]:
            count = 0
            # One byte more than is allowed, so that who takes the line sees that it is too long.
            while line := stream.readline(_LONGEST_LINE + 1):
                yield line
                count += 1
                if count % _REPORT_EVERY == 0:
                    report(min(raw.tell(), size))
            report(size)

        yield lines()


def _decompressed(raw: IO[bytes], head: bytes, path: Path) -> IO[bytes]:
    if head.startswith(b"\x1f\x8b"):
        return cast(IO[bytes], gzip.GzipFile(fileobj=raw))
    if _BZIP2.match(head):
        return cast(IO[bytes], bz2.BZ2File(raw))
    if head.startswith(b"\xfd7zXZ\0"):
        return cast(IO[bytes], lzma.LZMAFile(raw))
    if not head.startswith(b"PK\x03\x04"):
        return raw
    return _only_member(raw, path)


def _only_member(raw: IO[bytes], path: Path) -> IO[bytes]:
    try:
        archive = zipfile.ZipFile(raw)
        members = [entry for entry in archive.infolist() if not entry.is_dir() and not _by_the_way(entry.filename)]
        if len(members) == 1:
            return archive.open(members[0])
    except (RuntimeError, ValueError, OverflowError, struct.error) as error:
        # Encrypted, of a later version, or damaged in one of the ways that zipfile has no error of its own for.
        raise ValueError(f"{path}: cannot be read: {error}") from error
    names = printable(", ".join(entry.filename[:80] for entry in members[:5]))
    raise ValueError(f"{path}: expected a ZIP archive with one file, got {len(members)}: {names}")


def _by_the_way(name: str) -> bool:
    """Whether a file in an archive is one that macOS adds."""
    return name.startswith("__MACOSX/")


def _count_values(line: bytes) -> int:
    """Return how many pieces at the end of a line are numbers, the first piece, which is a word, left aside."""
    pieces = line.split()
    count = 0
    while count < len(pieces) - 1 and _is_number(pieces[-1 - count]):
        count += 1
    return count


def _is_number(piece: bytes) -> bool:
    try:
        float(piece)
    except ValueError:
        return False
    return True


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _shown(piece: bytes) -> str:
    return repr(piece[:40].decode("utf-8", "replace"))
