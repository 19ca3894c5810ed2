"""Vectors in word2vec's binary format: "count D" and a line break, then for each word

word  space  D values, float32, little-endian  [line break]

A word ends at its first space, so none has one; word2vec writes none either. Line breaks stand behind all vectors or
behind none.
"""

from __future__ import annotations

import math
import re
from array import array

from textnn.text.vectors.collecting import LARGEST_DIM, Collector, is_utf8
from textnn.text.vectors.lines import HEADER, count_values
from textnn.text.vectors.opening import Source

_BLOCK = 1 << 20
_LONGEST_WORD = 1 << 12
# What no text has.
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1b]")


def is_binary(head: bytes) -> bool:
    """Whether a file that begins with these bytes is in the format: what follows the first word is no text."""
    first, _, rest = head.partition(b"\n")
    header = HEADER.fullmatch(first)
    if header is None or not 0 < (dim := int(header[2])) <= LARGEST_DIM:
        return False
    if count_values(rest.partition(b"\n")[0]) >= dim:
        return False
    values = rest.partition(b" ")[2][: 4 * dim]
    # The last character may be cut.
    return _CONTROL.search(values) is not None or not any(is_utf8(values[: len(values) - cut]) for cut in range(4))


def read_binary(source: Source, collector: Collector) -> None:
    """Read all vectors of a file."""
    to = collector
    count, dim = source.stream.readline().split()
    to.promised = int(count)
    to.set_dim(int(dim))
    size = 4 * to.dim
    buffer, at, more, broken = b"", 0, True, False
    while True:
        space = buffer.find(b" ", at, at + _LONGEST_WORD)
        # A line break behind the values is looked at, too.
        lacking = len(buffer) - at < _LONGEST_WORD if space < 0 else len(buffer) - space <= size + 1
        if more and lacking:
            block = source.stream.read(max(_BLOCK, size))
            buffer, at, more = buffer[at:] + block, 0, bool(block)
            source.report()
            continue
        word = buffer[at : space if space >= 0 else at + _LONGEST_WORD].lstrip(b"\n")
        if space < 0 and not word:
            return
        to.number += 1
        if space < 0 and len(word) >= _LONGEST_WORD - 1:
            to.fail(f"expected words of less than {_LONGEST_WORD:,} bytes, got a longer one; the file is damaged")
        if space < 0 or len(buffer) - space <= size:
            to.fail(f"expected a word and {to.dim} values, got the end of the file; it is cut off")
        to.count(word)
        at = space + 1 + size
        if to.number == 1:
            broken = buffer[at : at + 1] == b"\n"
        elif broken and buffer[at : at + 1] not in (b"\n", b""):
            to.fail("expected a line break behind the values, as behind the first ones; is there a space in a word?")
        if to.wants(word):
            values = array("f", buffer[space + 1 : at])
            if not all(map(math.isfinite, values)):
                to.fail(f"expected finite numbers after {word.decode()!r}, got NaN or an infinite one")
            to.keep(word, values)
