"""Reading tensors from a file in the safetensors format, once, in the order in which they stand there.

    8 bytes, N | N bytes of JSON: name -> type, shape, first and last byte; metadata | the bytes of the tensors
    stream -> header -> checked: sizes fit shapes, ranges are gap-free and fill the file -> memory -> tensors

The format's own library maps a file into memory: what was summed may then be another content than what is computed
with, and a file that shrinks ends the process. Here each byte is read once, into memory of its own, and passes through
``digest`` on the way. Nothing is allocated before the header has been found to agree with the size of the file.

The format: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any, cast

import torch
from torch import Tensor

from textnn.reading import parse_json, printable

LARGEST_HEADER = 1 << 24
"""Bytes of a header at most; one of a model has some thousand."""

_LARGEST_SIZE = 1 << 40  # of a dimension: products of a few of them still are small numbers
_LARGEST_STRIDE = 1 << 62  # torch computes strides in 64 bits, of tensors without elements too
_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}

_KEYS = {"dtype", "shape", "data_offsets"}
_HALF_PAIR = re.compile("[\ud800-\udfff]")

Digest = Callable[[Any], object]
"""Is given all bytes of the file in their order."""


@dataclass(frozen=True)
class Entry:
    """A tensor of the file: its type, its shape and how many bytes it has."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    size: int


@dataclass(frozen=True)
class Header:
    """What a file holds.

    Attributes
    ----------
    entries
        The tensors by name, in the order of their bytes.
    metadata
        Strings by name.
    """

    entries: dict[str, Entry]
    metadata: dict[str, str]


def read_header(stream: IO[bytes], digest: Digest | None = None) -> Header:
    """Read the header of an open file, and leave the stream at the first tensor.

    Raises
    ------
    ValueError
        If it is no such file, or header and size contradict each other.
    OSError
        If it cannot be read.
    """
    size = os.fstat(stream.fileno()).st_size
    start = stream.read(8)
    if digest is not None:
        digest(start)
    length = int.from_bytes(start, "little")
    if len(start) < 8 or length > size - 8:
        raise ValueError(f"expected a safetensors file, got {size:,} bytes that begin otherwise")
    if length > LARGEST_HEADER:
        raise ValueError(f"expected a header of at most {LARGEST_HEADER:,} bytes, got {length:,}")
    content = stream.read(length)
    if digest is not None:
        digest(content)
    try:
        values = parse_json(content)
        if not isinstance(values, dict):
            raise ValueError("expected an object")
        metadata = values.pop("__metadata__", {})
        if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
            raise ValueError("expected metadata that are strings")
        if any(_HALF_PAIR.search(name) for name in (*values, *metadata, *metadata.values())):
            raise ValueError("expected names that are text, got half of a surrogate pair")
        ranges = sorted(((*_range(name, value), name, value) for name, value in values.items()), key=lambda r: r[:2])
        entries, end = {}, 0
        for first, last, name, value in ranges:
            entries[name] = _entry(name, value, last - first)
            if first != end:
                raise ValueError(f"{name[:80]}: expected bytes from {end:,} on, got them from {first:,} on")
            end = last
    except ValueError as error:
        raise ValueError(f"expected a safetensors file, got a damaged header ({printable(str(error), 400)})") from error
    if 8 + length + end != size:
        raise ValueError(f"expected {8 + length + end:,} bytes by its header, got {size:,}")
    return Header(entries, metadata)


def read_tensors(stream: IO[bytes], header: Header, digest: Digest | None = None) -> dict[str, Tensor]:
    """Read the tensors behind a header, each into memory of its own.

    Raises
    ------
    ValueError
        If the file ends before its last tensor, or there is not the memory for one.
    OSError
        If it cannot be read.
    """
    tensors = {}
    for name, entry in header.entries.items():
        try:
            tensor = torch.empty(entry.shape, dtype=entry.dtype, device="cpu")
        except RuntimeError as error:  # how torch tells that memory is short
            raise ValueError(f"{printable(name, 80)}: expected memory for {entry.size:,} bytes, got none") from error
        memory = memoryview(cast(Any, tensor.reshape(-1).view(torch.uint8).numpy()))
        done = 0
        # Parts of some megabytes, so that a byte is still in the cache when it is summed.
        while done < len(memory):
            part = memory[done : done + (1 << 22)]
            count = stream.readinto(part)  # type: ignore[attr-defined]
            if not count:
                raise ValueError("expected more bytes, got the end of the file; it was cut while it was read")
            if digest is not None:
                digest(part[:count])
            done += count
        if entry.dtype == torch.bool and len(memory) and int(tensor.view(torch.uint8).max()) > 1:
            raise ValueError(f"{printable(name, 80)}: expected truth values of 0 and 1, got others")
        tensors[name] = tensor
    return tensors


def _range(name: str, value: Any) -> tuple[int, int]:
    found: Any = value.get("data_offsets") if isinstance(value, dict) and set(value) == _KEYS else None
    if not _are_sizes(found) or len(found) != 2 or found[0] > found[1]:
        raise ValueError(f"{name[:80]}: expected first and last byte, got {found!r:.80}")
    return found[0], found[1]


def _entry(name: str, value: dict[str, Any], size: int) -> Entry:
    dtype: Any = value.get("dtype")
    shape: Any = value.get("shape")
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise ValueError(f"{name[:80]}: expected one of the types {', '.join(_DTYPES)}, got {dtype!r:.80}")
    if not _are_sizes(shape) or len(shape) > 8:
        raise ValueError(f"{name[:80]}: expected a shape of at most 8 sizes, got {shape!r:.80}")
    expected = math.prod(shape) * _DTYPES[dtype].itemsize
    if expected != size:
        raise ValueError(f"{name[:80]}: expected {expected:,} bytes by its shape, got {size:,}")
    # An empty tensor fits any file.
    if math.prod(max(1, value) for value in shape) > _LARGEST_STRIDE:
        raise ValueError(
            f"{name[:80]}: expected sizes whose product is at most 2**62 but for zeros, got {shape!r:.160}"
        )
    return Entry(_DTYPES[dtype], tuple(shape), size)


def _are_sizes(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value <= _LARGEST_SIZE for value in values)
