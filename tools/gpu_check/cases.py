"""Runs calls of tests/cuda_cases.py one after the other and says which one runs: what compute-sanitizer looks at.

compute-sanitizer --tool racecheck python -m tools.gpu_check.cases --record FILE --share 0/4
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tools.gpu_check import rows

ROOT = Path(__file__).resolve().parents[2]
# A check takes 10 to 100 times the kernel's time, and these take longest as it is; the same kernels run in others.
TOO_LONG = ("embedding_text_conv of a large vocabulary", "lstm of 300 sequences float32")


def chosen(names: Sequence[str], share: str = "0/1") -> list[str]:
    """Return the cases to check, those of the LSTM first, and of them every n-th from the i-th on for "i/n"."""
    first, number = map(int, share.split("/"))
    short = [name for name in names if name not in TOO_LONG]
    ranked = sorted(short, key=lambda name: ("persistent" not in name, "lstm" not in name))
    return ranked[first::number]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.gpu_check.cases", description=__doc__)
    parser.add_argument("--record", type=Path, required=True, help="file for the results, a line of JSON for each")
    parser.add_argument("--share", default="0/1", metavar="I/N", help="every N-th case from the I-th on")
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args(arguments)

    import torch

    sys.path.insert(0, str(ROOT / "tests"))
    import cuda_cases  # type: ignore[import-not-found]

    torch.set_default_device(options.device)
    names = chosen(list(cuda_cases.CASES), options.share)
    if options.device == "cpu":  # to try the program out, on what the CPU's kernels have
        names = [name for name in names if "float64" in name][:2]
    rows.add(options.record, "planned", cases=names)
    failed = 0
    for name in names:
        print(f"case: {name}", flush=True)
        rows.add(options.record, "begin", case=name)
        torch.manual_seed(0)
        message = ""
        try:
            cuda_cases.CASES[name]()
            if options.device == "cuda":
                torch.cuda.synchronize()
        except (AssertionError, RuntimeError) as error:
            failed += 1
            message = (str(error).strip().splitlines() or [type(error).__name__])[0]
            print(f"wrong: {name}: {message}", flush=True)
        rows.add(options.record, "end", case=name, message=message)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
