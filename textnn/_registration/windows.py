"""The windows of a convolution over sentences: which positions are under which row of the output.

Windows.under   rows [R] -> positions under each tap [R, K]
Line            sentences and their padding one behind the other, so that tap k of row r is over place r + shift(k)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
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
        sizes = None if sizes is None else _checked(tokens, sizes, flat).to(device)
        if flat:
            assert sizes is not None
            N = tokens.shape[0]
            self.length = torch.diff(sizes, append=sizes.new_full((1,), N))
            self.sentence = torch.repeat_interleave(self.length, output_size=N)
            self.place = torch.arange(N, device=device) - sizes[self.sentence]
        else:
            B, L = tokens.shape[:2]
            self.length = torch.full((B,), L, device=device) if sizes is None else sizes
            self.sentence = torch.arange(B, device=device).repeat_interleave(L, output_size=B * L)
            self.place = torch.arange(L, device=device).repeat(B)
        self.count = window_counts(self.length, K, *options)
        self.options = options
        if flat:
            self.first = self.count.cumsum(0) - self.count
        else:
            self.longest = window_counts(tokens.shape[1], K, *options)
            self.first = torch.arange(self.length.shape[0], device=device) * self.longest

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
        return dz.reshape(-1, dz.shape[-1])


class Line:
    """Sentences and their padding one behind the other, [M]: tap k of a row is over what stands shift(k) behind it.

    Both what stands at positions and what stands in rows is laid out on it; places without either hold zeros. There is
    no more padding than a window reaches over: rows with nothing but padding under them, which only a bias has a
    gradient of, have no place.
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

    def positions(self, vectors: Tensor) -> Tensor:
        """[N, D] -> [M, D]."""
        D = vectors.shape[1]
        if self.flat:
            return vectors.new_zeros(self.M, D).index_copy_(0, self._places(), vectors)
        sentences = vectors.view(self.B, self.N // max(self.B, 1), D)
        return F.pad(sentences, (0, 0, self.before, self.after)).view(self.M, D)

    def rows(self, dz: Tensor) -> Tensor:
        """[R, C] -> [M, C]."""
        windows, stride, (R, C) = self.windows, self.windows.options[2], dz.shape
        line = dz.new_zeros(self.M + 1, C)  # the last for rows without a place
        if not R:
            return line[: self.M]
        if not self.flat:
            rows = line[: self.M].view(self.B, self.M // self.B, C)[:, self.anchor :: stride]
            own = dz.view(self.B, windows.longest, C)[:, self.skipped : self.skipped + rows.shape[1]]
            rows[:, : own.shape[1]] = own
            return line[: self.M]
        # On a GPU nothing else would notice it before something is written.
        torch._assert_async(windows.count.sum() == R, "textnn: y must have a row for each window")
        sentence = torch.repeat_interleave(windows.count, output_size=R)
        window = torch.arange(R, device=dz.device) - windows.first[sentence] - self.skipped
        block = windows.length + self.before + self.after
        place, length = self.anchor + window * stride, block[sentence]
        there = (window >= 0) & (place < length)
        begin = block.cumsum(0) - block
        return line.index_copy_(0, torch.where(there, begin[sentence] + place, self.M), dz)[: self.M]

    def at_positions(self, line: Tensor) -> Tensor:
        """[M, D] -> [N, D], zeros behind the ends of sentences."""
        if self.flat:
            return line[self._places()]
        block, D = self.M // max(self.B, 1), line.shape[1]
        here = line.view(self.B, block, D)[:, self.before : block - self.after].reshape(self.N, D)
        return here.masked_fill_(self.windows.outside()[:, None], 0) if self.windows.ragged else here

    def _places(self) -> Tensor:
        sentence = self.windows.sentence
        return torch.arange(self.N, device=sentence.device) + sentence * (self.before + self.after) + self.before
