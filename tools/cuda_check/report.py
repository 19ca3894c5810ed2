"""What a kernel uses: read from the report of `ptxas -v` and, for what that leaves out, from the PTX."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

_ENTRY = re.compile(r"Compiling entry function '(\S+)' for '(sm_\d+\w*)'")
_PROPERTIES = re.compile(r"Function properties for (\S+)")
_STACK = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_USED = re.compile(r"Used (\d+) registers")
_BARRIERS = re.compile(r"used (\d+) barriers")
_SHARED = re.compile(r"(\d+) bytes smem")

_PTX_ENTRY = re.compile(r"^\s*(?:\.visible\s+|\.weak\s+)?\.entry\s+([\w$]+)", re.MULTILINE)
_PTX_THREADS = re.compile(r"\.(?:maxntid|reqntid)\s+([\d\s,]+)")
_PTX_EMPTY = re.compile(r"\{\s*ret;\s*\}\s*")
_PTX_DYNAMIC = re.compile(r"\.extern\s+\.shared\s[^;]*?([\w$]+)\s*\[\s*\]")


@dataclass(frozen=True)
class Usage:
    """What one kernel uses on one architecture; memory in bytes."""

    kernel: str  # its name: mangled, or short once named() has seen it
    architecture: str  # "sm_90"
    registers: int = 0
    shared: int = 0  # static
    stack: int = 0
    spill_stores: int = 0
    spill_loads: int = 0
    barriers: int = 0
    threads: int | None = None  # of a block, from __launch_bounds__; None where a kernel has none
    dynamic: bool = False  # takes dynamic shared memory as well

    @property
    def spills(self) -> int:
        return self.spill_stores + self.spill_loads


def parse_report(text: str) -> list[Usage]:
    """Read what `nvcc -Xptxas -v` wrote.

    Stack frames and spills of functions that were not inlined count as those of the kernel compiled with them.
    """
    found: list[Usage] = []
    inside = False  # of a function's properties
    for line in text.splitlines():
        if match := _ENTRY.search(line):
            found.append(Usage(match[1], match[2]))
        elif _PROPERTIES.search(line):
            inside = True
        elif inside and (match := _STACK.search(line)):
            if not found:
                raise ValueError(f"a function outside of any kernel in the report of ptxas: {line.strip()}")
            stack, stores, loads = map(int, match.groups())
            last = found[-1]
            found[-1] = replace(
                last,
                stack=max(last.stack, stack),
                spill_stores=last.spill_stores + stores,
                spill_loads=last.spill_loads + loads,
            )
            inside = False
        elif found and (match := _USED.search(line)):
            shared, barriers = _SHARED.search(line), _BARRIERS.search(line)
            found[-1] = replace(
                found[-1],
                registers=int(match[1]),
                shared=int(shared[1]) if shared else 0,
                barriers=int(barriers[1]) if barriers else 0,
            )
    if lost := [usage.kernel for usage in found if not usage.registers]:
        raise ValueError(f"ptxas named no registers for {', '.join(lost)}; its report reads differently than expected")
    return found


class Facts(NamedTuple):
    """What the PTX says of a kernel."""

    threads: int | None
    dynamic: bool
    empty: bool  # does nothing: an architecture that it is not meant for


def parse_ptx(text: str) -> dict[str, Facts]:
    """Return the facts of every kernel, by its mangled name."""
    arrays = _PTX_DYNAMIC.findall(text)
    entries = list(_PTX_ENTRY.finditer(text))
    ends = [entry.start() for entry in entries[1:]] + [len(text)]
    facts: dict[str, Facts] = {}
    for entry, end in zip(entries, ends, strict=True):
        head, brace, body = text[entry.end() : end].partition("{")
        bounds = _PTX_THREADS.search(head)
        threads = math.prod(map(int, bounds[1].split(","))) if bounds else None
        dynamic = any(re.search(rf"\b{re.escape(array)}\b", body) for array in arrays)
        facts[entry[1]] = Facts(threads, dynamic, bool(_PTX_EMPTY.match(brace + body)))
    return facts


def with_ptx(usages: Iterable[Usage], ptx: Mapping[str, str]) -> list[Usage]:
    """Add what the PTX says, and leave out empty kernels; ``ptx`` by architecture."""
    facts = {architecture: parse_ptx(text) for architecture, text in ptx.items()}
    complete = []
    for usage in usages:
        fact = facts[usage.architecture][usage.kernel]
        if not fact.empty:
            complete.append(replace(usage, threads=fact.threads, dynamic=fact.dynamic))
    return complete


def short_name(demangled: str) -> str:
    """Return a kernel's name without namespaces, result and parameters, but with its template arguments."""
    name = demangled.replace("(anonymous namespace)::", "").replace("<unnamed>::", "")
    name = re.sub(r"\b[A-Za-z_]\w*::", "", name)
    name = name.replace("> >", ">>")
    depth, begin = 0, 0
    for at, character in enumerate(name):
        if character == "<":
            depth += 1
        elif character == ">":
            depth -= 1
        elif depth == 0 and character == " ":
            begin = at + 1
        elif depth == 0 and character == "(":
            return name[begin:at]
    return name[begin:]


def named(usages: Iterable[Usage]) -> list[Usage]:
    """Give kernels their short names.

    By c++filt alone, which comes with the linker: the toolkit's cu++filt writes the same names differently, and not
    every toolkit has it.
    """
    usages = list(usages)
    mangled = sorted({usage.kernel for usage in usages})
    if not mangled:
        return []
    if shutil.which("c++filt") is None:
        raise FileNotFoundError("c++filt, which comes with binutils, is needed for the names of kernels")
    filtered = subprocess.run(["c++filt"], input="\n".join(mangled), capture_output=True, text=True, check=True)
    names = {old: short_name(new) for old, new in zip(mangled, filtered.stdout.splitlines(), strict=True)}
    if len(set(names.values())) < len(names):
        raise ValueError(f"kernels of one file share a short name: {sorted(names.values())}")
    return [replace(usage, kernel=names[usage.kernel]) for usage in usages]
