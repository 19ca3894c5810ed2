"""Results as a part of docs/pretraining.md: a table, a line a number of labels."""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from ..report import markdown
from .contestants import CONTESTANTS, DEFAULT, PRETRAINED, TFIDF

Rows = Sequence[Mapping[str, Any]]


def table(content: Mapping[str, Any]) -> str:
    """Return accuracies, means over the draws, and by how much those with a language model are better."""
    rows = _shown(content["rows"])
    content = {**content, "rows": rows}
    sizes = sorted({row["size"] for row in rows})
    columns: dict[str, list[str]] = {"labels": [], **{name: [] for name in CONTESTANTS}}
    gains: dict[str, list[str]] = {"labels": [], "gain": [], "draws": [], "mean": [], "deviation": [], "better on": []}
    for size in sizes:
        of_size = [row for row in rows if row["size"] == size]
        columns["labels"].append(f"{size:,}")
        for name in CONTESTANTS:
            found = [100 * row["accuracy"] for row in of_size if row["name"] == name]
            columns[name].append(_mean(found))
        for name in PRETRAINED:
            for other in (DEFAULT, TFIDF):
                if found := _differences(of_size, name, other):
                    spread = f"{statistics.stdev(found):.2f}" if len(found) > 1 else ""
                    better = f"{sum(value > 0 for value in found)} of {len(found)}"
                    cells = f"{size:,}", f"{name} over {other}", str(len(found)), f"{statistics.mean(found):+.2f}"
                    for column, cell in zip(gains.values(), (*cells, spread, better), strict=True):
                        column.append(cell)
    return "\n\n".join([markdown(columns), markdown(gains), _about(content)])


def _shown(rows: Rows) -> Rows:
    """Return the rows of all texts, with the language model that was measured last; older files name no model."""
    rows = [row for row in rows if row.get("limit") is None]
    last = next((row["data"] for row in reversed(rows) if "data" in row), None)  # older rows do not say
    rows = [row for row in rows if row.get("data", last) == last]
    models = [row["model"] for row in rows if row.get("model") is not None]
    return [row for row in rows if row.get("model") in (None, *models[-1:])]


def _mean(found: Sequence[float]) -> str:
    if not found:
        return ""
    spread = f" ± {statistics.stdev(found):.2f}" if len(found) > 1 else " (1 draw)"
    return f"{statistics.mean(found):.2f}{spread}"


def _differences(rows: Rows, name: str, other: str) -> list[float]:
    """Return the differences, in points, on the draws that both have."""
    known = {(row["name"], row["draw"]): 100 * row["accuracy"] for row in rows}
    draws = sorted({row["draw"] for row in rows})
    return [known[name, n] - known[other, n] for n in draws if (name, n) in known and (other, n) in known]


def _about(content: Mapping[str, Any]) -> str:
    facts = ", ".join(f"{name} {value}" for name, value in content["machine"].items())
    seconds = []
    for name in CONTESTANTS:
        found = sorted({row["size"] for row in content["rows"] if row["name"] == name})
        means = [
            statistics.mean(row["seconds"] for row in content["rows"] if (row["name"], row["size"]) == (name, size))
            for size in found
        ]
        shown = ", ".join(f"{mean:.0f} s ({size:,})" for mean, size in zip(means, found, strict=True))
        seconds.append(f"{name} {shown}")
    return textwrap.fill(f"CPU time of a training: {'; '.join(seconds)}. {facts}.", 120)
