"""tools/gpu_check without a GPU: limits that end programs, parts that break, reports that are read, the page."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import gpu_check_samples as samples
import pytest
from waiting import HANG, wait_until

from tools.gpu_check import __main__ as program
from tools.gpu_check import machine, page, parts, rows, tables
from tools.gpu_check.parts import Part
from tools.gpu_check.running import ROOT, Finished, Job, Programs, shortened
from tools.gpu_check.setting import FAILED, NOT_RUN, PASSED, Outcome, Setting

GPU = machine.Machine("", {"torch": "2.11", "device": "a GPU", "capability": "9.0"}, cores=16, toolkit=None)
NO_GPU = machine.Machine("there is no GPU to run on", {"torch": "2.11"})


# --- programs and their limits ---


def programs(folder: Path, seconds: float = HANG) -> Programs:
    return Programs(folder / "log", folder, time.monotonic() + seconds)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_limit_ends_a_program_with_all_that_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = "sleep 10000 & echo $!; echo found; wait"
    samples.limits_wait_for(lambda: "found" in (tmp_path / "slow.out").read_text(), monkeypatch)
    finished = programs(tmp_path).run(Job("slow", ["sh", "-c", script]), limit=0.1)
    assert finished.code is None
    pid, word = finished.output.split()
    assert word == "found", "what it printed before is kept"
    wait_until(lambda: not is_running(int(pid)))
    assert "slow: ended by its time limit" in (tmp_path / "log").read_text()


def test_what_a_program_leaves_running_ends_with_it(tmp_path: Path) -> None:
    finished = programs(tmp_path).run(Job("quick", ["sh", "-c", "sleep 10000 & echo $!"]))
    assert finished.code == 0
    wait_until(lambda: not is_running(int(finished.output)))


def test_a_program_whose_time_is_over_is_not_begun(tmp_path: Path) -> None:
    finished = programs(tmp_path, seconds=-1).run(Job("late", ["touch", str(tmp_path / "begun")]))
    assert finished == Finished("late", None, 0.0, "")
    assert not (tmp_path / "begun").exists()


def test_programs_run_side_by_side_and_their_results_keep_the_order(tmp_path: Path) -> None:
    jobs = [Job(str(i), ["sh", "-c", f"sleep {0.6 - 0.2 * i}; echo {i}"], {"X": "1"}) for i in range(3)]
    assert [f.end for f in programs(tmp_path).run_all(jobs, 3)] == ["0", "1", "2"]


def test_the_middle_of_a_long_output_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.gpu_check.running.KEPT", 3)
    (tmp_path / "out").write_text("abcdefghij")
    assert shortened(tmp_path / "out") == "abc\n[4 characters left out]\nhij"


def test_rows_survive_a_line_that_was_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    rows.add(path, "a", x=float("nan"), y=1.5, z="µ")
    with path.open("a") as file:
        file.write('{"kind": "b", "x":')
    assert rows.read(path) == [{"kind": "a", "x": None, "y": 1.5, "z": "µ"}]
    assert rows.read(tmp_path / "none") == []


# --- the parts in turn ---


def check(
    monkeypatch: pytest.MonkeyPatch, out: Path, found: machine.Machine, chosen: list[Part], built: bool = True
) -> tuple[int, dict[str, Any]]:
    """Run the program with other parts; exit code and results."""
    outcome = Outcome(PASSED if built else FAILED, "textnn does not build")
    monkeypatch.setattr(machine, "probe", lambda device: found)
    monkeypatch.setattr(program, "PARTS", tuple(chosen))
    monkeypatch.setattr(program, "NAMES", [part.name for part in chosen])
    monkeypatch.setattr(program, "BUILD", replace(parts.BUILD, run=lambda setting, programs: outcome))
    code = program.main(["--out", str(out)])
    return code, json.loads((out / "results.json").read_text())["parts"]


def fine(setting: object, programs: Programs) -> Outcome:
    return Outcome(PASSED, "all is well", [{"kind": "copy", "MiB": 1, "TB/s": 2.0}])


def broken(setting: object, programs: Programs) -> Outcome:
    raise KeyError("a name")


def test_a_part_that_breaks_does_not_stop_the_next(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    chosen = [Part("one", "first", 5, broken), Part("two", "second", 5, fine)]
    code, found = check(monkeypatch, tmp_path, GPU, chosen)
    assert code == 1
    assert {name: part["state"] for name, part in found.items()} == {"build": PASSED, "one": FAILED, "two": PASSED}
    assert found["one"]["sentence"] == "the check itself broke: KeyError: 'a name'"
    assert "Traceback" in (tmp_path / "logs/one.log").read_text()
    text = (tmp_path / "page.md").read_text()
    assert "| two | passed | 0 of 5 | all is well |" in text
    assert "copy of 1 MiB" in text
    assert check(monkeypatch, tmp_path, GPU, chosen[1:])[0] == 0


def test_results_are_there_before_the_next_part_begins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def killed(setting: object, programs: Programs) -> Outcome:
        raise SystemExit(143)

    with pytest.raises(SystemExit):
        check(monkeypatch, tmp_path, GPU, [Part("one", "first", 5, fine), Part("two", "second", 5, killed)])
    assert list(json.loads((tmp_path / "results.json").read_text())["parts"]) == ["build", "one"]


def test_without_the_library_what_needs_none_still_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    chosen = [Part("one", "first", 5, fine), Part("two", "second", 5, fine, library=False)]
    code, found = check(monkeypatch, tmp_path, GPU, chosen, built=False)
    assert code == 1
    assert (found["one"]["state"], found["one"]["sentence"]) == (NOT_RUN, "textnn was not built")
    assert found["two"]["state"] == PASSED


def test_without_a_gpu_every_part_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    code, found = check(monkeypatch, tmp_path, NO_GPU, list(parts.PARTS))
    assert code == 1
    assert list(found) == ["info", "tests", "sanitizers", "ceilings", "speed", "profile"]
    assert {(part["state"], part["sentence"]) for part in found.values()} == {(NOT_RUN, "there is no GPU to run on")}


def test_the_command_ends_in_seconds_without_a_gpu(tmp_path: Path) -> None:
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "tools.gpu_check", "--parts", "info,speed", "--out", str(tmp_path)]
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=HANG, check=False)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    lines = [line.split(maxsplit=1) for line in ran.stdout.splitlines()[:2]]
    assert [name for name, _ in lines] == ["info", "speed"]
    assert all(words.startswith("not run: there is no GPU to run on: torch ") for _, words in lines), ran.stdout


def test_an_interrupted_check_ends_at_once_with_what_it_started(tmp_path: Path) -> None:
    command = [sys.executable, "-u", "-m", "tools.gpu_check", "--device", "cpu", "--parts", "tests", "--minutes", "80"]
    with subprocess.Popen(
        [*command, "--out", str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("tests ")
        children: list[str] = []
        while not children and process.poll() is None:
            time.sleep(0.1)
            tasks = Path(f"/proc/{process.pid}/task").glob("*/children")
            children = [child for task in tasks for child in task.read_text().split()]
        process.send_signal(signal.SIGTERM)
        assert process.wait(HANG) == 128 + signal.SIGTERM
    assert children
    assert not any(is_running(int(child)) for child in children)


def test_a_part_that_does_not_exist_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        program.main(["--parts", "info speeds"])
    assert ended.value.code == 2
    assert "there is no part speeds; the parts are info, tests, sanitizers" in capsys.readouterr().err


def test_all_parts_fit_into_the_minutes() -> None:
    limits = [part.limit for part in (parts.BUILD, *parts.PARTS)]
    assert sum(limits) <= 60 * program.MINUTES


def test_few_enough_files_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is lent for some minutes may give back no more than eight."""
    chosen = [replace(part, run=fine) for part in parts.PARTS]
    check(monkeypatch, tmp_path, GPU, chosen)
    for part in (parts.BUILD, *parts.PARTS):
        (tmp_path / "logs" / f"{part.log or part.name}.log").touch()
    assert sum(path.is_file() for path in tmp_path.rglob("*")) <= 8


@pytest.mark.slow
def test_the_check_tries_itself_out_on_the_cpu(tmp_path: Path) -> None:
    """Every program is run, on tiny sizes, and their rows reach the page."""
    chosen = ["info", "tests", "sanitizers", "ceilings", "speed"]
    code = program.main(["--device", "cpu", "--out", str(tmp_path), "--parts", " ".join(chosen), "--minutes", "80"])
    logs = "\n".join(path.read_text() for path in (tmp_path / "logs").glob("*.log"))
    # Nothing watches the cases here, so that part has to notice that there is no summary.
    results = json.loads((tmp_path / "results.json").read_text())
    states = {name: part["state"] for name, part in results["parts"].items()}
    assert states == {**dict.fromkeys(chosen, PASSED), "sanitizers": FAILED}, logs
    assert code == 1
    found = {row["kind"] for part in results["parts"].values() for row in part["rows"]}
    assert found == {"machine", "first", "test", "sanitizer", "copy", "product", "lstm", "text_conv"}
    text = (tmp_path / "page.md").read_text()
    assert "**T = 3, ragged, forward and backward**" in text
    assert "no summary" in text
    assert "figures mean nothing" in text


class Elsewhere(Setting):
    """A setting whose programs are one of the test's own."""

    def python(self, *arguments: object) -> list[str]:
        return [sys.executable, str(self.folder / "program.py"), *map(str, arguments)]


def test_a_measurement_that_breaks_is_named_and_the_others_are_made(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from tools.gpu_check import rows
record = Path(sys.argv[sys.argv.index("--record") + 1])
begun = [row["case"] for row in rows.read(record) if row["kind"] == "begin"]
for case in ("a", "b", "c", "d"):
    if case not in begun:
        rows.add(record, "begin", case=case)
        if case in "bd":
            sys.exit(case + ": illegal memory access")
        rows.add(record, "lstm", case=case)
rows.add(record, "left out", of="lstm", cases=["e", "f"])
""")
    outcome = parts.bench(Elsewhere(GPU, "cuda", tmp_path), programs(tmp_path), "lstm")
    assert (outcome.state, outcome.sentence) == (FAILED, "2 measured, 2 broken, 2 left out for lack of time")
    assert [(row["case"], row["message"]) for row in outcome.rows if row["kind"] == "broken"] == [
        ("b", "b: illegal memory access"),
        ("d", "d: illegal memory access"),
    ]


# --- the machine ---


def test_what_lacks_is_said() -> None:
    facts = {"torch": "2.11.0", "cuda": "13.0"}
    assert machine.lack_of({**facts, "cuda": ""}, ROOT) == (
        "there is no GPU to run on: torch 2.11.0 is built without CUDA"
    )
    assert machine.lack_of(facts, ROOT) == "there is no GPU to run on: torch 2.11.0 finds none, or no driver"
    assert machine.lack_of({**facts, "device": "x"}, None).startswith("there is no CUDA toolkit to build with")
    assert machine.lack_of({**facts, "device": "x"}, ROOT) == ""


def test_a_python_without_torch_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "ASK", "import no_such_module")
    assert machine.probe("cuda").lack.endswith(
        "cannot use torch: ModuleNotFoundError: No module named 'no_such_module'"
    )
    monkeypatch.setattr(machine, "ASK", "import time; time.sleep(60)")
    assert machine.probe("cuda", 0.5).lack == "torch has not found out within 0 s whether there is a GPU"


def test_the_answer_of_nvidia_smi() -> None:
    found = machine.parse_driver("580.159.03, 345 MHz, 1980 MHz, 3201 MHz, 700.00 W, 31\n580, x\n")
    assert found["driver_version"] == "580.159.03"
    assert found["clocks.max.sm"] == "1980 MHz"
    assert machine.parse_driver("No devices were found") == {}


# --- the page ---


def test_the_page_shows_what_every_part_found() -> None:
    state = {"title": "t", "state": FAILED, "sentence": "a | b", "seconds": 3.0, "limit": 9.0, "rows": samples.ROWS}
    text = page.markdown({"parts": {"speed": state}})
    for words in (
        "| speed | failed | 3 of 9 | a \\| b |",
        "- driver_version: 580.1",
        "- `tests/test_a.py::test_b[c]` failed: 1 \\| 2",
        "| copy of 2048 MiB, read and written | 4.3 | TB/s |",
        "| barrier of the grid, 132 blocks, 256 threads each | 1.25 | µs |",
        "| 64, 128, float32 | 1.25 |  |  | 5 | 1.5 | 4 | 2e-03 | textnn, persistent: too small |",
        "| 64, 512, float32 | 4 | 20 | 12 | 3 | 2e-03 |",
        "| (512, ragged) | 50 | 200 | 300 | 4 | 1e-06 |",
        "| duration | 612,345 ns |",
        "- lstm: B 1; B 2",
        "- B 3: CUDA error: an illegal memory access",
    ):
        assert words in text, words
    assert "test_d" not in text


def test_the_targets_stand_beside_what_was_measured() -> None:
    lines = tables.targets(samples.ROWS).splitlines()[2:]
    assert [line.rsplit("|", 2)[1].strip() for line in lines] == [
        "0.75 to 1.25 (2 cases)",
        "–",
        "2.5 to 2.5 (1 cases) / 8 to 8 (1 cases)",
        "3 to 3 (1 cases)",
    ]
    assert all(line.endswith("| – |") for line in tables.targets([]).splitlines()[2:])


def test_results_go_into_the_page_of_the_kernels(tmp_path: Path) -> None:
    target, results = tmp_path / "cuda.md", tmp_path / "results.json"
    target.write_text((ROOT / "docs/cuda.md").read_text())
    part = {"title": "t", "state": PASSED, "sentence": "s", "seconds": 1.0, "limit": 2.0, "rows": samples.ROWS}
    results.write_text(json.dumps({"when": "2026-01-01", "machine": {}, "parts": {"speed": part}}))
    for _ in range(2):  # a second time in the place of the first
        assert program.main(["--from-results", str(results), "--page", str(target)]) == 0
    text = target.read_text()
    assert text.count("0.75 to 1.25 (2 cases)") == text.count("2026-01-01") == 1
    target.write_text("no place")
    assert program.main(["--from-results", str(results), "--page", str(target)]) == 1
