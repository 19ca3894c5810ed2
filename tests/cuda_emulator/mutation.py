"""Removes the barriers of the CUDA kernels one at a time: some case must fail each time.

    python tests/cuda_emulator/mutation.py [--json] [WHERE ...]

WHERE: a part of "file:line barrier" of those that are wanted; all where there is none. A barrier in a header is removed
for each .cu file that has a kernel with it. The changed sources stand below build/cuda-mutants; a library is made of
them and of the other objects of the unchanged one. The cases that launch these kernels run until one fails which does
not with the unchanged library: first without a sanitizer, in three orders of the threads, then under the race
detector. A barrier has survived that was missed in none of its .cu files; a header may have one that only some need.
The exit code is the number of survivors, at most 100. What is found is kept for report.py in build/cuda-mutants.json; a
run over some barriers replaces what it has of these.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import hashlib
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
if str(HERE.parent) not in sys.path:
    sys.path.insert(0, str(HERE.parent))

from cuda_emulator import build, checks, operators  # noqa: E402

CUDA = ROOT / "csrc/cuda"
MUTANTS = ROOT / "build/cuda-mutants"
FOUND = ROOT / "build/cuda-mutants.json"
BARRIER = re.compile(
    r"(?:\w+::)*\w+(?:\(\))?\.sync\(\)"
    r"|\b(?:__syncthreads(?:_count|_and|_or)?|__syncwarp|__threadfence(?:_block|_system)?)\((?:[^()]|\([^()]*\))*\)"
)
# A function's name, its parameters with one more level of parentheses, and where its body begins.
FUNCTION = re.compile(r"\b(\w+)\s*\((?:[^(){};]|\([^(){};]*\))*\)\s*(?:const\s*)?\{")
NO_FUNCTIONS = {"if", "for", "while", "switch"}
# Cheap ones first.
ATTEMPTS = (("plain", "forward"), ("plain", "reverse"), ("plain", "random:1"), ("race", "forward"))


@dataclasses.dataclass(frozen=True)
class Mutant:
    """A barrier, removed for one .cu file."""

    file: str
    number: int  # of the barrier in the file
    line: int
    begin: int  # in the text of the file
    barrier: str
    unit: str  # the .cu file
    kernels: tuple[str, ...]

    @property
    def place(self) -> str:
        inside = "" if self.file == self.unit else f" in {self.unit}"
        return f"{self.file}:{self.line} {self.barrier}{inside}"

    @property
    def key(self) -> str:
        """What is the same after lines have been added elsewhere."""
        return f"{self.file} {self.number} {self.unit}"


def code(text: str) -> str:
    """The text without comments, macros and launch bounds, with everything else where it was."""

    def blank(match: re.Match[str]) -> str:
        return re.sub(r"[^\n]", " ", match[0])

    text = re.sub(r"//[^\n]*|^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", blank, text, flags=re.MULTILINE)
    return re.sub(r"__launch_bounds__\s*\((?:[^()]|\([^()]*\))*\)", blank, text)


def functions(text: str) -> Iterator[tuple[str, int, int]]:
    """Of every function in code(): its name, and where its body begins and ends. Methods have no class."""
    end = 0
    for match in FUNCTION.finditer(text):
        if match.start() < end or match[1] in NO_FUNCTIONS:
            continue
        depth, end = 1, match.end()
        while depth:
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
        yield match[1], match.end(), end


def included(path: Path) -> list[Path]:
    """The file and those of csrc that it includes, directly or not."""
    found = [path]
    for file in found:
        for name in re.findall(r'^\s*#include "([^"]+)"', file.read_text(), re.MULTILINE):
            other = (file.parent / name).resolve()
            if other.exists() and other not in found:
                found.append(other)
    return found


def kernels_with(unit: Path, function: str) -> tuple[str, ...]:
    """The kernels of a .cu file whose code mentions the function, directly or by way of others, or which it is."""
    bodies: dict[str, str] = {}
    for path in included(unit):
        text = code(path.read_text())
        for name, begin, end in functions(text):
            bodies[name] = bodies.get(name, "") + text[begin:end]
    reached = {function}
    while more := {
        name
        for name, body in bodies.items()
        if name not in reached and any(re.search(rf"\b{other}\b", body) for other in reached)
    }:
        reached |= more
    own = [kernel.split(".")[1] for kernel, file in checks.kernels_in_sources().items() if file == unit.name]
    return tuple(kernel for kernel in own if kernel in reached)


def mutants() -> list[Mutant]:
    """Every barrier of csrc/cuda with every .cu file that has a kernel with it."""
    found = []
    units = {unit: included(unit) for unit in sorted(CUDA.glob("*.cu"))}
    for path in sorted(path for path in CUDA.iterdir() if path.suffix in (".cu", ".cuh", ".h")):
        text = code(path.read_text())
        bodies = list(functions(text))
        for number, match in enumerate(BARRIER.finditer(text), 1):
            around = [name for name, begin, end in bodies if begin <= match.start() < end]
            line = text.count("\n", 0, match.start()) + 1
            where = (path.name, number, line, match.start(), re.sub(r".*::", "", match[0]))
            here = [
                Mutant(*where, unit.name, kernels)
                for unit, files in units.items()
                if path in files and around and (kernels := kernels_with(unit, around[0]))
            ]
            if not here:
                raise RuntimeError(f"{path.name}:{line}: no kernel seems to reach {match[0]}")
            found += here
    return found


def make(mutant: Mutant) -> list[Path]:
    """Write the changed sources; the .cu file."""
    folder = MUTANTS / f"{mutant.file}-{mutant.line}-{mutant.unit}"
    for path in (ROOT / "csrc").rglob("*"):
        if path.suffix not in (".cu", ".cuh", ".h"):
            continue
        text = path.read_text()
        if path == CUDA / mutant.file:
            barrier = BARRIER.match(text, mutant.begin)
            assert barrier is not None
            # What stands in its place is of the same type: void, or a number.
            value = "(" if "__syncthreads_" in barrier[0] else "((void)"
            arguments = barrier[0].partition("(")[2] if "__syncthreads_" in barrier[0] else "0)"
            text = text[: mutant.begin] + value + arguments + text[barrier.end() :]
        copy = folder / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if not copy.exists() or copy.read_text() != text:
            copy.write_text(text)
    return [folder / "csrc/cuda" / mutant.unit]


@functools.cache
def baseline() -> dict[str, Any]:
    """The cases with the unchanged library."""
    result = checks.run("plain", "forward", library=operators.compile_operators("plain"))
    wrong = {name: message for name, message in result["cases"].items() if message}
    if wrong:
        raise RuntimeError(f"the unchanged kernels fail: {wrong}")
    return result


@functools.cache
def passes(flavour: str, order: str, case: str) -> bool:
    """Whether the unchanged library passes this case."""
    library = operators.compile_operators(flavour)
    return checks.run(flavour, order, (case,), library)["cases"] == {case: ""}


def attempt(mutant: Mutant) -> dict[str, str] | None:
    """How the mutant was found: flavour, order, case and message; None where it was not."""
    result = baseline()
    launching = {case for kernel in mutant.kernels for case in result["kernels"].get(kernel, {"cases": []})["cases"]}
    cases = sorted(launching, key=lambda case: result["seconds"][case])
    if not cases:
        return None
    changed, library, made = make(mutant), None, None
    for flavour, order in ATTEMPTS:
        if made != flavour:
            operators.compile_operators(flavour)
            name = f"mutant-{mutant.file}-{mutant.line}-{mutant.unit}"
            library, made = operators.compile_operators(flavour, name, changed), flavour
        slower = 20 if flavour == "race" else 5
        timeout = 60 + slower * sum(result["seconds"][case] for case in cases)
        outcome = checks.run(flavour, order, tuple(cases), library, timeout, first=True)["cases"]
        for case, message in outcome.items():
            if not message:
                continue
            # A process that ended or hung was at the case after those that it has reported.
            last = [name for name in baseline()["cases"] if name in cases and name not in outcome]
            name = case if case != "process" else last[0] if last else cases[-1]
            if passes(flavour, order, name):
                lines = [line for line in message.splitlines() if line.strip()]
                return {"flavour": flavour, "order": order, "case": name, "message": lines[0].strip()[:160]}
    return None


@functools.cache
def digest(unit: str) -> str:
    """Of the code of a .cu file and of what it includes, without comments and white space."""
    texts = [re.sub(r"\s+", "", code(path.read_text())) for path in included(CUDA / unit)]
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def recorded() -> dict[str, dict[str, Any]]:
    """What was found of barriers of the present code, by their keys."""
    records = json.loads(FOUND.read_text()) if FOUND.exists() else {}
    return {m.key: records[m.key] for m in mutants() if records.get(m.key, {}).get("digest") == digest(m.unit)}


def run(wanted: Sequence[Mutant]) -> dict[str, dict[str, Any]]:
    """Of every mutant, by its key, what it is, and under "found" how it was found."""
    results = {}
    for i, mutant in enumerate(wanted):
        found = attempt(mutant)
        more = {"place": mutant.place, "digest": digest(mutant.unit), "found": found}
        results[mutant.key] = dataclasses.asdict(mutant) | more
        how = f"{found['flavour']} {found['order']}: {found['case']}: {found['message']}" if found else "not missed"
        print(f"[{i + 1}/{len(wanted)}] {mutant.place:70s} {how}", flush=True)
    return results


def survivors(results: dict[str, dict[str, Any]]) -> list[str]:
    """The barriers that no case misses, with their places."""
    found = {(r["file"], r["number"]) for r in results.values() if r["found"]}
    return [r["place"] for r in results.values() if (r["file"], r["number"]) not in found]


def table(results: dict[str, dict[str, Any]]) -> list[str]:
    """Rows in Markdown."""
    rows = ["| barrier | flavour, order | call | message |", "| --- | --- | --- | --- |"]
    for result in results.values():
        found = result["found"] or {"flavour": "not missed", "order": "", "case": "", "message": ""}
        cells = [result["place"], f"{found['flavour']} {found['order']}", found["case"], found["message"]]
        rows.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("where", nargs="*", metavar="WHERE")
    parser.add_argument("--json", action="store_true", help="print what was found as JSON, and progress to stderr")
    options = parser.parse_args()
    if lack := build.missing():
        print(lack)
        return 1
    everything = mutants()
    wanted = [m for m in everything if not options.where or any(part in m.place for part in options.where)]
    with contextlib.redirect_stdout(sys.stderr if options.json else sys.stdout):
        results = run(wanted)
    FOUND.write_text(json.dumps(recorded() | results, indent=1) + "\n")
    if options.json:
        print(json.dumps(results, indent=1))
    else:
        print("\n".join(table(results)))
    return min(100, len(survivors(results)))


if __name__ == "__main__":
    sys.exit(main())
