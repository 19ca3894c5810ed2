"""Results as parts of docs/language.md: a table of perplexities, and a page of verses."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from typing import Any

from ..harness import Row
from ..report import about, by_group, markdown


def perplexity(content: Mapping[str, Any]) -> str:
    """Return a table of all contestants, the best first: means and deviations over the seeds."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in content["rows"]:
        found.setdefault(row["name"], []).append(row)
    table: dict[str, list[str]] = {"model": [], "perplexity": [], "seeds": [], "chosen": []}
    for name, rows in sorted(found.items(), key=lambda pair: _mean(pair[1], "perplexity")):
        spread = f" ± {statistics.stdev(row['perplexity'] for row in rows):.2f}" if len(rows) > 1 else ""
        table["model"].append(name)
        table["perplexity"].append(f"{_mean(rows, 'perplexity'):.2f}{spread}")
        table["seeds"].append(str(len(rows)) if rows[0]["seed"] is not None else "")
        table["chosen"].append(rows[0]["settings"])
    return f"{markdown(table)}\n\n{about(content, 'Perplexity of a character on verses that were held out.')}"


def speed(content: Mapping[str, Any]) -> str:
    """Return a table of the ratios of passes."""
    return f"{by_group([Row(**row) for row in content['rows']])}\n\n{about(content)}"


def verses(content: Mapping[str, Any]) -> str:
    """Return the verses that a model wrote, by how they were drawn."""
    parts = []
    for row in content["rows"]:
        parts += [f"{row['how']}:", "\n".join(f"> {text or '(nothing)'}  " for text in row["verses"])]
    return "\n\n".join([*parts, about(content, "Not chosen: the first ones of seed 0.")])


def _mean(rows: list[dict[str, Any]], name: str) -> float:
    return statistics.mean(row[name] for row in rows)


WRITERS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "perplexity": perplexity,
    "speed": speed,
    "verses": verses,
}
