"""What goes from one process to another: tensors as they lie in memory, and the rest pickled.

    value -> Parcel(head: pickle with gaps, tensors: bytes) ----> head, then the bytes of each tensor -> the same value
    rows  -> Column(each different value once, its number in each row)                                -> the same rows

A pickle of tensors, or of lists with millions of strings, would hold them in memory a second and a third time.
"""

from __future__ import annotations

import io
import itertools
import pickle
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


class Parcel:
    """A value on its way.

    Parameters
    ----------
    head
        The value pickled, without its tensors.
    tensors
        Their bytes, uint8 on the CPU, in the order in which :meth:`open` asks for them.
    """

    def __init__(self, head: bytes, tensors: Sequence[Tensor] = ()) -> None:
        self.head, self.tensors = head, tensors

    @classmethod
    def of(cls, value: Any) -> Parcel:
        """Pack a value.

        Raises
        ------
        pickle.PicklingError, TypeError, AttributeError
            If a part of it cannot be pickled.
        """
        file = io.BytesIO()
        packer = _Packer(file, pickle.HIGHEST_PROTOCOL)
        packer.dump(value)
        contents = (tensor.detach().cpu().contiguous() for tensor in packer.tensors)
        return cls(file.getvalue(), [_bytes(tensor) for tensor in contents if tensor.numel()])

    def open(self, fill: Callable[[Tensor], None]) -> Any:
        """Return the value.

        Parameters
        ----------
        fill
            Called with the bytes of each tensor, in turn, to fill them in.
        """
        return _Unpacker(io.BytesIO(self.head), fill).load()


class _Packer(pickle.Pickler):
    """Leaves gaps for tensors: number, kind, shape and dtype."""

    def __init__(self, file: io.BytesIO, protocol: int) -> None:
        super().__init__(file, protocol)
        self.tensors: list[Tensor] = []
        self._numbers: dict[int, int] = {}

    def persistent_id(self, value: Any) -> Any:
        """Return what stands in the gap, None for all but plain tensors."""
        if type(value) not in (Tensor, nn.Parameter) or value.layout != torch.strided or vars(value):
            return None
        number = self._numbers.setdefault(id(value), len(self.tensors))
        if number == len(self.tensors):
            self.tensors.append(value)
        trained = value.requires_grad if isinstance(value, nn.Parameter) else None
        return number, tuple(value.shape), value.dtype, trained


class _Unpacker(pickle.Unpickler):
    """Fills the gaps, each tensor once."""

    def __init__(self, file: io.BytesIO, fill: Callable[[Tensor], None]) -> None:
        super().__init__(file)
        self._fill = fill
        self._tensors: list[Tensor] = []

    def persistent_load(self, gap: Any) -> Tensor:
        """Return the tensor of a gap."""
        number, shape, dtype, trained = gap
        if number == len(self._tensors):
            tensor = torch.empty(shape, dtype=dtype)
            if tensor.numel():
                self._fill(_bytes(tensor))
            self._tensors.append(tensor if trained is None else nn.Parameter(tensor, requires_grad=trained))
        return self._tensors[number]


@dataclass(eq=False)
class Column:
    """Rows of which each is a value, or a list of values.

    Attributes
    ----------
    values
        The different values: of strings their characters, one behind the other in UTF-8, and their lengths; of numbers
        a list. Other values, or those of several types, as they come.
    codes
        The number of each value among them, int32 [rows], or of lists [items of all rows]; None where they are as they
        come.
    lengths, kind
        Of lists, int64 [rows], and whether it is lists or tuples; else None.
    """

    values: tuple[Tensor, Tensor] | list[Any]
    codes: Tensor | None
    lengths: Tensor | None = None
    kind: type | None = None

    @classmethod
    def of(cls, rows: Iterable[Any]) -> Column:
        """Pack rows."""
        rows = list(rows)
        lengths, kind = None, _type_of(rows)
        if kind in (list, tuple):
            lengths = _integers(map(len, rows), np.int64)
            rows = list(itertools.chain.from_iterable(rows))
        single = _type_of(rows)
        values: Any = rows
        codes = None
        if single in (str, int, float):
            numbers: dict[Any, int] = {}
            codes = _integers((numbers.setdefault(value, len(numbers)) for value in rows), np.int32)
            values = list(numbers)
        if single is str:
            characters = bytearray("".join(values).encode("utf-8", "surrogatepass"))
            flat = torch.frombuffer(characters, dtype=torch.uint8) if characters else torch.empty(0, dtype=torch.uint8)
            values = flat, _integers(map(len, values), np.int64)
        return cls(values, codes, lengths, None if lengths is None else kind)

    def rows(self) -> list[Any]:
        """Return the rows."""
        values: Iterable[Any] = self.values
        if isinstance(self.values, tuple):
            flat, lengths = self.values
            values = _cut(flat.numpy().tobytes().decode("utf-8", "surrogatepass"), lengths)
        rows = list(values)
        if self.codes is not None:
            rows = [rows[code] for code in self.codes.tolist()]
        return rows if self.lengths is None or self.kind is None else list(map(self.kind, _cut(rows, self.lengths)))


def _type_of(values: Sequence[Any]) -> type | None:
    """Return the type that all values have, or None."""
    kinds = {type(value) for value in values}
    return kinds.pop() if len(kinds) == 1 else None


def _integers(values: Iterable[int], dtype: Any) -> Tensor:
    return torch.from_numpy(np.fromiter(values, dtype))


def _cut(values: Any, lengths: Tensor) -> Iterable[Any]:
    ends = [0, *lengths.cumsum(0).tolist()]
    return (values[start:end] for start, end in itertools.pairwise(ends))


def _bytes(tensor: Tensor) -> Tensor:
    """The memory of a contiguous tensor, uint8."""
    return tensor.reshape(-1).view(torch.uint8)
