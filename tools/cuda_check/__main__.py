"""Compile the CUDA kernels for every architecture, and hold what they use against tools/cuda_check/budget.json.

Exit codes: 0 all is well, or there is no CUDA toolkit; 1 a kernel does not compile, spills or is above its budget;
2 there is no toolkit with --require.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tools.cuda_check import budget, compilation, table
from tools.cuda_check.report import Usage
from tools.cuda_toolkit import ARCHITECTURES, find_toolkit


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.cuda_check", description=__doc__)
    parser.add_argument("--record", action="store_true", help="take what the kernels use now as their budgets")
    parser.add_argument("--markdown", type=Path, metavar="PAGE", help="put the table into a page")
    parser.add_argument("--require", action="store_true", help="fail where there is no CUDA toolkit")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="files compiled at a time")
    options = parser.parse_args(arguments)

    toolkit = find_toolkit()
    if toolkit is None:
        print("No CUDA toolkit found: kernels were not compiled.")
        return 2 if options.require else 0
    nvcc, recorded = compilation.nvcc_version(toolkit), budget.Budget.load()
    sources = longest_first(sorted((compilation.ROOT / "csrc" / "cuda").glob("*.cu")), recorded)
    print(f"nvcc {nvcc}: {len(sources)} files for {', '.join(ARCHITECTURES)}", flush=True)
    results = compilation.compile_all(toolkit, sources, max(1, options.jobs), progress)
    if failed := [result for result in results if result.error]:
        for result in failed:
            print(f"\n{result.source} does not compile:\n{result.error.strip()}")
        return 1

    uses = by_kernel(results)
    if options.record:
        recorded.record(nvcc, uses)
        recorded.save()
    print(f"\n{table.plain(recorded, uses)}\n")
    if options.markdown:
        try:
            table.replace_part(options.markdown, table.markdown(recorded, nvcc, uses))
        except (OSError, ValueError) as error:
            print(error)
            return 1
    for note in budget.notes(recorded, nvcc, uses):
        print(f"Note: {note}")
    faults = budget.faults(recorded, uses)
    for fault in faults:
        print(f"Error: {fault}")
    print(f"{len(uses)} kernels on {len(ARCHITECTURES)} architectures: {summary(len(faults))}")
    return 1 if faults else 0


def longest_first(sources: Sequence[Path], recorded: budget.Budget) -> list[Path]:
    """Sort by the registers of all kernels of a file, as recorded: what takes longest to compile has many of them."""
    registers: dict[str, int] = {}
    for name, figures in recorded.kernels.items():
        source = name.partition(":")[0]
        registers[source] = registers.get(source, 0) + figures["registers"]
    return sorted(sources, key=lambda source: -registers.get(source.name, 1 << 20))


def by_kernel(results: Sequence[compilation.Compiled]) -> dict[str, list[Usage]]:
    """Return the usages of each kernel by its file and name, in the order of the architectures."""
    uses: dict[str, list[Usage]] = {}
    for result in results:
        for usage in result.usages:
            uses.setdefault(f"{result.source}: {usage.kernel}", []).append(usage)
    for usages in uses.values():
        usages.sort(key=lambda usage: int(usage.architecture.removeprefix("sm_")))
    return uses


def progress(text: str) -> None:
    print(f"\r{text}\033[K" if sys.stdout.isatty() else text, end="" if sys.stdout.isatty() else "\n", flush=True)


def summary(faults: int) -> str:
    if not faults:
        return "no spills, nothing above its budget."
    return "1 error." if faults == 1 else f"{faults} errors."


if __name__ == "__main__":
    sys.exit(main())
