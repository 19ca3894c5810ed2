"""The frozen text convolution against sums of products in numpy's float64: shapes, element types, threads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from harness import DIFFICULT, ONE, WELL_BEHAVED, Array, Memory, Pool, assert_close, assert_same_bits, exact

ACTIVATIONS = ("identity", "relu", "tanh")
ELEMENTS = [np.float32, np.float64, np.int16, np.int8]
RAGGED = (5, 0, 9, 1, 3, 3, 0, 7, 2, 9, 4, 1, 6)


@dataclass(frozen=True)
class Case:
    """The shape of a batch and of a table; R rows of it, the V - R others come as `more`."""

    lengths: tuple[int, ...]
    C: int
    taps: tuple[int, ...] = (3, 4, 5)
    same: bool = False
    activation: str = "relu"
    V: int = 6
    R: int = 6
    gap: int = 0  # positions between the sentences that belong to none

    def __str__(self) -> str:
        lengths = ",".join(map(str, self.lengths)) if len(self.lengths) < 14 else f"{len(self.lengths)} sentences"
        padding = "same" if self.same else "valid"
        return f"lengths [{lengths}] C={self.C} K={self.taps} {padding} {self.activation} V={self.V} R={self.R}"


SHAPES = [
    Case((), 3),
    Case((0,), 1),
    Case((1,), 1, (1,)),
    Case((0, 0, 0), 17),
    Case((9,), 33, (2,), R=0),
    Case((6,), 16, (1, 9), R=2),
    Case((9, 2, 9, 0, 4), 65, (7,)),
    Case((4, 4, 4), 128, (2, 3)),
    Case((12, 12, 3), 260, (2, 5), V=1, R=1),
    Case((5, 20), 300, (1, 3), V=40, R=11),
    Case(RAGGED, 16, (3, 3)),
    Case(RAGGED, 33, (2, 3, 4, 5), R=3, gap=2),
    *[Case(RAGGED, 18, (2, 3), activation=activation, R=4) for activation in ACTIVATIONS],
]
CASES = [replace(case, same=same) for case in SHAPES for same in (False, True)]
LENGTHS = tuple(int(n) for n in np.random.default_rng(3).integers(0, 120, 24))
# Enough of a table for several threads: sentences are shared out, and a few sentences by kernels as well.
SHARED = [Case(LENGTHS, 260, V=60, R=50), Case((900, 0, 800), 300, (2, 3), True, V=60, R=60)]


def sum_type(element: Any) -> Any:
    return np.int16 if np.issubdtype(element, np.integer) else element


class Inputs:
    """row [N], products [V, sum of K, width], scale and bias [S, C]; nothing but zeros behind C."""

    def __init__(self, case: Case, element: Any) -> None:
        rng = np.random.default_rng([case.C, case.V, *case.taps, *case.lengths[:5]])
        integers = np.issubdtype(element, np.integer)
        lanes = 64 // np.dtype(sum_type(element)).itemsize
        width = -(-case.C // lanes) * lanes
        self.products = np.zeros((case.V, sum(case.taps), width), element)
        before = 0
        for K in case.taps:
            limit = min(np.iinfo(element).max, 32767 // K) if integers else 1
            values = rng.uniform(-limit, limit, (case.V, K, case.C))
            values[:, :, 0] = limit  # sums as large as they can be
            self.products[:, before : before + K, : case.C] = np.rint(values) if integers else values
            before += K
        self.result = np.float64 if element == np.float64 else np.float32
        shape = (len(case.taps), case.C)
        self.scale = rng.uniform(0.01, 0.1, shape).astype(np.float32) if integers else None
        self.bias = rng.uniform(-1, 1, shape).astype(self.result)
        lengths = np.array(case.lengths, np.int64) + case.gap
        self.start = np.cumsum(lengths) - lengths
        self.row = rng.integers(0, case.V, int(lengths.sum()))


def expected(case: Case, given: Inputs) -> Array:
    y = np.zeros((len(case.lengths), len(case.taps) * case.C))
    for b, (start, n) in enumerate(zip(given.start, case.lengths, strict=True)):
        products = given.products[given.row[start : start + n]].astype(float)
        before = 0
        for i, K in enumerate(case.taps):
            left, windows = (K - 1) // 2 if case.same else 0, max(1, n if case.same else n - K + 1)
            z = np.zeros((windows, case.C))
            for w in range(windows):
                for k in range(K):
                    if 0 <= w - left + k < n:
                        z[w] += products[w - left + k, before + k, : case.C]
            best = z.max(0) * (1 if given.scale is None else given.scale[i].astype(float)) + given.bias[i]
            y[b, i * case.C : (i + 1) * case.C] = best
            before += K
    if case.activation == "identity":
        return y
    return np.maximum(y, 0) if case.activation == "relu" else np.tanh(y)


def gather(native: Any, memory: Memory, case: Case, given: Inputs, pool: Pool = ONE) -> Array:
    table, more = given.products[: case.R], given.products[case.R :]
    a = {"C": case.C, "same": int(case.same), "activation": ACTIVATIONS.index(case.activation), "R": case.R}
    a |= {"start": given.start, "length": np.array(case.lengths, np.int64), "taps": np.array(case.taps, np.int64)}
    a |= {"row": exact(given.row.shape, np.int64, given.row), "bias": exact(given.bias.shape, given.result, given.bias)}
    a |= {"table": exact(table.shape, table.dtype, table), "more": exact(more.shape, more.dtype, more)}
    if given.scale is not None:
        a["scale"] = exact(given.scale.shape, np.float32, given.scale)
    a["y"] = memory.empty("y", (len(case.lengths), len(case.taps) * case.C), given.result)
    native.frozen_text_conv(pool.kind, pool.threads, a)
    return a["y"]


@pytest.mark.parametrize("element", ELEMENTS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_gathered_sums(native: Any, memory: Memory, instruction_set: str, element: Any, case: Case) -> None:
    given = Inputs(case, element)
    y = gather(native, memory, case, given)
    assert_close(y, expected(case, given), f"{np.dtype(element)}", eps=20)
    for pool in WELL_BEHAVED:
        assert_same_bits({"y": gather(native, memory, case, given, pool)}, {"y": y}, str(pool))


@pytest.mark.parametrize("element", ELEMENTS)
@pytest.mark.parametrize("case", SHARED, ids=str)
def test_threads_that_share_the_work_give_the_same_bits(
    native: Any, memory: Memory, instruction_set: str, element: Any, case: Case
) -> None:
    given = Inputs(case, element)
    y = gather(native, memory, case, given)
    assert_close(y, expected(case, given), f"{np.dtype(element)}", eps=20)
    for pool in [*WELL_BEHAVED, *DIFFICULT]:
        assert_same_bits({"y": gather(native, memory, case, given, pool)}, {"y": y}, str(pool))


@pytest.mark.parametrize("element", [np.float32, np.float64])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_nan_wins_in_its_own_sentence(
    native: Any, memory: Memory, instruction_set: str, element: Any, activation: str
) -> None:
    case = Case((6, 3, 5), 19, (2, 3), activation=activation, V=10, R=5)
    given = Inputs(case, element)
    given.row[:] = np.arange(len(given.row)) % 9
    given.row[2] = 9  # in the first sentence only
    given.products[9] = np.nan
    y = gather(native, memory, case, given)
    assert np.isnan(y[0]).all()
    assert np.isfinite(y[1:]).all()


@pytest.mark.parametrize("element", [np.int16, np.int8])
@pytest.mark.parametrize("pool", WELL_BEHAVED, ids=str)
def test_products_become_integers_within_the_limit(
    native: Any, memory: Memory, instruction_set: str, element: Any, pool: Pool
) -> None:
    case, rng = Case((), 37, (1, 3, 400)), np.random.default_rng(0)
    U, taps, width = 9, sum(case.taps), 64
    scale = rng.uniform(0.01, 0.1, (3, case.C)).astype(np.float32)
    products = np.full((U, taps, width), np.nan, np.float32)  # behind C there may be anything
    limits = np.repeat([min(np.iinfo(element).max, 32767 // K) for K in case.taps], case.taps)
    units = np.repeat(scale, case.taps, axis=0)
    products[:, :, : case.C] = rng.uniform(-1.5, 1.5, (U, taps, case.C)) * limits[:, None] * units
    a = {"C": case.C, "same": 0, "activation": 0, "taps": np.array(case.taps, np.int64), "U": U}
    a |= {"from": products, "scale": scale, "to": memory.empty("to", (U, taps, width), element)}
    native.quantize_products(pool.kind, pool.threads, a)
    want = np.clip(np.rint(products[:, :, : case.C] / units), -limits[:, None], limits[:, None])
    assert np.array_equal(a["to"][:, :, : case.C], want)
    assert not a["to"][:, :, case.C :].any()
