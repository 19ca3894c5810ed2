"""What derivatives without a kernel of their own cost beside the compiled passes: docs/layers.md.

    python -m bench.transforms            print the table
    python -m bench.transforms --page     write it into docs/layers.md

CPU time of one thread, so that what else the machine does counts little.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jvp, vmap

import textnn

from . import report

PAGE = Path(__file__).parents[1] / "docs" / "layers.md"
ROWS = {
    "forward": "forward",
    "train": "forward and backward",
    "create_graph": "forward and backward with `create_graph=True`",
    "second": "the same, and backward through the gradients",
    "jvp": "`torch.func.jvp`",
    "loop": "gradients of each sample, one after the other",
    "vmap": "the same by `vmap(grad(...))`",
}


def layers(B: int = 32, T: int = 50, width: int = 64) -> dict[str, tuple[nn.Module, Tensor, Tensor]]:
    """Each layer with a batch, and with the samples of this batch one by one."""
    x, ids = torch.randn(B, T, width), torch.randint(0, 500, (B, T))
    return {
        "`LSTM`": (textnn.LSTM(width, width, batch_first=True), x, x[:, None]),
        "`GRU`": (textnn.GRU(width, width, batch_first=True), x, x[:, None]),
        "`RNN`": (textnn.RNN(width, width, batch_first=True), x, x[:, None]),
        "`EmbeddingLSTM`": (textnn.EmbeddingLSTM(500, width, width), ids, ids[:, None]),
        "`TextConv`": (textnn.TextConv(width, width, activation="tanh"), x, x[:, None]),
        "`EmbeddingTextConv`": (textnn.EmbeddingTextConv(500, width, width, activation="tanh"), ids, ids[:, None]),
    }


def measure(layer: nn.Module, batch: Tensor, samples: Tensor, repeats: int = 5) -> dict[str, float]:
    """Milliseconds of each of ROWS, the least of some repeats."""
    p = {name: value.detach() for name, value in layer.named_parameters()}
    ones = {name: torch.ones_like(value) for name, value in p.items()}

    def output(p: Any, x: Tensor) -> Tensor:
        results = functional_call(layer, p, (x,))
        first: Tensor = results[0] if isinstance(results, tuple) else results
        return first

    def gradients(x: Tensor, create_graph: bool = False) -> tuple[Tensor, ...]:
        own = dict(layer.named_parameters())
        return torch.autograd.grad(output(own, x).square().sum(), list(own.values()), create_graph=create_graph)

    def second() -> None:
        total = torch.stack([g.square().sum() for g in gradients(batch, create_graph=True)]).sum()
        torch.autograd.grad(total, list(layer.parameters()))

    of_sample = grad(lambda p, x: output(p, x).square().sum())
    calls: dict[str, Callable[[], Any]] = {
        "forward": lambda: output(p, batch),
        "train": lambda: gradients(batch),
        "create_graph": lambda: gradients(batch, create_graph=True),
        "second": second,
        "jvp": lambda: jvp(lambda p: output(p, batch), (p,), (ones,)),
        "loop": lambda: [gradients(x) for x in samples],
        "vmap": lambda: vmap(of_sample, in_dims=(None, 0))(p, samples),
    }
    return {name: min(_milliseconds(call) for _ in range(1 + repeats)) for name, call in calls.items()}


def _milliseconds(call: Callable[[], Any]) -> float:
    begin = time.process_time()
    call()
    return 1000 * (time.process_time() - begin)


def table(measured: dict[str, dict[str, float]]) -> str:
    """A row for each kind of derivative, a column for each layer."""
    lines = [f"| CPU ms | {' | '.join(measured)} |", f"| --- |{' ---: |' * len(measured)}"]
    for name, text in ROWS.items():
        lines.append(f"| {text} | {' | '.join(f'{found[name]:.1f}' for found in measured.values())} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", action="store_true", help=f"write the table into {PAGE.name}")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    found = table({name: measure(*setting) for name, setting in layers().items()})
    print(found)
    if arguments.page:
        report.write_part(PAGE, "bench/transforms.py", found)


if __name__ == "__main__":
    main()
