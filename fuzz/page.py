"""The figures of the runs, kept in ``fuzz/figures.json`` and shown in docs/safety.md.

figures of a run -> added to those of the same target -> table between two marks of the page
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FIGURES = "fuzz/figures.json"
START, END = "<!-- fuzz -->\n", "<!-- end -->"


def record(root: Path, figures: dict[str, Any]) -> None:
    """Add the figures of a run to those that are kept; a run with the same seed and engine takes the older's place."""
    file = root / FIGURES
    runs = json.loads(file.read_bytes()) if file.exists() else []
    key = ("target", "engine", "seed")
    runs = [run for run in runs if [run[name] for name in key] != [figures[name] for name in key]]
    runs.append(figures)
    file.write_text(json.dumps(runs, indent=1) + "\n", encoding="utf-8")


def table(runs: list[dict[str, Any]]) -> str:
    """Return the Markdown of all runs, added up by target."""
    rows = ["| target | inputs | refused | time | slowest input | largest growth of memory | findings |"]
    rows.append("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    total = {"inputs": 0, "refused": 0, "seconds": 0.0, "findings": 0}
    for target in dict.fromkeys(run["target"] for run in runs):
        own = [run for run in runs if run["target"] == target]
        inputs, refused, seconds = (sum(run[name] for run in own) for name in ("inputs", "refused", "seconds"))
        findings = sum(len(run["findings"]) for run in own)
        slowest, largest = max(run["slowest"] for run in own), max(run["largest"] for run in own)
        rows.append(
            f"| {target} | {inputs:,} | {refused:,} | {seconds:.0f} s | {slowest * 1000:.0f} ms | "
            f"{largest / 2**20:.0f} MB | {findings} |"
        )
        for name, value in (("inputs", inputs), ("refused", refused), ("seconds", seconds), ("findings", findings)):
            total[name] += value
    rows.append(
        f"| all | {total['inputs']:,} | {total['refused']:,} | {total['seconds']:.0f} s | | | {total['findings']} |"
    )
    return "\n".join(rows) + "\n"


def write_page(root: Path) -> None:
    """Write the table into the page."""
    page = root / "docs" / "safety.md"
    text = page.read_text(encoding="utf-8")
    start = text.index(START) + len(START)
    runs = json.loads((root / FIGURES).read_bytes())
    page.write_text(text[:start] + table(runs) + text[text.index(END, start) :], encoding="utf-8")
