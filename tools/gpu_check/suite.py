"""The tests of operators and layers: a share for each core, in processes; one that dies is followed by another.

A kernel that hangs, crashes or spoils its CUDA context takes one process and one test with it, not the others' results.
"""

from __future__ import annotations

import runpy
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tools.gpu_check import recorder
from tools.gpu_check.rows import Row
from tools.gpu_check.running import ROOT, Job, Programs
from tools.gpu_check.setting import CUT, FAILED, PASSED, QUIET, Outcome, Setting, ending

TEST_LIMIT = 45  # seconds for one test, in which some compile a model
LATE = "ended by the time limit"
OUTCOMES = ("passed", "failed", "crashed", "skipped", "not begun")


def files(device: str) -> list[str]:
    """Return the names of the files; to try the check itself out, a small one."""
    if device == "cpu":
        return ["test_pool"]
    return list(runpy.run_path(str(ROOT / "tests/operator_tests.py"))["OPERATOR_TESTS"])


def tests(setting: Setting, programs: Programs) -> Outcome:
    """Run all tests, a share in each process, and keep every failure."""
    number = setting.cores if setting.device == "cuda" else 1
    names = files(setting.device)
    with ThreadPoolExecutor(number) as pool:
        troubles = list(pool.map(lambda i: run_share(f"{i}/{number}", names, setting, programs), range(number)))
    found: list[Row] = []
    for i in range(number):
        for test, result in recorder.results(record_of(i, setting)).items():
            found.append({"kind": "test", "test": test, **result})
    return verdict(found, [trouble for trouble in troubles if trouble])


def record_of(share: object, setting: Setting) -> Path:
    """Return the file that the process of a share writes."""
    return setting.folder / f"tests-{share}.jsonl"


def run_share(share: str, names: Sequence[str], setting: Setting, programs: Programs) -> str:
    """Run every n-th test of the files to its end; else say in a few words why there was none."""
    number = share.partition("/")[0]
    record, seen = record_of(number, setting), 0
    # Each process has its caches to itself: a compiler that is killed in one leaves locks that another waits for.
    caches = {"TORCHINDUCTOR_CACHE_DIR": str(setting.folder / f"cache-{number}"), "TORCHINDUCTOR_COMPILE_THREADS": "1"}
    command = [
        *("-m", "pytest", "-p", "tools.gpu_check.recorder", "--record", record, "--share", share),
        *("--test-limit", TEST_LIMIT, "--device", setting.device, "-m", ""),
        *("-q", "--tb=short", "-p", "no:cacheprovider"),
        *(f"tests/{name}.py" for name in names),
    ]
    while True:
        finished = programs.run(Job(f"tests {number}", setting.python(*command), {**QUIET, **caches}))
        if recorder.is_finished(record):
            return ""
        if finished.code is None:
            return LATE
        before, seen = seen, recorder.begun(record)
        if seen <= before:
            return ending(finished)


def verdict(found: list[Row], troubles: list[str]) -> Outcome:
    """Count the tests, and say which processes did not come to the end of their share, and why."""
    count = Counter(row["outcome"] for row in found)
    sentence = ", ".join(f"{count[o]} {o}" for o in OUTCOMES if count[o] or o == "passed")
    if troubles:
        sentence += "; processes " + "; ".join(f"{n} x {trouble}" for trouble, n in Counter(troubles).items())
    if count["failed"] or count["crashed"] or set(troubles) - {LATE}:
        return Outcome(FAILED, sentence, found)
    if troubles:
        return Outcome(CUT, sentence, found)
    return Outcome(PASSED if count["passed"] else FAILED, sentence, found)
