"""What the native tests share: pools of threads, arrays with guarded surroundings, comparison with an oracle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Pool:
    """A pool of threads that the module knows (pools.h) and the number of threads that a kernel may use of it."""

    kind: str
    threads: int

    def __str__(self) -> str:
        return f"{self.kind}-{self.threads}"


ONE = Pool("serial", 1)
WELL_BEHAVED = [ONE, Pool("threads", 2), Pool("threads", 4)]
UNEVEN = [Pool("merged", 4), Pool("late", 4)]
DIFFICULT = [
    *UNEVEN,
    Pool("serial", 4),
    Pool("in_turn", 4),
    Pool("whole", 4),
    Pool("late", 2),
    Pool("threads", 8),
]
POOLS = WELL_BEHAVED + DIFFICULT


@dataclass
class Memory:
    """Makes arrays for results: full of NaN (or -7), between guard bytes that no kernel may write.

    Where a sanitizer watches (``exact``) the arrays have no guards, so that it sees what lies beyond them.
    """

    exact: bool = False
    _made: list[tuple[str, Array, int, int]] = field(default_factory=list)

    GUARD = 72  # a multiple of the greatest item size, but not of a vector

    def empty(self, name: str, shape: Sequence[int], dtype: Any) -> Array:
        """An array for the result of this name."""
        dtype = np.dtype(dtype)
        size = int(np.prod(shape)) * dtype.itemsize
        guard = 0 if self.exact else self.GUARD
        raw = np.full(size + 2 * guard, 0xA5, np.uint8)
        array = raw[guard : guard + size].view(dtype).reshape(shape)
        array.fill(np.nan if dtype.kind == "f" else -7)
        self._made.append((name, raw, guard, size))
        return array

    def check(self) -> None:
        """Fail if a byte beside one of the arrays has changed."""
        for name, raw, guard, size in self._made:
            for side, bytes_ in (("before", raw[:guard]), ("behind", raw[guard + size :])):
                places = np.flatnonzero(bytes_ != 0xA5)
                assert not len(places), f"a kernel wrote {side} {name}, to bytes {places.tolist()} of the {side} guard"


def exact(shape: Sequence[int] | int, dtype: Any, values: Array) -> Array:
    """A copy in memory of its own, so that a sanitizer knows where it ends."""
    array = np.empty(shape, dtype)
    array[...] = values
    return array


def uniform(rng: np.random.Generator, shape: Sequence[int], dtype: Any, scale: float = 1.0) -> Array:
    """Values in [-scale, scale)."""
    return ((rng.random(shape) * 2 - 1) * scale).astype(dtype)


def assert_close(actual: Array, expected: Array, what: str, eps: float = 300) -> None:
    """Within ``eps`` units of rounding of the largest value: sums of up to some hundred terms, in any order."""
    assert actual.shape == expected.shape, f"{what}: shape {actual.shape}, expected {expected.shape}"
    if not expected.size:
        return
    tolerance = eps * np.finfo(actual.dtype).eps * max(1.0, float(np.max(np.abs(expected))))
    difference = np.abs(actual.astype(np.float64) - expected)
    worst = np.unravel_index(int(np.argmax(np.where(np.isnan(difference), np.inf, difference))), difference.shape)
    assert difference[worst] <= tolerance, (
        f"{what} at {tuple(map(int, worst))}: {actual[worst]}, expected {expected[worst]} within {tolerance:.2g}"
    )


def assert_same_bits(actual: dict[str, Array], expected: dict[str, Array], what: str) -> None:
    """Every array of both, bit for bit."""
    assert actual.keys() == expected.keys()
    for name, array in actual.items():
        same = array.view(f"u{array.itemsize}") == expected[name].view(f"u{array.itemsize}")
        assert same.all(), f"{what}: {name} differs at {np.argwhere(~same)[:5].tolist()}"
