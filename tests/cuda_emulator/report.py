"""Writes which check ran every CUDA kernel into docs/cuda.md, between the marks <!-- cuda-checks --> and its end.

    python tests/cuda_emulator/report.py [--into FILE]

Runs all cases (tests/cuda_cases.py) in every flavour and order; what removing barriers showed is read from what
mutation.py left. The exit code is 1 where a case fails, a kernel is launched by none, or a barrier is missed by none.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
if str(HERE.parent) not in sys.path:
    sys.path.insert(0, str(HERE.parent))

from cuda_emulator import build, checks, mutation, operators  # noqa: E402

BEGIN, END = "<!-- cuda-checks -->", "<!-- /cuda-checks -->"
# The columns that are runs of all cases.
RUNS = {
    "values": ("plain", "forward"),
    "reverse order": ("plain", "reverse"),
    "random order": ("plain", "random:1"),
    "races": ("race", "forward"),
    "sanitizer": ("asan", "forward"),
}
YES, NONE, MISSING = "yes", "–", "**no**"
EXPLANATION = """\
*Values*: the operators, and how many calls of them, that launched the kernel and whose results were compared with the
reference. *Gradients*: whether gradients of such a call were compared too; – where there are none. *Orders*: the same
calls with the threads in reverse and in random order. *Races*: under the race detector. *Sanitizer*: under the address
and undefined-behaviour sanitizers. *Barriers*: how many were removed, one at a time, and how many of them a call then
missed; a barrier in a header counts for every kernel that has it."""


def complaints(results: dict[str, dict[str, Any]]) -> list[str]:
    """What is wrong with the runs, as sentences."""
    wrong = []
    for column, result in results.items():
        wrong += [f"{column}: {case}: {message[:300]}" for case, message in result["cases"].items() if message]
        for kernel in checks.kernels_in_sources():
            if kernel.split(".")[1] not in result["kernels"]:
                wrong.append(f"{column}: no case launches {kernel}")
    return wrong


def shared_names() -> list[str]:
    """Kernels whose launches cannot be told apart, as sentences."""
    kernels = checks.kernels_in_sources()
    return [
        f"{name} is a kernel of {' and '.join(file for k, file in kernels.items() if k.endswith('.' + name))}: "
        "launches are known by the name alone, give them different ones"
        for name, number in Counter(kernel.split(".")[1] for kernel in kernels).items()
        if number > 1
    ]


def barriers() -> tuple[dict[tuple[str, str], tuple[int, int]], list[str]]:
    """For (file, kernel) how many barriers were removed and found; and what is wrong, as sentences."""
    records = mutation.recorded()
    wrong = [f"no case misses {place}" for place in mutation.survivors(records)]
    counts: dict[tuple[str, str], tuple[int, int]] = {}
    for mutant in mutation.mutants():
        record = records.get(mutant.key)
        if not record:
            wrong.append(f"{mutant.place} was not removed from the present code: run tests/cuda_emulator/mutation.py")
        for kernel in mutant.kernels:
            removed, found = counts.get((mutant.unit, kernel), (0, 0))
            counts[mutant.unit, kernel] = (removed + bool(record), found + bool(record and record["found"]))
    return counts, wrong


def notes() -> list[str]:
    """The barriers that one kernel has because another needs them."""
    return [
        f"`{', '.join(record['kernels'])}` does not need `{record['barrier']}` in `{record['file']}` (line "
        f"{record['line']}), which another kernel does."
        for record in mutation.recorded().values()
        if not record["found"]
    ]


def calls(cases: list[str]) -> str:
    """The operators that cases call, and how many cases there are."""
    names = dict.fromkeys(re.split(r"[ ,]", case)[0] for case in cases)
    return f"{', '.join(names)} ({len(cases)})"


def table(results: dict[str, dict[str, Any]], removed: dict[tuple[str, str], tuple[int, int]]) -> str:
    """A row for each kernel."""
    lines = [
        "| kernel | file | values (calls) | gradients | orders | races | sanitizer | barriers: removed, found |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for key, file in checks.kernels_in_sources().items():
        kernel = key.split(".")[1]
        entries = {column: result["kernels"].get(kernel) for column, result in results.items()}
        values = entries["values"]

        def ran(*columns: str, entries: dict[str, Any] = entries) -> str:
            return YES if all(entries[column] for column in columns) else MISSING

        cells = [
            f"`{kernel}`",
            f"`{file}`",
            calls(values["cases"]) if values else MISSING,
            YES if values and values["gradients"] else NONE,
            ran("reverse order", "random order"),
            ran("races"),
            ran("sanitizer"),
            "{}, {}".format(*removed[file, kernel]) if (file, kernel) in removed else NONE,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", type=Path, default=ROOT / "docs/cuda.md", help="the page, with both marks")
    options = parser.parse_args()
    if lack := build.missing():
        print(lack)
        return 1
    page = options.into.read_text()
    if BEGIN not in page or END not in page:
        print(f"{options.into} has no place for the table: {BEGIN} and {END}")
        return 1
    results = {
        column: checks.run(flavour, order, library=operators.compile_operators(flavour))
        for column, (flavour, order) in RUNS.items()
    }
    removed, wrong = barriers()
    wrong += complaints(results) + shared_names()
    for sentence in wrong:
        print(sentence)
    before, rest = page.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    parts = [EXPLANATION, table(results, removed), *notes()]
    options.into.write_text(f"{before}{BEGIN}\n{(chr(10) * 2).join(parts)}\n{END}{after}")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
