"""The text convolutions with products of bfloat16, against the oracle with the same factors rounded.

Whole numbers from -2 to 2 are bfloat16, and their sums exact, so that results must be equal to the oracle's.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import text_conv_oracle as oracle
from harness import UNEVEN, Array, Memory, Pool, assert_close, assert_same_bits
from recurrent_oracle import half
from test_kernels_recurrent_bfloat16 import emulated, kernels  # noqa: F401
from test_kernels_text_conv import CASES, SHARED, check_backward, check_forward
from text_conv_oracle import Call, Case

TWO = Pool("threads", 2)
LENGTHS = (5, 0, 9, 1, 3, 3, 0, 7, 2, 9, 4, 1, 6)
REALS = [
    Case(LENGTHS, 5, 18, (2, 3), whole=False),
    Case(LENGTHS, 33, 17, (1, 4), True, "identity", whole=False, bias=False),
    Case(LENGTHS, 32, 16, (3,), activation="tanh", whole=False),
    Case(LENGTHS, 17, 20, gap=2, V=40, whole=False),
    Case(LENGTHS, 700, 3, (2,), V=40, whole=False),  # a row of more vectors than the registers hold sums
    Case((900, 3), 20, 3, (2,), V=3, whole=False),  # and a token with more terms than are taken at a time
    *SHARED,
]


def rounded(case: Case, given: dict[str, Any]) -> dict[str, Any]:
    """The same inputs with the factors of the forward pass rounded."""
    return given | {"table": half(given["table"]), "weight": [half(w) for w in given["weight"]]}


def summed(case: Case, given: dict[str, Any], distinct: Array, dx: Array) -> dict[str, Array]:
    table = np.zeros((case.V, case.D))
    np.add.at(table, given["ids"], dx)
    return {"vectors": dx, "ids": table, "distinct": table[distinct]}


def call_of(kernels: Any, memory: Memory, case: Case) -> Call:  # noqa: F811
    return Call(kernels, memory, case, np.float32, oracle.inputs(case, np.float32), bfloat16=True)


@pytest.mark.parametrize("case", [*CASES, *REALS], ids=str)
def test_forward_and_backward(kernels: Any, memory: Memory, case: Case) -> None:  # noqa: F811
    call = call_of(kernels, memory, case)
    given = rounded(case, call.given)
    for source in ("vectors", "ids"):
        kept = call.forward(source)
        check_forward(case, given, kept, f"from {source}")
        assert_same_bits(call.forward(source, training=False), {"y": kept["y"]}, f"inference from {source}")
        assert_same_bits(call.forward(source, TWO), kept, f"from {source}, two threads")
    want = oracle.backward(case, given, kept["y"], kept["window"], half)
    # The oracle has the slope of tanh from the same y, in float64, and may round a gradient to the other side.
    tanh = case.activation == "tanh"
    for source, dx in summed(case, given, call.distinct, want["dx"]).items():
        gradients = call.backward(source, kept)
        if tanh:
            for name, value in gradients.items():
                assert_close(value, {**want, "dx": dx}[name], name, eps=2.0**-8 / np.finfo(np.float32).eps)
        else:
            check_backward(case, gradients, {**want, "dx": dx}, f"gradients, {source}")
        assert_same_bits(call.backward(source, kept, TWO), gradients, f"gradients, {source}, two threads")
    for wanted in (("dx",), ("dweight",), ("dbias",)):
        part = call.backward("distinct", kept, wanted=wanted)
        assert_same_bits(part, {name: gradients[name] for name in wanted}, f"{wanted} alone")


@pytest.mark.parametrize("case", SHARED, ids=str)
def test_threads_that_share_the_work_give_the_same_bits(kernels: Any, memory: Memory, case: Case) -> None:  # noqa: F811
    call = call_of(kernels, memory, case)
    kept = {source: call.forward(source) for source in ("vectors", "ids")}
    gradients = call.backward("ids", kept["ids"])
    for pool in UNEVEN:
        for source in kept:
            assert_same_bits(call.forward(source, pool), kept[source], f"from {source}, {pool}")
        assert_same_bits(call.backward("ids", kept["ids"], pool), gradients, f"gradients, {pool}")


@pytest.mark.parametrize("source", ["vectors", "ids"])
def test_factors_are_rounded(kernels: Any, memory: Memory, source: str) -> None:  # noqa: F811
    case = replace(REALS[0], activation="identity")
    call = call_of(kernels, memory, case)
    y, gradients = call.forward(source), call.backward(source, call.forward(source))
    call.bfloat16 = False
    exact = call.forward(source)
    others = call.backward(source, y)
    assert np.abs(y["y"] - exact["y"]).max() > 1e-4
    for name in ("dx", "dweight"):
        assert np.abs(gradients[name] - others[name]).max() > 1e-4, name
    assert np.array_equal(gradients["dbias"], others["dbias"])


@pytest.mark.parametrize("special", [np.nan, np.inf])
@pytest.mark.parametrize("D", [3, 4])
def test_what_is_not_finite_stays_in_its_own_sentence(
    kernels: Any,  # noqa: F811
    memory: Memory,
    special: float,
    D: int,
) -> None:
    """Where factors go in pairs, no neighbour is multiplied with zero."""
    case = Case((6, 3, 5), D, 19, (2, 3), activation="identity", V=15, whole=False)
    given = oracle.inputs(case, np.float32)
    given["ids"][:] = np.arange(case.N)
    given["table"][6] = special  # of the second sentence, behind the end of the first
    given["dy"][:] = 1
    call = Call(kernels, memory, case, np.float32, given, bfloat16=True)
    for source in ("vectors", "ids"):
        kept = call.forward(source)
        assert np.isfinite(kept["y"][[0, 2]]).all()
        assert not np.isfinite(kept["y"][1]).all()
        dx = call.backward(source, kept, wanted=("dx",))["dx"]
        assert np.isfinite(dx).all()
