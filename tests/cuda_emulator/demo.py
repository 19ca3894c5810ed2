"""The demonstration kernels, for the tests of the emulator: built, loaded, and called with numpy arrays."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from cuda_emulator import build
from numpy.typing import NDArray
from waiting import HANG

Array = NDArray[Any]
KERNELS = [build.HERE / name for name in ("demo_kernels.cu", "demo_matrices.cu", "demo_bugs.cu")]
SOURCES = [build.HERE / "demo_host.cpp"]
BUGS = (
    "divergent barrier",
    "barrier after return",
    "dynamic overrun",
    "static overrun",
    "uninitialised",
    "shared race",
    "lanes missing",
    "not in mask",
    "different operations",
    "global race",
    "read before start",
    "write behind end",
    "deep stack",
    "deadlock",
    "trap",
    "assertion",
    "exception",
    "misaligned",
    "warp race",
    "half race",
    "missing fence",
    "grid sync",
    "grid sync missed",
    "read by other block",
    "misaligned matrix",
    "read only",
    "reuse",
)


class KernelError(RuntimeError):
    """What the emulator reports of a kernel."""


class Demo:
    """The library of one flavour. A call passes arrays as pointers and returns the launch's cudaError_t."""

    def __init__(self, flavour: str) -> None:
        self.library = ctypes.CDLL(str(build.build("demo", flavour, KERNELS, SOURCES)))
        for name in ("demo_failure", "demo_error_name"):
            getattr(self.library, name).restype = ctypes.c_char_p
        self.library.cuemu_log_size.restype = ctypes.c_size_t

    def __call__(self, name: str, *arguments: Any) -> int:
        code: int = getattr(self.library, f"demo_{name}")(*map(self._pass, arguments))
        if code == -1:
            raise KernelError(self.library.demo_failure().decode())
        return code

    @staticmethod
    def flush() -> None:
        """Write out what the kernels have printed."""
        ctypes.CDLL(None).fflush(None)

    @staticmethod
    def _pass(argument: Any) -> Any:
        if isinstance(argument, np.ndarray):
            return argument.ctypes.data_as(ctypes.c_void_p)
        if isinstance(argument, str):
            return ctypes.c_char(argument.encode())
        if isinstance(argument, float):
            return ctypes.c_float(argument)
        return argument

    def bug(self, name: str, blocks: int = 1, cooperative: bool = False) -> Array:
        """Run the kernel with this mistake; its output [blocks, 64]."""
        given = np.arange(64 * blocks, dtype=np.float32)
        out = np.zeros((blocks, 64), np.float32)
        counter = np.zeros(1, np.uint32)
        assert self("bug", BUGS.index(name), blocks, int(cooperative), given, out, counter) == 0
        return out


def under_the_sanitizers(code: str) -> subprocess.CompletedProcess[str]:
    """Run Python code, for which ``demo`` is the library with the sanitizers, in a process of its own.

    Skips the test where the compiler has no shared libraries of its sanitizers.
    """
    build.build("demo", "asan", KERNELS, SOURCES)
    libraries = [build.runtime(name) for name in ("libasan.so", "libubsan.so", "libstdc++.so")]
    if None in libraries[:2]:
        pytest.skip("the compiler has no shared libraries of its sanitizers")
    environment = {
        **os.environ,
        "LD_PRELOAD": " ".join(path for path in libraries if path),
        "ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=0:abort_on_error=0",
        "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
        "PYTHONPATH": str(build.HERE.parent),
    }
    begin = "import numpy as np\nfrom cuda_emulator.demo import Demo, KernelError\ndemo = Demo('asan')\n"
    command = [sys.executable, "-c", begin + code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=HANG)
