"""Runs suites of tests one after the other, all of them whatever becomes of each, and says at the end how each went.

    python -m tools.suites cpu emulated -- [arguments of pytest]

    cpu        every instruction set of the CPU, and what is built on them
    emulated   the operators and layers once more, on the CUDA kernels in the emulator
    slow       what takes long: sanitizers, races, missing barriers, several processes, exports, a browser

The exit status is 1 if a suite failed, and 0 if none did, or none of its tests is among the arguments.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence

SUITES = {
    "cpu": [],
    "emulated": ["--device", "cuda-emulated"],
    "slow": ["-m", "slow"],
}
NO_TESTS = 5  # pytest's exit status where the arguments choose none


def run(names: Sequence[str], arguments: Sequence[str], pytest: Sequence[str]) -> int:
    """Run suites with more arguments of pytest; return the exit status for all of them."""
    lines, failed = [], False
    for name in names:
        began = time.monotonic()
        print(f"--- tests: {name} ---", flush=True)
        code = subprocess.run([*pytest, *SUITES[name], *arguments], check=False).returncode
        word = {0: "passed", NO_TESTS: "no tests"}.get(code, f"FAILED (exit status {code})")
        failed |= code not in (0, NO_TESTS)
        minutes, seconds = divmod(round(time.monotonic() - began), 60)
        lines.append(f"{name:10s}{word}, {minutes} min {seconds} s")
    print("\n".join(["--- tests ---", *lines]), flush=True)
    return int(failed)


def main(given: Sequence[str]) -> int:
    """Run the command line."""
    names, arguments = list(given), list[str]()
    if "--" in names:
        at = names.index("--")
        names, arguments = names[:at], names[at + 1 :]
    if not names or (unknown := set(names) - set(SUITES)):
        wrong = ", ".join(sorted(unknown)) if names else "none"
        print(f"expected some of {', '.join(SUITES)} in front of --, got {wrong}", file=sys.stderr)
        return 2
    return run(names, arguments, [sys.executable, "-m", "pytest"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
