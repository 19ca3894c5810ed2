"""Attention over ragged states against padded products with a mask: inference, and forward and backward pass.

    python -m bench attention [--seconds S] [--threads N]

Our states are flat with offsets. The peers' are padded: two batched products with a masked softmax between them, the
mask added in the first one (baddbmm) or filled in, and ``F.scaled_dot_product_attention``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

import textnn

from .harness import Call, Effort, Row, compare

CASES = (  # B, Q, H, mean and greatest number of states
    (64, 15, 256, 20, 60),
    (32, 1, 256, 20, 60),
    (16, 30, 512, 100, 400),
    (128, 1, 512, 20, 60),
    (32, 20, 128, 20, 60),
)

Attend = Callable[[Tensor, Tensor], Tensor]


def ragged_lengths(B: int, mean: int, longest: int) -> Tensor:
    """Lengths of about this mean; the first one is the longest."""
    lengths = (torch.rand(B).log() * -mean).long().clamp(1, longest)
    lengths[0] = longest
    return lengths


def padded(mask: Tensor, Q: int) -> dict[str, Attend]:
    """What plain PyTorch offers on padded states."""
    B, T = mask.shape
    bias = torch.zeros(B, 1, T).masked_fill(~mask[:, None], -math.inf).expand(B, Q, T)

    def added(query: Tensor, states: Tensor) -> Tensor:
        return torch.bmm(torch.baddbmm(bias, query, states.transpose(1, 2)).softmax(-1), states)

    def filled(query: Tensor, states: Tensor) -> Tensor:
        scores = torch.bmm(query, states.transpose(1, 2)).masked_fill(~mask[:, None], -math.inf)
        return torch.bmm(scores.softmax(-1), states)

    def fused(query: Tensor, states: Tensor) -> Tensor:
        q, s = query[:, None], states[:, None]
        return F.scaled_dot_product_attention(q, s, s, attn_mask=mask[:, None, None], scale=1.0)[:, 0]

    return {"baddbmm": added, "bmm, masked_fill": filled, "scaled_dot_product_attention": fused}


def inference(attend: Attend, query: Tensor, states: Tensor) -> Call:
    @torch.inference_mode()
    def call() -> list[Tensor]:
        return [attend(query, states)]

    return call


def training(attend: Attend, query: Tensor, states: Tensor, gradient: Tensor) -> Call:
    """Both gradients; that of the states is padded on one side and flat on the other, and not compared."""
    leaves = [t.clone().requires_grad_() for t in (query, states)]

    def call() -> list[Tensor]:
        context = attend(*leaves)
        return [context.detach(), torch.autograd.grad(context, leaves, gradient)[0]]

    return call


def rows(_: str | None, effort: Effort) -> Iterator[Row]:
    torch.manual_seed(0)
    for B, Q, H, mean, longest in CASES:
        lengths = ragged_lengths(B, mean, longest)
        mask = torch.arange(longest) < lengths[:, None]
        query, states, gradient = torch.randn(B, Q, H) / H**0.5, torch.randn(B, longest, H), torch.randn(B, Q, H)
        flat, offsets = states[mask], lengths.cumsum(0) - lengths

        def ours(query: Tensor, states: Tensor, offsets: Tensor = offsets) -> Tensor:
            result: Tensor = textnn.functional.ragged_attention(query, states, offsets=offsets)
            return result

        peers, case = padded(mask, Q), f"({B}, {Q}, {H}), T {mean} to {longest}"
        calls = {name: inference(attend, query, states) for name, attend in peers.items()}
        yield compare("Attention, inference", case, inference(ours, query, flat), calls, effort)
        calls = {name: training(attend, query, states, gradient) for name, attend in peers.items()}
        own = training(ours, query, flat, gradient)
        yield compare("Attention, forward and backward", case, own, calls, effort)
