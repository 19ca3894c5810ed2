"""The kernels on rows of a table: look-up, its gradient, and Adam on the rows that have one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from harness import POOLS, Array, Memory, Pool, assert_close, assert_same_bits, exact, uniform

BETAS = (0.9, 0.999)
WIDTHS = [1, 7, 16, 150]


@pytest.mark.parametrize("N", [0, 1, 9, 400], ids=lambda N: f"N={N}")
@pytest.mark.parametrize("D", WIDTHS, ids=lambda D: f"D={D}")
def test_embedding(native: Any, instruction_set: str, dtype: Any, memory: Memory, N: int, D: int) -> None:
    rng = np.random.default_rng(0)
    table, ids = uniform(rng, (30, D), dtype), rng.integers(0, 30, N)
    y = memory.empty("y", (N, D), dtype)
    native.embedding("threads", 2, {"D": D, "ids": ids, "table": table, "y": y})
    assert_same_bits({"y": y}, {"y": table[ids]}, instruction_set)


@pytest.mark.parametrize("dense", [0, 1], ids=["rows", "dense"])
@pytest.mark.parametrize("N", [0, 1, 9, 400], ids=lambda N: f"N={N}")
@pytest.mark.parametrize("D", WIDTHS, ids=lambda D: f"D={D}")
def test_embedding_backward(
    native: Any, instruction_set: str, dtype: Any, memory: Memory, N: int, D: int, dense: int
) -> None:
    rng = np.random.default_rng(0)
    for V, padding in ((30, -1), (2000, -1), (30, 4)):
        ids, dy = rng.integers(0, V, N), exact((N, D), dtype, uniform(rng, (N, D), dtype))
        distinct, token = np.unique(ids, return_inverse=True)
        rows = V if dense else len(distinct)
        want = np.zeros((V, D))
        np.add.at(want, ids, dy.astype(np.float64))
        if padding >= 0:
            want[padding] = 0
        arguments = {"D": D, "rows": rows, "dense": dense, "padding": padding, "distinct": distinct, "dy": dy}
        arguments["token"] = token.astype(np.int32)
        results = []
        for pool in POOLS[:4]:
            dtable = memory.empty("dtable", (rows, D), dtype)
            native.embedding_backward(pool.kind, pool.threads, {**arguments, "dtable": dtable})
            results.append({"dtable": dtable})
            assert_same_bits(results[-1], results[0], f"{instruction_set} {pool}")
        assert_close(results[0]["dtable"], want if dense else want[distinct], f"{instruction_set} V={V}")


class Table:
    """A parameter with its moments, the kernel's and those of a dense Adam in double precision."""

    def __init__(self, memory: Memory, V: int, D: int, dtype: Any, eps: float) -> None:
        self.V, self.D, self.eps, self.t = V, D, eps, 0
        start = uniform(np.random.default_rng(5), (V, D), dtype)
        self.arrays = {name: memory.empty(name, (V, D), dtype) for name in "pmv"}
        self.arrays["last"] = memory.empty("last", (V,), np.int32)
        self.arrays["history"] = memory.empty("history", (41, 7), np.float64)
        for name, value in (("p", start), ("m", 0), ("v", 0), ("last", -1)):
            self.arrays[name][...] = value
        self.arrays["history"][0] = 0
        self.p, self.m, self.v = start.astype(np.float64), np.zeros((V, D)), np.zeros((V, D))

    def step(self, native: Any, pool: Pool, rows: Array, g: Array) -> None:
        self.t += 1
        root, size = np.sqrt(1 - BETAS[1] ** self.t), 0.01 / (1 - BETAS[0] ** self.t)
        settings = np.array([size * root, self.eps * root, *BETAS])
        arguments = {"V": self.V, "D": self.D, "base": 0, "step": self.t - 1, "settings": settings, "row": rows, "g": g}
        native.adam_exact_rows(pool.kind, pool.threads, {**self.arrays, **arguments})
        gradient = np.zeros_like(self.p)
        gradient[rows] = g
        self.m = BETAS[0] * self.m + (1 - BETAS[0]) * gradient
        self.v = BETAS[1] * self.v + (1 - BETAS[1]) * gradient**2
        self.p -= size * self.m / (np.sqrt(self.v) / root + self.eps)

    def catch_up(self, native: Any, pool: Pool, ids: Array | None) -> None:
        settings = np.array([0, 0, *BETAS])
        arguments = {"V": self.V, "D": self.D, "base": 0, "step": self.t, "settings": settings}
        given = {} if ids is None else {"ids": ids}
        native.adam_catch_up(pool.kind, pool.threads, {**self.arrays, **arguments, **given})

    def check(self, what: str, rows: Any) -> None:
        """The closed form is within 1e-7 of the way that a row goes, which is 0.01 a step."""
        p = self.arrays["p"]
        assert_close(p[rows], self.p[rows], what, eps=max(300, 0.01 * self.t * 1e-7 / np.finfo(p.dtype).eps))


@pytest.mark.parametrize("eps", [1e-8, 1e-4])
@pytest.mark.parametrize("D", WIDTHS, ids=lambda D: f"D={D}")
def test_exact_rows_are_those_of_a_dense_adam(
    native: Any, instruction_set: str, dtype: Any, memory: Memory, D: int, eps: float
) -> None:
    """Gradients from 1e-7 to 1e-1: the closed form and the sum of terms are both needed."""
    results: list[dict[str, Array]] = []
    for pool in POOLS[:4]:
        rng, table = np.random.default_rng(1), Table(memory, 30, D, dtype, eps)
        for step in range(40):
            rows = np.flatnonzero(rng.random(30) < (1.0 if step == 0 else rng.random(30) ** 6))
            g = uniform(rng, (len(rows), D), np.float64) * 10 ** (-6 * rng.random((len(rows), D)) - 1)
            table.step(native, pool, rows, g.astype(dtype))
            if step % 3 == 0:
                table.catch_up(native, pool, np.array([3, 5, 3, -1, 30, 2**62, 5]))
                table.check(f"{instruction_set} {pool} at step {step}", [3, 5])
        table.catch_up(native, pool, None)
        assert (table.arrays["last"] == 40).all()
        table.check(f"{instruction_set} {pool}", slice(None))
        results.append(table.arrays)
        assert_same_bits(results[-1], results[0], f"{instruction_set} {pool}")


@pytest.mark.parametrize("D", WIDTHS, ids=lambda D: f"D={D}")
def test_rows_alone(native: Any, instruction_set: str, dtype: Any, memory: Memory, D: int) -> None:
    rng = np.random.default_rng(0)
    rows, g = np.array([0, 3, 29]), uniform(rng, (3, D), dtype)
    start = {name: np.abs(uniform(rng, (30, D), dtype)) for name in "pmv"}
    arrays = {name: memory.empty(name, (30, D), dtype) for name in "pmv"}
    for name, array in arrays.items():
        array[...] = start[name]
    settings = np.array([0.5, 1e-3, 0.8, 0.9])
    native.adam_rows("threads", 2, {**arrays, "V": 30, "D": D, "row": rows, "g": g, "settings": settings})
    m, v = 0.8 * start["m"][rows] + 0.2 * g, 0.9 * start["v"][rows] + 0.1 * g.astype(np.float64) ** 2
    want = {name: array.astype(np.float64) for name, array in start.items()}
    want["m"][rows], want["v"][rows] = m, v
    want["p"][rows] -= 0.5 * m / (np.sqrt(v) + 1e-3)
    for name, array in arrays.items():
        assert_close(array, want[name], f"{instruction_set}: {name}")


def test_without_rows_nothing_happens(native: Any, dtype: Any, memory: Memory) -> None:
    table = Table(memory, 3, 5, dtype, 1e-8)
    nothing = np.array([], np.int64)
    table.step(native, POOLS[0], nothing, np.empty((0, 5), dtype))
    table.catch_up(native, POOLS[0], nothing)
    table.catch_up(native, POOLS[0], None)
    assert (table.arrays["last"] == -1).all()
    assert not table.arrays["m"].any()
