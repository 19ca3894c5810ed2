"""Results as the tables of docs/tagging.md."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from typing import Any

from ..harness import Row
from ..report import about, by_group, markdown


def accuracy(content: Mapping[str, Any]) -> str:
    """Return a table of each task: F1 of each program, means and deviations over the seeds."""
    parts = []
    for task in dict.fromkeys(row["task"] for row in content["rows"]):
        found: dict[str, list[dict[str, Any]]] = {}
        for row in content["rows"]:
            if row["task"] == task:
                found.setdefault(row["name"], []).append(row)
        table: dict[str, list[str]] = {task: [], "F1": [], "seeds": [], "precision": [], "recall": [], "seconds": []}
        for name, rows in sorted(found.items(), key=lambda pair: -_mean(pair[1], "F1")):
            deviation = statistics.stdev(row["F1"] for row in rows) if len(rows) > 1 else None
            spread = "" if deviation is None else f" ± {deviation:.4f}"
            table[task].append(f"textnn, `{name}`" if "seed" in rows[0] else name)
            table["F1"].append(f"{_mean(rows, 'F1'):.4f}{spread}")
            table["seeds"].append(str(len(rows)) if "seed" in rows[0] else "")
            table["precision"].append(f"{_mean(rows, 'precision'):.4f}")
            table["recall"].append(f"{_mean(rows, 'recall'):.4f}")
            table["seconds"].append(f"{_mean(rows, 'seconds'):.0f}" if "seconds" in rows[0] else "")
        parts.append(markdown({head: cells for head, cells in table.items() if any(cells)}))
    return "\n\n".join([*parts, about(content, "Means over the seeds and their standard deviation.")])


def speed(content: Mapping[str, Any]) -> str:
    """Return a table of characters a second."""
    rows = [row for row in content["rows"] if row["name"] != "threads"]
    rows.sort(key=lambda row: -row["characters a second"])
    table = {
        "program": [row["name"] for row in rows],
        "characters a second": [f"{_round(row['characters a second']):,.0f}" for row in rows],
    }
    return f"{markdown(table)}\n\n{about(content, 'Only textnn uses more than one thread.')}"


def training(content: Mapping[str, Any]) -> str:
    """Return a table of the ratios of steps."""
    return f"{by_group([Row(**row) for row in content['rows']])}\n\n{about(content)}"


def _mean(rows: list[dict[str, Any]], name: str) -> float:
    return statistics.mean(row[name] for row in rows)


def _round(value: float) -> float:
    """Return a number of three digits that count."""
    return float(f"{value:.3g}")


WRITERS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "accuracy": accuracy,
    "speed": speed,
    "training": training,
}
