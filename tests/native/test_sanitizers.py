"""The tests of the kernels once more, on a build with the address and undefined-behaviour sanitizers.

The sanitizer's library has to come before everything else in the process, so the tests run in one of their own, with
LD_PRELOAD. In that build every part of a workspace is an allocation of its own size (checked_workspace.h).
"""

from __future__ import annotations

import subprocess
import sys

import build
import pytest
from conftest import FLAVOUR
from sanitizers import report, sanitized_environment

TESTS = (
    "test_distinct.py",
    "test_kernels_crf.py",
    "test_kernels_linear_cross_entropy.py",
    "test_kernels_recurrent.py",
    "test_kernels_pool.py",
    "test_kernels_quantized_lstm.py",
    "test_kernels_tables.py",
    "test_kernels_text_conv.py",
    "test_kernels_text_conv_bfloat16.py",
    "test_kernels_frozen_text_conv.py",
    "test_parallel.py",
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(FLAVOUR == "sanitized", reason="runs already under the sanitizers"),
]


def test_kernels_under_the_sanitizers() -> None:
    environment = sanitized_environment()
    build.build("sanitized")
    options = ["-v", "-x", "-s", "-p", "no:cacheprovider", "-p", "no:faulthandler", f"--confcutdir={build.HERE}"]
    command = [sys.executable, "-m", "pytest", *options, *(str(build.HERE / name) for name in TESTS)]
    done = subprocess.run(command, cwd=build.ROOT, env=environment, capture_output=True, text=True, check=False)
    last = "\n".join([line for line in done.stdout.splitlines() if not line.endswith("PASSED")][-40:])
    assert done.returncode == 0, f"under the sanitizers:\n{last}\n{report(done.stderr)}"
    assert " passed" in last, last


# A result that is one value too short, given to a kernel.
TOO_SHORT = """
import sys
sys.path.insert(0, sys.argv[1])
import build, harness, recurrent_oracle, numpy as np

class Short(harness.Memory):
    def empty(self, name, shape, dtype):
        return np.zeros(int(np.prod(shape)) - (name == "y"), dtype)

native = build.load(build.module_path("sanitized"))
case = recurrent_oracle.Case((300,), 3, 5, layouts=("flat", "flat"))
call = recurrent_oracle.Call(native, Short(), case, np.float32, recurrent_oracle.inputs(case, np.float32))
call.forward()
print("nothing was noticed")
"""


def test_the_sanitizers_notice_one_value_too_many() -> None:
    environment = sanitized_environment()
    build.build("sanitized")
    command = [sys.executable, "-c", TOO_SHORT, str(build.HERE)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert "heap-buffer-overflow" in done.stderr, f"{done.stdout}{report(done.stderr)}"
    assert "RecurrentForwardKernel" in done.stderr, report(done.stderr)
