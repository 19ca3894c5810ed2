"""Recurrent layers over ragged batches in numpy's float64, one sequence, one step after the other; and their inputs.

Case  ->  inputs()  ->  forward(), backward()                      the oracle: lists with an array for each sequence
                    ->  Call.forward(), Call.backward()            the kernels, on arrays in some layout

Equations and order of the blocks in the weights as in torch.nn; w_hr projects the output state (Sak et al. 2014).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from cell_oracle import CELLS, Gru, Lstm, RnnTanh
from harness import ONE, Array, Memory, Pool, exact, uniform

LAYOUTS = ("time_major", "batch_major", "flat", "packed", "wide")


@dataclass(frozen=True)
class Case:
    """The shape of a batch and of a layer."""

    lengths: tuple[int, ...]
    I: int  # noqa: E741 - the notation of shapes
    H: int
    projection: int | None = None
    reverse: bool = False
    biases: str = "ih hh"
    layouts: tuple[str, str] = ("time_major", "batch_major")  # of x and dx; of y, dy, c and dc
    gradients: str = "dy dh_n dc_n"  # which of them there are; with dc, cell states of all steps are results as well
    need_dx: bool = True
    cell: str = "lstm"

    @property
    def equations(self) -> type[Lstm | Gru | RnnTanh]:
        return CELLS[self.cell]

    @property
    def rows(self) -> int:
        """Of the weights."""
        return self.equations.blocks * self.H

    @property
    def P(self) -> int:  # noqa: N802
        return self.projection or self.H

    @property
    def B(self) -> int:  # noqa: N802
        return len(self.lengths)

    def __str__(self) -> str:
        lengths = ",".join(map(str, self.lengths)) if self.B < 10 else f"{self.B} sequences of 0 to {max(self.lengths)}"
        text = f"{self.cell} lengths [{lengths}] I={self.I} H={self.H}"
        text += f" P={self.projection}" * (self.projection is not None) + " reverse" * self.reverse
        return text + f" {self.layouts[0]}" + f" biases {self.biases!r}" * (self.biases != "ih hh")


class Schedule:
    """What csrc/cpu/schedule.h wants to know of a batch."""

    def __init__(self, lengths: tuple[int, ...]) -> None:
        self.lengths = np.array(lengths, np.int64)
        self.B, self.T, self.N = len(lengths), max(lengths, default=0), sum(lengths)
        self.sequence = np.argsort(-self.lengths, kind="stable")
        self.length = self.lengths[self.sequence]
        self.batch_size = np.array([int((self.lengths > t).sum()) for t in range(self.T)], np.int64)
        self.first_row = np.cumsum(self.batch_size) - self.batch_size

    def layout(self, kind: str, width: int) -> tuple[int, Array, Array]:
        """Number of values of a tensor of such vectors, sequence offsets, step offsets."""
        q, t = self.sequence, np.arange(self.T, dtype=np.int64)
        if kind == "time_major":  # one step more than there is, as in a batch that was padded elsewhere
            return (self.T + 1) * self.B * width, q * width, t * self.B * width
        if kind == "batch_major":
            return self.B * (self.T + 1) * width, q * (self.T + 1) * width, t * width
        if kind == "wide":  # vectors are a part of wider ones
            return self.B * self.T * (width + 3), q * self.T * (width + 3), t * (width + 3)
        if kind == "flat":
            start = np.cumsum(self.lengths) - self.lengths
            return self.N * width, start[q] * width, t * width
        return self.N * width, np.arange(self.B) * width, self.first_row * width

    def places(self, kind: str, width: int) -> list[Array]:
        """For each sequence of the caller, [length, width] places of its values."""
        _, sequence, step = self.layout(kind, width)
        of = {int(q): b for b, q in enumerate(self.sequence)}
        columns = np.arange(width)
        return [sequence[of[q]] + step[: self.lengths[q], None] + columns for q in range(self.B)]

    def lay_out(self, vectors: list[Array], kind: str, width: int, dtype: Any) -> Array:
        """The tensor; what belongs to no sequence is NaN."""
        tensor = np.full(self.layout(kind, width)[0], np.nan, dtype)
        for places, values in zip(self.places(kind, width), vectors, strict=True):
            tensor[places] = values
        return exact(tensor.shape, dtype, tensor)

    def read(self, tensor: Array, kind: str, width: int) -> list[Array]:
        """The vectors of each sequence; the padding between them must still be NaN."""
        places = self.places(kind, width)
        padding = np.ones(len(tensor), bool)
        for p in places:
            padding[p] = False
        assert np.isnan(tensor[padding]).all(), "a kernel wrote vectors that belong to no sequence"
        return [tensor[p] for p in places]

    def arguments(self, reverse: bool) -> dict[str, Any]:
        names = ("sequence", "length", "batch_size", "first_row")
        return {
            "N": self.N,
            "reverse": int(reverse),
            **{name: exact(len(a), np.int64, a) for name, a in ((name, getattr(self, name)) for name in names)},
        }


@lru_cache(maxsize=256)
def inputs(case: Case, dtype: Any) -> dict[str, Any]:
    """Weights, states, input vectors and incoming gradients; the last two are lists of arrays, one for a sequence."""
    rng = np.random.default_rng([case.B, case.I, case.H, case.P, sum(case.lengths)])
    B, I, H, P, rows = case.B, case.I, case.H, case.P, case.rows  # noqa: E741
    made: dict[str, Any] = {
        "x": [uniform(rng, (n, I), dtype) for n in case.lengths],
        "h0": uniform(rng, (B, P), dtype),
        "c0": uniform(rng, (B, H), dtype, 2),
        "w_ih": uniform(rng, (rows, I), dtype, 1 / I**0.5),
        "w_hh": uniform(rng, (rows, P), dtype, 1 / P**0.5),
        "w_hr": uniform(rng, (P, H), dtype, 1 / H**0.5),
        "dy": [uniform(rng, (n, P), dtype) for n in case.lengths],
        "dh_n": uniform(rng, (B, P), dtype),
        "dc_n": uniform(rng, (B, H), dtype),
        "dc": [uniform(rng, (n, H), dtype) for n in case.lengths],
    }
    if case.projection is None:
        del made["w_hr"]
    if not case.equations.has_c:
        del made["c0"], made["dc_n"], made["dc"]
    for name in case.biases.split():
        made[f"b_{name}"] = uniform(rng, (rows,), dtype)
    wanted = case.gradients.split()
    return {name: value for name, value in made.items() if name not in ("dy", "dh_n", "dc_n", "dc") or name in wanted}


def _wide(given: dict[str, Any]) -> dict[str, Any]:
    return {k: [a.astype(float) for a in v] if isinstance(v, list) else v.astype(float) for k, v in given.items()}


def _rounded(given: dict[str, Any], factor: Any) -> dict[str, Any]:
    g = _wide(given)
    for name in FACTORS:
        if name in g:
            g[name] = [factor(a) for a in g[name]] if name == "x" else factor(g[name])
    return g


def _steps(case: Case, n: int) -> list[int]:
    return list(range(n))[:: -1 if case.reverse else 1]


def from_blocks(kept: Array, H: int) -> Array:
    """[blocks, N, n, units of a block] -> [N, n * H]."""
    blocks, N, n, units = kept.shape
    return kept.transpose(1, 2, 0, 3).reshape(N, n, blocks * units)[:, :, :H].reshape(N, n * H)


def half(a: Array) -> Array:
    """The nearest bfloat16 of each value."""
    wide = np.asarray(a, np.float32)
    bits = wide.view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32).astype(float)


def as_it_is(a: Array) -> Array:
    return a


FACTORS = ("x", "w_ih", "w_hh", "w_hr")


def forward(case: Case, given: dict[str, Any], factor: Any = as_it_is) -> dict[str, Any]:
    """y, h_n, c_n; and for each sequence what the backward pass needs. ``factor`` rounds the factors of products."""
    g, H, P = _rounded(given, factor), case.H, case.P
    w_ih, w_hh, w_hr = g["w_ih"], g["w_hh"], g.get("w_hr")
    b_ih, b_hh = (g.get(name, np.zeros(case.rows)) for name in ("b_ih", "b_hh"))
    out: dict[str, Any] = {name: [] for name in ("y", "h_n", "c_n", "kept", "cells", "h_prev", "unprojected")}
    for x, h, c in zip(g["x"], g["h0"], g.get("c0", np.zeros((case.B, H))), strict=True):
        of_x = x @ w_ih.T + b_ih
        steps: dict[str, Any] = {name: [None] * len(x) for name in ("kept", "cells", "h_prev", "unprojected", "y")}
        for t in _steps(case, len(x)):
            steps["h_prev"][t] = h
            kept, m, c = case.equations.forward(of_x[t], w_hh @ factor(h) + b_hh, h, c)
            h = m if w_hr is None else w_hr @ factor(m)
            for name, value in (("kept", kept), ("cells", c), ("unprojected", m), ("y", h)):
                steps[name][t] = value
        widths = {"kept": case.equations.values_kept * H, "cells": H, "h_prev": P, "unprojected": H, "y": P}
        for name, values in steps.items():
            out[name].append(np.array(values).reshape(len(x), widths[name]))
        out["h_n"].append(h)
        out["c_n"].append(c)
    out["h_n"] = np.array(out["h_n"]).reshape(case.B, P)
    out["c_n"] = np.array(out["c_n"]).reshape(case.B, H)
    return out


def backward(case: Case, given: dict[str, Any], kept: dict[str, Any], factor: Any = as_it_is) -> dict[str, Any]:
    """The gradients of sum(dy * y) + sum(dh_n * h_n) + sum(dc_n * c_n) + sum(dc * c), of those given.

    kept: what forward() returned.
    """
    g, H, P = _rounded(given, factor), case.H, case.P
    w_hr = g.get("w_hr")
    out: dict[str, Any] = {"dx": [], "dh0": np.zeros((case.B, P)), "dc0": np.zeros((case.B, H))}
    out |= {"dw_ih": np.zeros_like(g["w_ih"]), "dw_hh": np.zeros_like(g["w_hh"])}
    out |= {"db_ih": np.zeros(case.rows), "db_hh": np.zeros(case.rows)}
    if w_hr is not None:
        out["dw_hr"] = np.zeros_like(w_hr)
    c0 = g.get("c0", np.zeros((case.B, H)))
    for b, x in enumerate(g["x"]):
        dh = g["dh_n"][b].copy() if "dh_n" in g else np.zeros(P)
        dc = g["dc_n"][b].copy() if "dc_n" in g else np.zeros(H)
        d_x, d_h, steps = np.zeros((len(x), case.rows)), np.zeros((len(x), case.rows)), _steps(case, len(x))
        for s in range(len(steps) - 1, -1, -1):
            t = steps[s]
            if "dy" in g:
                dh = dh + g["dy"][b][t]
            if "dc" in g:
                dc = dc + g["dc"][b][t]
            c_prev = kept["cells"][b][steps[s - 1]] if s else c0[b]
            dm = dh if w_hr is None else factor(dh) @ w_hr
            if w_hr is not None:
                out["dw_hr"] += np.outer(factor(dh), factor(kept["unprojected"][b][t]))
            h_prev = kept["h_prev"][b][t]
            d_x[t], d_h[t], direct, dc = case.equations.backward(
                kept["kept"][b][t], h_prev, c_prev, kept["cells"][b][t], dm, dc
            )
            d_x[t], d_h[t] = factor(d_x[t]), factor(d_h[t])
            dh = d_h[t] @ g["w_hh"] + direct
        for name, d, a in (("ih", d_x, x), ("hh", d_h, kept["h_prev"][b])):
            out[f"dw_{name}"] += d.T @ factor(a)
            out[f"db_{name}"] += d.sum(axis=0)
        out["dx"].append(d_x @ g["w_ih"])
        out["dh0"][b], out["dc0"][b] = dh, dc
    return out


def place(case: Case, name: str) -> tuple[str, int]:
    """The layout of vectors, and their width."""
    width = {"x": case.I, "y": case.P, "c": case.H}[name[-1]]
    return case.layouts[name[-1] != "x"], width


@dataclass
class Call:
    """Runs the kernels on the inputs of a case; results are arrays in the layout of the case."""

    native: Any
    memory: Memory
    case: Case
    dtype: Any
    given: dict[str, Any]
    schedule: Schedule = field(init=False)
    bfloat16: bool = False

    def __post_init__(self) -> None:
        self.schedule = Schedule(self.case.lengths)

    def _arguments(self) -> dict[str, Any]:
        a: dict[str, Any] = {"I": self.case.I, "H": self.case.H, "P": self.case.P, "bfloat16": int(self.bfloat16)}
        a |= self.schedule.arguments(self.case.reverse)
        for name, value in self.given.items():
            if isinstance(value, list):
                self._lay_out(a, name, value)
            else:
                a[name] = exact(value.shape, self.dtype, value)
        return a

    def _lay_out(self, a: dict[str, Any], name: str, vectors: list[Array] | None) -> None:
        kind, width = place(self.case, name)
        size, sequence, step = self.schedule.layout(kind, width)
        a[f"{name}_sequence_offset"] = exact(self.schedule.B, np.int64, sequence)
        a[f"{name}_step_offset"] = exact(self.schedule.T, np.int64, step)
        if vectors is None:
            a[name] = self.memory.empty(name, (size,), self.dtype)
        else:
            a[name] = self.schedule.lay_out(vectors, kind, width, self.dtype)

    def forward_arguments(self, training: bool = True) -> tuple[dict[str, Any], list[str]]:
        """Everything that the forward kernel wants, and which of it are results."""
        case, N = self.case, self.schedule.N
        results: dict[str, tuple[int, ...]] = {"h_n": (case.B, case.P)}
        if case.equations.has_c:
            results["c_n"] = (case.B, case.H)
        if training:
            units = 64 // np.dtype(self.dtype).itemsize
            blocks = -(-case.H // units)
            results |= {"kept": (blocks, N, case.equations.values_kept, units), "h_prev": (N, case.P)}
            results |= {"cells": (blocks, N, 1, units)} if case.equations.has_c else {}
            results |= {"unprojected": (N, case.H)} if case.projection else {}
        a = self._arguments()
        vectors = ["y", "c"] if "dc" in self.given else ["y"]
        for name in vectors:
            self._lay_out(a, name, None)
        a |= {name: self.memory.empty(name, shape, self.dtype) for name, shape in results.items()}
        return a, [*vectors, *results]

    def forward(self, pool: Pool = ONE, training: bool = True) -> dict[str, Array]:
        """y, c (in their layout), h_n, c_n; in training h_prev, unprojected in packed order, kept, cells in blocks."""
        a, names = self.forward_arguments(training)
        getattr(self.native, f"{self.case.cell}_forward")(pool.kind, pool.threads, a)
        return {name: a[name] for name in names}

    def backward_arguments(self, kept: dict[str, Array]) -> tuple[dict[str, Any], list[str]]:
        """Everything that the backward kernel wants, and which of it are results."""
        case = self.case
        results: dict[str, tuple[int, ...]] = {"dh0": (case.B, case.P), "db_ih": (case.rows,)}
        results |= {"dw_ih": (case.rows, case.I), "dw_hh": (case.rows, case.P)}
        if case.equations.has_c:
            results["dc0"] = (case.B, case.H)
        if case.cell == "gru":  # elsewhere both biases have the same gradient
            results["db_hh"] = (case.rows,)
        if case.projection:
            results["dw_hr"] = (case.P, case.H)
        a = self._arguments() | {name: exact(value.shape, self.dtype, value) for name, value in kept.items()}
        if case.need_dx:
            self._lay_out(a, "dx", None)
        a |= {name: self.memory.empty(name, shape, self.dtype) for name, shape in results.items()}
        return a, ([*results, "dx"] if case.need_dx else list(results))

    def backward(self, kept: dict[str, Array], pool: Pool = ONE) -> dict[str, Array]:
        """The gradients; dx in its layout where the case needs it. kept: what forward() returned."""
        a, names = self.backward_arguments(kept)
        getattr(self.native, f"{self.case.cell}_backward")(pool.kind, pool.threads, a)
        return {name: a[name] for name in names}
