"""What programs of a machine with a GPU print, and rows as the parts find them: made up, for the tests of gpu_check.

And time limits that do not depend on how busy the machine is.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from waiting import wait_until


def limits_wait_for(condition: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the time limit of a program come when the condition holds, neither earlier nor later."""
    wait = subprocess.Popen.wait

    def wait_for(process: subprocess.Popen[bytes], timeout: float | None = None) -> int:
        if timeout is None:
            return wait(process)
        wait_until(condition)
        return wait(process, 0.1)

    monkeypatch.setattr(subprocess.Popen, "wait", wait_for)


MEMCHECK = """========= COMPUTE-SANITIZER
case: lstm persistent H=20 float32
========= Invalid __global__ read of size 4 bytes
=========     at void textnn::cuda::forward_kernel<float>(textnn::cuda::Arguments)+0x2b0 in recurrent_slice.cuh:156
=========     by thread (3,0,0) in block (1,0,0)
=========     Address 0x7f0a is out of bounds
=========     Saved host backtrace up to driver entry point at kernel launch time
=========         Host Frame: main in python
=========
========= Invalid __global__ read of size 4 bytes
=========     at void textnn::cuda::forward_kernel<float>(textnn::cuda::Arguments)+0x2b0 in recurrent_slice.cuh:156
=========     by thread (4,0,0) in block (1,0,0)
=========     Address 0x7f0e is out of bounds
=========
========= Target application returned an error
========= ERROR SUMMARY: 2 errors
"""
RACECHECK = """========= COMPUTE-SANITIZER
case: adam
========= Error: Race reported between Write access at textnn::cuda::adam_kernel(float *)+0x80 in adam.cu:17
=========     and Read access at textnn::cuda::adam_kernel(float *)+0x90 in adam.cu:19 [508 hazards]
=========
========= RACECHECK SUMMARY: 1 hazard displayed (1 error, 0 warnings)
"""
SYNCCHECK = """========= COMPUTE-SANITIZER
case: adam
========= Barrier error detected. Divergent thread(s) in block.
=========     at textnn::cuda::pool_kernel(float *)+0x160 in pool.cu:61
=========     by thread (0,0,0) in block (0,0,0)
=========
========= ERROR SUMMARY: 1 error
"""
CLEAN = "========= COMPUTE-SANITIZER\ncase: adam\n========= ERROR SUMMARY: 0 errors\n"
NO_CUDA_CALL = """========= COMPUTE-SANITIZER
========= Error: Target application terminated before first instrumented API call
========= Tracking kernels launched by child processes requires the --target-processes all option.
========= Error: couldn't find exit code.
"""
UNSUPPORTED = "========= COMPUTE-SANITIZER\n========= Error: Device not supported. Please refer to the documentation\n"

NCU = """==PROF== Connected to process 12 (/usr/bin/python3)
B 64, T 200, H 256, float16, persistent: done
==PROF== Disconnected from process 12
"ID","Process ID","Process Name","Host Name","Kernel Name","Context","Stream","Block Size","Grid Size","Device","CC",\
"dram__throughput.avg.pct_of_peak_sustained_elapsed","gpu__time_duration.sum","launch__registers_per_thread",\
"smsp__average_warps_issue_stalled_barrier_per_issue_active.ratio"
"","","","","","","","","","","","%","ns","register/thread","inst"
"0","12","python3","127.0.0.1","forward_kernel(Arguments)","1","7","(256, 1, 1)","(32, 2, 1)","0","9.0","1.25",\
"612,345","128","3.5"
"1","12","python3","127.0.0.1","backward_kernel(Arguments)","1","7","(256, 1, 1)","(32, 2, 1)","0","9.0","2.5",\
"1,512,345","200","n/a"
"""
NO_COUNTERS = "==PROF== Connected\n==ERROR== ERR_NVGPUCTRPERM - The user does not have permission to access counters\n"


def lstm_row(
    H: int,
    precision: str,
    us: dict[str, float],
    B: int = 64,
    T: int = 200,
    train: bool = False,
    ragged: bool = False,
    **more: Any,
) -> dict[str, Any]:
    """A row of bench/cuda/lstm.py."""
    row = {"kind": "lstm", "B": B, "T": T, "H": H, "precision": precision, "train": train, "ragged": ragged, "us": us}
    return {**row, "case": f"B {B}", "difference": {"padded": 2e-3}, "trouble": {}, **more}


ROWS: list[dict[str, Any]] = [
    {"kind": "machine", "device": "a GPU", "driver_version": "580.1"},
    {"kind": "first", "seconds": 0.5, "difference": 1e-6},
    {
        "kind": "test",
        "test": "tests/test_a.py::test_b[c]",
        "outcome": "failed",
        "seconds": 1.0,
        "message": "x\nE   1 | 2",
    },
    {"kind": "test", "test": "tests/test_a.py::test_d", "outcome": "passed", "seconds": 1.0, "message": ""},
    {"kind": "copy", "MiB": 2048, "TB/s": 4.3},
    {"kind": "product", "of": "bfloat16", "size": 8192, "TFLOP/s": 780.0},
    {"kind": "barrier", "of": "grid", "blocks": 132, "threads": 256, "us": 1.25},
    lstm_row(128, "float16", {"textnn": 0.75, "textnn, steps": 9.0, "textnn, persistent": 0.75, "padded": 1.5}),
    lstm_row(128, "float32", {"textnn": 1.25, "padded": 5.0}, trouble={"textnn, persistent": "too small"}),
    lstm_row(768, "float16", {"textnn": 2.5, "padded": 2.0}, B=16, T=1024),
    lstm_row(768, "float16", {"textnn": 8.0, "padded": 5.0}, B=16, T=1024, train=True),
    lstm_row(512, "float32", {"textnn": 4.0, "padded": 20.0, "packed": 12.0}, ragged=True),
    {
        "kind": "text_conv",
        "case": "(512, ragged)",
        "us": {"textnn": 50.0, "Conv1d": 200.0, "unfold": 300.0},
        "difference": {"Conv1d": 1e-6},
        "trouble": {},
    },
    {"kind": "broken", "case": "B 3", "message": "CUDA error: an illegal memory access"},
    {"kind": "left out", "of": "lstm", "cases": ["B 1", "B 2"]},
    {"kind": "counters", "case": "B 64", "kernel": "forward_kernel(A)", "duration": "612,345 ns", "memory, %": "1.25"},
]
