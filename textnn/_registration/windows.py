"""The windows of a convolution over sentences: which positions are under which row of the output.

Windows.under   rows [R] -> positions under each tap [R, K]
Line            sentences and their padding one behind the other, so that tap k of row r is over place r + shift(k)
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from .._checks import check_lengths, check_offsets, window_counts
from .common import Maybe


def _checked(tokens: Tensor, sizes: Tensor, flat: bool) -> Tensor:
    """Sizes that a backward operator is given by hand; torch's own operations write anywhere if they are wrong."""
    try:
        return check_offsets(sizes, tokens.shape[0], None) if flat else check_lengths(sizes, *tokens.shape[:2])
    except (TypeError, ValueError) as error:
        raise RuntimeError(f"textnn: {error}") from None


class Windows:
    """Which positions are under which row of the output."""

    def __init__(self, tokens: Tensor, sizes: Maybe, flat: bool, K: int, options: tuple[bool, int, int]) -> None:
        device, self.ragged = tokens.device, sizes is not None
        if flat and sizes is None:
            raise RuntimeError("textnn: flat tokens need offsets")
        sizes = None if sizes is None else _checked(tokens, sizes, flat)
        if flat:
            assert sizes is not None
            N = tokens.shape[0]
            length = torch.diff(sizes, append=sizes.new_full((1,), N))
            # Of sizes that are on the CPU the number of rows is known without waiting for a GPU.
            self.rows = N if options[0] and options[2] == 1 else window_counts(length, K, *options).sum()
            self.length, sizes = length.to(device), sizes.to(device)
            self.sentence = torch.repeat_interleave(self.length, output_size=N)
            self.place = torch.arange(N, device=device) - sizes[self.sentence]
        else:
            B, L = tokens.shape[:2]
            self.length = torch.full((B,), L, device=device) if sizes is None else sizes.to(device)
            self.sentence = torch.arange(B, device=device).repeat_interleave(L, output_size=B * L)
            self.place = torch.arange(L, device=device).repeat(B)
        self.count = window_counts(self.length, K, *options)
        self.options = options
        if flat:
            self.first = self.count.cumsum(0) - self.count
        else:
            self.longest = window_counts(tokens.shape[1], K, *options)
            self.first = torch.arange(self.length.shape[0], device=device) * self.longest

    def check_rows(self, y: Tensor, columns: int) -> None:
        """Refuse an output of another shape, given to a backward operator by hand."""
        batch = f"textnn: y must have a row for each window and {columns} columns"
        if hasattr(self, "longest"):
            expected = [self.length.shape[0], self.longest, columns]
        elif isinstance(self.rows, Tensor) and self.rows.is_cuda:
            torch._assert_async(self.rows == y.shape[0], batch)
            expected = [y.shape[0], columns]
        else:
            expected = [int(self.rows), columns]
        if list(y.shape) != expected:
            raise RuntimeError(f"{batch}, {expected}, got {list(y.shape)}")

    def parts(self, sizes: Maybe, most: int | None) -> Iterator[tuple[slice, Maybe, slice]]:
        """Neighbouring sentences, of about ``most`` tokens but whole, or all: slices of tokens, sizes, of rows."""
        B, N = self.length.shape[0], self.place.shape[0]
        if most is None or most >= N:
            yield slice(None), sizes, slice(None)
        elif hasattr(self, "longest"):
            step = max(1, most * B // N)
            for own in (slice(b, b + step) for b in range(0, B, step)):
                yield own, None if sizes is None else sizes[own], own
        else:
            assert sizes is not None
            group = sizes // max(1, most)
            bounds = [0, *(group.diff().nonzero()[:, 0] + 1).tolist(), B]
            tokens, rows = [*sizes.tolist(), N], [*self.first.tolist(), None]
            for b, end in itertools.pairwise(bounds):
                begin = tokens[b]
                yield slice(begin, tokens[end]), sizes[b:end] - begin, slice(rows[b], rows[end])

    def outside(self) -> Tensor:
        """[N] the positions behind the end of their sentence."""
        return self.place >= self.length[self.sentence]

    def under(self, K: int, R: int) -> Tensor:
        """[R, K] the position under each tap of each row's window, or N where there is none."""
        same, padding, stride = self.options
        device, N = self.place.device, self.place.shape[0]
        if hasattr(self, "longest"):
            B = self.length.shape[0]
            sentence = torch.arange(B, device=device).repeat_interleave(self.longest, output_size=R)
            begin = torch.arange(B, device=device) * (N // max(B, 1))
        else:
            sentence = torch.repeat_interleave(self.count, output_size=R)
            begin = self.length.cumsum(0) - self.length
        window = torch.arange(R, device=device) - self.first[sentence]
        at = window[:, None] * stride - ((K - 1) // 2 if same else padding) + torch.arange(K, device=device)
        there = (at >= 0) & (at < self.length[sentence][:, None]) & (window < self.count[sentence])[:, None]
        return torch.where(there, begin[sentence][:, None] + at, N)

    def before_activation(self, dy: Tensor, y: Tensor, activation: int) -> Tensor:
        """[rows, S * C] the gradients of the windows' sums."""
        if activation == 1:
            dz = torch.ops.aten.threshold_backward(dy, y, 0)
        else:
            dz = dy * (1 - y * y) if activation == 2 else dy
        if dy.dim() == 3 and self.ragged:
            there = torch.arange(self.longest, device=dy.device) < self.count[:, None]
            dz = torch.where(there[:, :, None], dz, 0)
        return dz.flatten(0, -2)


class Line:
    """Sentences and their padding one behind the other, [M]: tap k of a row is over what stands shift(k) behind it.

    Both what stands at positions and what stands in rows is laid out on it; places without either hold zeros. Rows that
    are over padding alone add to the bias's gradient only, so those far out have no place, and the padding is short.
    """

    def __init__(self, windows: Windows, widths: Sequence[int]) -> None:
        same, padding, stride = windows.options
        self.windows, self.same, K = windows, same, max(widths)
        self.before, self.after = ((K - 1) // 2, K // 2) if same else (min(padding, K - 1),) * 2
        left_out = 0 if same else padding - self.before
        self.skipped = -(-left_out // stride)  # windows of each sentence, the first ones
        self.anchor = self.before if same else self.skipped * stride - left_out  # where the next one has its place
        self.B, self.N = windows.length.shape[0], windows.place.shape[0]
        self.M = self.N + self.B * (self.before + self.after)
        self.flat = not hasattr(windows, "longest")

    def shift(self, K: int, tap: int) -> int:
        """How far behind its row a tap is, before it if negative."""
        return tap - (K - 1) // 2 if self.same else tap

    def positions(self, vectors: Tensor, dtype: torch.dtype) -> Tensor:
        """[N, D] -> [M, D]."""
        D = vectors.shape[1]
        if self.flat:
            return vectors.new_zeros(self.M, D, dtype=dtype).index_copy_(0, self._places(), vectors.to(dtype))
        line = vectors.new_empty(self.M, D, dtype=dtype)
        here = self._between(line, self.before, self.after)
        here.copy_(vectors.view(here.shape))
        if self.windows.ragged:  # where anything may stand
            here.masked_fill_(self.windows.outside().view(*here.shape[:2], 1), 0)
        return line

    def rows(self, dz: Tensor, dtype: torch.dtype) -> Tensor:
        """[R, C] -> [M, C]."""
        windows, stride, (R, C) = self.windows, self.windows.options[2], dz.shape
        if not R:
            return dz.new_zeros(self.M, C, dtype=dtype)
        if not self.flat and stride == 1 and not self.skipped:
            line = dz.new_empty(self.M, C, dtype=dtype)
            here = self._between(line, self.anchor, self.M // self.B - self.anchor - windows.longest)
            here.copy_(dz.view(here.shape))
            return line
        line = dz.new_zeros(self.M + 1, C, dtype=dtype)  # the last for rows without a place
        if not self.flat:
            length = self.M // self.B  # of a sentence with its padding
            rows = line[: self.M].view(self.B, length, C)[:, self.anchor :: min(stride, length)]
            own = dz.view(self.B, windows.longest, C)[:, self.skipped : self.skipped + rows.shape[1]]
            rows[:, : own.shape[1]] = own
            return line[: self.M]
        sentence = torch.repeat_interleave(windows.count, output_size=R)
        window = torch.arange(R, device=dz.device) - windows.first[sentence] - self.skipped
        block = windows.length + self.before + self.after
        place = self.anchor + window * stride
        there = (window >= 0) & (place < block[sentence])
        begin = block.cumsum(0) - block
        return line.index_copy_(0, torch.where(there, begin[sentence] + place, self.M), dz.to(dtype))[: self.M]

    def write_positions(self, line: Tensor, to: Tensor) -> None:
        """[M, D] -> [N, D] or [B, L, D], zeros behind the ends of sentences."""
        if self.flat:
            to.copy_(line[self._places()])
            return
        block, D = self.M // max(self.B, 1), line.shape[1]
        here = line.view(self.B, block, D)[:, self.before : block - self.after]
        to.view(here.shape).copy_(here)
        if self.windows.ragged:
            to.view(self.N, D).masked_fill_(self.windows.outside()[:, None], 0)

    def _between(self, line: Tensor, before: int, after: int) -> Tensor:
        """[B, L, D] of a new line, with zeros put before and after each sentence."""
        block = self.M // max(self.B, 1)
        sentences = line.view(self.B, block, line.shape[1])
        sentences[:, :before] = 0
        sentences[:, block - after :] = 0
        return sentences[:, before : block - after]

    def _places(self) -> Tensor:
        sentence = self.windows.sentence
        return torch.arange(self.N, device=sentence.device) + sentence * (self.before + self.after) + self.before
