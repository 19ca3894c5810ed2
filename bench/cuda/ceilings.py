"""What a device can do at best: memory, matrix products, barriers, measured where the kernels run."""

from __future__ import annotations

import statistics
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from tools.cuda_toolkit import find_toolkit

from .lstm import PRECISIONS, tf32_allowed
from .timing import clock

BARRIERS = Path(__file__).with_name("barriers.cu")
REPEATS = 15


def copy(device: str, mebibytes: int = 2048) -> dict[str, Any]:
    """Return the rate of a copy from device to device, bytes read and bytes written both counted."""
    source = torch.randint(0, 256, (mebibytes << 20,), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    us = _median(lambda: [target.copy_(source)], device)
    return {"kind": "copy", "MiB": mebibytes, "TB/s": 2 * source.numel() / us / 1e6}


def product(device: str, precision: str, size: int = 8192) -> dict[str, Any]:
    """Return the rate of a product of square matrices of random numbers."""
    dtype = PRECISIONS[precision]
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    out = torch.empty_like(a)
    with tf32_allowed(precision == "tf32"):
        us = _median(lambda: [torch.mm(a, b, out=out)], device)
    return {"kind": "product", "of": precision, "size": size, "TFLOP/s": 2 * size**3 / us / 1e6}


def barriers(folder: Path, capability: str) -> Iterator[str]:
    """Compile the program of bare barriers for the device, run it, and return its lines of JSON."""
    toolkit = find_toolkit()
    if toolkit is None:
        raise SystemExit("there is no CUDA toolkit to compile the barriers with: set CUDA_HOME to its folder")
    program, number = folder / "barriers", capability.replace(".", "")
    command = [toolkit / "bin/nvcc", "-O3", "-std=c++17", f"-arch=sm_{number}", BARRIERS, "-o", program]
    subprocess.run([str(part) for part in command], check=True)
    yield from subprocess.run([str(program)], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()


def _median(call: Any, device: str) -> float:
    for _ in range(3):
        call()
    return statistics.median(clock(call, device) for _ in range(REPEATS))
