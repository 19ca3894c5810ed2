"""The parts of the check: what each needs and may take, the programs that it runs, and what it makes of their results.

A part is a function of a Setting and of Programs, which end at the part's limit; it returns an Outcome. What it found
before its limit counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tools.gpu_check import counters, first, machine, profiled, rows, sanitizer
from tools.gpu_check.rows import Row
from tools.gpu_check.running import Job, Programs
from tools.gpu_check.setting import CUT, FAILED, PASSED, QUIET, Outcome, Setting, ending
from tools.gpu_check.suite import tests

Run = Callable[[Setting, Programs], Outcome]


@dataclass(frozen=True)
class Part:
    """A part by its name.

    ``limit`` in seconds on 16 cores; ``library``: whether textnn has to be built for it; ``log``: whose log it writes
    to, if not its own.
    """

    name: str
    title: str
    limit: float
    run: Run
    library: bool = True
    log: str = ""


def build(setting: Setting, programs: Programs) -> Outcome:
    """Build the extension in place, for the device's own architecture."""
    environment = {
        "TEXTNN_CUDA": "1",
        "TORCH_CUDA_ARCH_LIST": setting.machine.capability,
        "CUDA_HOME": str(setting.machine.toolkit),
        "MAX_JOBS": str(setting.cores),
        "NVCC_APPEND_FLAGS": "-lineinfo",  # so that compute-sanitizer can name lines
    }
    command = setting.python("setup.py", "build_ext", "--inplace")
    finished = programs.run(Job("build", command, environment))
    if finished.code == 0:
        return Outcome(PASSED, f"built for {setting.machine.capability} in {finished.seconds:.0f} s")
    return Outcome(FAILED, f"textnn does not build: {ending(finished)}")


def info(setting: Setting, programs: Programs) -> Outcome:
    """Say what the machine is and what the build holds, and run the first kernel."""
    record = setting.folder / "info.jsonl"
    found: list[Row] = [{"kind": "machine", **setting.machine.described(), **machine.driver()}]
    told = programs.run(Job("textnn info", setting.python("-m", "textnn", "info")))
    command = setting.python("-m", first.__name__, "--record", record, "--device", setting.device)
    ran = programs.run(Job("first kernel", command))
    found += rows.read(record)
    if ran.code != 0:
        return Outcome(FAILED, f"the first kernel: {ending(ran)}", found)
    if told.code != 0:
        return Outcome(FAILED, f"textnn info: {ending(told)}", found)
    return Outcome(PASSED, ran.end, found)


def sanitizers(setting: Setting, programs: Programs) -> Outcome:
    """Run the cases of tests/cuda_cases.py under each tool of compute-sanitizer, all tools side by side."""
    program = setting.machine.tool("compute-sanitizer")
    if setting.device == "cuda" and program is None:
        return Outcome(FAILED, "the CUDA toolkit here has no compute-sanitizer")
    shares = max(1, min(4, (setting.cores - 1) // len(sanitizer.TOOLS)))
    runs = [(tool, share) for tool in sanitizer.TOOLS for share in range(shares)]
    jobs = []
    for number, (tool, share) in enumerate(runs):
        record = setting.folder / f"{tool}-{share}.jsonl"
        cases = ["-m", "tools.gpu_check.cases", "--record", record, "--share", f"{share}/{shares}"]
        before = sanitizer.command(program, tool, 49152 + 16 * number) if program and setting.device == "cuda" else []
        jobs.append(Job(f"{tool} {share}", [*before, *setting.python(*cases, "--device", setting.device)], QUIET))
    finished = programs.run_all(jobs, len(jobs) if setting.device == "cuda" else 1)
    found = [
        sanitizer.summary(
            tool,
            [f for (t, _), f in zip(runs, finished, strict=True) if t == tool],
            [setting.folder / f"{tool}-{share}.jsonl" for share in range(shares)],
        )
        for tool in sanitizer.TOOLS
    ]
    return Outcome(*sanitizer.verdict(found), found)


def ceilings(setting: Setting, programs: Programs) -> Outcome:
    """Measure the device's copy, products and barriers."""
    return bench(setting, programs, "ceilings")


def speed(setting: Setting, programs: Programs) -> Outcome:
    """Measure text convolution and the LSTM beside plain PyTorch, the LSTM for as long as there is time."""
    conv = bench(setting, programs, "text_conv", 0.15 * programs.left)
    lstm = bench(setting, programs, "lstm", programs.left - 8)
    state = FAILED if FAILED in (conv.state, lstm.state) else lstm.state
    return Outcome(state, f"LSTM: {lstm.sentence}; text convolution: {conv.sentence}", conv.rows + lstm.rows)


def bench(setting: Setting, programs: Programs, name: str, seconds: float = 60.0) -> Outcome:
    """Run one of the programs of bench/cuda; where a case ends it, again for the cases behind that one."""
    record, end = setting.folder / f"{name}.jsonl", time.monotonic() + seconds
    broken: dict[str, str] = {}
    while True:
        options = ["--record", record, "--device", setting.device, "--seconds", max(0, round(end - time.monotonic()))]
        tiny = ["--tiny"] if setting.device == "cpu" else []
        finished = programs.run(Job(name, setting.python("-m", "bench.cuda", name, *options, *tiny)))
        found = [row for row in rows.read(record) if row["kind"] != "begin"]
        case = unfinished(record)
        if finished.code in (0, None) or case is None or case in broken:
            break
        broken[case] = finished.end
    found += [{"kind": "broken", "case": case, "message": message} for case, message in broken.items()]
    left = sum(len(row["cases"]) for row in found if row["kind"] == "left out")
    sentence = f"{sum(row['kind'] not in ('left out', 'broken') for row in found)} measured"
    sentence += f", {len(broken)} broken" if broken else ""
    sentence += f", {left} left out for lack of time" if left else ""
    if finished.code is None:
        return Outcome(FAILED if broken else CUT, f"{sentence}, ended by the time limit", found)
    if finished.code:
        return Outcome(FAILED, f"{sentence}, then: {finished.end}", found)
    return Outcome(FAILED if broken else PASSED, sentence, found)


def unfinished(record: Path) -> str | None:
    """Return the case that a program of bench/cuda had begun last and did not finish."""
    cases = [(row["kind"], row["case"]) for row in rows.read(record) if "case" in row]
    return cases[-1][1] if cases and cases[-1][0] == "begin" else None


def profile(setting: Setting, programs: Programs) -> Outcome:
    """Read the counters of the persistent kernels."""
    program = setting.machine.tool("ncu")
    if program is None and setting.device == "cuda":
        return Outcome(FAILED, "the CUDA toolkit here has no ncu")
    before = (
        counters.command(program, profiled.KERNELS, profiled.KERNELS) if program and setting.device == "cuda" else []
    )
    command = setting.python("-m", profiled.__name__, "--device", setting.device)
    finished = programs.run(Job("ncu", [*before, *command]))
    found: list[Row] = [
        {"kind": "counters", "case": profiled.CASE, **kernel} for kernel in counters.parse(finished.output)
    ]
    if finished.code != 0 or (before and not found):
        return Outcome(FAILED, counters.trouble(finished.output) or ending(finished), found)
    return Outcome(PASSED, f"counters of {len(found)} kernels at {profiled.CASE}", found)


PARTS = (
    Part("info", "device and first kernel", 25, info),
    Part("tests", "tests of operators and layers", 100, tests),
    Part("sanitizers", "compute-sanitizer", 75, sanitizers),
    Part("ceilings", "ceilings of the device", 25, ceilings, library=False),
    Part("speed", "speed beside plain PyTorch", 95, speed),
    Part("profile", "counters of the persistent kernels", 25, profile),
)
BUILD = Part("build", "build in place", 125, build, log="info")
