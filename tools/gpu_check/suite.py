"""The tests of operators and layers: a process for each file, side by side; one that dies is followed by another.

A kernel that hangs, crashes or spoils its CUDA context takes one process and one test with it, not the others' results.
"""

from __future__ import annotations

import os
import runpy
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from tools.gpu_check import recorder
from tools.gpu_check.rows import Row
from tools.gpu_check.running import ROOT, Job, Programs
from tools.gpu_check.setting import CUT, FAILED, PASSED, QUIET, Outcome, Setting, ending

TEST_LIMIT = 45  # seconds for one test, in which some compile a model
OUTCOMES = ("passed", "failed", "crashed", "skipped")


def files(device: str) -> list[str]:
    """Return the names of the files, the largest first; to try the check itself out, a small one."""
    if device == "cpu":
        return ["test_pool"]
    names = runpy.run_path(str(ROOT / "tests/operator_tests.py"))["OPERATOR_TESTS"]
    return sorted(names, key=lambda name: -(ROOT / f"tests/{name}.py").stat().st_size)


def tests(setting: Setting, programs: Programs) -> Outcome:
    """Run every file and keep all failures."""
    names = files(setting.device)
    with ThreadPoolExecutor(min(len(names), setting.cores)) as pool:
        troubles = list(pool.map(lambda name: run_file(name, setting, programs), names))
    found: list[Row] = []
    for name in names:
        for test, result in recorder.results(setting.folder / f"{name}.jsonl").items():
            found.append({"kind": "test", "test": test, **result})
    return verdict(found, {name: trouble for name, trouble in zip(names, troubles, strict=True) if trouble})


def run_file(name: str, setting: Setting, programs: Programs) -> str:
    """Run the tests of a file to their end; else say in a few words why there was none."""
    record, seen = setting.folder / f"{name}.jsonl", -1
    # Each process has its caches to itself: a compiler that is killed in one leaves locks that another waits for.
    caches = {"TORCHINDUCTOR_CACHE_DIR": str(setting.folder / f"{name}-cache"), "TORCHINDUCTOR_COMPILE_THREADS": "1"}
    environment = {**QUIET, **caches, "PYTEST_ADDOPTS": os.environ.get("PYTEST_ADDOPTS", "")}
    command = [
        *("-m", "pytest", "-p", "tools.gpu_check.recorder", "--record", record, "--test-limit", TEST_LIMIT),
        *("--device", setting.device, "-q", "--tb=short", "-p", "no:cacheprovider", f"tests/{name}.py"),
    ]
    while True:
        finished = programs.run(Job(name, setting.python(*command), environment))
        if recorder.is_finished(record):
            return ""
        if finished.code is None:
            return "ended by the time limit"
        begun = len(recorder.results(record))
        if begun <= seen or begun == 0:
            return ending(finished)
        seen = begun


def verdict(found: list[Row], troubles: dict[str, str]) -> Outcome:
    """Count the tests, and name the files that did not come to their end."""
    count = Counter(row["outcome"] for row in found)
    sentence = ", ".join(f"{count[o]} {o}" for o in OUTCOMES if count[o] or o == "passed")
    if troubles:
        sentence += f"; not finished: {'; '.join(f'{name} ({trouble})' for name, trouble in troubles.items())}"
    late = "ended by the time limit"
    if count["failed"] or count["crashed"] or any(trouble != late for trouble in troubles.values()):
        return Outcome(FAILED, sentence, found)
    if troubles:
        return Outcome(CUT, sentence, found)
    return Outcome(PASSED if count["passed"] else FAILED, sentence, found)
