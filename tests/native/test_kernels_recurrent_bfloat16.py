"""The recurrent kernels with products of bfloat16, against the oracle with the same factors rounded.

A factor whose exact value lies half way between two bfloat16 may be rounded otherwise than the oracle's, by 2^-8 of
itself; everything else differs by sums in float32 and by the activations.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import recurrent_oracle as oracle
from harness import ONE, Array, Memory, Pool, assert_same_bits
from recurrent_oracle import LAYOUTS, Call, Case
from test_kernels_recurrent import FOUR, RAGGED, SAME, SHARED, TokenCall, of, packed, token_inputs

SETS = ("base", "avx2", "avx512", "avx512_bf16", "amx_bf16")
EMULATED = ("avx512_bf16, emulated", "amx_bf16, emulated")
FLIP = 2.0**-8
ACTIVATION = 2.0**-13  # the relative error of an activation, where products are made of pairs

# Odd and even numbers of inputs, units and rows, as factors go in pairs; whole vectors and not.
CASES = [
    Case((), 3, 3),
    Case((0,), 1, 1),
    Case((1,), 1, 1),
    Case((1,), 17, 33, 5),
    Case((7,), 16, 33, reverse=True),
    Case((5, 1, 0, 3, 5), 17, 3, 1, reverse=True),
    Case(SAME, 16, 16),
    Case(SAME, 3, 17, 16),
    Case(RAGGED, 33, 33),
    Case(RAGGED, 3, 33, 17, reverse=True),
    Case(RAGGED, 17, 5, need_dx=False, gradients="dh_n dc_n"),
    Case(RAGGED, 3, 18, gradients="dy dc", layouts=("flat", "wide")),
    *[Case(RAGGED, 5, 17, layouts=(layout, layout), reverse=True) for layout in LAYOUTS],
    *of(
        "gru",
        Case((1,), 1, 1),
        Case((9,), 16, 33, reverse=True, biases="ih"),
        Case(SAME, 3, 16, biases=""),
        Case(RAGGED, 33, 33, reverse=True, gradients="dy"),
        Case(RAGGED, 5, 18, layouts=("packed", "flat")),
    ),
    *of(
        "rnn_tanh",
        Case((9,), 16, 31, reverse=True, biases="hh"),
        Case((5, 1, 0, 3, 5), 17, 65),
        Case(RAGGED, 33, 130, layouts=("batch_major", "wide")),
    ),
    *of("rnn_relu", Case((3,), 3, 9), Case((2, 3, 1, 3), 17, 65, reverse=True)),
]
# One and several tiles of 16 rows and 32 factors, whole and not, of rows at one distance and not; in the gradients of
# weights several blocks of rows.
TILED = [
    *[Case((2,) * B, 5, 18) for B in (15, 16, 17, 32, 33)],
    Case((3, 1) * 20, 31, 64, layouts=("flat", "flat")),
    Case((2,) * 17, 32, 33, 16),
    Case(tuple(range(1, 41)), 17, 18, reverse=True),
    Case((75,) * 4, 64, 5),
    Case((3,) * 70, 33, 40),
    *of("gru", Case((2,) * 33, 33, 17, reverse=True)),
    *of("rnn_tanh", Case((2, 1) * 17, 65, 130)),
]


@pytest.fixture(params=[*SETS, *EMULATED])
def kernels(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The module, once with each instruction set that this CPU has, and on any with the instructions of the last two
    in plain C++."""
    name = "emulated" if request.param in EMULATED else "native"
    module = request.getfixturevalue(name)
    before = module.capability()
    try:
        module.set_capability(request.param.split(",")[0])
    except RuntimeError as error:
        pytest.skip(str(error))
    yield module
    module.set_capability(before)


@lru_cache(maxsize=256)
def expected(case: Case, V: int = 0) -> tuple[dict[str, Any], dict[str, Any]]:
    given = token_inputs(case, np.float32, V)[-1] if V else oracle.inputs(case, np.float32)
    forward = oracle.forward(case, given, oracle.half)
    return forward, oracle.backward(case, given, forward, oracle.half)


def assert_near(got: Array, want: Array, what: str, most: float | None) -> None:
    """Within what roundings that went the other way can cause, in a few factors of a sum.

    ``most``: and most values within this share of the largest, else something else than the factors has been rounded.
    """
    assert got.shape == want.shape, f"{what}: shape {got.shape}, expected {want.shape}"
    if not want.size:
        return
    tolerance = 2 * FLIP * max(1.0, float(np.abs(want).max()))
    difference = np.abs(got.astype(float) - want)
    assert difference.max() <= tolerance, f"{what}: differs by {difference.max():.2g}, more than {tolerance:.2g}"
    if most is not None:
        middle, allowed = float(np.median(difference)), most * max(1.0, float(np.abs(want).max()))
        assert middle <= allowed, f"{what}: differs by {middle:.2g} in the middle, more than {allowed:.2g}"


def check(call: Call, got: dict[str, Array], gradients: dict[str, Array], V: int = 0) -> None:
    case = call.case
    forward, backward = expected(case, V)
    # Near its ends the slope of tanh, 1 - h^2, has a much larger relative error than h.
    most = 16 * ACTIVATION if call.native.capability().endswith("_bf16") else 2 * ACTIVATION
    for name, value in (got | gradients).items():
        if name in ("y", "c", "dx") and not (name == "dx" and V):
            kind, width = oracle.place(case, name)
            want = {"y": forward["y"], "c": forward["cells"], "dx": backward["dx"]}[name]
            for q, vectors in enumerate(call.schedule.read(value, kind, width)):
                assert_near(vectors, want[q], f"{name} of sequence {q}", most)
        elif name in ("h_n", "c_n"):
            assert_near(value, forward[name], name, most)
        elif name in gradients and name != "dx":
            # The gradients of a token's sums are added up, and the sum is a factor that is rounded.
            assert_near(value, backward[name], name, None if V and name.endswith("_ih") else most)
        elif name in got and case.lengths:
            rows = oracle.from_blocks(value, case.H) if name in ("kept", "cells") else value
            assert_near(rows, packed(case, forward[name]), name, most)


@pytest.mark.parametrize("case", [*CASES, *SHARED, *TILED], ids=str)
def test_forward_and_backward(kernels: Any, memory: Memory, case: Case) -> None:
    call = Call(kernels, memory, case, np.float32, oracle.inputs(case, np.float32), bfloat16=True)
    kept = call.forward()
    gradients = call.backward(kept)
    check(call, kept, gradients)
    inference = call.forward(training=False)
    assert_same_bits(inference, {name: kept[name] for name in inference}, "inference, compared with training")
    for pool in (FOUR, Pool("threads", 2), Pool("late", 4)):
        assert_same_bits(call.forward(pool), kept, f"forward, {pool}")
        assert_same_bits(call.backward(kept, pool), gradients, f"backward, {pool}")


@pytest.mark.parametrize("V", [5, 500])
@pytest.mark.parametrize(
    "case",
    [
        Case((9,), 3, 17, reverse=True),
        Case(RAGGED, 17, 33, 5),
        Case(RAGGED, 5, 18, need_dx=False),
        Case((2,) * 33, 5, 18),
        SHARED[0],
        *of("gru", Case(RAGGED, 5, 17, layouts=("wide", "flat"), reverse=True)),
        *of("rnn_tanh", Case(RAGGED, 5, 130, layouts=("packed", "wide"))),
    ],
    ids=str,
)
def test_from_tokens(kernels: Any, memory: Memory, case: Case, V: int) -> None:
    call = TokenCall(kernels, memory, case, np.float32, oracle.inputs(case, np.float32), bfloat16=True).take(V)
    kept = call.forward()
    gradients = call.backward(kept)
    check(call, kept, gradients, V)
    if case.need_dx:
        want = np.zeros((len(call.distinct), case.I))
        for ids, dx in zip(call.ids, expected(case, V)[1]["dx"], strict=True):
            np.add.at(want, np.searchsorted(call.distinct, ids), dx)
        assert_near(gradients["dx"], want, "dx of the distinct tokens", most=None)
    for pool in (FOUR, Pool("threads", 2)):
        assert_same_bits(call.forward(pool), kept, f"forward, {pool}")
        assert_same_bits(call.backward(kept, pool), gradients, f"backward, {pool}")


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn_tanh"])
def test_one_step_from_given_states_is_exact(kernels: Any, memory: Memory, cell: str) -> None:
    """No factor depends on a sum in float32, so nothing can be rounded the other way."""
    case = Case((1,) * 7, 21, 35, cell=cell)
    given = oracle.inputs(case, np.float32)
    got = Call(kernels, memory, case, np.float32, given, bfloat16=True).forward(ONE)
    want = oracle.forward(case, given, oracle.half)
    difference = np.abs(got["h_n"] - want["h_n"]).max()
    assert difference < 2 * ACTIVATION
    assert np.abs(want["h_n"] - oracle.forward(case, given)["h_n"]).max() > 4 * ACTIVATION


def test_sums_are_those_of_float32(kernels: Any, memory: Memory) -> None:
    """One step of a cell without an activation that estimates anything: n products are added with an error of n units
    of rounding, of the sum of their sizes."""
    case = Case((1,) * 37, 70, 40, cell="rnn_relu", gradients="dy")
    given = oracle.inputs(case, np.float32)
    call = Call(kernels, memory, case, np.float32, given, bfloat16=True)
    kept = call.forward(ONE)
    gradients = call.backward(kept, ONE)
    gradients["dx"] = np.concatenate(call.schedule.read(gradients["dx"], *oracle.place(case, "dx")))
    x, dy = (oracle.half(np.concatenate(given[name])) for name in ("x", "dy"))
    h, w_ih, w_hh = (oracle.half(given[name]) for name in ("h0", "w_ih", "w_hh"))
    bias = given["b_ih"].astype(float) + given["b_hh"]
    d = dy * (kept["h_n"] > 0)
    ones = np.ones((case.B, 1))
    for name, got, factors in (
        ("h_n", kept["h_n"], [(x, w_ih.T), (h, w_hh.T), (ones, bias[None])]),
        ("dx", gradients["dx"], [(d, w_ih)]),
        ("dh0", gradients["dh0"], [(d, w_hh)]),
        ("dw_ih", gradients["dw_ih"], [(d.T, x)]),
        ("dw_hh", gradients["dw_hh"], [(d.T, h)]),
        ("db_ih", gradients["db_ih"][:, None], [(d.T, ones)]),
    ):
        n = sum(a.shape[1] for a, _ in factors) + 2
        want, size = sum(a @ b for a, b in factors), sum(abs(a) @ abs(b) for a, b in factors)
        if name == "h_n":
            want = np.maximum(want, 0)
        assert (abs(got - want) <= n * 2.0**-24 * size).all(), (
            f"{name}: {(abs(got - want) / size).max():.2g} of the size"
        )


@pytest.mark.parametrize(
    "case",
    [
        Case((3,) * 2, 4, 4, 3),
        Case((4,) * 2, 3, 5),
        *of("gru", Case((2,) * 17, 2, 3)),
        *of("rnn_tanh", Case((4,) * 2, 3, 5)),
        *of("rnn_relu", Case((2,) * 2, 3, 18)),
    ],
    ids=str,
)
@pytest.mark.parametrize("kernels", EMULATED, indirect=True)
def test_errors_lie_within_what_the_roundings_can_cause(kernels: Any, memory: Memory, case: Case) -> None:
    """As tests/test_recurrent_bfloat16.py asks of the sets that this CPU has."""
    torch, bounds = pytest.importorskip("torch"), pytest.importorskip("bfloat16_bounds").bounds
    given = oracle.inputs(case, np.float32)
    call = Call(kernels, memory, case, np.float32, given, bfloat16=True)
    kept = call.forward(ONE)
    found = kept | call.backward(kept, ONE)
    for name in ("y", "dx"):
        found[name] = np.stack(call.schedule.read(found[name], *oracle.place(case, name)), axis=1)
    found.setdefault("db_hh", found["db_ih"])

    def tensor(name: str) -> Any:
        return torch.from_numpy(np.stack(given[name], axis=1) if isinstance(given[name], list) else given[name].copy())

    states = ["h", "c"] if case.equations.has_c else ["h"]
    weights = ["w_ih", "w_hh", "b_ih", "b_hh", *["w_hr"] * (case.projection is not None)]
    h, c, *_ = *(tensor(f"{s}0") for s in states), None
    ends = [tensor("dy"), *(tensor(f"d{s}_n") for s in states)]
    names = ["y", *(f"{s}_n" for s in states), "dx", *(f"d{s}0" for s in states), *(f"d{w}" for w in weights)]
    largest = 0.0
    results = bounds(case.cell, tensor("x"), h, c, [tensor(w) for w in weights], ends)
    for name, (want, bound) in zip(names, results, strict=True):
        error = abs(found[name] - want.numpy())
        assert (error <= bound.numpy()).all(), f"{name}: {error.max():.2g}, more than its bound"
        largest = max(largest, float((error / bound.numpy()).max()))
    assert largest > 0.02, "the products have not been rounded, or the bounds are far too wide"
