"""What the LSTM's two CUDA forms should take on an A100 and an H100, by arithmetic: an estimate, measured nowhere.

    python -m bench.cuda_estimate [--page]        --page writes the table into docs/cuda.md

Layouts and the cost of a step are those of csrc/cuda/recurrent_choice.h, whose constants are read from there; the bound
beside them is the roofline: the recurrence's arithmetic at the device's peak, or its bytes at the memory's, and for the
persistent form one barrier of the grid a step.
"""

from __future__ import annotations

import argparse
import math
import re
from dataclasses import dataclass
from pathlib import Path

from tools.markdown import replace_part

ROOT = Path(__file__).resolve().parents[1]
MARKS = "<!-- cuda-estimate -->", "<!-- /cuda-estimate -->"


@dataclass(frozen=True)
class Device:
    """From NVIDIA's data sheets."""

    name: str
    multiprocessors: int
    gigahertz: float
    float32: float  # TFLOP/s
    half: float  # in tensor cores, dense
    bandwidth: float  # TB/s


DEVICES = (
    Device("A100 SXM", 108, 1.41, 19.5, 312.0, 2.04),
    Device("H100 SXM", 132, 1.83, 67.0, 989.0, 3.35),
)
SHAPES = ((128, 10, 256), (32, 50, 256), (64, 128, 512), (256, 200, 64), (1, 200, 128), (512, 50, 1024))
SLICE, TILE_MOST = 32, 32  # columns of a block; sequences of a tile at most


def constants() -> dict[str, float]:
    """Of the cost of a step, in cycles, from the source that chooses by them."""
    text = (ROOT / "csrc/cuda/recurrent_choice.h").read_text()
    return {name: float(value) for name, value in re.findall(r"\b(k\w+) = (\d+)", text)}


@dataclass
class Estimate:
    """Of the forward recurrence of one layer and direction; times in microseconds."""

    slices: int
    groups: int
    persistent: float
    steps: float
    flops: float
    bound_persistent: float
    bound_steps: float


def estimate(device: Device, B: int, T: int, H: int, half: bool) -> Estimate:
    """Everything is counted for all T steps."""
    c, size = constants(), 2 if half else 4
    per_cycle = (512 if half else 64) * 0.5
    capacity = next((k for k in (64, 128, 256, 512, 1024) if k >= H), 0)
    slices = math.ceil(4 * H / SLICE)
    resident = device.multiprocessors * (1 if capacity > 512 else 2)  # registers: docs/cuda.md, table of kernels
    groups = max(1, min(resident // slices, math.ceil(B / (16 if half else 8))))
    rows = 16 if half else min(TILE_MOST, 8 * math.ceil(B / groups / 8))
    tiles = math.ceil(math.ceil(B / rows) / groups)
    tile = rows * SLICE * capacity / per_cycle
    persistent = math.inf
    if capacity and slices <= resident:
        persistent = c["kBarrierCycles"] + tiles * (c["kTileCycles"] + tile)
    product = B * 4 * H * H / (per_cycle * device.multiprocessors)
    weights = 4 * H * H * size / (c["kCacheBytesPerCycle"] * device.multiprocessors)
    steps = 2 * c["kLaunchCycles"] + max(product, weights)
    to_us = T / device.gigahertz / 1e3
    flops = 2.0 * B * T * 4 * H * H
    peak = (device.half if half else device.float32) * 1e6  # FLOP/us
    moved = (4 + 1 + 2) * B * T * H * size  # products read, cells kept and gates written are not counted twice
    roof = max(flops / peak, moved / (device.bandwidth * 1e6))
    barrier = c["kBarrierCycles"] / device.gigahertz / 1e3
    launch = c["kLaunchCycles"] / device.gigahertz / 1e3
    return Estimate(slices, groups, persistent * to_us, steps * to_us, flops, roof + T * barrier, roof + 2 * T * launch)


def table() -> str:
    names = ("device", "B, T, H", "type", "GFLOP", "blocks", "barriers", "persistent, µs", "in steps, µs", "bound, µs")
    head = f"| {' | '.join(names)} | chosen |"
    lines = [head, "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |"]
    for device in DEVICES:
        for B, T, H in SHAPES:
            for half in (False, True):
                e = estimate(device, B, T, H, half)
                possible = math.isfinite(e.persistent)
                chosen = "persistent" if e.persistent < e.steps else "steps"
                bound = e.bound_persistent if chosen == "persistent" else e.bound_steps
                grid = (
                    (f"{e.slices} x {e.groups}", str(T), f"{e.persistent:,.0f}")
                    if possible
                    else ("-", "-", "not possible")
                )
                kind = "float16" if half else "float32"
                cells = (device.name, f"{B}, {T}, {H}", kind, f"{e.flops / 1e9:.2f}", *grid)
                lines.append(f"| {' | '.join(cells)} | {e.steps:,.0f} | {bound:,.0f} | {chosen} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.cuda_estimate", description=__doc__.splitlines()[0])
    parser.add_argument("--page", action="store_true", help="write the table into docs/cuda.md")
    text = table()
    if not parser.parse_args().page:
        print(text)
        return
    replace_part(ROOT / "docs/cuda.md", *MARKS, f"\n{text}\n")


if __name__ == "__main__":
    main()
