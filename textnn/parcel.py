"""What goes from one process to another: tensors as they lie in memory, and the rest pickled.

    value -> Parcel(pickle with gaps, bytes of the tensors) ---> the same value
    rows  -> Column(each different string once, its number in each row) -> Parcel ---> the same rows

A pickle of tensors, or of millions of strings, would hold them in memory a second and a third time.
"""

from __future__ import annotations

import io
import itertools
import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


@dataclass(eq=False)
class Parcel:
    """A value on its way.

    Attributes
    ----------
    head
        The value pickled, without its tensors.
    tensors
        Their bytes, uint8 on the CPU, in the order in which :meth:`open` asks for them.
    """

    head: bytes
    tensors: Sequence[Tensor] = ()

    @classmethod
    def of(cls, value: Any) -> Parcel:
        """Pack a value; raises what :func:`pickle.dumps` raises."""
        file = io.BytesIO()
        packer = _Packer(file, pickle.HIGHEST_PROTOCOL)
        packer.found = {}
        packer.dump(value)
        tensors = (tensor.detach().cpu().contiguous() for tensor, _ in packer.found.values())
        return cls(file.getvalue(), [_bytes(tensor) for tensor in tensors if tensor.numel()])

    def open(self, fill: Callable[[Tensor], None]) -> Any:
        """Return the value; ``fill`` is called with the bytes of each tensor in turn, to fill them in."""
        unpacker = _Unpacker(io.BytesIO(self.head))
        unpacker.fill, unpacker.tensors = fill, []
        return unpacker.load()


class _Packer(pickle.Pickler):
    """Leaves gaps for plain tensors."""

    found: dict[int, tuple[Tensor, int]]

    def persistent_id(self, value: Any) -> Any:
        if type(value) not in (Tensor, nn.Parameter) or value.layout != torch.strided or vars(value):
            return None
        _, number = self.found.setdefault(id(value), (value, len(self.found)))
        return number, tuple(value.shape), value.dtype, value.requires_grad if type(value) is nn.Parameter else None


class _Unpacker(pickle.Unpickler):
    """Fills the gaps, each tensor once."""

    fill: Callable[[Tensor], None]
    tensors: list[Tensor]

    def persistent_load(self, gap: Any) -> Tensor:
        number, shape, dtype, trained = gap
        if number == len(self.tensors):
            tensor = torch.empty(shape, dtype=dtype)
            if tensor.numel():
                self.fill(_bytes(tensor))
            self.tensors.append(tensor if trained is None else nn.Parameter(tensor, trained))
        return self.tensors[number]


class Column:
    """Rows of a table, each of them a value or a list of values, such that strings are in tensors.

    Parameters
    ----------
    rows
        Lists or tuples of values, or values. What they are made of goes as tensors if all are strings, else as it is.
    """

    def __init__(self, rows: Iterable[Any]) -> None:
        self._values: Any = list(rows)
        self._codes = self._lengths = self._characters = None
        self._kind = _type_of(self._values)
        if self._kind in (list, tuple):
            self._lengths = _integers(map(len, self._values), np.int64)
            self._values = list(itertools.chain.from_iterable(self._values))
        if _type_of(self._values) is str:
            numbers: dict[str, int] = {}
            self._codes = _integers((numbers.setdefault(value, len(numbers)) for value in self._values), np.int32)
            self._characters = _integers("".join(numbers).encode("utf-8", "surrogatepass"), np.uint8)
            self._values = _integers(map(len, numbers), np.int64)

    def rows(self) -> list[Any]:
        """Return the rows."""
        values = self._values
        if self._characters is not None and self._codes is not None:
            words = list(_cut(self._characters.numpy().tobytes().decode("utf-8", "surrogatepass"), values))
            values = [words[code] for code in self._codes.tolist()]
        return values if self._lengths is None else [self._kind(row) for row in _cut(values, self._lengths)]


def _type_of(values: Iterable[Any]) -> Any:
    """Return the type that all values have, or None."""
    kinds = {type(value) for value in values}
    return kinds.pop() if len(kinds) == 1 else None


def _integers(values: Iterable[int], dtype: Any) -> Tensor:
    return torch.from_numpy(np.fromiter(values, dtype))


def _cut(values: Any, lengths: Tensor) -> Iterator[Any]:
    return (values[start:end] for start, end in itertools.pairwise([0, *lengths.cumsum(0).tolist()]))


def _bytes(tensor: Tensor) -> Tensor:
    """The memory of a contiguous tensor, uint8."""
    return tensor.reshape(-1).view(torch.uint8)
