"""The first kernel: one small LSTM on the device, its outputs beside the reference's, and how long the first call took.

python -m tools.gpu_check.first --record FILE [--device cuda]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tools.gpu_check import rows


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.gpu_check.first", description=__doc__)
    parser.add_argument("--record", type=Path, required=True, help="file for the result, a line of JSON")
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args(arguments)

    import torch

    import textnn.functional as fast
    import textnn.reference as slow

    torch.manual_seed(0)
    shapes = ((7, 5, 12), (5, 20), (5, 20), (80, 12), (80, 20))
    arguments_ = [torch.randn(*shape, device=options.device) for shape in shapes]
    begin = time.perf_counter()
    got = fast.lstm(*arguments_)[0].cpu()
    seconds = time.perf_counter() - begin
    want = slow.lstm(*(a.double() for a in arguments_))[0].cpu()
    difference = float((got - want).abs().max())
    rows.add(options.record, "first", seconds=round(seconds, 3), difference=difference)
    print(f"the first LSTM: {seconds:.2f} s, largest difference from the reference {difference:.1e}")
    return 0 if difference < 1e-4 else 1


if __name__ == "__main__":
    sys.exit(main())
