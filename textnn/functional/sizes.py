"""Lengths and offsets of ragged batches, which may also come as lists, as ``torch.nn.utils.rnn`` takes them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

Sizes = Tensor | Sequence[int]


def size_tensors(lengths: Sizes | None, offsets: Sizes | None) -> tuple[Tensor | None, Tensor | None]:
    """Return both as tensors: those given as they are, sequences of integers as int64 on the CPU, whatever torch's
    default device is.

    Of an array a copy is made, since whoever refills it would change what the backward pass reads.

    Raises
    ------
    TypeError
        For what is neither, unless torch makes a tensor of it; its dtype and shape are checked with the batch.
    """
    return _tensor("lengths", lengths), _tensor("offsets", offsets)


def _tensor(name: str, sizes: Sizes | None) -> Tensor | None:
    if sizes is None or isinstance(sizes, Tensor):
        return sizes
    try:
        # [] alone would be float32
        return torch.tensor(sizes, dtype=torch.int64 if len(sizes) == 0 else None, device="cpu")
    except (TypeError, ValueError, RuntimeError) as error:
        shown = repr(sizes)
        shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
        raise TypeError(
            f"{name} must be an int64 tensor or a sequence of integers, got {type(sizes).__name__} {shown}"
        ) from error
