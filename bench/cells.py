"""LSTMCell and GRUCell against torch.nn's, 20 steps of a sequence at a time.

    python -m bench.cells [--seconds S] [--threads N]

Of textnn.RNNCell there is nothing to measure: torch.nn.RNNCell's own kernels run.
"""

from __future__ import annotations

import argparse
from typing import Any

import torch
from rich.table import Table
from torch import Tensor, nn

import textnn
from textnn.benchmark import Call

from .harness import Effort, Row, compare, console, machine, save

STEPS = 20
SIZES = ((1, 32, 32), (8, 64, 64), (32, 128, 256))  # B, I, H


def calls(cell: Any, x: Tensor, pair: bool) -> dict[str, Call]:
    """Both passes over the sequence, and the forward pass without gradients."""

    def forward() -> Tensor:
        h = x.new_zeros(x.shape[1], cell.hidden_size)
        c = h
        for step in x:
            if pair:
                h, c = cell(step, (h, c))
            else:
                h = cell(step, h)
        return h

    def inference() -> list[Tensor]:
        with torch.no_grad():
            return [forward()]

    def training() -> list[Tensor]:
        h = forward()
        return [h.detach(), *torch.autograd.grad(h.sum(), list(cell.parameters()))]

    return {"inference": inference, "training": training}


def run(effort: Effort) -> list[Row]:
    rows = []
    for kind in ("LSTMCell", "GRUCell"):
        for B, I, H in SIZES:  # noqa: E741
            ours, theirs = getattr(textnn, kind)(I, H), getattr(nn, kind)(I, H)
            ours.load_state_dict(theirs.state_dict())
            x = torch.randn(STEPS, B, I)
            both = [calls(cell, x, kind == "LSTMCell") for cell in (ours, theirs)]
            for mode, call in both[0].items():
                peers = {f"nn.{kind}": both[1][mode]}
                rows.append(compare(mode, f"{kind} B={B} I={I} H={H}", call, peers, effort))
    return rows


def table(rows: list[Row]) -> Table:
    """Microseconds of a step."""
    shown = Table("", "case", "textnn", "torch.nn", "ratio", "quartiles", "difference", title="microseconds a step")
    for row in rows:
        times = (f"{1e3 * t / STEPS:.1f}" for t in (row.ours, row.theirs))
        quartiles = f"{row.low:.2f} to {row.high:.2f}"
        shown.add_row(row.group, row.case, *times, f"{row.ratio:.2f}", quartiles, f"{row.difference:.0e}")
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.cells", description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=2.0, help="for each case")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    rows = run(Effort(seconds=options.seconds, most=1000))
    console.print(", ".join(f"{name} {value}" for name, value in machine().items()))
    console.print(table(rows))
    save("cells", rows)


if __name__ == "__main__":
    main()
