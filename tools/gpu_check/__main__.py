"""Build textnn for the GPU of this machine; test, check and measure it there.

Exit codes: 0 every part passed; 1 one did not, or there is no GPU; 2 the arguments are wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tools.gpu_check import machine, page
from tools.gpu_check.machine import Machine
from tools.gpu_check.parts import BUILD, PARTS, Part
from tools.gpu_check.running import ROOT, Programs, end_all, stop
from tools.gpu_check.setting import FAILED, NOT_RUN, PASSED, Outcome, Setting

MINUTES = 8.0
NAMES = [part.name for part in PARTS]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.gpu_check", description=__doc__)
    parser.add_argument("--parts", default="", help=f"some of: {' '.join(NAMES)} (default: all)")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "gpu-check", help="folder for logs, results.json and page.md"
    )
    parser.add_argument("--minutes", type=float, default=MINUTES, help="time for everything; the parts' limits follow")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"], help="cpu: try the check itself out")
    parser.add_argument("--page", type=Path, help=f"put the results between {page.BEGIN} and {page.END} of a page")
    parser.add_argument("--from-results", type=Path, metavar="JSON", help="run nothing, take results of an earlier run")
    options = parser.parse_args(arguments)
    names = options.parts.replace(",", " ").split() or NAMES
    if unknown := [name for name in names if name not in NAMES]:
        parser.error(f"there is no part {', '.join(unknown)}; the parts are {', '.join(NAMES)}")

    if options.from_results:
        results = json.loads(options.from_results.read_text(encoding="utf-8"))
        passed = True
    else:
        before = {number: signal.signal(number, interrupted) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            results = Check(options, [part for part in PARTS if part.name in names]).run()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        passed = all(part["state"] == PASSED for part in results["parts"].values())
    if options.page:
        try:
            page.put_into(options.page, results)
        except (OSError, ValueError) as error:
            print(error)
            return 1
    return 0 if passed else 1


def interrupted(number: int, _: object) -> None:
    """End with everything that was started; what the parts before found is written already."""
    stop()
    sys.exit(128 + number)


class Check:
    """One run: the chosen parts in turn, results written after each of them."""

    def __init__(self, options: argparse.Namespace, chosen: Sequence[Part]) -> None:
        self.chosen, self.out, self.device = chosen, options.out.resolve(), options.device
        self.scale = options.minutes / MINUTES
        self.end = time.monotonic() + 60 * options.minutes
        when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
        self.results: dict[str, Any] = {"when": when, "device": self.device, "machine": {}, "parts": {}}

    def run(self) -> dict[str, Any]:
        """Run the parts and return the results."""
        (self.out / "logs").mkdir(parents=True, exist_ok=True)
        for log in (self.out / "logs").glob("*.log"):
            log.unlink()
        found = machine.probe(self.device)
        self.results["machine"] = found.stored()
        folder = Path(tempfile.mkdtemp(prefix="gpu-check-"))
        try:
            self._run_parts(Setting(found, self.device, folder), found)
        finally:
            end_all()
            shutil.rmtree(folder, ignore_errors=True)
        print(f"\nLogs, results.json and page.md are in {os.path.relpath(self.out)}.")
        return self.results

    def _run_parts(self, setting: Setting, found: Machine) -> None:
        lack = found.lack
        if not lack and self.device == "cuda" and any(part.library for part in self.chosen):
            lack_of_library = "" if self._run_part(BUILD, setting) else "textnn was not built"
        else:
            lack_of_library = ""
        for part in self.chosen:
            reason = lack or (lack_of_library if part.library else "")
            if reason:
                self._keep(part, Outcome(NOT_RUN, reason), 0.0, part.limit * self.scale)
            else:
                self._run_part(part, setting)

    def _run_part(self, part: Part, setting: Setting) -> bool:
        begin = time.monotonic()
        limit = max(0.0, min(part.limit * self.scale, self.end - begin))
        log = self.out / "logs" / f"{part.log or part.name}.log"
        print(f"{part.name:<11} {part.title}, {limit:.0f} s at most ...", flush=True)
        try:
            outcome = part.run(setting, Programs(log, setting.folder, begin + limit))
        except Exception as error:  # a part that breaks must not keep the next from running
            with log.open("a", encoding="utf-8") as file:
                file.write(traceback.format_exc())
            outcome = Outcome(FAILED, f"the check itself broke: {type(error).__name__}: {error}")
        self._keep(part, outcome, time.monotonic() - begin, limit)
        return outcome.state == PASSED

    def _keep(self, part: Part, outcome: Outcome, seconds: float, limit: float) -> None:
        print(f"{part.name:<11} {outcome.state}: {outcome.sentence}", flush=True)
        self.results["parts"][part.name] = {
            "title": part.title,
            "state": outcome.state,
            "sentence": outcome.sentence,
            "seconds": round(seconds, 1),
            "limit": round(limit, 1),
            "rows": outcome.rows,
        }
        text = json.dumps(self.results, indent=1, ensure_ascii=False)
        (self.out / "results.json").write_text(text, encoding="utf-8")
        page.write(self.out / "page.md", self.results)


if __name__ == "__main__":
    sys.exit(main())
