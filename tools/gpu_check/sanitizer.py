"""Reads what compute-sanitizer wrote: which faults, where, how often."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tools.gpu_check import rows
from tools.gpu_check.rows import Row
from tools.gpu_check.running import Finished
from tools.gpu_check.setting import CUT, FAILED, PASSED

TOOLS = ("memcheck", "racecheck", "synccheck")
_SUMMARY = re.compile(r"^========= (ERROR|RACECHECK) SUMMARY: (\d+)")
_LINE = re.compile(r"^========= (?! )(.+)$")
_PLACE = re.compile(r"^=========\s+at (.+)$")
_NO_FAULT = (
    "COMPUTE-SANITIZER",
    "ERROR SUMMARY",
    "RACECHECK SUMMARY",
    "Target application",
    "Tracking kernels launched",
    "Default timeout",
)
_CANNOT_WORK = re.compile(r"^========= (?:Internal Sanitizer )?Error: (?!Race reported)(.+)$")


@dataclass(frozen=True)
class Report:
    """``errors`` is None where the tool did not come to its summary, and ``trouble`` where it could not work at all."""

    errors: int | None
    faults: dict[str, int] = field(default_factory=dict)  # a sentence with its place, how often
    trouble: str = ""


def parse(text: str) -> Report:
    """Read the output of one run, with the program's own lines between the tool's."""
    errors, trouble = None, ""
    faults: Counter[str] = Counter()
    last = ""
    for line in text.splitlines():
        if match := _SUMMARY.match(line):
            errors = (errors or 0) + int(match[2])
        elif match := _CANNOT_WORK.match(line):
            trouble = trouble or match[1]
        elif match := _LINE.match(line):
            last = "" if match[1].startswith(_NO_FAULT) else match[1].strip()
            if last:
                faults[last] += 1
        elif last and (match := _PLACE.match(line)):
            # The place belongs to the fault, and tells faults of one kind apart.
            faults[last] -= 1
            faults[f"{last} at {match[1].strip()}"] += 1
            last = ""
    return Report(errors, {fault: times for fault, times in faults.items() if times > 0}, trouble)


def command(program: str, tool: str, port: int) -> list[str]:
    """Return the call of compute-sanitizer that goes before a program's own.

    Only textnn's kernels are looked at, and not the calls of torch's libraries, which try things out that may fail.
    Runs that go side by side need ports of their own.
    """
    return [
        program,
        *(["--report-api-errors=no"] if tool == "memcheck" else []),
        f"--tool={tool}",
        "--kernel-name=kernel_substring=textnn",
        "--target-processes=application-only",
        "--destroy-on-device-error=kernel",
        "--print-limit=200",
        "--error-exitcode=86",
        "--launch-timeout=60",
        f"--port={port}",
    ]


def summary(tool: str, finished: Sequence[Finished], records: Sequence[Path]) -> Row:
    """Put the runs of one tool together: cases that were checked, left out or wrong, faults, and what went amiss."""
    reports = [parse(run.output) for run in finished]
    recorded = [row for record in records for row in rows.read(record)]
    ended = {row["case"]: row["message"] for row in recorded if row["kind"] == "end"}
    planned = [case for row in recorded if row["kind"] == "planned" for case in row["cases"]]
    faults: Counter[str] = Counter()
    for report in reports:
        faults.update(report.faults)
    known = [report.errors for report in reports if report.errors is not None]
    # A run that ended by itself without a summary is one that the tool could not watch.
    silent = [
        f"no summary: {run.end}"
        for run, report in zip(finished, reports, strict=True)
        if run.code is not None and report.errors is None
    ]
    return {
        "kind": "sanitizer",
        "tool": tool,
        "errors": sum(known) if known else None,
        "faults": dict(faults.most_common()),
        "checked": list(ended),
        "wrong": {case: message for case, message in ended.items() if message},
        "left": [case for case in planned if case not in ended],
        "trouble": next((report.trouble for report in reports if report.trouble), silent[0] if silent else ""),
    }


def verdict(found: Sequence[Row]) -> tuple[str, str]:
    """Return state and sentence for the summaries of all tools."""
    parts, states = [], []
    for row in found:
        checked, planned = len(row["checked"]), len(row["checked"]) + len(row["left"])
        part = f"{row['tool']}: {sum(row['faults'].values())} faults in {checked} of {planned} cases"
        if row["wrong"]:
            part += f", {len(row['wrong'])} wrong"
        parts.append(f"{part}, {row['trouble']}" if row["trouble"] else part)
        bad = row["faults"] or row["errors"] or row["wrong"] or row["trouble"] or not checked
        states.append(FAILED if bad else CUT if row["left"] else PASSED)
    state = FAILED if FAILED in states else CUT if CUT in states else PASSED
    return state, "; ".join(parts)
