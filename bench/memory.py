"""Memory of a training step above what must be there anyway: textnn against the peers of the other programs.

    python -m bench.memory [--data FILE]

The peak of the resident memory, as the kernel keeps it (VmHWM), sees what no allocator of one side can: torch's
tensors, textnn's workspaces, oneDNN's scratchpads. Each figure comes from a process of its own::

    malloc returns freed blocks at once, oneDNN and MKL keep nothing  -> the peak is what is alive
    weights, inputs, one step as warm-up; gradients and caches freed  -> VmRSS is the base
    VmHWM reset through /proc/self/clear_refs, one step               -> VmHWM - base

A step's own gradients are a part of it; the table's alone, [V, D], may outweigh all else. So there are two figures,
with and without them. The backward pass hands out its gradients one after another, so that the second figure is the
largest of (peak since the last one - gradients by then). The kernel counts pages in batches: a figure is good to about
0.3 MB, and the median of three steps. What torch's own profiler sees of the same step, in torch's allocator, stands
beside it.
"""

from __future__ import annotations

import ctypes
import functools
import gc
import json
import math
import multiprocessing
import os
import statistics
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from textnn import backends

from . import recurrent, reviews, text_conv
from .harness import Call, Row

RAGGED = [shape for shape in recurrent.RAGGED if shape[1] == 128]
MB = 1e6
SMALL = 64 << 10  # bytes: larger blocks come from the system, and go back to it
NOISE = 300_000  # bytes, of the kernel's counters
KEPT = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "0", "MKL_DISABLE_FAST_MM": "1", "KINETO_LOG_LEVEL": "99"}
Seen = tuple[int, int, int]  # bytes: the peak since the last look, resident, of gradients


@dataclass
class Step:
    """What is measured, and the tensors that get gradients."""

    call: Call
    leaves: list[Tensor] = field(default_factory=list)


@dataclass
class Peak:
    """Megabytes above the base: all of it, without gradients, and what torch's profiler sees (0 if not asked)."""

    gross: float
    net: float
    seen: float


@functools.cache
def _context() -> ForkServerContext:
    """Processes that are copies of one that has torch, and has not computed anything with it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["bench.recurrent", "bench.text_conv"])
    return context


def peak(build: Callable[..., Step], *arguments: Any, profile: bool = False) -> Peak:
    """Call ``build(*arguments)`` in a new process and return the memory that its step needs."""
    with ProcessPoolExecutor(1, mp_context=_context()) as pool:
        return pool.submit(_peak, torch.get_num_threads(), profile, build, *arguments).result()


def _peak(threads: int, profile: bool, build: Callable[..., Step], *arguments: Any) -> Peak:
    os.environ.update(KEPT)
    libc = ctypes.CDLL(None)
    for option, value in ((-3, SMALL), (-1, SMALL), (-8, 1)):  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, M_ARENA_MAX
        libc.mallopt(option, value)
    torch.set_num_threads(threads)
    step = build(*arguments)
    step.call()
    _free(step)
    libc.malloc_trim(0)
    runs = [_run(step) for _ in range(3)]
    gross = statistics.median(max(entry[0] for entry in seen) for seen in runs)
    net = statistics.median(map(without_gradients, runs))
    return Peak(max(gross, NOISE) / MB, max(net, NOISE) / MB, _profile(step.call) / MB if profile else 0.0)


def _run(step: Step) -> list[Seen]:
    """Run a step once; return what :func:`without_gradients` takes."""
    base, seen, backward = _resident("VmRSS"), list[Seen](), Tensor.backward

    def look(_: Tensor | None = None) -> None:
        gradients = [leaf.grad for leaf in step.leaves if leaf.grad is not None]
        seen.append((_resident("VmHWM") - base, _resident("VmRSS") - base, sum(map(_bytes, gradients))))
        _reset_peak()

    def look_and_go_back(loss: Tensor) -> None:
        look()
        backward(loss)

    hooks = [leaf.register_post_accumulate_grad_hook(look) for leaf in step.leaves]
    _reset_peak()
    with mock.patch.object(Tensor, "backward", look_and_go_back):
        step.call()
    look()
    for hook in hooks:
        hook.remove()
    _free(step)
    return seen


def without_gradients(seen: list[Seen]) -> int:
    """Return the largest of (peak - gradients) over the parts of a step.

    An operator may return several gradients, of which autograd hands out one after another: as long as nothing else
    happens between two of them, the later one was there at the earlier peak as well.

    Parameters
    ----------
    seen : list of (peak, resident, gradients)
        Bytes, before the backward pass, at each gradient, and at the end; each peak since the entry before.
    """
    most, there = 0, seen[-1][2]
    for i in reversed(range(len(seen))):
        high, resident, gradients = seen[i]
        worked = i + 1 < len(seen) and seen[i + 1][0] - resident > NOISE
        if worked or not gradients:
            there = gradients
        most = max(most, high - there)
    return most


def _free(step: Step) -> None:
    for leaf in step.leaves:
        leaf.grad = None
    gc.collect()
    backends.release_workspaces()


def _bytes(t: Tensor) -> int:
    if t.is_sparse:
        return _bytes(t._indices()) + _bytes(t._values())
    return t.numel() * t.element_size()


def _resident(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return 1024 * int(line.split()[1])
    raise RuntimeError(f"/proc/self/status has no {name}")


def _reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _profile(call: Call) -> int:
    """The same peak as torch's profiler sees it."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        call()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "trace.json"
        profile.export_chrome_trace(str(path))
        events = [e for e in json.loads(path.read_text())["traceEvents"] if e.get("name") == "[memory]"]
    events.sort(key=lambda event: event["ts"])
    if not events:
        return 0
    first = events[0]["args"]
    return max(e["args"]["Total Allocated"] for e in events) - (first["Total Allocated"] - first["Bytes"])


def text_conv_step(shape: text_conv.Shape, side: str, data_path: str | None) -> Step:
    ids, modules = text_conv.sides(shape, reviews.load(data_path))
    module = modules[side]
    return Step(text_conv.training(module, ids), list(module.parameters()))


def dense_step(shape: recurrent.Shape, side: str) -> Step:
    B, T, width, H, layers, directions = shape
    module = recurrent.pair(width, H, layers, directions)[side != "textnn"]
    x = torch.randn(T, B, width, requires_grad=True)
    return Step(recurrent.training(module, x, last=False), [x, *module.parameters()])


def ragged_step(B: int, H: int, directions: int, side: str, data_path: str | None) -> Step:
    x, sides = recurrent.ragged_sides(reviews.load(data_path), B, H, directions)
    x.requires_grad_()
    return Step(recurrent.training(sides[side], x, last=False), [x, *sides[side].parameters()])


def row_of(group: str, case: str, sizes: dict[str, float]) -> Row:
    """A row from the megabytes of each side."""
    peers = {name: size for name, size in sizes.items() if name != "textnn"}
    peer = min(peers, key=lambda name: peers[name])
    ratio = peers[peer] / sizes["textnn"]
    return Row(group, case, sizes["textnn"], peer, peers[peer], ratio, ratio, ratio, math.nan, unit="MB", peers=peers)


def rows_of(group: str, case: str, peaks: dict[str, Peak]) -> Iterator[Row]:
    """A row with the gradients and one without."""
    for suffix, sizes in (
        ("", {name: p.gross for name, p in peaks.items()}),
        (" and without gradients", {name: p.net for name, p in peaks.items()}),
    ):
        row = row_of(group + suffix, case, sizes)
        if len(sizes) > 2:
            row.extra = {f"{name}, MB": size for name, size in row.peers.items()}
        if not suffix:
            row.extra["profiler, textnn"] = peaks["textnn"].seen
            row.extra["profiler, peer"] = peaks[row.peer].seen
        yield row


def rows(data_path: str | None) -> Iterator[Row]:
    above = "training step, memory above inputs and weights"
    for shape in text_conv.SHAPES:
        sides = ("textnn", *text_conv.PEERS)
        peaks = {side: peak(text_conv_step, shape, side, data_path, profile=True) for side in sides}
        yield from rows_of(f"TextCNN, {above}", text_conv.case_of(shape), peaks)
    for dense in recurrent.DENSE:
        peaks = {side: peak(dense_step, dense, side, profile=True) for side in ("textnn", "nn.LSTM")}
        yield from rows_of(f"LSTM, dense, {above}", str(dense), peaks)
    for B, H, directions in RAGGED:
        sides = ("textnn", "packed", "padded")
        peaks = {side: peak(ragged_step, B, H, directions, side, data_path, profile=True) for side in sides}
        yield from rows_of(f"LSTM, ragged, {above}", f"B={B} H={H} directions={directions}", peaks)


if __name__ == "__main__":
    from .__main__ import run

    run(["memory"])
