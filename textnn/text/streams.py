"""One long text as parallel streams, for truncated back-propagation through time.

Texts stand one after the other, each behind a mark that says where it begins (and where the one before it ended):

    # a b c # d e # f g h i j     -> B = 2 streams     # a b c # d | e # f g h i j     -> windows of T = 4 tokens

    row t * B + b is window t of stream b:      # a b c      e # f g      # d      h i j ...

A batch is the same window of all streams, so a network that keeps its states from batch to batch reads each stream from
its beginning to its end. No token is left out and none is padding: streams differ in length by one token at most, or,
to measure by, as far as it takes to begin them where a text begins. The longest comes first then, so that those that
have not ended are the first ones of a batch.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from textnn.text.batches import RaggedBatch, RaggedDataset

NEXT = "next"
"""Name of the array of what follows each token, int32 [N]; the mark follows the last one."""


class TokenStreams(RaggedDataset):
    """Texts as parallel streams of tokens; rows are windows, batches the same window of all streams.

    Parameters
    ----------
    ids : Tensor
        Of all texts, one behind the other, int32 [N]; each begins with the same mark.
    lengths : Tensor
        Of each text, its mark included, int64 [texts].
    streams : int
        How many there are, B; where there are fewer tokens, as many as tokens.
    window : int
        Tokens of a window, T.
    shuffle : bool, default=True
        Whether each pass has the texts in a new order.
    whole : bool, default=False
        Whether streams begin where a text does, if one begins within a window of there; for measuring only, as their
        lengths then depend on the order of the texts.

    Raises
    ------
    ValueError
        If there is no token, a size is below 1, the lengths do not fit the ids, or whole texts are to be shuffled.

    Examples
    --------
    >>> streams = TokenStreams(torch.tensor([0, 5, 6, 0, 7], dtype=torch.int32), torch.tensor([3, 2]), 2, 2)
    >>> [streams.batch(rows).ids.tolist() for rows in streams.rows_in_order(0)]
    [[0, 5, 0, 7], [6]]
    """

    def __init__(
        self, ids: Tensor, lengths: Tensor, streams: int, window: int, shuffle: bool = True, whole: bool = False
    ) -> None:
        if streams < 1 or window < 1:
            raise ValueError(f"streams, window: expected numbers from 1, got {streams} and {window}")
        if not ids.numel() or int(lengths.sum()) != ids.numel():
            raise ValueError(f"lengths: expected the sum {ids.numel()}, above 0, got {int(lengths.sum())}")
        if shuffle and whole:
            raise ValueError("whole: expected False beside shuffle")
        self.window, self.shuffle = window, shuffle
        self._texts, self._text_lengths = ids, lengths
        streams = min(streams, ids.numel())
        sizes = torch.full((streams,), ids.numel() // streams)
        sizes[: ids.numel() % streams] += 1
        begins = sizes.cumsum(0) - sizes
        if whole:
            begins, sizes = _at_texts(begins, lengths.cumsum(0) - lengths, ids.numel(), window)
        self.streams = len(begins)
        steps = torch.arange(0, int(sizes[0]), window)[:, None]  # [windows, 1]
        rows = (sizes - steps).clamp(0, window)  # [windows, B]
        self._set(ids, rows[rows > 0], None, None, (), {NEXT: ids.roll(-1)})
        self._starts = (begins + steps)[rows > 0]
        self._active = (rows > 0).sum(dim=1).tolist()

    def rows_to_train(self, batch_size: int, bucket: bool, generator: torch.Generator) -> Iterator[Tensor]:
        """Begin a pass: draw the order of the texts; yield the rows of each batch, the windows in their order."""
        if self.shuffle:
            order = torch.randperm(len(self._text_lengths), generator=generator)
            lengths = self._text_lengths[order]
            begins = (self._text_lengths.cumsum(0) - self._text_lengths)[order]
            shift = torch.repeat_interleave(begins - (lengths.cumsum(0) - lengths), lengths)
            self._flat = self._texts[shift.add_(torch.arange(len(shift)))]
            self.aligned[NEXT] = self._flat.roll(-1)
        return self.rows_in_order(batch_size)

    def rows_in_order(self, batch_size: int) -> Iterator[Tensor]:
        """Yield the rows of each window of all streams; ``batch_size`` is the number of streams, whatever is asked."""
        return iter(torch.arange(len(self)).split(self._active))

    def whole(self) -> RaggedBatch:
        """Put all rows into one batch."""
        return self.batch(torch.arange(len(self)))


def _at_texts(begins: Tensor, texts: Tensor, end: int, most: int) -> tuple[Tensor, Tensor]:
    """Move the beginnings of streams to those of texts, by ``most`` tokens; return them and sizes, longest first."""
    after = torch.searchsorted(texts, begins).clamp(max=len(texts) - 1)
    around = torch.stack([texts[after], texts[(after - 1).clamp(min=0)]])
    nearest = around.gather(0, (around - begins).abs().argmin(dim=0, keepdim=True))[0]
    moved = torch.where((nearest - begins).abs() <= most, nearest, begins).unique()
    sizes = torch.diff(moved, append=moved.new_tensor([end]))
    order = sizes.argsort(descending=True, stable=True)
    return moved[order], sizes[order]
