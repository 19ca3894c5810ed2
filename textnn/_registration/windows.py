"""The windows of a convolution over sentences: which row of the output stands where, from both sides.

positions [N]  --under each tap of a window-->  rows [R]        rows [R]  --over each tap-->  positions [N]
"""

from __future__ import annotations

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
    """Which row of the output stands where, from both sides."""

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

    def rows(self, K: int, nothing: int) -> Tensor:
        """[N, K] the row of the window that has a position under its tap, or ``nothing``."""
        same, padding, stride = self.options
        at = self.place[:, None] + (((K - 1) // 2 if same else padding) - torch.arange(K, device=self.place.device))
        window = at.div(stride, rounding_mode="floor")
        there = (window >= 0) & (window * stride == at) & (window < self.count[self.sentence][:, None])
        there &= ~self.outside()[:, None]
        return torch.where(there, self.first[self.sentence][:, None] + window, nothing)

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
