"""Trainings in bfloat16 beside those in float32, split by split: a section of docs/accuracy.md.

entries of textnn/NAME and of textnn/NAME+bfloat16, by seed -> means, paired differences and their standard errors
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from ..report import markdown
from . import summary
from .contestants import HALF
from .results import Entry

Data = Mapping[str, Sequence[Entry]]
INTRODUCTION = """## Trained in bfloat16

The same splits and seeds with `precision="bfloat16"` ([training.md](training.md#precision)), by
`python -m bench.accuracy --precision both`. *Difference* is bfloat16 less float32, in percentage points: the mean over
the splits that both have, ± its standard error. *CPU s* are of a training. Models predict in float32; *predictions that
differ* is the share of test texts that get another label when the model trained in bfloat16 predicts in bfloat16 too.
"""


def without(data: Data) -> dict[str, list[Entry]]:
    """Return the entries of all who train in float32."""
    return {name: list(entries) for name, entries in data.items() if not name.endswith(HALF)}


def sections(sets: Mapping[summary.Place, Data]) -> list[str]:
    """Return the paragraphs; nothing where no training was in bfloat16."""
    text = []
    for (name, size), data in sets.items():
        if pairs := _pairs(data):
            learnt = "" if size == summary.ALL else f", {size:,} texts to learn from"
            text += [f"{name}{learnt}:\n", markdown(_table(pairs)) + "\n", f"{_together(pairs)}\n"]
    return [INTRODUCTION, *text] if text else []


def _pairs(data: Data) -> dict[str, list[tuple[Entry, Entry]]]:
    """Return what each architecture did in float32 and in bfloat16, on the splits that have both."""
    found = {}
    for name, halves in data.items():
        if name.endswith(HALF):
            full = {entry["seed"]: entry for entry in data.get(name.removesuffix(HALF), ())}
            if both := [(full[entry["seed"]], entry) for entry in halves if entry["seed"] in full]:
                found[name.removesuffix(HALF)] = both
    return dict(sorted(found.items(), key=lambda item: -statistics.mean(one["accuracy"] for one, _ in item[1])))


def _table(pairs: Mapping[str, Sequence[tuple[Entry, Entry]]]) -> dict[str, list[str]]:
    rows = [list(zip(*both, strict=True)) for both in pairs.values()]
    return {
        "architecture": [name.removeprefix("textnn/") for name in pairs],
        "splits": [str(len(full)) for full, _ in rows],
        "float32": [_spread(full) for full, _ in rows],
        "bfloat16": [_spread(half) for _, half in rows],
        "difference": [shown(differences(both)) for both in pairs.values()],
        "CPU s, float32": [f"{statistics.mean(entry['seconds'] for entry in full):.1f}" for full, _ in rows],
        "CPU s, bfloat16": [f"{statistics.mean(entry['seconds'] for entry in half):.1f}" for _, half in rows],
        "predictions that differ": [_differ(half) for _, half in rows],
    }


def differences(both: Sequence[tuple[Entry, Entry]]) -> list[float]:
    """Return bfloat16 less float32 of each split, in percentage points."""
    return [100 * (half["accuracy"] - full["accuracy"]) for full, half in both]


def shown(numbers: Sequence[float]) -> str:
    """Return a mean ± its standard error, where there are several numbers."""
    mean = f"{statistics.mean(numbers):+.2f}"
    return f"{mean} ± {statistics.stdev(numbers) / math.sqrt(len(numbers)):.2f}" if len(numbers) > 1 else mean


def _spread(entries: Sequence[Entry]) -> str:
    scores = [entry["accuracy"] for entry in entries]
    mean = f"{statistics.mean(scores):.4f}"
    return f"{mean} ± {statistics.stdev(scores):.4f}" if len(scores) > 1 else mean


def _differ(entries: Sequence[Entry]) -> str:
    shares: list[Any] = [entry["in bfloat16"]["differ"] for entry in entries if "in bfloat16" in entry]
    return f"{100 * statistics.mean(shares):.2f} %" if shares else ""


def _together(pairs: Mapping[str, Sequence[tuple[Entry, Entry]]]) -> str:
    every = [number for both in pairs.values() for number in differences(both)]
    worse, equal = sum(number < 0 for number in every), sum(number == 0 for number in every)
    return (
        f"Over all {len(every)} pairs: {shown(every)} percentage points; bfloat16 is worse in {worse} of them, "
        f"equal in {equal}."
    )
