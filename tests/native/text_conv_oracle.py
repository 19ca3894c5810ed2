"""The text convolution in numpy's float64, one sentence, one window after the other; and its inputs.

Case  ->  inputs()  ->  forward(), backward()                      the oracle
                    ->  Call.forward(), Call.backward()            the kernels, from vectors or from token ids

In a Case with ``whole`` numbers every sum is exact in float32 too, ties are frequent, and results must be equal to the
oracle's, with the first of several equal windows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from harness import ONE, Array, Memory, Pool, exact, uniform
from recurrent_oracle import as_it_is

ACTIVATIONS = ("identity", "relu", "tanh")


@dataclass(frozen=True)
class Case:
    """The shape of a batch and of a layer."""

    lengths: tuple[int, ...]
    D: int
    C: int
    taps: tuple[int, ...] = (3, 4, 5)
    same: bool = False
    activation: str = "relu"
    V: int = 6  # vocabulary
    bias: bool = True
    whole: bool = True
    gap: int = 0  # tokens between the sentences that belong to none

    @property
    def B(self) -> int:  # noqa: N802
        return len(self.lengths)

    @property
    def columns(self) -> int:
        return self.C * len(self.taps)

    @property
    def start(self) -> Array:
        lengths = np.array(self.lengths, np.int64) + self.gap
        return np.cumsum(lengths) - lengths

    @property
    def N(self) -> int:  # noqa: N802
        return sum(self.lengths) + self.gap * self.B

    def __str__(self) -> str:
        lengths = ",".join(map(str, self.lengths)) if self.B < 10 else f"{self.B} sentences of 0 to {max(self.lengths)}"
        padding = "same" if self.same else "valid"
        text = f"lengths [{lengths}] D={self.D} C={self.C} K={self.taps} {padding} {self.activation} V={self.V}"
        return text + " no bias" * (not self.bias) + " reals" * (not self.whole) + f" gap {self.gap}" * bool(self.gap)


def inputs(case: Case, dtype: Any) -> dict[str, Any]:
    """ids [N], table [V, D], weight and bias for each kernel, dy [B, columns]."""
    rng = np.random.default_rng([case.B, case.D, case.C, case.V, *case.taps])

    def values(shape: tuple[int, ...], scale: float) -> Array:
        return rng.integers(-2, 3, shape).astype(dtype) if case.whole else uniform(rng, shape, dtype, scale)

    return {
        "ids": rng.integers(0, case.V, case.N),
        "table": values((case.V, case.D), 1),
        "weight": [values((case.C, case.D, K), (case.D * K) ** -0.5) for K in case.taps],
        "bias": [values((case.C,), 1) for _ in case.taps if case.bias],
        "dy": values((case.B, case.columns), 1),
    }


def _windows(case: Case, K: int, sentence: Array) -> Array:
    """[windows, K, D] with zero vectors outside the sentence; and how far the first one reaches to the left of it."""
    left, n = (K - 1) // 2 if case.same else 0, len(sentence)
    padded = np.concatenate([np.zeros((left, case.D)), sentence, np.zeros((K, case.D))])
    count = max(1, n if case.same else n - K + 1)
    return np.stack([padded[w : w + K] for w in range(count)])


def _sentences(case: Case, given: dict[str, Any]) -> list[Array]:
    return [
        given["table"][given["ids"][s : s + n]].astype(float) for s, n in zip(case.start, case.lengths, strict=True)
    ]


def sums(case: Case, given: dict[str, Any]) -> list[list[Array]]:
    """For each sentence and kernel [windows, C], without the bias."""
    weight = [w.astype(float) for w in given["weight"]]
    return [
        [np.einsum("wkd,cdk->wc", _windows(case, K, x), w) for K, w in zip(case.taps, weight, strict=True)]
        for x in _sentences(case, given)
    ]


def forward(case: Case, given: dict[str, Any]) -> tuple[Array, Array]:
    """y [B, columns] and the first window [B, columns] where each maximum stands."""
    y, window = np.zeros((case.B, case.columns)), np.zeros((case.B, case.columns), np.int32)
    for b, kernels in enumerate(sums(case, given)):
        for i, z in enumerate(kernels):
            at = slice(i * case.C, (i + 1) * case.C)
            window[b, at] = z.argmax(0)
            y[b, at] = z.max(0) + (given["bias"][i] if case.bias else 0)
    if case.activation == "identity":
        return y, window
    return np.maximum(y, 0) if case.activation == "relu" else np.tanh(y), window


def backward(
    case: Case, given: dict[str, Any], y: Array, window: Array, factor: Callable[[Array], Array] = as_it_is
) -> dict[str, Any]:
    """The gradients of sum(dy * y): dx [N, D], for each kernel dweight [C, D, K] in one row, dbias [S, C].

    ``factor`` rounds the gradients before the activation, where they are factors of products.
    """
    g = given["dy"].astype(float)
    if case.activation == "relu":
        g = np.where(y > 0, g, 0)
    elif case.activation == "tanh":
        g = g * (1 - y.astype(float) ** 2)
    factors = factor(g)
    dx = np.zeros((case.N, case.D))
    dweight = [np.zeros((case.C, case.D, K)) for K in case.taps]
    for b, x in enumerate(_sentences(case, given)):
        for i, K in enumerate(case.taps):
            for c in range(case.C):
                first = window[b, i * case.C + c] - ((K - 1) // 2 if case.same else 0)
                for k in range(K):
                    if 0 <= first + k < len(x):
                        value = factors[b, i * case.C + c]
                        dx[case.start[b] + first + k] += value * given["weight"][i][c, :, k]
                        dweight[i][c, :, k] += value * x[first + k]
    flat = np.concatenate([w.ravel() for w in dweight])
    return {"dx": dx, "dweight": flat, "dbias": g.sum(0).reshape(len(case.taps), case.C)}


@dataclass
class Call:
    """Runs the kernels on the inputs of a case."""

    native: Any
    memory: Memory
    case: Case
    dtype: Any
    given: dict[str, Any]
    bfloat16: bool = False
    distinct: Array = field(init=False)
    token: Array = field(init=False)

    def __post_init__(self) -> None:
        self.distinct, token = np.unique(self.given["ids"], return_inverse=True)
        self.token = exact(token.shape, np.int32, token)

    def _arguments(self) -> dict[str, Any]:
        case = self.case
        a = {"C": case.C, "D": case.D, "same": int(case.same), "activation": ACTIVATIONS.index(case.activation)}
        a["bfloat16"] = int(self.bfloat16)
        a["start"], a["length"] = case.start, np.array(case.lengths, np.int64)
        a["taps"] = np.array(case.taps, np.int64)
        for i, weight in enumerate(self.given["weight"]):
            a[f"weight{i}"] = exact(weight.shape, self.dtype, weight)
        for i, bias in enumerate(self.given["bias"]):
            a[f"bias{i}"] = exact(bias.shape, self.dtype, bias)
        return a

    def _result(self, name: str, shape: tuple[int, ...], dtype: Any = None) -> Array:
        return self.memory.empty(name, shape, dtype or self.dtype)

    def _vectors(self) -> Array:
        """[N, D]; what stands between the sentences is NaN."""
        x = self.given["table"][self.given["ids"]]
        used = np.zeros(len(x), bool)
        for start, length in zip(self.case.start, self.case.lengths, strict=True):
            used[start : start + length] = True
        x[~used] = np.nan
        return exact(x.shape, self.dtype, x)

    def forward(self, source: str, pool: Pool = ONE, training: bool = True) -> dict[str, Array]:
        """y and, in training, window; source: "vectors" or "ids"."""
        case, a = self.case, self._arguments()
        a["y"] = self._result("y", (case.B, case.columns))
        if training:
            a["window"] = self._result("window", (case.B, case.columns), np.int32)
        if source == "vectors":
            a["x"] = self._vectors()
            self.native.text_conv_forward(pool.kind, pool.threads, a)
        else:
            a |= {"distinct": self.distinct, "token": self.token}
            a["table"] = exact(self.given["table"].shape, self.dtype, self.given["table"])
            self.native.embedding_text_conv_forward(pool.kind, pool.threads, a)
        return {name: a[name] for name in ("y", "window") if name in a}

    def backward(
        self,
        source: str,
        kept: dict[str, Array],
        pool: Pool = ONE,
        wanted: tuple[str, ...] = ("dx", "dweight", "dbias"),
        padding: int = -1,
    ) -> dict[str, Array]:
        """dx has N rows for "vectors", V for "ids" (the table's gradient), U for "distinct" (the rows that occur)."""
        case, a = self.case, self._arguments()
        rows = {"vectors": case.N, "ids": case.V, "distinct": len(self.distinct)}[source]
        size = sum(case.taps) * case.C * case.D
        shapes = {"dx": (rows, case.D), "dweight": (size,), "dbias": (len(case.taps), case.C)}
        a |= {name: self._result(name, shapes[name]) for name in wanted}
        a |= {name: exact(value.shape, value.dtype, value) for name, value in kept.items()}
        a["dy"] = exact(self.given["dy"].shape, self.dtype, self.given["dy"])
        a |= {"N": case.N, "dx_rows": rows, "compact": int(source == "distinct"), "padding": padding}
        a["embedded"] = int(source != "vectors")
        if source == "vectors":
            a["x"] = self._vectors()
        else:
            a["x"] = exact(self.given["table"].shape, self.dtype, self.given["table"])
            a |= {"distinct": self.distinct, "token": self.token}
        self.native.text_conv_backward(pool.kind, pool.threads, a)
        return {name: a[name] for name in wanted}
