"""Rows of bench/harness.py as tables, in the terminal and in Markdown, and as plots of their ratios."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from textnn.files import atomic_text
from tools.markdown import table as as_markdown

from .harness import SETS, Row, console, geometric_mean, groups

DOCS = Path(__file__).parent.parent / "docs"
LEFT = ("case", "textnn in", "best peer", "peer in", "quartiles", "group", "unit", "from", "to")


def columns(rows: Sequence[Row]) -> dict[str, list[str]]:
    """Return the columns of one group by their heads; one that would be empty is left out."""
    unit = rows[0].unit
    table = {
        "case": [row.case for row in rows],
        "textnn in": [row.precision for row in rows],
        f"textnn, {unit}": [_number(row.ours) for row in rows],
        "best peer": [row.peer for row in rows],
        "peer in": [row.peer_precision for row in rows],
        f"peer, {unit}": [_number(row.theirs) for row in rows],
        "ratio": [f"{row.ratio:.2f}" for row in rows],
        "quartiles": ["" if row.low == row.high else f"{row.low:.2f} to {row.high:.2f}" for row in rows],
    }
    for name in _names(row.forced for row in rows):
        table[name] = [f"{row.forced[name]:.2f}" if name in row.forced else "" for row in rows]
    table["largest difference"] = ["" if math.isnan(row.difference) else f"{row.difference:.0e}" for row in rows]
    for name in _names(row.extra for row in rows):
        table[name] = [_number(row.extra[name]) if name in row.extra else "" for row in rows]
    return {head: cells for head, cells in table.items() if any(cells)}


def summary(results: Mapping[str, Sequence[Row]]) -> dict[str, list[str]]:
    """Return the columns of a table with a line for each group of each program."""
    found = [pair for rows in results.values() for pair in groups(rows).items()]
    table = {
        "group": [name for name, _ in found],
        "cases": [str(len(rows)) for _, rows in found],
        "geometric mean": [f"{geometric_mean([row.ratio for row in rows]):.2f}" for _, rows in found],
        "smallest": [f"{min(row.ratio for row in rows):.2f}" for _, rows in found],
        "below 1": [str(sum(row.ratio < 1 for row in rows)) for _, rows in found],
    }
    for name in reversed(SETS.values()):
        means = [[row.forced[name] for row in rows if name in row.forced] for _, rows in found]
        table[f"mean, {name}"] = [f"{geometric_mean(m):.2f}" if m else "" for m in means]
    return {head: cells for head, cells in table.items() if any(cells)}


def sentence(rows: Sequence[Row]) -> str:
    ratios = [row.ratio for row in rows]
    return f"Geometric mean of the ratios {geometric_mean(ratios):.2f}, smallest {min(ratios):.2f}."


def sentence_of(row: Row) -> str:
    sides = f"textnn {_number(row.ours)} {row.unit}, {row.peer} {_number(row.theirs)} {row.unit}"
    return f"{row.group}, {row.case}: {row.ratio:.2f} ({sides})"


def markdown(table: Mapping[str, Sequence[str]]) -> str:
    """Return columns as a Markdown table; the first one has names."""
    return as_markdown(table, (*LEFT, *list(table)[:1]))


def by_group(rows: Sequence[Row]) -> str:
    """Return the table of each group in Markdown, with what its ratios come to."""
    return "\n\n".join(
        f"{group}:\n\n{markdown(columns(members))}\n\n{sentence(members)}" for group, members in groups(rows).items()
    )


def about(content: Mapping[str, Any], note: str = "") -> str:
    """Return a note and what results were measured on."""
    facts = ", ".join(f"{name} {value}" for name, value in content["machine"].items())
    return textwrap.fill(f"{note} {facts}.".strip(), 120)


def show(title: str, rows: Sequence[Row]) -> None:
    """Print the table of one group."""
    table = Table(title=title, title_justify="left")
    cells = columns(rows)
    for head in cells:
        table.add_column(head, justify="left" if head in LEFT else "right", no_wrap=True)
    for line in zip(*cells.values(), strict=True):
        table.add_row(*line)
    console.print(table)
    console.print(sentence(rows))


def _names(dictionaries: Iterable[Mapping[str, float]]) -> list[str]:
    return list(dict.fromkeys(name for d in dictionaries for name in d))


def _number(value: float) -> str:
    """Three figures, never in the form 1e+03."""
    if math.isnan(value):
        return ""
    return f"{value:.0f}" if abs(value) >= 999.5 else f"{value:.3g}"


def plot(path: Path, rows: Sequence[Row], title: str, measure: str = "time") -> None:
    """Draw the ratios of all groups as bars that begin at 1, where both sides are equal."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import LogLocator

    found = groups(rows)
    height = 0.28 * len(rows) + 0.7 * len(found) + 0.6
    figure, axes = pyplot.subplots(
        len(found), 1, figsize=(8, height), height_ratios=[len(r) + 1 for r in found.values()], layout="constrained"
    )
    for axis, (group, members) in zip([axes] if len(found) == 1 else axes, found.items(), strict=True):
        names, ratios = [r.case for r in members][::-1], [r.ratio for r in members][::-1]
        colours = ["#2a7f62" if ratio >= 1 else "#b5482a" for ratio in ratios]
        errors = [
            [max(0.0, r.ratio - r.low) for r in members][::-1],
            [max(0.0, r.high - r.ratio) for r in members][::-1],
        ]
        axis.barh(names, [ratio - 1 for ratio in ratios], left=1, color=colours, xerr=errors, error_kw={"lw": 0.8})
        axis.axvline(1, color="black", lw=0.8)
        axis.set_title(group, loc="left", fontsize=9)
        axis.tick_params(labelsize=7)
        for y, ratio in enumerate(ratios):
            axis.text(max(members[-1 - y].high, 1) * 1.08, y, f"{ratio:.2f}", va="center", ha="left", fontsize=6)
        axis.set_xscale("log")
        axis.set_xlim(0.8 * min(0.6, *(r.low for r in members)), 1.6 * max(2.0, *(r.high for r in members)))
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.minorticks_off()
    figure.suptitle(f"{title}: {measure} of plain PyTorch / {measure} of textnn", fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def write_part(page: Path, program: str, text: str) -> None:
    """Put a text into a page, between ``<!-- program -->`` and ``<!-- end -->``.

    Raises
    ------
    SystemExit
        If the page has no such lines.
    """
    begin, end = f"<!-- {program} -->", "<!-- end -->"
    before, begun, rest = page.read_text(encoding="utf-8").partition(begin)
    _, ended, after = rest.partition(end)
    if not (begun and ended):
        raise SystemExit(f"{page}: expected the lines {begin} and {end}")
    with atomic_text(page) as file:
        file.write(f"{before}{begin}\n{text}\n{end}{after}")
