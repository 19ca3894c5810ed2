"""``python -m fuzz.operators``: makes wrong calls of every operator and public function, and says what came of them."""

from __future__ import annotations

import argparse
from pathlib import Path

from fuzz.operators.driver import Setting, run


def main() -> int:
    """Run the command; 1 if there are findings."""
    parser = argparse.ArgumentParser(
        prog="python -m fuzz.operators", description="Calls operators with wrong arguments."
    )
    parser.add_argument("--only", nargs="+", metavar="NAME", help="operators, or functional.NAME; else all")
    parser.add_argument("--runs", type=int, default=200, metavar="N", help="calls of each (200)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the random numbers (0)")
    parser.add_argument("--library", type=Path, metavar="FILE", help="another build of the extension")
    parser.add_argument("--emulated", type=Path, metavar="FILE", help="the CUDA operators for the emulator")
    parser.add_argument("--replay", metavar="NAME:NUMBER", help="one call again, with its arguments")
    parser.add_argument("--messages", type=int, default=0, metavar="N", help="show the N most frequent errors")
    options = parser.parse_args()
    setting = Setting(options.seed, options.library, options.emulated)
    if options.replay:
        name, number = options.replay.split(":")
        figures = run([name], int(number) + 1, setting, show=True, first=int(number))
    else:
        from fuzz.operators.recording import valid_calls

        figures = run(options.only or list(valid_calls()), options.runs, setting)
    for message, times in figures.messages.most_common(options.messages):
        print(f"{times:6d} {message[:200]}")
    print(figures)
    return bool(figures.findings)


if __name__ == "__main__":
    raise SystemExit(main())
