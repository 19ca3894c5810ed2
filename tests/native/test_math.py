"""exp, sigmoid and tanh of csrc/cpu/simd.h are within 4 units in the last place, with every instruction set."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from harness import Array, Memory

MAX_ULP = 4
BOUND = {np.float32: 87.0, np.float64: 708.0}  # of exp; beyond it the value at the bound is given
EXTREMES = [0.0, -0.0, 1e-45, -1e-45, 1e-40, 1e-38, -1e-38, 1e-30, 1e-8, -1e-8, 0.625, -0.625, 1.0, -1.0, 20.0, -20.0]


def apply(native: Any, memory: Memory, function: str, x: Array) -> Array:
    y = memory.empty("y", x.shape, x.dtype)
    native.vector_math(function, {"x": x, "y": y})
    return y


def samples(dtype: Any, bound: float) -> Array:
    """Dense in [-bound, bound], denser around 0, and the neighbours of where the functions change their method."""
    seams = np.array([-bound, -0.625, 0.625, bound, *np.log(2) * (np.arange(-20, 20) + 0.5)], dtype)
    neighbours = [np.nextafter(seams, dtype(side)) for side in (-np.inf, np.inf)]
    x = np.concatenate(
        [
            np.linspace(-bound, bound, 60_001),
            np.linspace(-1, 1, 40_001),
            np.geomspace(1e-37, bound, 20_000),
            -np.geomspace(1e-37, bound, 20_000),
            EXTREMES,
            seams,
            *neighbours,
        ]
    ).astype(dtype)
    return x[np.abs(x) <= bound]


def exact(function: str, x: Array) -> Array:
    """In long double for float64, where it is wider, in float64 for float32."""
    wide = x.astype(np.longdouble if x.dtype == np.float64 else np.float64)
    if function == "exp":
        return np.exp(wide)
    return 1 / (1 + np.exp(-wide)) if function == "sigmoid" else np.tanh(wide)


def ulps(actual: Array, expected: Array) -> Array:
    """The error in units in the last place of the exact value. The kernels flush subnormal numbers: those are zeros."""
    tiny = np.finfo(actual.dtype).tiny
    unit = np.spacing(np.maximum(np.abs(expected), tiny).astype(actual.dtype))
    error = np.abs(actual - expected) / unit
    flushed = (np.abs(expected) < tiny) & (np.abs(actual) <= tiny)
    return np.where(flushed, 0, error)


@pytest.mark.parametrize("function", ["exp", "sigmoid", "tanh"])
def test_within_four_ulp(native: Any, memory: Memory, instruction_set: str, dtype: Any, function: str) -> None:
    x = samples(dtype, BOUND[dtype])
    y = apply(native, memory, function, x)
    error = ulps(y, exact(function, x))
    worst = int(np.argmax(np.where(np.isnan(error), np.inf, error)))
    assert error[worst] <= MAX_ULP, f"{function}({x[worst]!r}) = {y[worst]!r} is {float(error[worst]):.3g} ulp wrong"


def test_beyond_the_bounds(native: Any, memory: Memory, instruction_set: str, dtype: Any) -> None:
    bound, huge = BOUND[dtype], [90.0, 710.0, 1e6, float(np.finfo(dtype).max), np.inf]
    x = np.array([v for v in huge if v > bound], dtype)
    edge = np.exp(np.longdouble(bound))
    np.testing.assert_allclose(apply(native, memory, "exp", x), np.full(x.shape, edge, dtype), rtol=1e-6)
    small = np.full(x.shape, 1 / edge, dtype)
    np.testing.assert_allclose(apply(native, memory, "exp", -x), small, rtol=1e-6)
    assert (apply(native, memory, "sigmoid", x) == 1).all()
    assert (apply(native, memory, "sigmoid", -x) <= small * (1 + 1e-6)).all()
    assert (apply(native, memory, "tanh", x) == 1).all()
    assert (apply(native, memory, "tanh", -x) == -1).all()


@pytest.mark.parametrize("function", ["exp", "sigmoid", "tanh", "relu"])
def test_nan_stays_nan_in_its_lane(
    native: Any, memory: Memory, instruction_set: str, dtype: Any, function: str
) -> None:
    x = np.linspace(-3, 3, 37).astype(dtype)
    with_nan = x.copy()
    with_nan[::5] = np.nan
    y, other = apply(native, memory, function, with_nan), apply(native, memory, function, x)
    assert np.isnan(y[::5]).all()
    assert np.array_equal(np.delete(y, np.s_[::5]), np.delete(other, np.s_[::5]))


def test_ranges_of_values(native: Any, memory: Memory, instruction_set: str, dtype: Any) -> None:
    x = np.sort(samples(dtype, BOUND[dtype]))
    sigmoid, tanh = apply(native, memory, "sigmoid", x), apply(native, memory, "tanh", x)
    assert ((sigmoid >= 0) & (sigmoid <= 1)).all()
    assert ((tanh >= -1) & (tanh <= 1)).all()
    assert np.array_equal(tanh, -apply(native, memory, "tanh", -x)), "tanh is odd"


@pytest.mark.parametrize("n", [0, 1, 3, 15, 16, 17, 33])
def test_any_number_of_values(native: Any, memory: Memory, instruction_set: str, dtype: Any, n: int) -> None:
    x = np.linspace(-2, 2, n).astype(dtype)
    assert np.array_equal(apply(native, memory, "relu", x), np.maximum(x, 0))
    assert float(np.max(ulps(apply(native, memory, "tanh", x), exact("tanh", x)), initial=0)) <= MAX_ULP
