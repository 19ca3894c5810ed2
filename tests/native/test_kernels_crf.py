"""The conditional random field against recursions in numpy: scaled, in double, and in logarithms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from harness import ONE, POOLS, Array, Memory, Pool, assert_close, assert_same_bits, exact

LENGTHS = [(), (0,), (1,), (5, 0, 9, 1, 3), (6,) * 70]  # the last with 70 tags for several threads
NONE = -np.inf


def log_sum(scores: Array, axis: int) -> Array:
    top = scores.max(axis=axis, keepdims=True)
    top = np.where(top == NONE, 0, top)
    with np.errstate(divide="ignore"):
        return np.squeeze(top, axis) + np.log(np.exp(scores - top).sum(axis=axis))


def oracle(x: Array, start: Array, end: Array, transitions: Array) -> tuple[float, Array, Array, float]:
    """log Z, marginals, expected transitions and the best score of one sequence."""
    n = len(x)
    alphas, betas, best = [start + x[0]], [end], start + x[0]
    for row in x[1:]:
        alphas.append(log_sum(alphas[-1][:, None] + transitions, 0) + row)
        best = (best[:, None] + transitions).max(axis=0) + row
    for row in x[:0:-1]:
        betas.append(log_sum(transitions + row + betas[-1], 1))
    betas.reverse()
    log_z = float(log_sum(alphas[-1] + end, 0))
    marginals = np.exp(np.array(alphas) + np.array(betas) - log_z)
    pairs = np.zeros_like(transitions)
    for t in range(1, n):
        pairs += np.exp(alphas[t - 1][:, None] + transitions + x[t] + betas[t] - log_z)
    return log_z, marginals, pairs, float((best + end).max())


def problem(lengths: tuple[int, ...], K: int, scale: float, forbidden: bool, dtype: Any, gap: int) -> dict[str, Any]:
    rng = np.random.default_rng(K)
    wide = np.array(lengths, np.int64) + gap
    rows = int(wide.sum())
    scores = [rng.standard_normal(n) for n in (K, K, K * K)]
    if forbidden:
        for s in scores:
            s[1::3] = NONE
    a: dict[str, Any] = {"length": np.array(lengths, np.int64), "start": np.cumsum(wide) - wide, "K": K, "step": 1}
    # A padded sequence has room for `longest` steps: only where all have as many.
    a["longest"] = int(wide[0]) if gap and len(set(lengths)) == 1 else 0
    a["x"] = exact((rows, K), dtype, scale * rng.standard_normal((rows, K)))
    for name, s in zip(("start_scores", "end_scores", "transitions"), scores, strict=True):
        a[name] = exact(s.shape, dtype, s)
    a["tags"] = rng.integers(0, K, rows)
    a["dy"] = exact((len(lengths),), dtype, rng.standard_normal(len(lengths)))
    return a


def run(native: Any, memory: Memory, a: dict[str, Any], pool: Pool) -> dict[str, Array]:
    dtype, K, B, rows = a["x"].dtype, a["K"], len(a["length"]), len(a["x"])
    a = dict(a)
    shapes = {"y": (B,), "dx": (rows, K), "dstart": (K,), "dend": (K,), "dtransitions": (K, K), "scores": (2, B)}
    results = {name: memory.empty(name, shape, dtype) for name, shape in shapes.items()}
    results["paths"] = memory.empty("paths", (2, rows), np.int64)
    a |= results | {"alphas": memory.empty("alphas", (rows, K), dtype), "best": 2}
    native.crf_forward(pool.kind, pool.threads, a)
    native.crf_backward(pool.kind, pool.threads, a)
    native.crf_decode(pool.kind, pool.threads, a)
    one = a | {"best": 1, "paths": memory.empty("path", (1, rows), np.int64)}
    one["scores"] = memory.empty("score", (1, B), dtype)
    native.crf_decode(pool.kind, pool.threads, one)
    results |= {"path": one["paths"], "score": one["scores"]}
    left = ("dy", "alphas", "tags", "dstart", "dend", "dtransitions")
    marginals = {name: value for name, value in a.items() if name not in left}
    marginals["dx"] = results["marginals"] = memory.empty("marginals", (rows, K), dtype)
    native.crf_backward(pool.kind, pool.threads, marginals)
    return results


@pytest.mark.parametrize("forbidden", [False, True])
@pytest.mark.parametrize("scale", [1.0, 60.0, 3000.0])
@pytest.mark.parametrize("K", [1, 7, 16, 33, 70])
@pytest.mark.parametrize("lengths", LENGTHS, ids=lambda lengths: f"{len(lengths)} sequences")
def test_against_numpy(
    native: Any,
    memory: Memory,
    instruction_set: str,
    dtype: Any,
    lengths: tuple[int, ...],
    K: int,
    scale: float,
    forbidden: bool,
) -> None:
    a = problem(lengths, K, scale, forbidden and K > 3, dtype, 0)
    got = run(native, memory, a, ONE)
    transitions = a["transitions"].reshape(K, K).astype(float)
    scores = [a[name].astype(float) for name in ("start_scores", "end_scores")]
    want = {name: np.zeros(got[name].shape) for name in ("dx", "dstart", "dend", "dtransitions", "marginals")}
    for b, (first, n) in enumerate(zip(a["start"], lengths, strict=True)):
        if n == 0:
            assert got["y"][b] == 0
            continue
        x, tags, g = a["x"][first : first + n].astype(float), a["tags"][first : first + n], float(a["dy"][b])
        log_z, marginals, pairs, best = oracle(x, *scores, transitions)
        score = scores[0][tags[0]] + x[np.arange(n), tags].sum() + transitions[tags[:-1], tags[1:]].sum()
        score += scores[1][tags[-1]]
        np.testing.assert_allclose(got["y"][b], score - log_z, rtol=1e-5, atol=1e-5, err_msg=f"sequence {b}")
        for name in ("score", "scores"):
            np.testing.assert_allclose(got[name][0, b], best, rtol=1e-5, atol=1e-5, err_msg=f"{name} {b}")
        d = -marginals
        d[np.arange(n), tags] += 1
        want["dx"][first : first + n], want["marginals"][first : first + n] = g * d, marginals
        want["dstart"] += g * d[0]
        want["dend"] += g * d[-1]
        np.add.at(pairs := -pairs, (tags[:-1], tags[1:]), 1)
        want["dtransitions"] += g * pairs
    for name, value in want.items():
        # Exponents of thousands have few digits behind the point.
        assert_close(got[name], value.astype(dtype), name, eps=300 + 30 * scale)
    for pool in POOLS:
        assert_same_bits(run(native, memory, a, pool), got, str(pool))


def test_padding_is_set_to_zero(native: Any, memory: Memory, instruction_set: str, dtype: Any) -> None:
    a = problem((3, 3, 3), 5, 1.0, False, dtype, 2)
    got = run(native, memory, a, ONE)
    padding = np.arange(15).reshape(3, 5)[:, 3:].ravel()
    for name in ("dx", "marginals"):
        assert not got[name][padding].any()
    assert not got["paths"][:, padding].any()
    assert not got["path"][:, padding].any()
