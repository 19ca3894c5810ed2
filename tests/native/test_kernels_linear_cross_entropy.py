"""The passes over blocks of logits against numpy: log-sum-exp, gradients, rows rounded to bfloat16."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from harness import ONE, POOLS, Array, Memory, Pool, assert_close, assert_same_bits, exact

SHAPES = [(1, 1), (3, 7), (40, 33), (17, 64), (70, 301)]  # rows, V; the last for several threads
STORED = [np.float32, np.float64, np.int16]


def narrow(x: Array) -> Array:
    """The nearest bfloat16, ties to even, as its bits."""
    bits = x.astype(np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16).view(np.int16)


def widen(x: Array) -> Array:
    return (x.view(np.uint16).astype(np.uint32) << 16).view(np.float32)


def store(x: Array, stored: Any) -> Array:
    return exact(x.shape, stored, narrow(x) if stored is np.int16 else x)


def read(x: Array) -> Array:
    return widen(x).astype(np.float64) if x.dtype == np.int16 else x.astype(np.float64)


def run(
    native: Any, memory: Memory, z: Array, a: dict[str, Array], blocks: int, keep: bool, pool: Pool
) -> dict[str, Array]:
    """Both passes, in so many blocks of columns, with class weights and smoothing."""
    dtype = a["bias"].dtype
    rows, V = z.shape
    width = -(-V // blocks)
    found = {name: memory.empty(name, (rows,), t) for name, t in (("top", dtype), ("sum", float), ("score", dtype))}
    found["weighted"] = memory.empty("weighted", (rows,), float)
    found["top"][:], found["sum"][:], found["weighted"][:] = -np.inf, 0, 0
    found["dbias"] = memory.empty("dbias", (V,), dtype)
    found["dbias"][:] = 0
    parts, references = [], []
    for first in range(0, V, width):
        part = memory.empty("z", (rows, min(width, V - first)), z.dtype)
        part[:] = z[:, first : first + width]
        own = {"bias": a["bias"][first : first + width].copy(), "weight": a["weight"][first : first + width].copy()}
        call = {"z": part, "target": a["target"], "columns": part.shape[1], "first": first, **own}
        sums = {name: found[name] for name in ("top", "sum", "score", "weighted")}
        references.append({"reference": memory.empty("reference", (rows,), dtype)} if keep else {})
        native.fold_logits(pool.kind, pool.threads, call | sums | references[-1])
        parts.append(call)
    found["lse"] = (found["top"] + np.log(found["sum"])).astype(dtype)
    factors = {name: a[name] for name in ("all", "hit", "smooth")} | {"lse": found["lse"]}
    for call, reference in zip(parts, references, strict=True):
        dbias = memory.empty("dbias", (call["columns"],), dtype)
        dbias[:] = 0
        native.logit_gradients(pool.kind, pool.threads, call | reference | factors | {"dbias": dbias})
        found["dbias"][call["first"] : call["first"] + call["columns"]] = dbias
    return found | {"dz": np.concatenate([call["z"] for call in parts], axis=1)}


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("blocks", [1, 3])
@pytest.mark.parametrize("stored", STORED, ids=["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_against_numpy(
    native: Any, memory: Memory, instruction_set: str, shape: tuple[int, int], stored: Any, blocks: int, keep: bool
) -> None:
    rng, (rows, V) = np.random.default_rng(sum(shape)), shape
    dtype = np.float64 if stored is np.float64 else np.float32
    z = store(3 * rng.standard_normal(shape), stored)
    a: dict[str, Any] = {"target": rng.integers(0, V, rows)}
    for name, size in (("bias", V), ("weight", V), ("all", rows), ("hit", rows), ("smooth", rows)):
        a[name] = exact((size,), dtype, rng.random(size))
    got = run(native, memory, z, a, blocks, keep, ONE)
    logits = read(z) + a["bias"]
    top = logits.max(axis=1)
    lse = top + np.log(np.exp(logits - top[:, None]).sum(axis=1))
    hit = np.zeros(shape)
    hit[np.arange(rows), a["target"]] = a["hit"]
    want = a["all"][:, None] * np.exp(logits - lse[:, None]) - hit - a["smooth"][:, None] * a["weight"]
    assert_close(got["lse"], lse, "lse")
    assert_close(got["score"], logits[np.arange(rows), a["target"]], "score")
    assert_close(got["weighted"].astype(dtype), (logits * a["weight"]).sum(axis=1), "weighted")
    if stored is np.int16:  # exponentials are kept, and gradients given out, with 8 bits
        np.testing.assert_allclose(widen(got["dz"]), want, rtol=2**-7, atol=2**-8)
        np.testing.assert_allclose(got["dbias"], want.sum(axis=0), rtol=0, atol=rows * 2**-8)
    else:
        assert_close(got["dz"], want, "dz")
        assert_close(got["dbias"], want.sum(axis=0), "dbias")
    for pool in POOLS:
        assert_same_bits(run(native, memory, z, a, blocks, keep, pool), got, str(pool))


@pytest.mark.parametrize("stored", STORED, ids=["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("columns", [1, 16, 37])
def test_rows_are_gathered_rounded_and_added(
    native: Any, memory: Memory, instruction_set: str, columns: int, stored: Any
) -> None:
    rng = np.random.default_rng(columns)
    dtype = np.float64 if stored is np.float64 else np.float32
    x, row = exact((9, columns), dtype, rng.standard_normal((9, columns))), np.array([8, 0, 3, 3], np.int64)
    x[3, 0] = np.nan
    gathered, total = memory.empty("gathered", (4, columns), stored), memory.empty("sum", (4, columns), dtype)
    for add in (0, 1):
        arguments = {"gathered": gathered, "x": x, "row": row, "columns": columns, "sum": total, "add": add}
        native.gather_and_add_rows(ONE.kind, ONE.threads, arguments)
        want = read(store(x[row], stored)) if stored is np.int16 else x[row].astype(np.float64)
        want[2:, 0] = np.nan
        np.testing.assert_array_equal(read(gathered), want)
        np.testing.assert_array_equal(total, ((1 + add) * want).astype(dtype))
