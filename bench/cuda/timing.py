"""Times of several sides on a device: in turn, after a warm-up, on inputs that are new for every round.

On a GPU a call is timed between two events on an idle stream, so what the host takes to issue the work counts where the
device waits for it, as it does for a user.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from textnn.benchmark import Call

WARM_UP = 2  # rounds


@dataclass
class Measured:
    """Of every side by its name: microseconds (median, quartiles), the largest difference from the first side relative
    to the largest value, and why a side could not run."""

    calls: int = 0
    us: dict[str, float] = field(default_factory=dict)
    quartiles: dict[str, tuple[float, float]] = field(default_factory=dict)
    difference: dict[str, float] = field(default_factory=dict)
    trouble: dict[str, str] = field(default_factory=dict)


def clock(call: Call, device: str) -> float:
    """Return the microseconds of one call."""
    if device != "cuda":
        begin = time.perf_counter()
        call()
        return 1e6 * (time.perf_counter() - begin)
    first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda.synchronize()
    first.record()
    call()
    last.record()
    last.synchronize()
    return 1e3 * first.elapsed_time(last)


def measure(
    calls: Mapping[str, Call], refresh: Callable[[], None], device: str, seconds: float, least: int = 5, most: int = 50
) -> Measured:
    """Time the sides in turn for about ``seconds``, for ``least`` to ``most`` rounds.

    ``refresh`` makes new inputs for all of them. A side that raises a RuntimeError is left out from then on; what it
    said is kept. A device that has become unusable is an error of the whole.
    """
    found, running = Measured(), dict(calls)
    times: dict[str, list[float]] = {name: [] for name in calls}
    end = time.monotonic() + seconds
    for number in range(WARM_UP + most):
        if number >= WARM_UP + least and time.monotonic() > end:
            break
        refresh()
        results: dict[str, list[Tensor]] = {}
        for name in _turned(list(running), number):
            try:
                if number == 0:
                    results[name] = [_copy(t) for t in running[name]()]
                else:
                    taken = clock(running[name], device)
                    if number >= WARM_UP:
                        times[name].append(taken)
            except RuntimeError as error:
                found.trouble[name] = str(error).strip().splitlines()[0]
                del running[name]
                if device == "cuda":
                    torch.cuda.synchronize()
        if number == 0:
            found.difference = differences(results, next(iter(calls)))
    for name in running:
        found.us[name] = statistics.median(times[name])
        low, _, high = statistics.quantiles(times[name], n=4)
        found.quartiles[name] = (low, high)
        found.calls = len(times[name])
    return found


def differences(results: Mapping[str, Sequence[Tensor]], first: str) -> dict[str, float]:
    """Return each side's largest difference from the first, relative to the largest value of the first."""
    if first not in results:
        return {}
    found = {}
    for name in results.keys() - {first}:
        pairs = [(a, b) for a, b in zip(results[first], results[name], strict=True) if a.numel()]
        found[name] = max((float((a - b).abs().max() / a.abs().max().clamp(min=1e-30)) for a, b in pairs), default=0.0)
    return found


def _copy(t: Tensor) -> Tensor:
    t = t.detach().to_dense() if t.is_sparse else t.detach()
    return t.to(torch.float32, copy=True)


def _turned(names: list[str], by: int) -> list[str]:
    by %= max(1, len(names))
    return names[by:] + names[:by]
