"""The 8-bit LSTM against its definition in numpy: shapes, layouts, instruction sets, threads."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import recurrent_oracle as oracle
from harness import ONE, UNEVEN, WELL_BEHAVED, Array, Memory, Pool, assert_same_bits, exact
from recurrent_oracle import LAYOUTS, Case, Schedule

RAGGED = (5, 0, 9, 1, 3, 3, 0, 7, 2, 9, 4, 1, 6)
CASES = [
    Case((), 3, 3),
    Case((0, 0), 3, 17),
    Case((1,), 1, 1),
    Case((9,), 16, 33, reverse=True),
    Case((5, 1, 0, 3, 5), 17, 3),
    Case((4,) * 7, 4, 16, reverse=True),
    Case(RAGGED, 33, 33),
    Case(RAGGED, 6, 18, reverse=True),
    *[Case(RAGGED, 5, 17, layouts=(layout, layout)) for layout in LAYOUTS],
]
# Enough work for four threads: by hidden units, and by sequence where there are many.
LENGTHS = tuple(int(n) for n in np.random.default_rng(3).integers(0, 31, 50))
SHARED = [Case((160, 147, 0, 90), 60, 70), Case(LENGTHS, 60, 70, reverse=True)]


def quantize(w: Array) -> tuple[Array, Array]:
    """Integers [rows, K] and scales [rows]."""
    largest = np.abs(w).max(axis=1, initial=0)
    scale = np.where(largest > 0, largest / 127, 1).astype(np.float32)
    return np.round(w / scale[:, None]).astype(np.int8), scale


def pack(integers: list[Array], H: int) -> Array:
    """[panels, groups, 4, 16, 4] of W_ih [4H, I] and W_hh [4H, H]."""
    panels, parts = -(-H // 16), []
    for q in integers:
        groups = -(-q.shape[1] // 4)
        part = np.zeros((panels, groups, 4, 16, 4), np.int8)
        for row, column in np.ndindex(*q.shape):
            gate, unit = divmod(row, H)
            part[unit // 16, column // 4, gate, unit % 16, column % 4] = q[row, column]
        parts.append(part)
    return np.concatenate(parts, axis=1)


def whole(values: Array, size: float) -> Array:
    """In steps of size / 127, halves up."""
    return np.floor(np.clip(values * (127 / size) if size else values * 0, -127, 127) + np.float32(0.5)) * size / 127


def expected(case: Case, given: dict[str, Any], weights: dict[str, Array]) -> dict[str, Any]:
    """The definition: an LSTM in float64 with rounded weights, inputs and states."""
    out: dict[str, Any] = {"y": [], "h_n": [], "c_n": []}
    for x, h, c in zip(given["x"], given["h0"], given["c0"].astype(float), strict=True):
        y = np.zeros((len(x), case.H))
        for t in range(len(x))[:: -1 if case.reverse else 1]:
            vector = whole(x[t], np.abs(x[t]).max(initial=0))
            pre = weights["ih"] @ vector + weights["hh"] @ whole(np.float32(h), 1) + weights["bias"]
            i, f, z, o = np.split(pre, 4)
            i, f, z, o = (1 / (1 + np.exp(-v)) if v is not z else np.tanh(z) for v in (i, f, z, o))
            c = f * c + i * z
            h = y[t] = o * np.tanh(c)
        for name, value in (("y", y), ("h_n", h), ("c_n", c)):
            out[name].append(value)
    return out


class Call:
    def __init__(self, native: Any, memory: Memory, case: Case) -> None:
        self.native, self.memory, self.case = native, memory, case
        self.given, self.schedule = oracle.inputs(case, np.float32), Schedule(case.lengths)
        integers, scales = zip(*(quantize(self.given[name]) for name in ("w_ih", "w_hh")), strict=True)
        bias = sum(self.given[name] for name in ("b_ih", "b_hh"))
        self.weights = {"ih": integers[0] * scales[0][:, None].astype(float)}
        self.weights |= {"hh": integers[1] * scales[1][:, None].astype(float), "bias": bias}
        sums = np.stack([q.sum(axis=1, dtype=np.int32) for q in integers])
        self.fixed = {"weight": pack(list(integers), case.H), "scale": np.stack(scales), "sum": sums, "bias": bias}

    def run(self, pool: Pool = ONE, outputs: bool = True) -> dict[str, Array]:
        case, s = self.case, self.schedule
        a: dict[str, Any] = {"I": case.I, "H": case.H, **s.arguments(case.reverse)}
        for name in ("h0", "c0"):
            a[name] = exact(self.given[name].shape, np.float32, self.given[name])
        a |= {name: exact(value.shape, value.dtype, value) for name, value in self.fixed.items()}
        for name, kind, width in (("x", case.layouts[0], case.I), ("y", case.layouts[1], case.H)):
            size, sequence, step = s.layout(kind, width)
            a[f"{name}_sequence_offset"] = exact(s.B, np.int64, sequence)
            a[f"{name}_step_offset"] = exact(s.T, np.int64, step)
            if name == "x":
                a[name] = s.lay_out(self.given["x"], kind, width, np.float32)
            elif outputs:
                a[name] = self.memory.empty(name, (size,), np.float32)
        for name in ("h_n", "c_n"):
            a[name] = self.memory.empty(name, (case.B, case.H), np.float32)
        self.native.quantized_lstm(pool.kind, pool.threads, a)
        return {name: a[name] for name in ("y", "h_n", "c_n") if name in a}


def check(call: Call, got: dict[str, Array]) -> None:
    want = expected(call.case, call.given, call.weights)
    found = {**got, "y": call.schedule.read(got["y"], call.case.layouts[1], call.case.H)}
    for name in ("y", "h_n", "c_n"):
        for q, (a, b) in enumerate(zip(found[name], want[name], strict=True)):
            difference = np.abs(a - b)
            # A value within rounding of a half step may go to the other side: one step of 1/127, rarely.
            assert difference.max(initial=0) < 0.02, f"{name} of sequence {q}: {difference.max()}"
            mean = difference.sum() / max(1, difference.size)
            assert mean < 1e-3, f"{name} of sequence {q}: {mean} in the mean"


@pytest.mark.parametrize("case", CASES, ids=str)
def test_equals_the_definition(native: Any, memory: Memory, instruction_set: str, case: Case) -> None:
    call = Call(native, memory, case)
    got = call.run()
    check(call, got)
    states = call.run(outputs=False)
    assert_same_bits(states, {name: got[name] for name in states}, "without outputs")
    if case.B > 1:  # a sequence for itself
        last = max(range(case.B), key=lambda q: case.lengths[q])
        alone = Call(native, memory, replace(case, lengths=(case.lengths[last],), layouts=("flat", "flat")))
        alone.given = {**alone.given, **{name: call.given[name][last : last + 1] for name in ("x", "h0", "c0")}}
        alone.fixed = call.fixed
        assert_same_bits({"h_n": alone.run()["h_n"][0]}, {"h_n": got["h_n"][last]}, "alone")


@pytest.mark.parametrize("case", SHARED, ids=str)
def test_threads_that_share_the_work_give_the_same_bits(
    native: Any, memory: Memory, instruction_set: str, case: Case
) -> None:
    call = Call(native, memory, case)
    got = call.run()
    check(call, got)
    for pool in [*WELL_BEHAVED, *UNEVEN]:
        assert_same_bits(call.run(pool), got, str(pool))


@pytest.mark.parametrize("case", [*CASES, *SHARED], ids=str)
def test_bytes_multiplied_by_one_instruction_give_the_same_bits(emulated: Any, memory: Memory, case: Case) -> None:
    """AVX-VNNI and AVX-512 VNNI in plain C++. The former runs the same arithmetic as the baseline but for the sums of
    products, which are whole numbers; the latter divides in its own way."""
    before, results = emulated.capability(), {}
    for name in ("base", "avx2", "avx512"):
        emulated.set_capability(name)
        call = Call(emulated, memory, case)
        results[name] = call.run()
        check(call, results[name])
        assert_same_bits(call.run(Pool("threads", 4)), results[name], f"{name}, four threads")
    emulated.set_capability(before)
    assert_same_bits(results["avx2"], results["base"], "AVX-VNNI, compared with the baseline")


@pytest.mark.parametrize("case", [*CASES, *SHARED], ids=str)
def test_the_byte_products_of_arm_give_the_bits_of_the_baseline(native: Any, memory: Memory, case: Case) -> None:
    before, results = native.capability(), {}
    try:
        native.set_capability("dotprod")
    except RuntimeError as error:
        pytest.skip(str(error))
    for name in ("dotprod", "base"):
        native.set_capability(name)
        call = Call(native, memory, case)
        results[name] = call.run()
        check(call, results[name])
        assert_same_bits(call.run(Pool("threads", 4)), results[name], f"{name}, four threads")
    native.set_capability(before)
    assert_same_bits(results["dotprod"], results["base"], "SDOT, compared with the baseline")


def test_nan_stays_in_its_sequence(native: Any, memory: Memory, instruction_set: str) -> None:
    call = Call(native, memory, Case((4, 4, 4), 5, 18))
    call.given = {**call.given, "x": [x.copy() for x in call.given["x"]]}
    call.given["x"][1][2, 3] = np.nan
    h = call.run()["h_n"]
    assert np.isnan(h[1]).all()
    assert np.isfinite(h[[0, 2]]).all()
