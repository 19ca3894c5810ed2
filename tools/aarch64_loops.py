"""What the inner loops of kernels compiled for aarch64 consist of, as speed cannot be measured where qemu runs them.

    python -m tools.aarch64_loops [object files]      after make test-arm; by default those that it made

Of each kernel the innermost loop with the largest share of multiply-adds: how many of its instructions they are, and
how many move a vector to or from the stack, which a loop that fits the registers does not do.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.aarch64 import FOLDER

PRODUCTS = ("fmla", "fmls", "sdot")
BRANCHES = re.compile(r"b\.\w+|cbn?z|tbn?z")
TO_STACK = re.compile(r"[qvds]\d+.*\[sp")


@dataclass(frozen=True)
class Loop:
    """A loop without another one in it."""

    kernel: str
    products: int
    instructions: int
    spills: int
    calls: int

    @property
    def share(self) -> float:
        """Return the share of products among the instructions."""
        return self.products / self.instructions


def functions(lines: Iterable[str]) -> Iterator[tuple[str, list[tuple[int, str, str]]]]:
    """Yield the name of each function in a disassembly and its instructions: address, operation, operands."""
    name, body = "", list[tuple[int, str, str]]()
    for line in lines:
        if head := re.match(r"[0-9a-f]+ <(.*)>:$", line):
            yield name, body
            name, body = head[1], []
        elif found := re.match(r"\s*([0-9a-f]+):\s+(\S+)\s*(.*)$", line):
            body.append((int(found[1], 16), found[2], found[3]))
    yield name, body


def loops(lines: Iterable[str]) -> Iterator[Loop]:
    """Yield the innermost loops of a disassembly that multiply and add vectors."""
    for name, body in functions(lines):
        place = {address: i for i, (address, _, _) in enumerate(body)}
        spans = []
        for end, (address, operation, operands) in enumerate(body):
            target = re.search(r"\b([0-9a-f]+) <", operands) if BRANCHES.fullmatch(operation) else None
            if target and int(target[1], 16) <= address and int(target[1], 16) in place:
                spans.append((place[int(target[1], 16)], end))
        for start, end in spans:
            if any(start <= first and last <= end and (first, last) != (start, end) for first, last in spans):
                continue
            inside = body[start : end + 1]
            products = sum(operation in PRODUCTS for _, operation, _ in inside)
            spills = sum(operation[:2] in ("ld", "st") and bool(TO_STACK.match(rest)) for _, operation, rest in inside)
            calls = sum(operation in ("bl", "blr") for _, operation, _ in inside)
            if products:
                yield Loop(re.sub(r"^.*?::(?:base|dotprod)::", "", name), products, len(inside), spills, calls)


def disassembled(path: Path) -> list[str]:
    """Return the disassembly of an object file."""
    command = ["aarch64-linux-gnu-objdump", "-dC", "--no-show-raw-insn", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def main(given: Sequence[str]) -> int:
    """Print a line for each kernel."""
    paths = [Path(path) for path in given] or sorted((FOLDER / "native" / "native-plain").glob("*.o"))
    for path in paths:
        best: dict[str, Loop] = {}
        for loop in loops(disassembled(path)):
            kernel = re.split(r"[<(]", loop.kernel)[0]
            if kernel not in best or (loop.share, -loop.spills) > (best[kernel].share, -best[kernel].spills):
                best[kernel] = loop
        for kernel, loop in sorted(best.items(), key=lambda item: -item[1].share):
            told = f"{loop.products:3d} of {loop.instructions:3d} ({loop.share:.2f}), {loop.spills} spills"
            print(f"{path.stem:26s}{told}  {kernel}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
