"""Which rows go into a batch together.

Sentences of similar length go into one batch: layers that work step by step then have little to wait for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

WINDOW = 100
"""Batches among which sentences are sorted by length: enough for even batches, few enough to keep the order random."""


class LengthBucketSampler:
    """Rows for batches of sentences with similar lengths; every row comes exactly once a pass.

    Shuffled: rows in random order, sorted by length within windows of 100 batches, batches in random order. Otherwise:
    all rows from the longest to the shortest, so that memory is asked for once; ``RaggedBatch.index`` leads back to the
    original order.

    Parameters
    ----------
    lengths : Tensor or sequence of int
        Tokens of each row, [rows].
    batch_size : int
        Rows of a batch; one batch has what remains.
    shuffle : bool, default=True
        Whether the order is random, and new in each pass.
    generator : torch.Generator, optional
        Source of the random order, on the CPU; torch's global one if None. The same state gives the same passes.

    Raises
    ------
    ValueError
        If ``batch_size`` is below 1 or ``lengths`` is no vector.

    Examples
    --------
    >>> sampler = LengthBucketSampler([3, 9, 1, 8], batch_size=2, shuffle=False)
    >>> [rows.tolist() for rows in sampler]
    [[1, 3], [0, 2]]
    """

    def __init__(
        self,
        lengths: Tensor | Sequence[int],
        batch_size: int,
        shuffle: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size: expected at least 1, got {batch_size}")
        self._lengths = torch.as_tensor(lengths, dtype=torch.int64)
        if self._lengths.dim() != 1:
            raise ValueError(f"lengths: expected a vector, got the shape {list(self._lengths.shape)}")
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.generator = generator

    def __len__(self) -> int:
        """Return the number of batches."""
        return -(-self._lengths.numel() // self.batch_size)

    def __iter__(self) -> Iterator[Tensor]:
        """Yield the rows of each batch, int64 [at most batch_size]."""
        rows = self._lengths.numel()
        if not rows:
            return
        if not self.shuffle:
            yield from _parts(self._longest_first(torch.arange(rows)), self.batch_size)
            return
        order = torch.randperm(rows, generator=self.generator)
        # A window holds whole batches, so only the last batch of the last window may be smaller.
        windows = [self._longest_first(window) for window in _parts(order, self.batch_size * WINDOW)]
        batches = _parts(torch.cat(windows), self.batch_size)
        for number in torch.randperm(len(batches), generator=self.generator).tolist():
            yield batches[number]

    def _longest_first(self, rows: Tensor) -> Tensor:
        return rows[self._lengths[rows].argsort(descending=True, stable=True)]


def _parts(rows: Tensor, size: int) -> list[Tensor]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]
