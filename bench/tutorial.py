"""What each edit of docs/tutorial-layers.md gains: a training step before and after, from the page's own code blocks.

    python -m bench.tutorial [--seconds S] [--threads N]

page -> code blocks -> for each edit a fresh program of all blocks up to it -> its ``train_step``, called in turn
"""

from __future__ import annotations

import argparse
import re
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from textnn.benchmark import interleave

from .harness import console, machine

PAGE = Path(__file__).parents[1] / "docs/tutorial-layers.md"
BLOCK = re.compile(r"^## (The start|Edit[^\n]*)\n.*?^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def programs(page: str) -> dict[str, str]:
    """Return for the start and each edit the code of all blocks up to it."""
    code, found = "", {}
    for heading, block in BLOCK.findall(page):
        code += block
        found[heading] = code
    return found


def run(code: str) -> dict[str, Any]:
    """Return the names that a program defines."""
    names: dict[str, Any] = {"__name__": "tutorial"}
    exec(compile(code, str(PAGE), "exec"), names)
    return names


def steps() -> dict[str, Callable[[], list[torch.Tensor]]]:
    """Return a training step of each stage of the page; its result is the loss."""

    def of(train_step: Callable[[], float]) -> Callable[[], list[torch.Tensor]]:
        return lambda: [torch.tensor(train_step())]

    return {name: of(run(code)["train_step"]) for name, code in programs(PAGE.read_text(encoding="utf-8")).items()}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.tutorial", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="time for all stages together (default 20)")
    parser.add_argument("--threads", type=int, help="threads (default: torch's own)")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    console.print(", ".join(f"{k} {v}" for k, v in machine().items()))
    times, losses = interleave(steps(), options.seconds, 7, 101)
    start = next(iter(times))
    for name in times:
        ratio = statistics.median(before / after for before, after in zip(times[start], times[name], strict=True))
        apart = abs(float(losses[name][0] - losses[start][0]))
        console.print(
            f"{1e3 * statistics.median(times[name]):9.2f} ms   {ratio:5.2f} times   loss apart {apart:.0e}   {name}"
        )


if __name__ == "__main__":
    main()
