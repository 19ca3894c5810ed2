"""Every kind of mistake that the emulator is there for, in the flavour that can see it, with the words of its report.

And what looks like a mistake but is none.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
from cuda_emulator import build
from cuda_emulator.demo import Demo, KernelError, under_the_sanitizers

pytestmark = pytest.mark.skipif(build.missing() is not None, reason=str(build.missing()))
THREAD = r"block \(\d,0,0\) thread \(\d+,0,0\)"


@pytest.fixture(scope="module")
def plain() -> Demo:
    return Demo("plain")


@pytest.fixture(scope="module")
def race() -> Demo:
    return Demo("race")


# In any flavour: (mistake, cooperative launch, report).
REPORTS = [
    (
        "divergent barrier",
        False,
        r"divergent __syncthreads: threads wait at different barriers\n"
        r"  40 threads: __syncthreads at demo_bugs.cu:\d+.*\n  24 threads: __syncthreads at demo_bugs.cu:\d+",
    ),
    ("barrier after return", False, r"__syncthreads not reached by threads that have returned\n  63 threads"),
    ("dynamic overrun", False, r"write past the end of dynamic shared memory, byte 256 of 256"),
    ("lanes missing", False, r"deadlock\n  32 threads: a warp operation at .*\n  32 threads: returned"),
    ("not in mask", False, rf"warp operation by a lane that is not in its mask: {THREAD}"),
    ("different operations", False, r"lanes of one mask are in different warp operations"),
    ("deep stack", False, rf"fiber stack overflow: a thread needs more than 192 KB of local memory, {THREAD}"),
    ("deadlock", False, r"deadlock\n  63 threads: __syncthreads at .*\n  1 threads: a warp operation at"),
    ("trap", False, r"trap at demo_bugs.cu:\d+ by block \(\d,0,0\) thread \(7,0,0\)"),
    ("assertion", False, r'assertion i != 7 && "seven" failed in .*bug_kernel.* thread \(7,0,0\)'),
    ("exception", False, r"exception in a kernel: basic_string::at"),
    ("grid sync", False, r"grid.sync in a launch that is not cooperative"),
    ("grid sync missed", True, r"grid.sync not reached by blocks that have returned"),
    ("misaligned matrix", False, r"wmma: the matrix does not begin at a multiple of 32 bytes"),
]


@pytest.mark.parametrize(("bug", "cooperative", "words"), REPORTS, ids=[bug for bug, *_ in REPORTS])
@pytest.mark.parametrize("order", ["forward", "reverse", "random:5"])
def test_reported_in_any_order(
    plain: Demo, bug: str, cooperative: bool, words: str, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUEMU_ORDER", order)
    with pytest.raises(KernelError) as caught:
        plain.bug(bug, blocks=3, cooperative=cooperative)
    report = str(caught.value)
    if order != "forward":  # then other threads are on their way when it is found
        words = words.split("\\n")[0]
    assert re.match(f"bug_kernel: {words}", report), report


RACES = [
    ("shared race", 1, "data race in shared memory"),
    ("warp race", 1, "data race in shared memory"),
    ("half race", 1, "data race in shared memory"),
    ("global race", 2, "data race in global memory: write by .* after write by"),
    ("read by other block", 2, "data race in global memory"),
    ("missing fence", 2, "data race in global memory"),
    ("uninitialised", 1, "read of uninitialised shared memory by"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("bug", "blocks", "words"), RACES, ids=[bug for bug, *_ in RACES])
@pytest.mark.parametrize("order", ["forward", "reverse", "random:5"])
def test_races(race: Demo, bug: str, blocks: int, words: str, order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUEMU_ORDER", order)
    with pytest.raises(KernelError, match=words) as caught:
        race.bug(bug, blocks)
    assert re.search(r"at .*demo_bugs\.cu", str(caught.value)), f"no line of the source in: {caught.value}"


def test_uninitialised_shared_memory_is_poisoned(plain: Demo) -> None:
    for rounds in range(3):
        out = plain.bug("uninitialised", blocks=3)
        assert np.isnan(out[:, 58]).all(), rounds
        assert (np.delete(out, 58, axis=1) == 1).all(), rounds


@pytest.mark.slow
@pytest.mark.parametrize("mistake", [1, 2], ids=["no second barrier", "no first barrier"])
def test_missing_barrier_of_a_product(race: Demo, mistake: int) -> None:
    a, b, c = (np.ones((16, 16), np.float32) for _ in range(3))
    race("gemm", a, b, c, 16, 16, 16, 0)
    assert (c == 16).all()
    with pytest.raises(
        KernelError, match=r"gemm_kernel<T, mistake>: (data race in|read of uninitialised) shared memory"
    ):
        race("gemm", a, b, c, 16, 16, 16, mistake)


@pytest.mark.slow
def test_missing_barrier_of_the_grid(race: Demo) -> None:
    w, x, h = np.eye(64, dtype=np.float32), np.ones((4, 64), np.float32), np.zeros((2, 64), np.float32)
    race("recurrence", w, x, h, 64, 4, 4, 1)
    with pytest.raises(KernelError, match="data race in global memory"):
        race("recurrence", w, x, h, 64, 4, 4, 0)


@pytest.mark.parametrize("bug", ["read only", "reuse", "grid sync"])
@pytest.mark.parametrize("flavour", ["plain", pytest.param("race", marks=pytest.mark.slow)])
def test_legal_patterns(bug: str, flavour: str) -> None:
    Demo(flavour).bug(bug, blocks=3, cooperative=True)


def test_threads_that_have_returned_can_be_allowed(plain: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUEMU_ALLOW_EXITED", "1")
    plain.bug("barrier after return", blocks=2)


SANITIZED = [
    ("static overrun", r"runtime error: index 64 out of bounds for type 'float ?\[64\]'"),
    ("dynamic overrun", r"ERROR: AddressSanitizer: heap-buffer-overflow[\s\S]*WRITE of size 4"),
    ("read before start", r"ERROR: AddressSanitizer: heap-buffer-overflow[\s\S]*READ of size 4"),
    ("write behind end", r"ERROR: AddressSanitizer: heap-buffer-overflow[\s\S]*WRITE of size 4"),
    ("misaligned", r"runtime error: .*misaligned address .* requires 16 byte alignment"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("bug", "words"), SANITIZED, ids=[bug for bug, _ in SANITIZED])
def test_sanitizers(bug: str, words: str) -> None:
    done = under_the_sanitizers(f"demo.bug({bug!r}, 1)\nprint('nothing was noticed')")
    assert done.returncode != 0, done.stdout
    assert re.search(words, done.stderr), done.stderr[:2000]
    assert "demo_bugs.cu" in done.stderr, done.stderr[:2000]


def test_kernels_may_have_no_thread_local_variables(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("kernels") / "bad.cu"
    path.write_text("static thread_local int calls;\n")
    with pytest.raises(RuntimeError, match=r"bad\.cu: a file of kernels may have no thread_local variables"):
        build.build("bad", "plain", [path], [])


def test_errors_of_the_compiler_are_shown(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("kernels") / "wrong.cu"
    path.write_text('#include "cuda_emulator.h"\n__global__ void k() { no_such_function(); }\n')
    with pytest.raises(RuntimeError, match="no_such_function"):
        build.build("wrong", "plain", [path], [])
