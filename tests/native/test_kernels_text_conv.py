"""The text convolutions against numpy in float64: shapes, paddings, instruction sets, threads; finite differences."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import text_conv_oracle as oracle
from harness import UNEVEN, WELL_BEHAVED, Array, Memory, assert_close, assert_same_bits
from text_conv_oracle import ACTIVATIONS, Call, Case

RAGGED = (5, 0, 9, 1, 3, 3, 0, 7, 2, 9, 4, 1, 6)

# One and several vectors, whole and not; sentences longer and shorter than the kernels, and empty ones.
SHAPES = [
    Case((), 3, 3),
    Case((0,), 1, 1),
    Case((1,), 1, 1, (1,)),
    Case((0, 0, 0, 0, 0), 3, 17),
    Case((9,), 16, 33, (2,)),
    Case((6,), 33, 16, (1, 9)),
    Case((5, 1, 0, 3, 5), 3, 3, (1, 2)),
    Case((5, 1, 0, 3, 5), 17, 3),
    Case((5, 1, 0, 3, 5), 1, 33, (3,)),
    Case((9, 8, 9, 9, 8), 33, 17, (5, 1, 3)),
    Case((9, 2, 9, 0, 4), 3, 65, (7,)),
    Case((4, 4, 4), 16, 128, (2, 3)),
    Case(RAGGED, 16, 16),
    Case(RAGGED, 1, 17, (2, 2)),
    Case(RAGGED, 33, 33, (2, 3, 4, 5)),
    Case(RAGGED, 3, 1, (3, 6)),
    Case(RAGGED, 17, 33, (4,), V=1),
]
VARIANTS = [
    *[Case(RAGGED, 5, 18, (2, 3), activation=activation, whole=False) for activation in ACTIVATIONS],
    *[Case(RAGGED, 33, 17, (1, 4), activation=activation, bias=False) for activation in ACTIVATIONS],
    Case(RAGGED, 17, 20, gap=2, V=40),
]
CASES = [replace(case, same=same) for case in SHAPES + VARIANTS for same in (False, True)]
LENGTHS = tuple(int(n) for n in np.random.default_rng(3).integers(0, 25, 24))
SHARED = [
    Case(LENGTHS, 66, 50, V=60, whole=False),
    Case((30, 0, 17), 66, 70, (2, 3), True, V=60, whole=False),
]


def check_forward(case: Case, given: dict[str, Any], got: dict[str, Array], what: str) -> None:
    y, window = oracle.forward(case, given)
    if case.whole and case.activation != "tanh":
        assert np.array_equal(got["y"], y), f"{what}: y differs at {np.argwhere(got['y'] != y)[:5].tolist()}"
    else:
        assert_close(got["y"], y, f"{what}: y")
    if case.whole:
        wrong = np.argwhere(got["window"] != window)[:5]
        assert not len(wrong), f"{what}: not the first window of the maximum at {wrong.tolist()}"
        return
    for b, kernels in enumerate(oracle.sums(case, given)):
        for i, z in enumerate(kernels):
            at = got["window"][b, i * case.C : (i + 1) * case.C]
            assert_close(z[at, np.arange(case.C)].astype(got["y"].dtype), z.max(0), f"{what}: the sum at window, {b}")


def check_backward(case: Case, got: dict[str, Array], want: dict[str, Array], what: str) -> None:
    for name, value in got.items():
        if case.whole and case.activation != "tanh":
            assert np.array_equal(value, want[name]), (
                f"{what}: {name} at {np.argwhere(value != want[name])[:5].tolist()}"
            )
        else:
            assert_close(value, want[name], f"{what}: {name}")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_forward_and_backward(native: Any, memory: Memory, instruction_set: str, dtype: Any, case: Case) -> None:
    given = oracle.inputs(case, dtype)
    call = Call(native, memory, case, dtype, given)
    for source in ("vectors", "ids"):
        kept = call.forward(source)
        check_forward(case, given, kept, f"from {source}")
        assert_same_bits(call.forward(source, training=False), {"y": kept["y"]}, f"inference from {source}")
        for pool in WELL_BEHAVED:
            assert_same_bits(call.forward(source, pool), kept, f"from {source}, {pool}")
    want = oracle.backward(case, given, kept["y"], kept["window"])
    table = np.zeros((case.V, case.D))
    np.add.at(table, given["ids"], want["dx"])
    of = {"vectors": want["dx"], "ids": table, "distinct": table[call.distinct]}
    for source, dx in of.items():
        gradients = call.backward(source, kept)
        check_backward(case, gradients, {**want, "dx": dx}, f"gradients, {source}")
        for pool in WELL_BEHAVED:
            assert_same_bits(call.backward(source, kept, pool), gradients, f"gradients, {source}, {pool}")
    for wanted in (("dx",), ("dweight",), ("dbias",), ("dweight", "dbias")):
        part = call.backward("distinct", kept, wanted=wanted)
        assert_same_bits(part, {name: gradients[name] for name in wanted}, f"{wanted} alone")
    if len(call.distinct):
        row = int(call.distinct[len(call.distinct) // 2])
        table[row] = 0
        for source, dx in (("ids", table), ("distinct", table[call.distinct])):
            part = call.backward(source, kept, wanted=("dx",), padding=row)
            check_backward(case, part, {"dx": dx}, f"gradients without row {row}, {source}")


@pytest.mark.parametrize("case", SHARED, ids=str)
def test_threads_that_share_the_work_give_the_same_bits(
    native: Any, memory: Memory, instruction_set: str, dtype: Any, case: Case
) -> None:
    given = oracle.inputs(case, dtype)
    call = Call(native, memory, case, dtype, given)
    kept = {source: call.forward(source) for source in ("vectors", "ids")}
    for source in kept:
        check_forward(case, given, kept[source], f"from {source}")
    gradients = call.backward("ids", kept["ids"])
    for pool in [*WELL_BEHAVED, *UNEVEN]:
        for source in kept:
            assert_same_bits(call.forward(source, pool), kept[source], f"from {source}, {pool}")
        assert_same_bits(call.backward("ids", kept["ids"], pool), gradients, f"gradients, {pool}")


def test_more_distinct_tokens_than_the_cache_takes(
    native: Any, memory: Memory, instruction_set: str, dtype: Any
) -> None:
    # The products of 1,500 tokens with several vectors of five taps exceed a core's cache: the units become narrower.
    case = Case((700, 1100, 3), 3, 130, (5, 2), V=2000)
    given = oracle.inputs(case, dtype)
    given["ids"] = np.random.default_rng(0).permutation(2000)[: case.N] % 2000
    check_forward(case, given, Call(native, memory, case, dtype, given).forward("ids"), "from ids")


@pytest.mark.parametrize("same", [False, True], ids=["valid", "same"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_are_those_of_finite_differences(
    native: Any, memory: Memory, instruction_set: str, activation: str, same: bool
) -> None:
    case = Case((4, 1, 0, 3), 3, 3, (2, 3), same, activation, V=4, whole=False)
    given, step = oracle.inputs(case, np.float64), 1e-6
    taps = sum(case.taps) * case.C * case.D

    def loss(table: Array, weight: Array, bias: Array) -> float:
        ends = np.cumsum([case.C * case.D * K for K in case.taps])[:-1]
        parts = zip(np.split(weight, ends), case.taps, strict=True)
        changed = {"table": table.reshape(-1, case.D), "bias": list(bias.reshape(-1, case.C))}
        changed["weight"] = [w.reshape(case.C, case.D, K) for w, K in parts]
        y = Call(native, memory, case, np.float64, given | changed).forward("ids", training=False)["y"]
        return float(np.vdot(given["dy"], y))

    weight = np.concatenate([w.ravel() for w in given["weight"]])
    at = {"dx": given["table"].ravel(), "dweight": weight, "dbias": np.concatenate(given["bias"])}
    assert len(weight) == taps
    call = Call(native, memory, case, np.float64, given)
    gradients = call.backward("ids", call.forward("ids"))
    for name, values in at.items():
        want = np.zeros(len(values))
        for index in range(len(values)):
            shift = np.zeros(len(values))
            shift[index] = step
            high = [v + shift if other == name else v for other, v in at.items()]
            low = [v - shift if other == name else v for other, v in at.items()]
            want[index] = (loss(*high) - loss(*low)) / (2 * step)
        np.testing.assert_allclose(gradients[name].ravel(), want, rtol=1e-6, atol=1e-8, err_msg=name)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("source", ["vectors", "ids"])
def test_a_nan_wins_in_its_own_sentence(
    native: Any, memory: Memory, instruction_set: str, dtype: Any, source: str, activation: str
) -> None:
    case = Case((6, 3, 5), 4, 19, (2, 3), activation=activation, V=10, whole=False)
    given = oracle.inputs(case, dtype)
    given["ids"][:] = np.arange(case.N) % 9
    given["ids"][2], given["table"][9] = 9, np.nan  # in the first sentence only
    y = Call(native, memory, case, dtype, given).forward(source)["y"]
    assert np.isnan(y[0]).all()
    assert np.isfinite(y[1:]).all()


@pytest.mark.parametrize(("activation", "limit"), list(zip(ACTIVATIONS, (-np.inf, 0, -1), strict=True)))
@pytest.mark.parametrize("source", ["vectors", "ids"])
def test_minus_infinity_everywhere_stands_at_the_first_window(
    native: Any, memory: Memory, instruction_set: str, dtype: Any, source: str, activation: str, limit: float
) -> None:
    case = Case((6, 3, 5), 4, 19, (2, 3), activation=activation, whole=False)
    given = oracle.inputs(case, dtype)
    given["table"][:, 0] = -np.inf
    for weight in given["weight"]:
        weight[:, 0] = 1
    got = Call(native, memory, case, dtype, given).forward(source)
    assert (got["y"] == limit).all()
    assert (got["window"] == 0).all()
