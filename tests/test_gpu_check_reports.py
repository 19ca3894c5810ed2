"""tools/gpu_check: what compute-sanitizer and ncu print, read and summed up."""

from __future__ import annotations

import time
from pathlib import Path

import gpu_check_samples as samples
import pytest

from tools.gpu_check import cases, counters, parts, rows, sanitizer
from tools.gpu_check.machine import Machine
from tools.gpu_check.parts import Run
from tools.gpu_check.running import ROOT, Finished, Programs
from tools.gpu_check.setting import CUT, FAILED, PASSED, Outcome, Setting

# --- compute-sanitizer ---


@pytest.mark.parametrize(
    ("text", "errors", "faults"),
    [
        (
            samples.MEMCHECK,
            2,
            {
                "Invalid __global__ read of size 4 bytes at void textnn::cuda::forward_kernel<float>"
                "(textnn::cuda::Arguments)+0x2b0 in recurrent_slice.cuh:156": 2,
            },
        ),
        (
            samples.RACECHECK,
            1,
            {
                "Error: Race reported between Write access at textnn::cuda::adam_kernel(float *)+0x80 in adam.cu:17": 1,
            },
        ),
        (
            samples.SYNCCHECK,
            1,
            {
                "Barrier error detected. Divergent thread(s) in block. at textnn::cuda::pool_kernel(float *)+0x160 in "
                "pool.cu:61": 1
            },
        ),
        (samples.CLEAN, 0, {}),
        ("case: adam\n", None, {}),
    ],
)
def test_the_reports_of_compute_sanitizer(text: str, errors: int | None, faults: dict[str, int]) -> None:
    assert sanitizer.parse(text) == sanitizer.Report(errors, faults)


@pytest.mark.parametrize(
    ("text", "trouble"),
    [
        (samples.UNSUPPORTED, "Device not supported. Please refer to the documentation"),
        (samples.NO_CUDA_CALL, "Target application terminated before first instrumented API call"),
    ],
)
def test_a_sanitizer_that_cannot_work_is_no_clean_run(text: str, trouble: str) -> None:
    assert sanitizer.parse(text) == sanitizer.Report(None, {}, trouble)


def summary_of(folder: Path, text: str, code: int | None, ended: list[str], wrong: str = "") -> rows.Row:
    record = folder / "record"
    record.unlink(missing_ok=True)
    rows.add(record, "planned", cases=["adam", "pool", "lstm"])
    for case in ended:
        rows.add(record, "end", case=case, message=wrong)
    return sanitizer.summary("memcheck", [Finished("memcheck 0", code, 1.0, text)], [record])


def test_what_the_sanitizers_come_to(tmp_path: Path) -> None:
    every = ["adam", "pool", "lstm"]
    clean = summary_of(tmp_path, samples.CLEAN, 0, every)
    assert sanitizer.verdict([clean]) == (PASSED, "memcheck: 0 faults in 3 of 3 cases")
    late = summary_of(tmp_path, "case: pool\n", None, ["adam"])
    assert late["left"] == ["pool", "lstm"]
    assert sanitizer.verdict([clean, late])[0] == CUT
    found = summary_of(tmp_path, samples.MEMCHECK, 86, every)
    assert sanitizer.verdict([found, late]) == (
        FAILED,
        "memcheck: 2 faults in 3 of 3 cases; memcheck: 0 faults in 1 of 3 cases",
    )
    assert sanitizer.verdict([summary_of(tmp_path, samples.CLEAN, 1, every, "result 0")])[0] == FAILED
    silent = summary_of(tmp_path, "cannot attach", 1, every)
    assert silent["trouble"] == "no summary: cannot attach"
    assert sanitizer.verdict([silent])[0] == FAILED
    assert sanitizer.verdict([summary_of(tmp_path, "", None, [])])[0] == FAILED, "not one case was checked"


def test_the_shares_of_the_cases_are_all_of_them_once() -> None:
    names = ["adam", "lstm steps", "lstm persistent", "bilstm persistent", *cases.TOO_LONG]
    shared = [name for i in range(3) for name in cases.chosen(names, f"{i}/3")]
    assert sorted(shared) == ["adam", "bilstm persistent", "lstm persistent", "lstm steps"]
    assert cases.chosen(names)[:2] == ["lstm persistent", "bilstm persistent"]
    text = "".join(path.read_text() for path in (ROOT / "tests").glob("cuda_*_cases.py"))
    assert all(name in text for name in cases.TOO_LONG)


# --- ncu ---


def test_the_counters_of_ncu() -> None:
    forward, backward = counters.parse(samples.NCU)
    assert forward == {
        "kernel": "forward_kernel(Arguments)",
        "duration": "612,345 ns",
        "registers a thread": "128 register/thread",
        "memory, %": "1.25",
        "stalled at a block's barrier": "3.5",
    }
    assert "stalled at a block's barrier" not in backward
    assert list(counters.parse(samples.NO_COUNTERS)) == []
    assert counters.trouble(samples.NO_COUNTERS).startswith("ERR_NVGPUCTRPERM")


# --- the parts that call them ---


def setting_with(folder: Path, name: str, output: str) -> Setting:
    """A machine whose toolkit has one program, which notes how it is called and prints the output."""
    program = folder / "toolkit/bin" / name
    program.parent.mkdir(parents=True)
    (folder / "output").write_text(output)
    program.write_text(f'#!/bin/sh\necho "$@" >> {folder}/calls\ncat {folder}/output\n')
    program.chmod(0o755)
    return Setting(Machine("", {}, cores=16, toolkit=folder / "toolkit"), "cuda", folder)


def run(part: Run, setting: Setting) -> tuple[Outcome, list[list[str]]]:
    outcome = part(setting, Programs(setting.folder / "log", setting.folder, time.monotonic() + 60))
    return outcome, [line.split() for line in (setting.folder / "calls").read_text().splitlines()]


def test_each_tool_of_the_sanitizer_gets_its_cases_and_ports(tmp_path: Path) -> None:
    outcome, calls = run(parts.sanitizers, setting_with(tmp_path, "compute-sanitizer", samples.RACECHECK))
    assert [row["tool"] for row in outcome.rows] == list(sanitizer.TOOLS)
    assert outcome.state == FAILED
    assert "racecheck: 4 faults in 0 of 0 cases" in outcome.sentence, "a fault of each of four runs"
    assert sorted(call[0] for call in calls if call[0].startswith("--tool")) == sorted(
        f"--tool={tool}" for tool in sanitizer.TOOLS[1:] for _ in range(4)
    )
    ports = {word for call in calls for word in call if word.startswith("--port=")}
    assert len(calls) == len(ports) == 12
    assert all(call[call.index("--share") + 1].endswith("/4") for call in calls)


def test_the_counters_of_both_kernels_are_read(tmp_path: Path) -> None:
    outcome, ((*words,),) = run(parts.profile, setting_with(tmp_path, "ncu", samples.NCU))
    assert (outcome.state, len(outcome.rows)) == (PASSED, 2)
    assert "--clock-control=none" in words, "the device's clocks are left alone"


def test_a_device_whose_counters_may_not_be_read_is_no_success(tmp_path: Path) -> None:
    outcome, _ = run(parts.profile, setting_with(tmp_path, "ncu", samples.NO_COUNTERS))
    assert outcome.state == FAILED
    assert outcome.sentence.startswith("ERR_NVGPUCTRPERM")


def test_a_toolkit_without_these_programs_is_no_success(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    setting = Setting(Machine("", {}, cores=2, toolkit=tmp_path), "cuda", tmp_path)
    for part, name in ((parts.sanitizers, "compute-sanitizer"), (parts.profile, "ncu")):
        outcome = part(setting, Programs(tmp_path / "log", tmp_path, time.monotonic() + 60))
        assert (outcome.state, outcome.sentence) == (FAILED, f"the CUDA toolkit here has no {name}")
