"""The counters of ncu that say what bounds a kernel, and how its report is read."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

# Name, what a page calls it. Shares are of the peak that can be sustained; stalls are warps that wait, for each
# instruction issued.
COUNTERS = {
    "gpu__time_duration.sum": "duration",
    "launch__registers_per_thread": "registers a thread",
    "sm__warps_active.avg.pct_of_peak_sustained_active": "warps resident, %",
    "sm__throughput.avg.pct_of_peak_sustained_elapsed": "multiprocessors busy, %",
    "sm__inst_executed_pipe_tensor.avg.pct_of_peak_sustained_active": "tensor cores, %",
    "sm__inst_executed_pipe_fma.avg.pct_of_peak_sustained_active": "multiply-adds, %",
    "lts__throughput.avg.pct_of_peak_sustained_elapsed": "second-level cache, %",
    "dram__throughput.avg.pct_of_peak_sustained_elapsed": "memory, %",
    "smsp__average_warps_issue_stalled_barrier_per_issue_active.ratio": "stalled at a block's barrier",
    "smsp__average_warps_issue_stalled_membar_per_issue_active.ratio": "stalled at a fence",
    "smsp__average_warps_issue_stalled_long_scoreboard_per_issue_active.ratio": "stalled on global memory",
    "smsp__average_warps_issue_stalled_short_scoreboard_per_issue_active.ratio": "stalled on shared memory",
    "smsp__average_warps_issue_stalled_math_pipe_throttle_per_issue_active.ratio": "stalled on arithmetic",
}
KERNELS = r"regex:^(forward|backward)_kernel$"  # of csrc/cuda/recurrent_persistent_*.cu


def command(program: str, skip: int, count: int) -> list[str]:
    """Return the call of ncu that goes before a program's own. It leaves the device's clocks alone."""
    return [
        program,
        "--clock-control=none",
        "--target-processes=application-only",
        f"--kernel-name={KERNELS}",
        f"--launch-skip={skip}",
        f"--launch-count={count}",
        f"--metrics={','.join(COUNTERS)}",
        "--csv",
        "--page=raw",
        "--print-units=base",
    ]


def parse(text: str) -> Iterator[dict[str, str]]:
    """Read the table behind whatever else was printed: a dictionary for each kernel, with units behind the numbers.

    Counters that the device does not have are left out.
    """
    lines = text.splitlines()
    start = next((i for i, line in enumerate(lines) if line.startswith('"ID"')), None)
    if start is None:
        return
    heads, *table = csv.reader(io.StringIO("\n".join(line for line in lines[start:] if line.startswith('"'))))
    if not table:
        return
    units, *kernels = table
    for cells in kernels:
        row = dict(zip(heads, cells, strict=False))
        unit = dict(zip(heads, units, strict=False))
        found = {"kernel": row.get("Kernel Name", "")}
        for name, title in COUNTERS.items():
            if row.get(name, "n/a").strip() not in ("", "n/a"):
                extra = unit.get(name, "")
                found[title] = f"{row[name]} {extra}".strip() if extra not in ("%", "", "ratio", "inst") else row[name]
        yield found


def trouble(text: str) -> str:
    """Return the first line in which ncu says what it cannot do."""
    return next(
        (line.removeprefix("==ERROR==").strip() for line in text.splitlines() if line.startswith("==ERROR==")), ""
    )
