"""``textnn bench``: is it fast and right on this machine?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from _textnn_cli.common import RunError, Threads, command_errors, set_threads

if TYPE_CHECKING:
    from collections.abc import Iterable

    from textnn.benchmark import Comparison


@command_errors
def bench(
    seconds: Annotated[
        float, typer.Option("--seconds", min=0.1, max=3600, metavar="S", help="About how long to measure.")
    ] = 10.0,
    threads: Threads = None,
) -> None:
    """Compare speed and results with torch.nn, and check the gradients.

    Random token ids with the lengths of reviews. Both sides run in turn, call by call; the ratio is the median of
    torch.nn's time / textnn's time, above 1 where textnn is faster. The difference is the largest one between both
    sides' outputs or gradients, as a share of the largest value. Measure on an idle machine.

    [bold]Examples[/]

      textnn bench
      textnn bench --seconds 60 --threads 4
    """
    import torch

    from textnn.backends import cpu_capability
    from textnn.benchmark import check_gradients, comparisons

    set_threads(threads)
    print(f"torch {torch.__version__}, instruction set {cpu_capability()}, {torch.get_num_threads()} threads\n")
    _show(comparisons(seconds))
    checks = check_gradients()
    outcomes = ", ".join(f"{name} {'agrees' if right else 'DIFFERS'}" for name, right in checks.items())
    print(f"\nGradients in float64 against numerical ones: {outcomes}")
    if not all(checks.values()):
        raise RunError("the compiled kernels' gradients are wrong on this machine; please report it")


def _show(lines: Iterable[Comparison]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for head in ("case", "textnn", "torch.nn", "its best form", "ratio", "difference"):
        table.add_column(head, justify="left" if head in ("case", "its best form") else "right", no_wrap=True)
    for line in lines:
        times = f"{1e3 * line.ours:.3g} ms", f"{1e3 * line.theirs:.3g} ms"
        table.add_row(line.case, *times, line.peer, f"{line.ratio:.2f}", f"{line.difference:.0e}")
    Console().print(table)
