"""Damage: from bytes that an engine chooses to changes of bytes, of JSON and of safetensors files.

    data -> Entropy -> choices -> a valid file with a byte flipped, a part cut, a value of JSON replaced, ...

All choices come from the input, so that the same input is the same damage.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any, TypeVar

Item = TypeVar("Item")

# What readers are known to stumble over.
TOKENS = (
    *(b"\0", b"\n", b"\r", b"\r\n", b'"', b'""', b",", b"\t", b"\\", b"\\u", b"\\ud800", b"{", b"[", b"}]"),
    *(b"\xef\xbb\xbf", b"\xff\xfe", b"\x80", b"\xed\xa0\x80", b"\xe5", b"NaN", b"Infinity", b"1e999", b"-", b"9" * 400),
    *(b"null", b"true", b'{"a":1,"a":2}', b"[" * 200, b"\x1b[31m", "\u202e".encode(), "\u2028".encode(), b"PK\x03\x04"),
    *(b"\x1f\x8b\x08\x00", b"BZh91AY&SY", b"\xfd7zXZ\0", b"[PAD]", b"[UNK]", b"text", b"label", b" 1.5" * 3, b"1_0"),
    *("好".encode(), "😀".encode(), "\u3000".encode(), b"<script>", b"../", b"/etc/passwd", b"2147483648", b"-1", b"0"),
)

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 7, 2**31, 2**63, 2**64, -(2**63), 10**30, 10**500, 0.5, -0.5, 1e308, 5e-324),
    *(float("nan"), float("inf"), "", "a", "1", "x" * 5000, "\x1b[2J\x1b[31m", "\ud800", "\0", "好", "../../etc/hosts"),
    *("/dev/zero", "os.system", "float32", [], {}, [[]], [1, 2], [1] * 100, {"a": 1}, {"tuple": []}, {"bytes": "zz"}),
    *({"tuple": [{"tuple": [1]}]}, ["a", "a"], [None], [True, 1], "jieba", "callable", "sigmoid", "lstm", "textcnn"),
)

EMPTY_SHAPES = ([0], [0, 2**40, 2**40], [2**40, 0, 2**22], [2**40, 2**23, 0], [0] * 8, [2**40] * 7 + [0])


class Entropy:
    """Choices taken from bytes; where they end, the first choice is taken."""

    def __init__(self, data: bytes) -> None:
        self._data, self._position = data, 0

    def below(self, count: int) -> int:
        """Return a number from 0 below ``count``."""
        size = 1 if count <= 256 else 4
        return int.from_bytes(self.take(size), "little") % count if count else 0

    def choice(self, items: Sequence[Item]) -> Item:
        """Return one of some items."""
        return items[self.below(len(items))]

    def take(self, size: int) -> bytes:
        """Return so many bytes, fewer at the end."""
        part = self._data[self._position : self._position + size]
        self._position += size
        return part

    def rest(self) -> bytes:
        """Return all that is left."""
        return self.take(len(self._data))


def damage_bytes(content: bytes, entropy: Entropy) -> bytes:
    """Return bytes with one change."""
    place = entropy.below(len(content) + 1)
    kind = entropy.below(8)
    if kind == 0:
        return content[:place]
    if kind == 1:
        return (
            content[:place] + bytes([content[place] ^ (1 << entropy.below(8))]) + content[place + 1 :]
            if (place < len(content))
            else content
        )
    if kind == 2:
        return content[:place] + entropy.choice(TOKENS) + content[place:]
    if kind == 3:
        token = entropy.choice(TOKENS)
        return content[:place] + token + content[place + len(token) :]
    if kind == 4:
        return content[:place] + content[place + 1 + entropy.below(64) :]
    if kind == 5:
        part = content[place : place + 1 + entropy.below(64)]
        return content[:place] + part * (1 + entropy.below(32)) + content[place:]
    if kind == 6:
        return content[:place] + entropy.take(1 + entropy.below(16)) + content[place:]
    lines = content.split(b"\n")
    one, other = entropy.below(len(lines)), entropy.below(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return b"\n".join(lines)


def damage_value(value: Any, entropy: Entropy) -> Any:
    """Return a value of JSON with one change somewhere in it; the given one stays as it is."""
    if isinstance(value, dict) and value and entropy.below(8):
        copy = dict(value)
        name = entropy.choice(list(copy))
        kind = entropy.below(16)
        if kind == 0:
            del copy[name]
        elif kind == 1:
            copy[entropy.choice(["x", "", "\x1b[2J", "sha256", "bytes", "../a", name * 2])] = copy[name]
        elif kind == 2:
            copy[entropy.choice(list(copy))] = copy[name]
        else:
            copy[name] = damage_value(copy[name], entropy)
        return copy
    if isinstance(value, list) and value and entropy.below(4):
        place = entropy.below(len(value))
        part = [] if entropy.below(8) == 0 else [damage_value(value[place], entropy)]
        return [*value[:place], *part, *value[place + 1 :]]
    if type(value) in (int, float) and entropy.below(4) == 0:
        return value * 2 if entropy.below(2) else value - 1
    kind = entropy.below(12)
    if kind == 0:
        return [value]
    if kind == 1:
        return {"a": value}
    if kind == 2:
        nested: Any = value
        for _ in range(entropy.choice([3, 63, 64, 65, 900])):
            nested = [nested]
        return nested
    return entropy.choice(VALUES)


def write_json(value: Any, entropy: Entropy) -> bytes:
    """Return a value as JSON, now and then with what JSON does not have."""
    try:
        content = json.dumps(value).encode("ascii", "replace")
    except RecursionError:
        content = b"[" * 5000 + b"]" * 5000
    kind = entropy.below(24)
    if kind == 0:
        return content.replace(b"{", b'{"format": "textnn-model", ', 1)
    if kind == 1:
        return content + entropy.choice([b"", b"\n\n", b"x", b"{}", b"\0"])
    if kind == 2:
        return damage_bytes(content, entropy)
    return content


def damage_tensors(content: bytes, entropy: Entropy) -> bytes:
    """Return a safetensors file with a change in its header, or anywhere."""
    if entropy.below(4) == 0:
        return damage_bytes(content, entropy)
    length = int.from_bytes(content[:8], "little")
    try:
        header, body = json.loads(content[8 : 8 + length]), content[8 + length :]
    except (ValueError, RecursionError):  # damaged before
        return damage_bytes(content, entropy)
    changes = 1 + entropy.below(3)
    if isinstance(header, dict) and entropy.below(8) == 1:
        # A tensor without bytes fits in anywhere.
        header = {**header, "empty": {"dtype": "F32", "shape": entropy.choice(EMPTY_SHAPES), "data_offsets": [0, 0]}}
        changes -= 1
    for _ in range(changes):
        header = damage_value(header, entropy)
    if entropy.below(4) == 0:
        body = damage_bytes(body, entropy)
    written = write_json(header, entropy)
    size = len(written) if entropy.below(8) else entropy.choice([0, 1, len(written) - 1, len(content), 2**32, 2**63])
    return struct.pack("<Q", max(0, size)) + written + body
