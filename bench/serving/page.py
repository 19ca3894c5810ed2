"""docs/serving-load.md, from the results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from textnn.files import atomic_text

from ..harness import console
from ..report import markdown

PAGE = Path(__file__).parents[2] / "docs" / "serving-load.md"
INTRODUCTION = """# The server under load

Written by `python -m bench.serving`; every figure here comes from it, on one machine, where client and server share the
cores.

**Method.** A process for each of the settings runs `textnn serve` (one process, {threads} for the network, uvicorn on
h11). Another process holds so many connections and has one request under way on each: a real review of {characters:.0f}
characters in the mean, `POST /predict`. The servers take turns, {rounds} times {seconds:g} seconds each. *Requests a
second* is the median of the rounds, with the slowest and the quickest; *p50* and *p99* are of the time from sending to
the end of the answer. *Errors* are requests without an answer, answers other than 200, and answers with another label
than the classifier gives by itself: answers that were mixed up would count.
"""
END = """## The end under load

SIGTERM in the middle of a load of {connections} connections: {answered:,} requests were answered, {counted:,} by the
server's own count; {lost} were sent and got no answer, {errors} got another answer than they should. The server ended
{seconds:.1f} s after the signal with the exit code {code}.
"""


def write(results: dict[str, Any], path: Path = PAGE) -> None:
    """Write the page."""
    rows, end = results["rows"], results["end"]
    threads = results["machine"]["threads"]
    machine = "\n".join(f"- {name}: {value}" for name, value in results["machine"].items())
    table = {
        "case": [row["name"] for row in rows],
        "connections": [str(row["connections"]) for row in rows],
        "requests": [f"{row['requests']:,}" for row in rows],
        "errors": [str(row["errors"]) for row in rows],
        "requests a second": [f"{row['rate']:,.0f}" for row in rows],
        "slowest to quickest round": [f"{row['low']:,.0f} to {row['high']:,.0f}" for row in rows],
        "p50, ms": [f"{row['p50']:.1f}" for row in rows],
        "p99, ms": [f"{row['p99']:.1f}" for row in rows],
    }
    text = [
        INTRODUCTION.format(threads=f"{threads} thread{'s' * (threads != '1')}", **results),
        f"{machine}\n- texts: {results['data']}\n",
        markdown(table) + "\n",
        END.format(
            counted=end["counted by the server"], seconds=end["seconds to end"], code=end["exit code"], **end
        ).rstrip(),
    ]
    with atomic_text(path) as file:
        file.write("\n".join(text) + "\n")
    console.print(f"Wrote {path}")
