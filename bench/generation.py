"""A step of a recurrent stack, as a text is generated: ``step`` against torch.nn's layer on an input of one step.

    python -m bench generation [--seconds S] [--threads N]

torch.nn's layer runs twice, with oneDNN, which is its default and packs the weights at each call, and without. A step
of one sequence reads every weight once: the column "GB/s" of the table has how many bytes of weights a second.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

import textnn

from .harness import Call, Effort, Row, compare

SIZES = ((128, 256, 1), (256, 512, 2), (200, 650, 2))  # I, H, layers
BATCHES = (1, 8, 64)
STEPS = 10


def steps(take: Any, x: Tensor, onednn: bool = True) -> Call:
    """Some steps, each from the state of the one before."""

    def call() -> list[Tensor]:
        state, before = None, torch.backends.mkldnn.enabled
        torch.backends.mkldnn.enabled = onednn
        try:
            with torch.no_grad():
                for now in x:
                    y, state = take(now, state)
        finally:
            torch.backends.mkldnn.enabled = before
        return [y]

    return call


def rows(_: str | None, effort: Effort) -> Iterator[Row]:
    """A row for each kind of layer, size and number of sequences; microseconds a step."""
    torch.manual_seed(0)
    for kind in ("LSTM", "GRU"):
        for I, H, layers in SIZES:  # noqa: E741
            for B in BATCHES:
                ours, theirs = getattr(textnn, kind)(I, H, layers), getattr(nn, kind)(I, H, layers)
                ours.load_state_dict(theirs.state_dict())
                x = torch.randn(STEPS, B, I)

                def whole(now: Tensor, state: Any, theirs: Any = theirs) -> Any:
                    y, state = theirs(now[None], state)
                    return y[0], state

                peers = {f"nn.{kind}": steps(whole, x), f"nn.{kind} without oneDNN": steps(whole, x, False)}
                case = f"B={B} I={I} H={H} layers={layers}"
                row = compare(f"{kind}, a step of generation", case, steps(ours.step, x), peers, effort)
                bytes_read = sum(4 * p.numel() for p in ours.parameters())
                row.extra = {"GB/s": bytes_read * STEPS / row.ours / 1e6}
                yield row
