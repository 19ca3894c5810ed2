"""The plain C++ that stands for instructions in the tests (emulated_instructions.h) makes what the CPU's own ones make.

Of a CPU that lacks them the definition in Intel's manual takes their place, in numpy.
"""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harness import ONE, Array

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="instructions of x86")
TINY = np.finfo(np.float32).tiny


def operands(kind: str, n: int = 16 * 1024) -> dict[str, Array]:
    """Bit patterns: any, or sums and pairs of bfloat16 of ordinary size, or so small that sums are subnormal."""
    rng = np.random.default_rng(5)
    made = {name: rng.integers(-(2**31), 2**31, n).astype(np.int32) for name in ("sum", "a", "b")}
    if kind != "any":
        scale = 1.0 if kind == "ordinary" else 2.0**-63
        a, b = ((rng.normal(size=2 * n) * scale).astype(np.float32).view(np.uint32) >> 16 for _ in range(2))
        made["a"], made["b"] = ((v[::2] | v[1::2] << 16).astype(np.uint32).view(np.int32) for v in (a, b))
        made["sum"] = (rng.normal(size=n) * scale**2).astype(np.float32).view(np.int32)
    return made


def run(native: Any, name: str, given: dict[str, Array], emulated: bool) -> Array:
    result = np.zeros(given["sum"].size, np.int32)
    getattr(native, f"instruction_{name}")(ONE.kind, 1, {**given, "result": result, "emulated": int(emulated)})
    return result


def same(name: str, got: Array, want: Array) -> Array:
    """Bit for bit, but that one NaN is as good as another."""
    if name in ("bytes", "bfloat16"):
        return got == want
    floats = got.view(np.float32), want.view(np.float32)
    return (got == want) | np.isnan(floats[0]) & np.isnan(floats[1])


def has(native: Any, name: str) -> bool:
    """Whether the CPU has the instruction."""
    if name == "bytes":
        described = Path("/proc/cpuinfo")
        return described.exists() and "avx512_vnni" in described.read_text()
    before = native.capability()
    try:
        native.set_capability("amx_bf16" if name == "tiles" else "avx512_bf16")
    except RuntimeError:
        return False
    native.set_capability(before)
    return True


@pytest.mark.parametrize("kind", ["any", "ordinary", "small"])
@pytest.mark.parametrize("name", ["bfloat16_pairs", "bfloat16", "bytes", "tiles"])
def test_the_same_bits_as_the_cpus_own(native: Any, name: str, kind: str) -> None:
    if not has(native, name):
        pytest.skip("this CPU does not have the instruction")
    given = operands(kind)
    got, want = run(native, name, given, emulated=True), run(native, name, given, emulated=False)
    agree = same(name, got, want)
    assert agree.all(), {key: hex(int(value[~agree][0]) & 0xFFFFFFFF) for key, value in given.items()}


def flushed(x: Array) -> Array:
    return np.where(np.abs(x) < TINY, np.copysign(np.float32(0), x), x).astype(np.float32)


def fused(x: Array, y: Array, z: Array) -> Array:
    """x * y + z rounded once; x and y have 8 bits, so that long double holds the product and nearly all sums."""
    return flushed((x.astype(np.longdouble) * y + z).astype(np.float32))


@pytest.mark.parametrize("kind", ["ordinary", "small"])
def test_tiles_are_added_up_as_the_manual_says(native: Any, kind: str) -> None:
    given = operands(kind)
    got = run(native, "tiles", given, emulated=True).view(np.float32).reshape(-1, 16, 16)
    a, b = (given[name].view(np.uint32).reshape(-1, 16, 16) for name in ("a", "b"))
    sums = flushed(given["sum"].view(np.float32)).reshape(-1, 16, 16)
    parts = []
    for first in (True, False):
        x, y = (flushed((v << 16 if first else v & 0xFFFF0000).astype(np.uint32).view(np.float32)) for v in (a, b))
        part = np.zeros_like(sums)
        for k in range(16):
            part = fused(x[:, :, k, None], y[:, k, None, :], part)
        parts.append(part)
    want = flushed(sums + flushed(parts[0] + parts[1]))
    assert (got.view(np.int32) == want.view(np.int32)).all()
