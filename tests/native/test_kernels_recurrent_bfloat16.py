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
from conftest import FLAVOUR
from harness import ONE, Array, Memory, Pool, assert_same_bits
from recurrent_oracle import LAYOUTS, Call, Case
from test_kernels_recurrent import FOUR, RAGGED, SAME, SHARED, TokenCall, of, packed, token_inputs

import build

SETS = ("base", "avx2", "avx512", "avx512_bf16")
EMULATED = "avx512_bf16, emulated"
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


@pytest.fixture(params=[*SETS, EMULATED])
def kernels(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The module, once with each instruction set that this CPU has, and on any with the instructions of the last one
    in plain C++."""
    if request.param == EMULATED and FLAVOUR != "plain":
        pytest.skip("the other instructions are under test")
    name = "emulated" if request.param == EMULATED else "native"
    module = request.getfixturevalue(name)
    before = module.capability()
    try:
        module.set_capability(request.param.split(",")[0])
    except RuntimeError as error:
        pytest.skip(str(error))
    yield module
    module.set_capability(before)


@pytest.fixture(scope="module")
def emulated(native: Any) -> Any:
    return build.load(build.build("emulated"))


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
    most = 16 * ACTIVATION if call.native.capability() == "avx512_bf16" else 2 * ACTIVATION
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


@pytest.mark.parametrize("case", [*CASES, *SHARED], ids=str)
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
