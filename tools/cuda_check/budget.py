"""What kernels may use: budget.json, and what the kernels as compiled break of it.

    nvcc          the version that the figures are from
    launches      what is not in a kernel's code: dynamic shared memory, threads where there are no launch bounds
    stack_frames  kernels that may have one, and why
    kernels       the most registers, static shared memory and stack of each, over all architectures

The first match counts in `launches` and `stack_frames`, whose keys are patterns ("rows.cu: pack_rows_kernel<*").
Recording writes `nvcc` and `kernels` anew and leaves the rest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeVar

from tools.cuda_check import occupancy
from tools.cuda_check.report import Usage

FILE = Path(__file__).with_name("budget.json")
FIGURES = {"registers": "registers", "shared": "bytes of static shared memory", "stack": "bytes of stack"}
Uses = Mapping[str, Sequence[Usage]]  # of each kernel, "pool.cu: max_mean_pool_kernel<float>", on every architecture
T = TypeVar("T")


@dataclass
class Budget:
    nvcc: str = ""
    launches: dict[str, dict[str, int]] = field(default_factory=dict)
    stack_frames: dict[str, str] = field(default_factory=dict)
    kernels: dict[str, dict[str, int]] = field(default_factory=dict)

    @staticmethod
    def load(path: Path = FILE) -> Budget:
        return Budget(**json.loads(path.read_text()))

    def save(self, path: Path = FILE) -> None:
        # A line for each entry: a change shows what changed.
        parts = [f'"nvcc": {json.dumps(self.nvcc)}']
        for name in ("launches", "stack_frames", "kernels"):
            entries = [f"    {json.dumps(key)}: {json.dumps(value)}" for key, value in getattr(self, name).items()]
            parts.append(f'"{name}": {{\n' + ",\n".join(entries) + "\n  }" if entries else f'"{name}": {{}}')
        path.write_text("{\n  " + ",\n  ".join(parts) + "\n}\n")

    def record(self, nvcc: str, uses: Uses) -> None:
        """Take what the kernels use as their budget."""
        self.nvcc = nvcc
        self.kernels = {name: worst(uses[name]) for name in sorted(uses)}

    def threads(self, name: str, usage: Usage) -> int | None:
        """Return the threads of a block; None where neither launch bounds nor an entry tell."""
        return usage.threads or self._launch(name).get("threads")

    def dynamic_shared(self, name: str) -> int | None:
        return self._launch(name).get("dynamic_shared")

    def occupancy(self, name: str, usage: Usage) -> float | None:
        """Return the theoretical occupancy, None where the threads of a block are unknown."""
        threads = self.threads(name, usage)
        if threads is None:
            return None
        shared = usage.shared + (self.dynamic_shared(name) or 0 if usage.dynamic else 0)
        return occupancy.occupancy(usage.architecture, threads, usage.registers, shared, usage.barriers)

    def _launch(self, name: str) -> dict[str, int]:
        return _first(self.launches, name) or {}


def worst(usages: Sequence[Usage]) -> dict[str, int]:
    """Return the greatest figures over the architectures."""
    return {figure: max(getattr(usage, figure) for usage in usages) for figure in FIGURES}


def faults(budget: Budget, uses: Uses) -> list[str]:
    """Return what fails the check, a sentence each."""
    found = []
    for name, usages in uses.items():
        found += _unrecordable(budget, name, usages)
        if name not in budget.kernels:
            found.append(f'{name} has no recorded budget: make cuda-check ARGS="--record" writes it.')
            continue
        for figure, words in FIGURES.items():
            allowed = budget.kernels[name].get(figure, 0)
            for usage in usages:
                if (used := getattr(usage, figure)) > allowed:
                    found.append(f"{name} takes {used} {words} on {usage.architecture}, its budget is {allowed}.")
    return found


def _unrecordable(budget: Budget, name: str, usages: Sequence[Usage]) -> list[str]:
    """Return what recording does not mend."""
    found = []
    for usage in usages:
        if usage.spills:
            found.append(
                f"{name} spills registers on {usage.architecture}: {usage.spill_stores} bytes stored, "
                f"{usage.spill_loads} bytes loaded; the budget is 0."
            )
        if budget.occupancy(name, usage) == 0:
            found.append(f"{name} cannot run on {usage.architecture}: not even one block fits on a multiprocessor.")
    frame = max((usage.stack for usage in usages if not usage.spills), default=0)
    if frame and _first(budget.stack_frames, name) is None:
        found.append(
            f"{name} has a stack frame of {frame} bytes; only kernels that stack_frames of budget.json lists with a "
            "reason may have one."
        )
    if any(usage.dynamic for usage in usages) and budget.dynamic_shared(name) is None:
        found.append(f"{name} takes dynamic shared memory: launches in budget.json must say how much.")
    if any(budget.threads(name, usage) is None for usage in usages):
        found.append(f"{name} has no __launch_bounds__: it needs them, or threads in launches of budget.json.")
    return found


def notes(budget: Budget, nvcc: str, uses: Uses) -> list[str]:
    """Return what could be better without failing the check."""
    found = []
    if budget.nvcc != nvcc:
        found.append(f"The budgets are from nvcc {budget.nvcc or '(none)'}, this is {nvcc}: figures may differ.")
    for name, usages in uses.items():
        recorded = budget.kernels.get(name)
        if recorded is None:
            continue
        for figure, used in worst(usages).items():
            if used < recorded.get(figure, 0):
                found.append(f"{name} takes at most {used} {FIGURES[figure]}: its budget of {recorded[figure]} can go.")
    found += [f"{name} has a budget, but there is no such kernel." for name in budget.kernels if name not in uses]
    for table in ("launches", "stack_frames"):
        unused = [key for key in getattr(budget, table) if not any(fnmatchcase(name, key) for name in uses)]
        found += [f'"{key}" in {table} of budget.json fits no kernel.' for key in unused]
    return found


def _first(patterns: Mapping[str, T], name: str) -> T | None:
    return next((value for pattern, value in patterns.items() if fnmatchcase(name, pattern)), None)
