"""Results as parts of docs/translation.md: BLEU of each cell with and without attention, translations, speed."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from typing import Any

from ..harness import Row
from ..report import about, by_group, markdown

EXAMPLES = 6


def bleu(content: Mapping[str, Any]) -> str:
    """Return a table of all networks: means and deviations over the seeds."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in content["rows"]:
        found.setdefault(row["name"], []).append(row)
    heads = ("network", "attention", "BLEU", "BLEU, greedy", "perplexity", "seeds", "epochs")
    table: dict[str, list[str]] = {head: [] for head in heads}
    for name, rows in found.items():
        cell, _, attention = name.partition(", ")
        cells = (
            cell.upper(),
            attention or "none",
            _spread(rows, "bleu"),
            _spread(rows, "greedy"),
            _spread(rows, "perplexity"),
            str(len(rows)),
            f"{_mean(rows, 'epochs'):.0f}",
        )
        for head, value in zip(heads, cells, strict=True):
            table[head].append(value)
    note = (
        "BLEU of characters on the test sentences, by a beam of 5 and greedy; perplexity of a token on the validation "
        "sentences. The mean over the seeds ± the standard deviation."
    )
    return f"{markdown(table)}\n\n{about(content, note)}"


def examples(content: Mapping[str, Any]) -> str:
    """Return what the LSTMs of seed 0 make of the first test sentences, with a right translation."""
    rows = [row for row in content["rows"] if row["seed"] == 0 and row["name"].startswith("lstm")]
    if not rows:
        return ""
    table: dict[str, list[str]] = {"sentence": [], **{row["name"]: [] for row in rows}, "a right translation": []}
    for number in range(min(EXAMPLES, len(rows[0]["examples"]))):
        source, _, right = rows[0]["examples"][number]
        table["sentence"].append(_cell(source))
        table["a right translation"].append(_cell(right))
        for row in rows:
            table[row["name"]].append(_cell(row["examples"][number][1]))
    return f"{markdown(table)}\n\nNot chosen: the first test sentences, seed 0."


def speed(content: Mapping[str, Any]) -> str:
    """Return a table of the ratios of passes."""
    return f"{by_group([Row(**row) for row in content['rows']])}\n\n{about(content)}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _mean(rows: list[dict[str, Any]], name: str) -> float:
    return statistics.mean(row[name] for row in rows)


def _spread(rows: list[dict[str, Any]], name: str) -> str:
    spread = f" ± {statistics.stdev(row[name] for row in rows):.2f}" if len(rows) > 1 else ""
    return f"{_mean(rows, name):.2f}{spread}"


WRITERS: Mapping[str, tuple[str, Callable[[Mapping[str, Any]], str]]] = {
    "bleu": ("bleu", bleu),
    "examples": ("bleu", examples),
    "speed": ("speed", speed),
}
"""For each part of the page, which results it is made of, and how."""
