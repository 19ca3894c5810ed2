"""What the emulator gives a kernel: every part of the language against a plain model of it, in any order of threads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from cuda_emulator import build
from cuda_emulator.demo import Array, Demo, KernelError, under_the_sanitizers

pytestmark = pytest.mark.skipif(build.missing() is not None, reason=str(build.missing()))
ORDERS = ["forward", "reverse", "random:1", "random:2", "random:3"]
RNG = np.random.default_rng


@pytest.fixture(scope="module", params=["plain", pytest.param("race", marks=pytest.mark.slow)])
def demo(request: pytest.FixtureRequest) -> Demo:
    """The demonstration kernels. None of them has a race, so they run in that flavour too."""
    return Demo(request.param)


@pytest.fixture(params=ORDERS)
def order(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("CUEMU_ORDER", request.param)
    return request.param


def source_lane(kind: str, lane: int, operand: int, width: int) -> int:
    """The lane that a shuffle reads, as the CUDA programming guide has it."""
    segment = lane // width * width
    source = {
        "index": segment + (operand + lane) % width,
        "up": lane - operand if lane - operand >= segment else lane,
        "down": lane + operand if lane + operand < segment + width else lane,
        "xor": lane ^ operand if lane ^ operand < segment + width else lane,
    }
    return source[kind]


@pytest.mark.parametrize("kind", ["index", "up", "down", "xor"])
@pytest.mark.parametrize("code", ["i", "f", "d", "l", "h"])
def test_shuffles(demo: Demo, kind: str, code: str) -> None:
    dtype = {"i": np.int32, "f": np.float32, "d": np.float64, "l": np.int64, "h": np.float16}[code]
    x = np.arange(100, 196).astype(dtype)
    for width in (1, 2, 4, 8, 16, 32):
        for operand in (0, 1, 2, 3, 5, 7, 15, 16, 31):
            out = np.zeros_like(x)
            assert (
                demo("shuffle", ["index", "up", "down", "xor"].index(kind), code, x, len(x), operand, width, out) == 0
            )
            lanes = [i // 32 * 32 + source_lane(kind, i % 32, operand, width) for i in range(len(x))]
            np.testing.assert_array_equal(out, x[lanes], f"{kind} by {operand} in segments of {width}")


@pytest.mark.parametrize("name", ["forward", "reverse", "random:1"])
def test_warp_operations_of_two_branches(demo: Demo, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUEMU_ORDER", name)
    x, out = np.arange(64, dtype=np.int32), np.zeros(64, np.int32)
    demo("branches", x, 64, out)
    expected = [i ^ 3 if i & 4 else (i + 1 if i % 4 < 3 else i) + 1 for i in range(64)]
    assert out.tolist() == expected


def test_votes_matches_reductions_and_tiles(demo: Demo, order: str) -> None:
    n = 72  # the last warp has eight threads
    x = RNG(1).integers(0, 12, n).astype(np.int32)
    out = np.zeros((14, n), np.uint32)
    demo("votes", x, n, out)
    for i in range(n):
        warp = x[i // 32 * 32 : i // 32 * 32 + 32]
        tile = x[i // 8 * 8 : i // 8 * 8 + 8]
        expected = [
            sum((int(v) & 1) << lane for lane, v in enumerate(warp)),
            int(7 in warp),
            1,
            sum(int(v == x[i]) << lane for lane, v in enumerate(warp)),
            warp.sum(),
            warp.min(),
            warp.max(),
            np.bitwise_xor.reduce(warp),
            (x & 1).sum(),
            int(7 in x),
            1,
            sum((int(v) & 1) << lane for lane, v in enumerate(tile)),
            tile[2],
            i % 8 + 100 * (i // 8),
        ]
        assert out[:, i].tolist() == expected, f"thread {i}"


def test_ranks(demo: Demo) -> None:
    out = np.zeros((12, 24, 6), np.uint64)
    demo("ranks", out)
    for b in range(12):
        for t in range(24):
            thread = t % 4 + 1000 * (t // 4 % 3) + 1000000 * (t // 12)
            block = b % 2 + 1000 * (b // 2 % 3) + 1000000 * (b // 6)
            assert out[b, t].tolist() == [b, t, 288, 12, thread, block]


@pytest.mark.parametrize(
    ("code", "dtype"), [("i", np.int32), ("I", np.uint32), ("L", np.uint64), ("f", np.float32), ("d", np.float64)]
)
def test_atomic_add(demo: Demo, code: str, dtype: Any) -> None:
    x = RNG(2).integers(0, 1000, 1000).astype(dtype)
    total = np.zeros(1, dtype)
    demo("add", code, x, len(x), total)
    assert total[0] == x.sum()


def test_atomics(demo: Demo, order: str) -> None:
    x = RNG(3).integers(1, 1 << 20, 500).astype(np.int32)
    out = np.array([0, 1 << 30, 0, -1, 0, 0, 0], np.int32)
    demo("atomics", x, len(x), out)
    either, both = np.bitwise_or.reduce(x), np.bitwise_and.reduce(x)
    assert out[:4].tolist() == [x.max(), x.min(), either, both]
    assert out[4] + out[6] == x.sum(), "every value but the last comes out of an exchange"
    assert out[5] == len(x)


def same_floats(a: Array, b: Array) -> bool:
    """Bit for bit, but any NaN is as good as another."""
    return bool(((a.view(np.uint32) == b.view(np.uint32)) | (np.isnan(a) & np.isnan(b))).all())


def test_all_halves_as_floats() -> None:
    bits = np.arange(65536, dtype=np.uint16)
    half, bfloat16 = np.zeros(65536, np.float32), np.zeros(65536, np.float32)
    Demo("plain")("halves", bits, 65536, half, bfloat16)
    raw = torch.from_numpy(bits.view(np.int16))
    assert same_floats(half, raw.view(torch.float16).float().numpy())
    assert same_floats(bfloat16, raw.view(torch.bfloat16).float().numpy())


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_floats_to_halves(name: str) -> None:
    """Every half, the points half-way between neighbours, what lies just beside those, and random bits."""
    dtype = getattr(torch, name)
    exact = torch.from_numpy(np.arange(65536, dtype=np.uint16).view(np.int16)).view(dtype).float().numpy()
    exact = np.sort(exact[np.isfinite(exact)])
    middle = ((exact[1:].astype(np.float64) + exact[:-1]) / 2).astype(np.float32)
    near = [np.nextafter(middle, np.float32(s * np.inf)) for s in (-1, 1)]
    random = RNG(4).integers(0, 1 << 32, 200000, dtype=np.uint32).view(np.float32)
    special = np.array([65504, 65519.99, 65520, 1e30, np.inf, 2**-24, 2**-25, 1e-30, 3.4e38, np.nan], np.float32)
    x = np.concatenate([exact, middle, *near, random, special, -special])
    bits = {"float16": np.zeros(len(x), np.uint16), "bfloat16": np.zeros(len(x), np.uint16)}
    Demo("plain")("to_halves", x, len(x), bits["float16"], bits["bfloat16"])
    expected = torch.from_numpy(x).to(dtype).view(torch.int16).numpy().view(np.uint16)
    wrong = np.flatnonzero((bits[name] != expected) & ~np.isnan(x))
    assert not len(wrong), f"{x[wrong[:5]]}: {bits[name][wrong[:5]]}, expected {expected[wrong[:5]]}"
    assert (bits[name][np.isnan(x)] == 0x7FFF).all()


def test_intrinsics(demo: Demo) -> None:
    x = np.array([0, 1, 2, 3, 12, 255, 1 << 30, -1, -12345, 1065353216], np.int32)
    out = np.zeros((6, len(x)), np.int32)
    demo("intrinsics", x, len(x), out)
    unsigned = [int(v) & 0xFFFFFFFF for v in x]
    assert out[0].tolist() == [v.bit_count() for v in unsigned]
    assert out[1].tolist() == [(v & -v).bit_length() for v in unsigned]
    assert out[2].tolist() == [32 - v.bit_length() for v in unsigned]
    assert out[3].tolist() == x.tolist()
    assert (out[4].view(np.float32) == 0.875).all()
    assert out[5].tolist() == [abs(v - 3) for v in x.tolist()]


def test_subnormal_numbers_are_kept_whatever_the_caller_does(demo: Demo) -> None:
    x, out = np.full(32, 2.0**-126, np.float32), np.zeros(32, np.float32)
    torch.set_flush_denormal(True)
    try:
        demo("subnormal", x, 32, out)
    finally:
        torch.set_flush_denormal(False)
    assert (out.view(np.uint32) == 1 << 22).all()


def test_printf_and_assert(demo: Demo, capfd: pytest.CaptureFixture[str]) -> None:
    out = np.zeros(4, np.int32)
    demo("say", out)
    demo.flush()
    assert out.tolist() == [1] * 4
    assert capfd.readouterr().out == "thread 1 of block 0\n"
    with pytest.raises(KernelError, match=r"assertion out != nullptr failed in .*say_kernel.* thread \(0,0,0\)"):
        demo("say", None)


@pytest.mark.parametrize(("grid", "block"), [(1, 32), (3, 128), (7, 1024), (2, 256)])
def test_reduction(demo: Demo, order: str, grid: int, block: int) -> None:
    x = RNG(5).integers(-100, 100, 3000).astype(np.float32)
    total = np.zeros(1, np.float32)
    demo("reduce", x, len(x), total, grid, block)
    assert total[0] == x.sum()


def test_the_last_block_finishes(demo: Demo, order: str) -> None:
    x = RNG(6).integers(-100, 100, 2000).astype(np.float32)
    part, tickets, total = np.zeros(9, np.float32), np.zeros(1, np.uint32), np.zeros(1, np.float32)
    demo("reduce_last", x, len(x), part, tickets, total, 9)
    assert total[0] == x.sum()
    assert tickets[0] == 0


def test_blocks_that_wait_for_each_other(demo: Demo, order: str) -> None:
    token = np.zeros(1, np.int32)
    demo("relay", token, 5, 6)
    assert token[0] == 30


def test_warps_exchange_through_shared_memory(demo: Demo, order: str) -> None:
    x, out = np.arange(128, dtype=np.float32), np.zeros((128, 3), np.float32)
    demo("warp_tiles", x, out)
    mirrored = x.reshape(4, 32)[:, ::-1].reshape(128)
    np.testing.assert_array_equal(out, mirrored[:, None] + np.arange(3))


def test_tiled_product(demo: Demo, order: str) -> None:
    M, N, K = 19, 13, 21
    a, b = RNG(7).standard_normal((M, K), np.float32), RNG(8).standard_normal((K, N), np.float32)
    c = np.zeros((M, N), np.float32)
    demo("gemm", a, b, c, M, N, K, 0)
    np.testing.assert_allclose(c, a @ b, rtol=1e-5, atol=1e-5)  # K terms, in another order


@pytest.mark.parametrize("blocks", [1, 2, 8])
def test_recurrence_over_blocks(demo: Demo, order: str, blocks: int) -> None:
    H, T = 64, 8
    w = RNG(9).standard_normal((H, H), np.float32) * np.float32(0.1)
    x, h = RNG(10).standard_normal((T, H), np.float32), np.zeros((2, H), np.float32)
    assert demo("recurrence", w, x, h, H, T, blocks, 1) == 0
    expected = np.zeros(H)
    for t in range(T):
        expected = np.tanh(w @ expected + x[t])
    np.testing.assert_allclose(h[0], expected, atol=1e-5)


@pytest.mark.parametrize("staged", [False, True], ids=["global", "shared"])
@pytest.mark.parametrize(("code", "wide"), [("t", 0), ("d", 0), ("h", 0), ("h", 1), ("b", 0), ("b", 1)])
def test_tensor_cores(demo: Demo, order: str, code: str, wide: int, staged: bool) -> None:
    M, N, K = 32, 64, 48
    a, b = RNG(11).standard_normal((M, K)), RNG(12).standard_normal((N, K))
    given: tuple[Array, ...]
    out: Array
    if code == "d":
        given, out = (a, b), np.zeros((M, N))
    elif code == "t":
        # Multiples of 2^-8 below 2 have no more than the ten bits of mantissa that TF32 keeps.
        a, b = (np.clip(np.round(v * 256) / 256, -1.99609375, 1.99609375) for v in (a, b))
        given, out = (a.astype(np.float32), b.astype(np.float32)), np.zeros((M, N), np.float32)
    else:
        dtype = torch.float16 if code == "h" else torch.bfloat16
        halves = [torch.from_numpy(v).to(dtype) for v in (a, b)]
        a, b = (v.double().numpy() for v in halves)
        given, out = tuple(v.view(torch.int16).numpy() for v in halves), np.zeros((M, N), np.float32)
    demo("wmma", code, wide, aligned(given[0]), aligned(given[1]), placed := aligned(out), M, N, K, int(staged))
    # Products are exact, sums have K terms.
    np.testing.assert_allclose(placed, a @ b.T, rtol=0, atol=1e-12 if code == "d" else 2e-5)


def aligned(array: Array) -> Array:
    """A copy that begins at a multiple of 32 bytes, as tensor cores want it."""
    raw = np.zeros(array.nbytes + 32, np.uint8)
    begin = -raw.ctypes.data % 32
    copy = raw[begin : begin + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


@pytest.mark.parametrize(("converted", "expected"), [(True, [1 + 2**-10, 1, 0]), (False, [1, 1, 0])])
def test_tf32_has_ten_bits_of_mantissa(converted: bool, expected: list[float]) -> None:
    """1 + 2^-11, half-way between two values, goes away from zero if converted; the hardware itself drops bits."""
    a, b = np.zeros((16, 16), np.float32), np.zeros((16, 16), np.float32)
    a[0, 0], a[1, 0] = 1 + 2**-11, 1 + 2**-12
    b[:, 0] = 1
    c = aligned(np.zeros((16, 16), np.float32))
    Demo("plain")("wmma", "t", int(not converted), aligned(a), aligned(b), c, 16, 16, 16, 0)
    assert c[:3, 0].tolist() == expected


def test_host_threads_launch_at_once() -> None:
    demo = Demo("plain")
    x = np.arange(1000, dtype=np.float32)
    total = np.zeros(1, np.float32)
    demo("reduce", x, len(x), total, 3, 128)
    assert demo("reduce_in_threads", x, len(x), float(total[0]), 8, 30) == 0


def test_after_a_failure_the_next_launch_works(demo: Demo) -> None:
    x, total = np.arange(500, dtype=np.float32), np.zeros(1, np.float32)
    for bug in ("trap", "divergent barrier", "deadlock", "deep stack", "grid sync missed"):
        with pytest.raises(KernelError):
            demo.bug(bug, blocks=3, cooperative=True)
        total[:] = 0
        demo("reduce", x, len(x), total, 3, 128)
        assert total[0] == x.sum(), f"after {bug}"


def test_failures_use_up_nothing() -> None:
    """There is room for 26624 threads that wait at once; each of these failures leaves 64 behind."""
    demo = Demo("plain")
    for _ in range(600):
        with pytest.raises(KernelError, match="deadlock"):
            demo.bug("deadlock")


@pytest.mark.slow
def test_the_kernels_under_the_sanitizers() -> None:
    """The fibers are announced to the address sanitizer: correct kernels and reports of wrong ones pass it."""
    done = under_the_sanitizers(
        """
x = np.arange(3000, dtype=np.float32)
for order in ("forward", "reverse", "random"):
    import os; os.environ["CUEMU_ORDER"] = order
    total = np.zeros(1, np.float32)
    demo("reduce", x, len(x), total, 3, 1024)
    assert total[0] == x.sum(), total
    w = np.eye(64, dtype=np.float32); h = np.zeros((2, 64), np.float32)
    assert demo("recurrence", w, np.ones((4, 64), np.float32), h, 64, 4, 8, 1) == 0
    a = np.ones((19, 21), np.float32); b = np.ones((21, 13), np.float32); c = np.zeros((19, 13), np.float32)
    demo("gemm", a, b, c, 19, 13, 21, 0)
    assert (c == 21).all()
    for bug in ("trap", "divergent barrier", "deadlock", "exception"):
        for cooperative in (False, True):
            try: demo.bug(bug, 3, cooperative)
            except KernelError: pass
            else: raise AssertionError(bug)
print("all done")
"""
    )
    assert "all done" in done.stdout, done.stderr[-3000:]
