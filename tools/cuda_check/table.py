"""The kernels and what they use, as a table: for a terminal, and as the part between two comments of a page."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tools.cuda_check.budget import Budget, Uses
from tools.cuda_check.occupancy import MULTIPROCESSORS
from tools.cuda_check.report import Usage
from tools.markdown import replace_part as replace_between

BEGIN, END = "<!-- cuda-check -->", "<!-- /cuda-check -->"
COLUMNS = ("kernel", "threads", "registers", "shared memory", "spills", "occupancy")
EXPLANATION = """Written by `make cuda-check` with nvcc {nvcc}, for {architectures}. *Threads*: of a block.
*Registers*: of a thread, the least and the most over the architectures, and where the most are. *Shared memory*: of a
block, in bytes, static plus dynamic. *Spills*: bytes stored and loaded, over all architectures. *Occupancy*: the warps
that can be resident on a multiprocessor as a share of those it has room for, the least and the most, and where the
least is; arithmetic, not a measurement."""


def rows(budget: Budget, uses: Uses) -> dict[str, list[tuple[str, ...]]]:
    """Return a row for each kernel, by source."""
    found: dict[str, list[tuple[str, ...]]] = {}
    for name, usages in sorted(uses.items()):
        source, kernel = name.split(": ", 1)
        found.setdefault(source, []).append(_row(budget, name, kernel, usages))
    return found


def _row(budget: Budget, name: str, kernel: str, usages: Sequence[Usage]) -> tuple[str, ...]:
    if absent := [one for one in MULTIPROCESSORS if one not in {usage.architecture for usage in usages}]:
        kernel += f" (not {', '.join(absent)})"
    threads = sorted({budget.threads(name, usage) or 0 for usage in usages})
    registers = [(usage.registers, usage.architecture) for usage in usages]
    static = max(usage.shared for usage in usages)
    dynamic = (budget.dynamic_shared(name) or 0) if any(usage.dynamic for usage in usages) else 0
    shares = [(round(100 * (budget.occupancy(name, usage) or 0.0)), usage.architecture) for usage in usages]
    return (
        kernel,
        _range(threads),
        _extremes(registers, max),
        f"{static} + {dynamic}" if dynamic else str(static),
        str(sum(usage.spills for usage in usages)),
        _extremes(shares, min, " %"),
    )


def _extremes(values: Sequence[tuple[int, str]], worst: Callable[..., tuple[int, str]], unit: str = "") -> str:
    where = worst(values, key=lambda pair: pair[0])[1]
    text = _range(value for value, _ in values) + unit
    return f"{text} ({where})" if len({value for value, _ in values}) > 1 else text


def _range(values: Iterable[int]) -> str:
    values = sorted(values)
    return str(values[0]) if values[0] == values[-1] else f"{values[0]}-{values[-1]}"


def plain(budget: Budget, uses: Uses) -> str:
    """Return the table for a terminal."""
    sources = rows(budget, uses)
    every = list(itertools.chain.from_iterable(sources.values()))
    widths = [max(map(len, column)) for column in zip(COLUMNS, *every, strict=True)]

    def line(row: Sequence[str]) -> str:
        first, *rest = row
        cells = [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        return "  ".join([first.ljust(widths[0]), *cells]).rstrip()

    lines = [line(COLUMNS)]
    for source, members in sources.items():
        lines += ["", source, *map(line, members)]
    return "\n".join(lines)


def markdown(budget: Budget, nvcc: str, uses: Uses) -> str:
    """Return the table as the part of a page."""
    lines = [EXPLANATION.format(nvcc=nvcc, architectures=", ".join(MULTIPROCESSORS))]
    for source, members in rows(budget, uses).items():
        lines += ["", f"**{source}**", "", f"| {' | '.join(COLUMNS)} |", "| --- |" + " ---: |" * (len(COLUMNS) - 1)]
        lines += [f"| `{row[0]}` | {' | '.join(row[1:])} |" for row in members]
    return "\n".join(lines)


def replace_part(page: Path, part: str) -> None:
    """Put ``part`` between the two comments of a page; ValueError if it does not hold both, once each."""
    replace_between(page, BEGIN, END, part)
