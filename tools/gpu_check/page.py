"""The page: what each part came to, then what it found. Written into a folder, and into docs/cuda.md on request."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tools.gpu_check import tables
from tools.gpu_check.rows import Row
from tools.markdown import replace_part, table

BEGIN, END = "<!-- gpu-check -->", "<!-- /gpu-check -->"
EXPLANATION = """Microseconds for each time step, medians over calls on fresh inputs, between two CUDA events. *padded*
and *packed* are `nn.LSTM` in the row's precision, *padded float16* is the padded one in float16. The ratio is the best
peer's time divided by that of textnn as it chooses its form (above 1: textnn is faster). Differences are relative to
the largest value."""


def markdown(results: Mapping[str, Any], level: int = 2) -> str:
    """Return the page of results as they stand in results.json; headings begin at ``level``."""
    head = "#" * level
    parts: Mapping[str, Any] = results.get("parts", {})
    found: list[Row] = [row for part in parts.values() for row in part["rows"]]
    sections = {
        "Parts": summary(parts),
        "Machine": tables.machine(found),
        "Tests that failed": tables.failures(found),
        "Sanitizers": tables.sanitizers(found),
        "Measurements that broke": tables.broken(found),
        "Ceilings": tables.ceilings(found),
        "Targets, for a time step on an H100": tables.targets(found),
        "LSTM": with_explanation(tables.lstm(found)),
        "Text convolution, microseconds a call": tables.text_conv(found),
        "Counters": tables.counters(found),
        "Left out for lack of time": tables.left_out(found),
    }
    return "\n\n".join(f"{head} {title}\n\n{text}" for title, text in sections.items() if text)


def with_explanation(text: str) -> str:
    """Put the explanation before the tables of the LSTM, if there are any."""
    return f"{EXPLANATION}\n\n{text}" if text else ""


def summary(parts: Mapping[str, Any]) -> str:
    """Return a line for each part."""
    if not parts:
        return ""
    columns = {
        "part": list(parts),
        "result": [part["state"] for part in parts.values()],
        "seconds": [f"{part['seconds']:.0f} of {part['limit']:.0f}" for part in parts.values()],
        "what was found": [tables.line(part["sentence"]) for part in parts.values()],
    }
    return table(columns, left=("part", "result", "what was found"))


def when(results: Mapping[str, Any]) -> str:
    """Return the date, with a warning where nothing ran on a GPU."""
    tried = results.get("device", "cuda") == "cpu"
    return f"{results['when']}{', tried out on a CPU with tiny sizes: figures mean nothing' if tried else ''}"


def write(path: Path, results: Mapping[str, Any]) -> None:
    """Write the page of its own."""
    head = f"# textnn on a GPU\n\n{when(results)}, `make gpu-check`."
    path.write_text(f"{head}\n\n{markdown(results)}\n", encoding="utf-8")


def put_into(page: Path, results: Mapping[str, Any]) -> None:
    """Put the results between the two comments of another page; ValueError if it does not hold both."""
    replace_part(page, BEGIN, END, f"\n{when(results)}.\n\n{markdown(results, level=4)}\n")
