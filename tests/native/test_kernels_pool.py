"""Maximum and mean over time against numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from harness import ONE, POOLS, Array, Memory, Pool, assert_same_bits, exact

LENGTHS = [(), (0,), (1,), (5, 0, 9, 1, 3), (2,) * 17]


def run(native: Any, memory: Memory, lengths: tuple[int, ...], gap: int, x: Array, dy: Array, pool: Pool) -> Any:
    wide = np.array(lengths, np.int64) + gap
    B, F = len(lengths), x.shape[1]
    a = {"start": np.cumsum(wide) - wide, "length": np.array(lengths, np.int64), "F": F, "N": len(x)}
    a |= {"x": exact(x.shape, x.dtype, x), "dy": exact(dy.shape, x.dtype, dy)}
    a |= {"y": memory.empty("y", (B, 2 * F), x.dtype), "at": memory.empty("at", (B, F), np.int32)}
    native.max_mean_pool(pool.kind, pool.threads, a)
    a["dx"] = memory.empty("dx", x.shape, x.dtype)
    native.max_mean_pool_backward(pool.kind, pool.threads, a)
    return a["start"], {name: a[name] for name in ("y", "at", "dx")}


@pytest.mark.parametrize("gap", [0, 2])
@pytest.mark.parametrize("F", [1, 16, 33, 130])
@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
def test_forward_and_backward(
    native: Any, memory: Memory, instruction_set: str, dtype: Any, lengths: tuple[int, ...], F: int, gap: int
) -> None:
    rng = np.random.default_rng(F)
    N = sum(lengths) + gap * len(lengths)
    x = rng.integers(-8, 9, (N, F)).astype(dtype)  # whole numbers: ties, and sums without rounding
    dy = rng.integers(-8, 9, (len(lengths), 2 * F)).astype(dtype)
    start, got = run(native, memory, lengths, gap, x, dy, ONE)
    dx = np.zeros_like(x)
    for b, (s, n) in enumerate(zip(start, lengths, strict=True)):
        part = x[s : s + n]
        if not n:
            assert not got["y"][b].any()
            continue
        at = part.argmax(axis=0)
        assert np.array_equal(got["at"][b], at), f"sentence {b}: the first of several maxima"
        assert np.array_equal(got["y"][b, :F], part.max(axis=0)), f"sentence {b}: maxima"
        assert np.array_equal(got["y"][b, F:], part.sum(axis=0) / dtype(n)), f"sentence {b}: means"
        dx[s : s + n] += dy[b, F:] / dtype(n)
        dx[s + at, np.arange(F)] += dy[b, :F]
    assert np.array_equal(got["dx"], dx)
    for pool in POOLS:
        assert_same_bits(run(native, memory, lengths, gap, x, dy, pool)[1], got, str(pool))


def test_a_nan_wins(native: Any, memory: Memory, instruction_set: str, dtype: Any) -> None:
    x = np.ones((6, 5), dtype)
    x[1, 2] = np.nan
    y = run(native, memory, (3, 3), 0, x, np.zeros((2, 10), dtype), ONE)[1]["y"]
    assert np.isnan(y[0, [2, 7]]).all()
    assert np.isnan(y).sum() == 2
