"""Vectors as text: a word and its D values a line, separated by spaces, below a line "count D" or without one.

A word may contain spaces, as in some Chinese files: the last D pieces of a line are its values, the rest is the word.
"""

from __future__ import annotations

import math
import re
from typing import NoReturn

from textnn.text.vectors.collecting import Collector, is_utf8, shown
from textnn.text.vectors.opening import Source

HEADER = re.compile(rb"\s*([0-9]{1,18})[ \t]+([0-9]{1,18})\s*")

_LONGEST_LINE = 1 << 21
_REPORT_EVERY = 1 << 12
# What is a value rather than the end of a word such as "Windows 10" or "version 2.0".
_VALUE = re.compile(rb"[+-]?[0-9]*\.[0-9]{3,}|[+-]?[0-9.]+[eE][+-]?[0-9]+|-[0-9.]+")


def read_lines(source: Source, collector: Collector, limit: int | None = None) -> None:
    """Read all lines of a file, or the first ones."""
    reader = _Reader(collector)
    # One byte more than is allowed, so that who takes the line sees that it is too long.
    while collector.number != limit and (line := source.stream.readline(_LONGEST_LINE + 1)):
        reader.take(line)
        if collector.number % _REPORT_EVERY == 0:
            source.report()


class _Reader:
    """Takes the lines of a file one after the other."""

    def __init__(self, collector: Collector) -> None:
        self._to = collector
        # A word with spaces is found by what stands before the first.
        self._begins = {key.split(maxsplit=1)[0] for key in collector.ids if key.split(maxsplit=1)}
        self._blank = 0

    def take(self, line: bytes) -> None:
        """Read a line, with its line break."""
        to = self._to
        to.number += 1
        if len(line) > _LONGEST_LINE:
            to.fail(f"expected lines of at most {_LONGEST_LINE:,} bytes, got a longer one; the file is not text")
        if to.number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
            if line.startswith((b"\xff\xfe", b"\xfe\xff")):
                to.fail("expected UTF-8 text, got UTF-16")
            if header := HEADER.fullmatch(line):
                to.promised = int(header[1])
                to.set_dim(int(header[2]))
                return
        pieces = line.split(maxsplit=1)
        if not pieces:
            # Of no matter at the end of the file.
            self._blank = self._blank or to.number
            return
        if self._blank:
            to.number = self._blank
            to.fail("expected a word and its values, got a blank line")
        if not to.dim:
            to.set_dim(count_values(line))
        # Counting spaces is quick; a line that begins with one has it for a word.
        if line.count(b" ") < to.dim and len(line.split()) <= to.dim - line[:1].isspace():
            self._fail_length(line)
        to.count(pieces[0])
        if pieces[0] in self._begins:
            self._keep(line)

    def _keep(self, line: bytes) -> None:
        """Keep the vector of a line, if its word is wanted and new."""
        to = self._to
        pieces = line.rsplit(maxsplit=to.dim)
        if len(pieces) <= to.dim:
            if len(pieces) == to.dim and line[:1].isspace():
                return
            self._fail_length(line)
        word = pieces[0].strip()
        spaced = word.split()
        if len(spaced) > 1 and _VALUE.fullmatch(spaced[-1]):
            self._fail_length(line)
        if not to.wants(word):
            return
        values = []
        for piece in pieces[1:]:
            try:
                value = float(piece)
            except ValueError:
                value = math.nan
            # Python also takes "1_000".
            if not math.isfinite(value) or b"_" in piece:
                to.fail(f"expected finite numbers after {word.decode()!r}, got {shown(piece)}")
            values.append(value)
        to.keep(word, values)

    def _fail_length(self, line: bytes) -> NoReturn:
        pieces = line.split()
        message = f"expected a word and {self._to.dim} values, got {shown(pieces[0])} and {len(pieces) - 1}"
        if b"\0" in line or not is_utf8(line):
            message += "; is the file in a binary format of another kind? Convert it to text"
        elif not line.endswith(b"\n"):
            message += "; the file is cut off"
        self._to.fail(message)


def count_values(line: bytes) -> int:
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
