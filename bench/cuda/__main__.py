"""Measure on a GPU: ceilings, lstm or text_conv. Every row is written as it comes, and cases that do not fit are named.

python -m bench.cuda lstm --record rows.jsonl [--seconds 90] [--device cpu --tiny]
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from tools.gpu_check import rows

from . import ceilings, lstm, text_conv

CASE_SECONDS = 0.15  # a case takes that long at most, or a few calls
CASE_LIMIT = 20.0  # seconds after which a case, whose kernel hangs, ends the process


def measure_cases(
    kind: str, cases: Sequence[Any], run: Callable[[Any, str, float], dict[str, Any]], options: argparse.Namespace
) -> None:
    """Measure cases in their order until the time is used up; keep the names of those that were left out.

    Those that were begun before are not begun again: one that ends the process, or takes longer than its limit, does
    not keep another process from the rest.
    """
    before = {row["case"] for row in rows.read(options.record) if row["kind"] == "begin"}
    cases, begin = [case for case in cases if str(case) not in before], time.monotonic()
    for number, case in enumerate(cases):
        if time.monotonic() - begin > options.seconds:
            rows.add(options.record, "left out", of=kind, cases=[str(left) for left in cases[number:]])
            print(f"{len(cases) - number} of {len(cases)} cases did not fit into {options.seconds:.0f} s")
            break
        rows.add(options.record, "begin", case=str(case))
        faulthandler.dump_traceback_later(CASE_LIMIT, exit=True)
        torch.manual_seed(0)
        try:
            row = run(case, options.device, CASE_SECONDS)
        except RuntimeError as error:
            raise SystemExit(f"{case}: {str(error).strip().splitlines()[0]}") from error
        finally:
            faulthandler.cancel_dump_traceback_later()
        rows.add(options.record, kind, **row)
        times = ", ".join(f"{name} {us:.2f}" for name, us in row["us"].items())
        print(f"{row['case']}: {times} us{''.join(f'; {n}: {t}' for n, t in row['trouble'].items())}", flush=True)


def measure_ceilings(options: argparse.Namespace) -> None:
    """Measure what the device can do; of a CPU only what torch does there."""
    size = 64 if options.tiny else 8192
    found = [ceilings.copy(options.device, 1 if options.tiny else 2048)]
    for precision in lstm.PRECISIONS:
        found.append(ceilings.product(options.device, precision, size))
    for row in found:
        rows.add(options.record, **row)
        print(json.dumps(row), flush=True)
    if options.device == "cuda":
        major, minor = torch.cuda.get_device_capability()
        for line in ceilings.barriers(options.record.parent, f"{major}.{minor}"):
            print(line, flush=True)
            rows.add(options.record, **json.loads(line))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.cuda", description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=["ceilings", "lstm", "text_conv"])
    parser.add_argument("--record", type=Path, required=True, help="file for the rows, a line of JSON for each")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"], help="cpu only tries the program out")
    parser.add_argument("--seconds", type=float, default=90.0, help="time for all cases (default 90)")
    parser.add_argument("--tiny", action="store_true", help="small sizes, whose figures mean nothing")
    options = parser.parse_args(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("there is no GPU that torch can use; --device cpu --tiny tries the program out")
    if options.name == "ceilings":
        measure_ceilings(options)
    else:
        module = {"lstm": lstm, "text_conv": text_conv}[options.name]
        measure_cases(options.name, module.TINY if options.tiny else module.cases(), module.run, options)


if __name__ == "__main__":
    main()
