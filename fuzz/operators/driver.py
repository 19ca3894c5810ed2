"""Runs workers, and another where one has ended; figures of all calls, and the findings with the calls that they need.

names, runs -> worker -> dies -> the call that it was at is a finding -> a worker from the next call on -> Figures
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PATIENCE = 180.0  # seconds without a call's end
# Where there is no memory the sanitizer ends the process; elsewhere operator new raises an error.
NO_MEMORY = ("allocation-size-too-big", "out-of-memory")
MOST = 500  # crashes after which a run ends


@dataclass
class Figures:
    """What the calls came to.

    Attributes
    ----------
    calls, errors
        How many were made, and how many raised an error.
    crashes, refused
        Processes that ended, sanitizers' reports included, and those that the sanitizer ended for want of memory.
    findings
        A line each: the call, what happened, the call in words.
    messages
        Of errors, without numbers, with how often they came.
    """

    calls: int = 0
    errors: int = 0
    crashes: int = 0
    refused: int = 0
    findings: list[str] = field(default_factory=list)
    messages: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        found = f"{self.crashes} crashes, {len(self.findings)} findings"
        return "\n".join([*self.findings, f"{self.calls} calls, {self.errors} errors, {found}"])


@dataclass(frozen=True)
class Setting:
    """What the calls are made on: the extension of the source tree, or another one, or the CUDA kernels emulated."""

    seed: int = 0
    library: Path | None = None
    emulated: Path | None = None
    environment: dict[str, str] | None = None
    sanitized: bool = False

    def command(self, *arguments: str) -> list[str]:
        options = [f"--seed={self.seed}", *(["--sanitized"] if self.sanitized else [])]
        options += [f"--{n}={v}" for n in ("library", "emulated") if (v := getattr(self, n))]
        return [sys.executable, "-m", "fuzz.operators.worker", *options, *arguments]

    def variables(self) -> dict[str, str]:
        given = dict(os.environ if self.environment is None else self.environment)
        path = os.pathsep.join(p for p in (str(ROOT), given.get("PYTHONPATH", "")) if p)
        return {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive", **given, "PYTHONPATH": path}


def report_of(stderr: str) -> str:
    """What a sanitizer or the system said, in a line."""
    words = "runtime error:|ERROR: AddressSanitizer|Fatal|terminate|takes more"
    found = re.search(rf"^.*({words}).*$", stderr, re.MULTILINE)
    where = re.findall(r"#\d+ 0x\w+ in (?!.*(?:interceptor|_asan|libc|operator new))(\S+)", stderr)
    return (found[0].strip()[:300] if found else stderr.strip()[-300:]) + (f" in {where[0]}" if where else "")


def _wait(process: subprocess.Popen[bytes], out: Path) -> int | None:
    """The worker's exit status; None where a call did not come to its end."""
    last, since = "", time.monotonic()
    while True:
        try:
            return process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            now = (out / "current").read_text() if (out / "current").exists() else ""
            if now != last:
                last, since = now, time.monotonic()
            elif now and time.monotonic() - since > PATIENCE:
                process.kill()
                process.wait()
                return None


def run(names: Sequence[str], runs: int, setting: Setting, show: bool = False, first: int = 0) -> Figures:
    """Make calls ``first`` to ``runs`` of each name."""
    figures, waiting = Figures(), list(names)
    out = Path(tempfile.mkdtemp(prefix="textnn-fuzz-"))
    try:
        while waiting and figures.crashes < MOST:
            (out / "current").unlink(missing_ok=True)
            arguments = [f"--first={first}", f"--last={runs}", f"--out={out}", *waiting]
            with (out / "stderr").open("wb") as stderr:
                command = setting.command(*arguments, *(["--show"] if show else []))
                process = subprocess.Popen(command, cwd=ROOT, env=setting.variables(), stderr=stderr)
                code = _wait(process, out)
            said = (out / "stderr").read_text(errors="replace")
            if code == 0:
                break
            if not (out / "current").exists() or not (out / "current").read_text():
                raise RuntimeError(f"the worker did not come to its first call:\n{said[-3000:]}")
            name, number = (out / "current").read_text().split("\n")[0].split()
            if any(word in said for word in NO_MEMORY):
                figures.refused += 1
            else:
                figures.crashes += 1
                how = "did not end" if code is None else f"ended with {code}"
                figures.findings.append(f"{name}:{number} {how}: {report_of(said)}")
            waiting, first = waiting[waiting.index(name) :], int(number) + 1
        _count(out, figures)
    finally:
        shutil.rmtree(out)
    return figures


def _count(out: Path, figures: Figures) -> None:
    lines = (out / "results").read_text().splitlines() if (out / "results").exists() else []
    figures.errors += figures.refused
    figures.calls = len(lines) + figures.crashes + figures.refused
    for name, number, outcome, message in map(json.loads, lines):
        if outcome == "finding":
            figures.findings.append(f"{name}:{number} {message}")
        elif outcome != "results":
            figures.errors += 1
            figures.messages[f"{outcome}: {re.sub(r'-?[0-9]+', '#', message.splitlines()[0] if message else '')}"] += 1
