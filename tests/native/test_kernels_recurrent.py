"""The recurrent kernels against numpy in float64: shapes, layouts, instruction sets, threads; finite differences."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import recurrent_oracle as oracle
from harness import ONE, UNEVEN, WELL_BEHAVED, Array, Memory, Pool, assert_close, assert_same_bits, exact, uniform
from recurrent_oracle import LAYOUTS, Call, Case

RAGGED = (5, 0, 9, 1, 3, 3, 0, 7, 2, 9, 4, 1, 6)
SAME = (4,) * 5

FOUR = Pool("threads", 4)

# The LSTM. One and several vectors, whole and not; no, one, five and thirteen sequences, some or all of them empty.
SHAPES = [
    Case((), 3, 3),
    Case((0,), 1, 1),
    Case((1,), 1, 1),
    Case((0,) * 5, 3, 16, 3),
    Case((9,), 3, 1),
    Case((7,), 16, 33, reverse=True),
    Case((3,), 1, 17, 3),
    Case((5, 1, 0, 3, 5), 3, 3),
    Case((5, 1, 0, 3, 5), 17, 3, 1, reverse=True),
    Case((1, 2, 3, 4, 5), 33, 17),
    Case(SAME, 1, 33, reverse=True),
    Case(SAME, 16, 16),
    Case(SAME, 3, 17, 16),
    Case((0, 0, 1, 0, 0), 16, 17, 16),
    Case(RAGGED, 17, 16, reverse=True),
    Case(RAGGED, 33, 33),
    Case(RAGGED, 3, 33, 17, reverse=True),
    Case(RAGGED, 33, 17, 33),
    Case(RAGGED, 1, 3, reverse=True),
    Case(tuple(sorted(RAGGED, reverse=True)), 16, 1, reverse=True),
]
# Arguments that may be missing, and ways to lie in memory.
VARIANTS = [
    *[Case(RAGGED, 3, 17, biases=biases) for biases in ("", "ih", "hh")],
    *[Case(RAGGED, 3, 17, 5, gradients=gradients) for gradients in ("", "dy", "dh_n", "dc_n", "dh_n dc_n")],
    *[Case(RAGGED, 3, 17, P, gradients="dc", reverse=P is None, layouts=("flat", "wide")) for P in (5, None)],
    *[Case(RAGGED, 3, 18, gradients="dy dh_n dc_n dc", layouts=(layout, layout)) for layout in LAYOUTS],
    *[Case(RAGGED, 17, 5, need_dx=False, reverse=reverse) for reverse in (False, True)],
    *[Case(RAGGED, 5, 17, layouts=(layout, layout), reverse=True) for layout in LAYOUTS],
    *[Case(RAGGED, 17, 18, 5, layouts=(x, y)) for x, y in pairwise(LAYOUTS)],
]


def of(cell: str, *cases: Case) -> list[Case]:
    return [replace(case, cell=cell) for case in cases]


# What is not the same in the other cells. GRU: products that add to different sums, with different biases; a state that
# the cell reads and that carries a gradient. RNN: panels of up to four vectors, here of one less than that to two of
# them and a unit (a vector has 2 to 16 units), and what remains of a panel.
OTHERS = [
    *of(
        "gru",
        Case((), 3, 3),
        Case((0, 0), 3, 17),
        Case((1,), 1, 1),
        Case((9,), 16, 33, reverse=True, biases="ih"),
        Case((5, 1, 0, 3, 5), 17, 3, biases="hh", layouts=("flat", "packed")),
        Case(SAME, 3, 16, biases="", reverse=True, layouts=("wide", "time_major")),
        Case(RAGGED, 33, 33, reverse=True, gradients="dy"),
        Case(RAGGED, 5, 18, need_dx=False, gradients="dh_n", layouts=("packed", "flat")),
        Case(RAGGED, 1, 47, gradients="", layouts=("batch_major", "wide")),
    ),
    *of(
        "rnn_tanh",
        Case((), 3, 3),
        Case((0, 0), 3, 65),
        Case((1,), 1, 1),
        Case((9,), 16, 31, reverse=True, biases="ih"),
        Case((5, 1, 0, 3, 5), 17, 65, biases="hh", layouts=("flat", "packed")),
        Case(SAME, 3, 64, biases="", reverse=True, layouts=("wide", "time_major")),
        Case(RAGGED, 33, 17, reverse=True, gradients="dy"),
        Case(RAGGED, 5, 63, need_dx=False, gradients="dh_n", layouts=("packed", "flat")),
        Case(RAGGED, 1, 130, gradients="", layouts=("batch_major", "wide")),
    ),
    *of("rnn_relu", Case((7,), 3, 9), Case(RAGGED, 17, 65, reverse=True)),
]
# Enough work for four threads: by hidden units, and, where there are many sequences, by sequence.
LENGTHS = tuple(int(n) for n in np.random.default_rng(3).integers(0, 11, 50))
SHARED = [
    Case((60, 47, 0, 60, 25), 33, 40),
    Case((60, 47, 0, 60, 25), 33, 40, 36, reverse=True),
    Case(LENGTHS, 33, 40, reverse=True),
    Case(LENGTHS, 33, 40, 36),
    # Few sequences for a long time: input products in slices, input gradients put off, more than once.
    Case((130,), 21, 18),
    Case((0, 70, 101, 30), 21, 18, 5, reverse=True),
    Case(LENGTHS, 33, 40, gradients="dy dc"),
    *of("gru", Case((60, 47, 0, 60, 25), 33, 40), Case(LENGTHS, 33, 40, reverse=True), Case((70, 30), 21, 18)),
    *of("rnn_tanh", Case((60, 47, 0, 60, 25), 41, 70), Case(LENGTHS, 41, 70, reverse=True), Case((70, 30), 21, 70)),
]


@lru_cache(maxsize=256)
def expected(case: Case, dtype: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    return both_passes(case, oracle.inputs(case, dtype))


def both_passes(case: Case, given: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    forward = oracle.forward(case, given)
    return forward, oracle.backward(case, given, forward)


def packed(case: Case, vectors: list[Array]) -> Array:
    """Per sequence -> rows in packed order."""
    schedule = oracle.Schedule(case.lengths)
    width = vectors[0].shape[1] if vectors else 0
    rows = np.zeros((schedule.N, width))
    for q, places in enumerate(schedule.places("packed", 1)):
        rows[places[:, 0]] = vectors[q]
    return rows


def check_vectors(call: Call, name: str, tensor: Array, want: list[Array], what: str) -> None:
    kind, width = oracle.place(call.case, name)
    for q, (got, vectors) in enumerate(zip(call.schedule.read(tensor, kind, width), want, strict=True)):
        assert_close(got, vectors, f"{what}: {name} of sequence {q}")


def check(call: Call, got: dict[str, Array], gradients: dict[str, Array], what: str) -> None:
    case = call.case
    forward, backward = expected(case, call.dtype)
    for name, value in got.items():
        if name in ("h_n", "c_n"):
            assert_close(value, forward[name], f"{what}: {name}")
        elif name == "y":
            check_vectors(call, "y", value, forward["y"], what)
        elif name == "c":
            check_vectors(call, "c", value, forward["cells"], what)
        elif case.lengths:
            if name in ("kept", "cells"):
                value = oracle.from_blocks(value, case.H)
            assert_close(value, packed(case, forward[name]), f"{what}: {name}")
    for name, value in gradients.items():
        if name == "dx":
            check_vectors(call, "dx", value, backward["dx"], what)
        else:
            assert_close(value, backward[name], f"{what}: {name}")


@pytest.mark.parametrize("case", SHAPES + VARIANTS + OTHERS, ids=str)
def test_forward_and_backward(native: Any, memory: Memory, instruction_set: str, dtype: Any, case: Case) -> None:
    call = Call(native, memory, case, dtype, oracle.inputs(case, dtype))
    kept = call.forward()
    gradients = call.backward(kept)
    check(call, kept, gradients, "one thread")
    inference = call.forward(training=False)
    assert_same_bits(inference, {name: kept[name] for name in inference}, "inference, compared with training")
    assert_same_bits(call.forward(FOUR), kept, "forward, four threads")
    assert_same_bits(call.backward(kept, FOUR), gradients, "backward, four threads")


@pytest.mark.parametrize("case", SHARED, ids=str)
def test_threads_that_share_the_work_give_the_same_bits(
    native: Any, memory: Memory, instruction_set: str, dtype: Any, case: Case
) -> None:
    call = Call(native, memory, case, dtype, oracle.inputs(case, dtype))
    kept = call.forward()
    gradients, inference = call.backward(kept), call.forward(training=False)
    check(call, kept, gradients, "one thread")
    assert_same_bits(inference, {name: kept[name] for name in inference}, "inference, compared with training")
    for pool in [Pool("threads", 2), FOUR, *UNEVEN]:
        assert_same_bits(call.forward(pool), kept, f"forward, {pool}")
        assert_same_bits(call.forward(pool, training=False), inference, f"inference, {pool}")
        assert_same_bits(call.backward(kept, pool), gradients, f"backward, {pool}")


@pytest.mark.parametrize(
    "case",
    [
        Case((4, 0, 2), 2, 3, layouts=("flat", "flat")),
        Case((4, 0, 2), 2, 3, reverse=True, layouts=("flat", "flat")),
        Case((3, 1), 3, 3, 2, layouts=("flat", "flat")),
        Case((3, 1), 3, 3, 2, reverse=True, layouts=("flat", "flat")),
        *of("gru", Case((4, 0, 2), 2, 3, reverse=True, layouts=("flat", "flat"))),
        *of("rnn_tanh", Case((4, 0, 2), 2, 3, reverse=True, layouts=("flat", "flat"))),
        *of("rnn_relu", Case((4, 0, 2), 2, 3, layouts=("flat", "flat"))),
    ],
    ids=str,
)
def test_gradients_are_those_of_finite_differences(
    native: Any, memory: Memory, instruction_set: str, case: Case
) -> None:
    given, step = oracle.inputs(case, np.float64), 1e-5

    def loss(changed: dict[str, Any]) -> float:
        out = Call(native, memory, case, np.float64, changed).forward(training=False)
        y = np.concatenate(given["dy"]).ravel() @ out["y"]
        return float(y + sum(np.vdot(given[f"d{name}"], out[name]) for name in ("h_n", "c_n") if name in out))

    def difference(name: str, index: int) -> float:
        values = []
        for sign in (1, -1):
            changed = {
                key: [a.copy() for a in v] if key == "x" else v.copy() for key, v in given.items() if key != "dy"
            }
            if name == "x":
                flat = np.concatenate([a.ravel() for a in changed["x"]])
                flat[index] += sign * step
                parts = np.split(flat, np.cumsum([a.size for a in changed["x"]])[:-1])
                changed["x"] = [part.reshape(-1, case.I) for part in parts]
            else:
                changed[name].reshape(-1)[index] += sign * step
            values.append(loss(changed))
        return (values[0] - values[1]) / (2 * step)

    call = Call(native, memory, case, np.float64, given)
    gradients = call.backward(call.forward())
    names = {"x": "dx", **{name: f"d{name}" for name in given if name[0] != "d"}}
    for name, gradient in names.items():
        if gradient == "db_hh" and gradient not in gradients:
            gradient = "db_ih"
        got = gradients[gradient].ravel()
        want = np.array([difference(name, index) for index in range(len(got))])
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-9, err_msg=f"{gradient}, from {name}")


@pytest.mark.parametrize("cell", oracle.CELLS)
@pytest.mark.parametrize(("B", "H"), [(0, 3), (1, 1), (5, 3), (1, 16), (13, 17), (5, 33), (3, 9001)])
def test_one_step(native: Any, memory: Memory, instruction_set: str, dtype: Any, cell: str, B: int, H: int) -> None:
    equations = oracle.CELLS[cell]
    rows, states = (B, equations.blocks * H), {"lstm": "c", "gru": "h"}.get(cell, "")
    shapes = {"input_gates": rows, "hidden_gates": rows, **dict.fromkeys(states, (B, H)), "dh_next": (B, H)}
    shapes |= {"dc_next": (B, H)} if equations.has_c else {}
    forward = {"h_next": (B, H), **({"c_next": (B, H)} if equations.has_c else {})}
    backward = {"dinput_gates": rows, **({"dhidden_gates": rows} if cell == "gru" else {})}
    backward |= {f"d{state}": (B, H) for state in states}
    rng = np.random.default_rng([B, H])
    a = {name: uniform(rng, shape, dtype, 3) for name, shape in shapes.items()}
    given = {"B": B, "H": H} | {name: exact(v.shape, dtype, v) for name, v in a.items()}
    results: dict[str, dict[str, Array]] = {}
    for pool in WELL_BEHAVED:
        found = {name: memory.empty(name, shape, dtype) for name, shape in (forward | backward).items()}
        results[str(pool)] = found
        getattr(native, f"{cell}_cell")(pool.kind, pool.threads, given | {name: found[name] for name in forward})
        getattr(native, f"{cell}_cell_backward")(
            pool.kind, pool.threads, given | {name: found[name] for name in backward}
        )
        assert_same_bits(found, results[str(ONE)], str(pool))
    wide = {name: v.astype(float) for name, v in a.items()}
    zero = np.zeros((B, H))
    for b in range(B):
        h, c, dc = (wide.get(name, zero)[b] for name in ("h", "c", "dc_next"))
        kept, h_next, c_next = equations.forward(wide["input_gates"][b], wide["hidden_gates"][b], h, c)
        gradients = equations.backward(kept, h, c, c_next, wide["dh_next"][b], dc)
        want = {"h_next": h_next, "c_next": c_next}
        want |= dict(zip(("dinput_gates", "dhidden_gates", "dh", "dc"), gradients, strict=True))
        for name, value in results[str(ONE)].items():
            assert_close(value[b], want[name], f"{name} of row {b}", eps=24)


class TokenCall(Call):
    """The same with ids of a table in the place of vectors; dx then has a row for each distinct token."""

    def _lay_out(self, a: dict[str, Any], name: str, vectors: list[Array] | None) -> None:
        if name == "dx":
            a["dx"] = self.memory.empty("dx", (len(self.distinct), self.case.I), self.dtype)
            return
        if name != "x":
            super()._lay_out(a, name, vectors)
            return
        size, sequence, step = self.schedule.layout(self.case.layouts[0], 1)
        token = np.full(size, -1, np.int32)
        for places, ids in zip(self.schedule.places(self.case.layouts[0], 1), self.ids, strict=True):
            token[places[:, 0]] = np.searchsorted(self.distinct, ids)
        a["x_sequence_offset"] = exact(self.schedule.B, np.int64, sequence)
        a["x_step_offset"] = exact(self.schedule.T, np.int64, step)
        a |= {"x": exact(self.table.shape, self.dtype, self.table), "token": exact(size, np.int32, token)}
        a["distinct"] = exact(len(self.distinct), np.int64, self.distinct)

    def take(self, V: int) -> TokenCall:
        """Take a table of V rows; the input of the case becomes the rows that its ids name."""
        self.table, self.ids, self.distinct, self.given = token_inputs(self.case, self.dtype, V)
        return self


@lru_cache(maxsize=256)
def token_inputs(case: Case, dtype: Any, V: int) -> tuple[Array, list[Array], Array, dict[str, Any]]:
    """A table, ids for each sequence, the distinct ones, and all inputs of the case."""
    rng = np.random.default_rng(V)
    table = uniform(rng, (V, case.I), dtype)
    ids = [rng.integers(0, V, n) for n in case.lengths]
    distinct = np.unique(np.concatenate([*ids, np.array([V - 1])])).astype(np.int64)
    return table, ids, distinct, {**oracle.inputs(case, dtype), "x": [table[of] for of in ids]}


@lru_cache(maxsize=256)
def expected_from_tokens(case: Case, dtype: Any, V: int) -> tuple[dict[str, Any], dict[str, Any]]:
    return both_passes(case, token_inputs(case, dtype, V)[-1])


# Of the LSTM with tokens that hardly come twice as well, whose products are then not made first.
TOKENS = [
    Case((0, 0), 3, 3),
    Case((9,), 3, 17, reverse=True),
    Case(RAGGED, 17, 33, 5),
    Case(RAGGED, 5, 18, need_dx=False),
    *[Case(RAGGED, 5, 17, layouts=(layout, layout), reverse=True) for layout in LAYOUTS],
    *SHARED[:3],
]
OTHER_TOKENS = [
    *of("gru", Case(RAGGED, 5, 17, layouts=("wide", "flat"), reverse=True), Case((60, 47, 0, 60, 25), 33, 40)),
    *of("rnn_tanh", Case(RAGGED, 5, 130, layouts=("packed", "wide")), Case((60, 47, 0, 60, 25), 41, 70)),
]


@pytest.mark.parametrize(
    ("case", "V"),
    [*[(case, V) for case in TOKENS for V in (5, 500)], *[(case, 5) for case in OTHER_TOKENS], (OTHER_TOKENS[0], 500)],
    ids=str,
)
def test_from_tokens(native: Any, memory: Memory, instruction_set: str, dtype: Any, case: Case, V: int) -> None:
    call = TokenCall(native, memory, case, dtype, oracle.inputs(case, dtype)).take(V)
    forward, backward = expected_from_tokens(case, dtype, V)
    kept = call.forward()
    check_vectors(call, "y", kept["y"], forward["y"], f"V={V}")
    gradients = call.backward(kept)
    for name, gradient in gradients.items():
        if name == "dx":
            table = np.zeros(call.table.shape)
            for ids, dx in zip(call.ids, backward["dx"], strict=True):
                np.add.at(table, ids, dx)
            assert_close(gradient, table[call.distinct], f"V={V}: dx", 1000)
        else:
            assert_close(gradient, backward[name], f"V={V}: {name}", 1000)
    assert_same_bits(call.forward(FOUR), kept, f"V={V}, four threads")
    assert_same_bits(call.backward(kept, FOUR), gradients, f"V={V}, gradients, four threads")


@pytest.mark.parametrize("pool", [ONE, Pool("threads", 2), Pool("threads", 3), Pool("threads", 8)], ids=str)
@pytest.mark.parametrize(
    "case",
    [
        Case((3, 0, 5), 17, 18, 5),
        Case((3, 0, 5), 17, 18, need_dx=False),
        *of("gru", Case((3, 0, 5), 5, 17, layouts=("packed", "flat"))),
        *of("rnn_tanh", Case((3, 0, 5), 5, 17, layouts=("wide", "wide"))),
    ],
    ids=str,
)
@pytest.mark.parametrize("V", [0, 4], ids=["vectors", "tokens"])
def test_both_directions_give_what_each_gives(
    native: Any, memory: Memory, instruction_set: str, case: Case, V: int, pool: Pool
) -> None:
    def run(of: str, arguments: list[tuple[dict[str, Any], list[str]]]) -> list[dict[str, Array]]:
        getattr(native, f"{case.cell}_bidirectional_{of}")(pool.kind, pool.threads, *[a for a, _ in arguments])
        return [{name: a[name] for name in names} for a, names in arguments]

    calls = []
    for reverse in (False, True):
        one = replace(case, reverse=reverse)
        given = oracle.inputs(one, np.float32)
        calls.append(
            TokenCall(native, memory, one, np.float32, given).take(V)
            if V
            else Call(native, memory, one, np.float32, given)
        )
    calls[1].given = {**calls[1].given, "w_ih": -calls[1].given["w_ih"]}
    kept = run("forward", [call.forward_arguments() for call in calls])
    backward = [call.backward_arguments(of) for call, of in zip(calls, kept, strict=True)]
    if case.need_dx:
        backward[1][0]["dx"] = backward[0][0]["dx"]
    gradients = run("backward", backward)
    alone = [call.backward(of) for call, of in zip(calls, kept, strict=True)]
    if case.need_dx:
        total = alone[0]["dx"] + alone[1]["dx"]
        alone[0]["dx"] = alone[1]["dx"] = total
    for call, got, result, want in zip(calls, kept, gradients, alone, strict=True):
        assert_same_bits(got, call.forward(), "forward")
        assert_same_bits(result, want, "backward")
