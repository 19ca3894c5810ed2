"""The host's side of the emulator: the device, what launches it takes, and the log of launches."""

from __future__ import annotations

import ctypes
import os
import time

import numpy as np
import pytest
from cuda_emulator import build
from cuda_emulator.demo import Demo

pytestmark = pytest.mark.skipif(build.missing() is not None, reason=str(build.missing()))
KB = 1024
ATTRIBUTES = {
    "threads of a block": 1,
    "shared": 8,
    "warp": 10,
    "multiprocessors": 16,
    "threads": 39,
    "major": 75,
    "minor": 76,
    "shared of a multiprocessor": 81,
    "cooperative": 95,
    "shared to opt in": 97,
}


@pytest.fixture
def demo() -> Demo:
    demo = Demo("plain")
    demo("last_error")
    demo("allow_shared", 48 * KB)
    return demo


def attribute(demo: Demo, name: str) -> int:
    value = ctypes.c_int(-1)
    assert demo("attribute", ATTRIBUTES[name], ctypes.byref(value)) == 0
    return value.value


def launch(
    demo: Demo,
    grid: tuple[int, ...] = (1,),
    block: tuple[int, ...] = (32,),
    shared: int = 0,
    cooperative: bool = False,
) -> str:
    """The name of the error of a launch; where there is none, every thread must have run, else none."""
    sizes = [np.array([*size, 1, 1][:3], np.uint32) for size in (grid, block)]
    counter = np.zeros(1, np.uint32)
    stream = ctypes.c_void_p(0xABC)
    error = demo("launch", *sizes, ctypes.c_size_t(shared), int(cooperative), stream, counter)
    assert counter[0] == (0 if error else int(np.prod(sizes[0]) * np.prod(sizes[1])))
    assert demo("last_error") == error, "the error is left for cudaGetLastError"
    assert demo("last_error") == 0, "and taken away by it"
    name: bytes = demo.library.demo_error_name(error)
    return name.decode()


def test_description_of_the_device(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = [1024, 48 * KB, 32, 4, 2048, 8, 0, 228 * KB, 1, 227 * KB]
    assert [attribute(demo, name) for name in ATTRIBUTES] == expected
    monkeypatch.setenv("CUEMU_SMS", "7")
    monkeypatch.setenv("CUEMU_SMEM", str(99 * KB))
    monkeypatch.setenv("CUEMU_CAPABILITY", "7.5")
    monkeypatch.setenv("CUEMU_COOPERATIVE", "0")
    expected = [1024, 48 * KB, 32, 7, 2048, 7, 5, 100 * KB, 0, 99 * KB]
    assert [attribute(demo, name) for name in ATTRIBUTES] == expected


def test_a_machine_without_a_device(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    count = ctypes.c_int(-1)
    assert demo("device_count", ctypes.byref(count)) == 0
    assert count.value == 1
    monkeypatch.setenv("CUEMU_SMS", "0")
    assert demo("device_count", ctypes.byref(count)) == 100
    assert count.value == 0
    demo("last_error")
    assert launch(demo) == "cudaErrorNoDevice"


@pytest.mark.parametrize(
    ("grid", "block"),
    [
        ((0,), (32,)),
        ((1, 0), (32,)),
        ((1, 65536), (32,)),
        ((1, 1, 65536), (32,)),
        ((1,), (0,)),
        ((1,), (1025,)),
        ((1,), (32, 33)),
        ((1,), (1, 1, 65)),
    ],
)
def test_sizes_that_no_device_takes(demo: Demo, grid: tuple[int, ...], block: tuple[int, ...]) -> None:
    assert launch(demo, grid, block) == "cudaErrorInvalidConfiguration"


def test_sizes_at_the_limit(demo: Demo) -> None:
    for grid, block in [((70000,), (1,)), ((1, 65535), (1,)), ((2, 3, 4), (16, 16, 4)), ((1,), (1, 1, 64))]:
        assert launch(demo, grid, block) == "cudaSuccess"


def test_shared_memory_has_to_be_asked_for(demo: Demo) -> None:
    assert launch(demo, shared=48 * KB) == "cudaSuccess"
    assert launch(demo, shared=48 * KB + 1) == "cudaErrorInvalidValue"
    assert demo("allow_shared", 100 * KB) == 0
    assert launch(demo, shared=100 * KB) == "cudaSuccess"
    assert launch(demo, shared=100 * KB + 1) == "cudaErrorInvalidValue"
    assert demo("allow_shared", 227 * KB) == 0
    assert launch(demo, shared=227 * KB) == "cudaSuccess"
    assert demo("allow_shared", 227 * KB + 1) == 1
    demo("last_error")


def test_occupancy(demo: Demo) -> None:
    def blocks(threads: int, shared: int) -> int:
        value = ctypes.c_int(-1)
        assert demo("occupancy", threads, ctypes.c_size_t(shared), ctypes.byref(value)) == 0
        return value.value

    assert [blocks(threads, 0) for threads in (1, 64, 65, 256, 1024)] == [32, 32, 21, 8, 2]
    assert [blocks(32, shared * KB) for shared in (7, 8, 37, 48)] == [28, 25, 6, 4]
    assert blocks(32, 49 * KB) == 0
    demo("allow_shared", 227 * KB)
    assert [blocks(32, shared * KB) for shared in (49, 113, 114, 227)] == [4, 2, 1, 1]


def test_cooperative_launches(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    assert launch(demo, (8,), (1024,), cooperative=True) == "cudaSuccess"
    assert launch(demo, (9,), (1024,), cooperative=True) == "cudaErrorCooperativeLaunchTooLarge"
    assert launch(demo, (17,), (32,), 48 * KB, cooperative=True) == "cudaErrorCooperativeLaunchTooLarge"
    assert launch(demo, (16,), (32,), 48 * KB, cooperative=True) == "cudaSuccess"
    monkeypatch.setenv("CUEMU_SMS", "1")
    assert launch(demo, (3,), (1024,), cooperative=True) == "cudaErrorCooperativeLaunchTooLarge"
    monkeypatch.setenv("CUEMU_COOPERATIVE", "0")
    assert launch(demo, (1,), (32,), cooperative=True) == "cudaErrorNotSupported"


def test_log(demo: Demo) -> None:
    library = demo.library
    x, y = np.zeros(10, np.uint8), np.zeros(10, np.uint8)
    library.cuemu_log_clear()
    launch(demo)
    assert library.cuemu_log_size() == 0, "off until it is wanted"
    library.cuemu_log_enable(1)
    try:
        launch(demo, (2, 3), (4, 5, 6), 1000)
        launch(demo, (1, 70000))
        launch(demo, (4,), (64,), 0, cooperative=True)
        demo("fill_and_copy", x, 3, ctypes.c_size_t(10), y)
    finally:
        library.cuemu_log_enable(0)
    launch(demo)
    assert y.tolist() == [3] * 10

    def entry(i: int) -> tuple[object, ...]:
        name = ctypes.create_string_buffer(100)
        grid, block = np.zeros(3, np.uint32), np.zeros(3, np.uint32)
        shared, stream, cooperative = ctypes.c_size_t(), ctypes.c_void_p(), ctypes.c_int()
        pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in (grid, block)]
        others = map(ctypes.byref, (shared, stream, cooperative))
        assert library.cuemu_log_entry(ctypes.c_size_t(i), name, ctypes.c_size_t(100), *pointers, *others) == 1
        return name.value.decode(), grid.tolist(), block.tolist(), shared.value, stream.value, cooperative.value

    assert [entry(i) for i in range(library.cuemu_log_size())] == [
        ("count_kernel", [2, 3, 1], [4, 5, 6], 1000, 0xABC, 0),
        ("count_kernel", [4, 1, 1], [64, 1, 1], 0, 0xABC, 1),
        ("cudaMemsetAsync", [0, 0, 0], [0, 0, 0], 10, None, 0),
        ("cudaMemcpyAsync", [0, 0, 0], [0, 0, 0], 10, None, 0),
    ], "without the launch that was refused"
    assert library.cuemu_log_entry(ctypes.c_size_t(4), None, ctypes.c_size_t(0), *[None] * 5) == 0
    library.cuemu_log_clear()
    assert library.cuemu_log_size() == 0


def test_a_forked_process_can_launch(demo: Demo) -> None:
    """It has none of the threads that its parent's launches have left."""
    assert launch(demo, (8,), (32,), cooperative=True) == "cudaSuccess"
    child = os.fork()
    if child == 0:
        os._exit(0 if launch(demo, (8,), (32,), cooperative=True) == "cudaSuccess" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_small_launches_are_cheap(demo: Demo) -> None:
    """Thousands of them run in the tests of the kernels. The processor's time, which other work does not count in."""
    best = 1.0
    for _ in range(200):
        begin = time.process_time()
        demo("nothing", 1, 128)
        best = min(best, time.process_time() - begin)
    assert best < 1e-3, f"{best * 1e6:.0f} us"
