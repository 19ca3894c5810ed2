"""tools/gpu_check: tests that hang, crash or never end, in processes of their own whose results are kept."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import gpu_check_samples as samples
import pytest
from waiting import HANG

from tools.gpu_check import recorder, rows, suite
from tools.gpu_check.machine import Machine
from tools.gpu_check.running import ROOT, Programs
from tools.gpu_check.setting import CUT, FAILED, PASSED, Setting

pytestmark = pytest.mark.slow

TESTS = """
import os, time, pytest

def test_passes(): pass
def test_fails(): assert 1 == 2, "one is not two"
@pytest.mark.skip(reason="not here")
def test_is_skipped(): pass
def test_crashes(): os.abort()
def test_after_the_crash(): pass
def test_hangs():
    import faulthandler
    faulthandler.limit_begins()
    time.sleep(10000)
def test_last(): pass
@pytest.fixture
def bad(): raise OSError("no fixture")
def test_has_a_bad_fixture(bad): pass
"""


# The limit of a test begins where the one that hangs says so: on a busy machine the others may take as long as they do.
LIMIT = """
import faulthandler
later = faulthandler.dump_traceback_later

def keep(*arguments, **options):
    faulthandler.limit_begins = lambda: later(*arguments, **options)

faulthandler.dump_traceback_later = keep
"""


@dataclass(frozen=True)
class Elsewhere(Setting):
    """A setting whose pytest runs a file of a temporary folder."""

    def python(self, *arguments: object) -> list[str]:
        kept = [str(a) for a in arguments if a not in ("--device", self.device)]
        kept = [str(self.folder / Path(a).name) if a.startswith("tests/") else a for a in kept]
        return [sys.executable, *kept, "-c", str(self.folder / "pytest.ini"), "--rootdir", str(self.folder)]


@pytest.fixture
def setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Elsewhere:
    monkeypatch.setattr(suite, "TEST_LIMIT", 0.2)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "conftest.py").write_text(LIMIT)
    return Elsewhere(Machine("", cores=2), "cuda", tmp_path)


def programs(folder: Path, seconds: float = HANG) -> Programs:
    return Programs(folder / "log", folder, time.monotonic() + seconds)


def test_a_test_that_crashes_or_hangs_takes_no_other_with_it(setting: Elsewhere) -> None:
    (setting.folder / "test_all.py").write_text(TESTS)
    trouble = suite.run_share("0/1", ["test_all"], setting, programs(setting.folder))
    found = recorder.results(suite.record_of(0, setting))
    outcomes = {test.partition("::")[2]: result["outcome"] for test, result in found.items()}
    assert outcomes == {
        "test_passes": "passed",
        "test_fails": "failed",
        "test_is_skipped": "skipped",
        "test_crashes": "crashed",
        "test_after_the_crash": "passed",
        "test_hangs": "crashed",
        "test_last": "passed",
        "test_has_a_bad_fixture": "failed",
    }, (setting.folder / "log").read_text()
    assert trouble == ""
    messages = " ".join(str(result["message"]) for result in found.values())
    assert "one is not two" in messages
    assert "no fixture" in messages
    assert "in test_hangs" in (setting.folder / "tests-0.trace").read_text(), "where it hung"


def test_a_file_that_cannot_be_imported_is_no_success(setting: Elsewhere) -> None:
    (setting.folder / "test_all.py").write_text("import no_such_module\n")
    trouble = suite.run_share("0/1", ["test_all"], setting, programs(setting.folder))
    assert trouble.endswith("(exit code 2)"), trouble


def test_what_ran_before_the_limit_is_kept(setting: Elsewhere, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "import time\ndef test_first(): pass\ndef test_slow(): time.sleep(10000)\ndef test_last(): pass\n"
    (setting.folder / "test_all.py").write_text(text)
    samples.limits_wait_for(lambda: recorder.begun(suite.record_of(0, setting)) == 2, monkeypatch)
    assert suite.run_share("0/1", ["test_all"], setting, programs(setting.folder)) == "ended by the time limit"
    found = recorder.results(suite.record_of(0, setting))
    assert [result["outcome"] for result in found.values()] == ["passed", "crashed", "not begun"]


def test_a_context_that_is_lost_ends_the_process(tmp_path: Path) -> None:
    """As every further test would fail with it; who runs the file starts another process."""
    (tmp_path / "test_all.py").write_text("def test_a(): assert False\ndef test_b(): pass\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "lost.py").write_text(
        "from tools.gpu_check import recorder\nrecorder.device_is_lost = lambda: True\n", encoding="utf-8"
    )
    options = ["-p", "tools.gpu_check.recorder", "-p", "lost", "--record", tmp_path / "r", "--rootdir", tmp_path]
    command = [sys.executable, "-m", "pytest", *options, "-c", tmp_path / "pytest.ini", tmp_path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])}
    ran = subprocess.run([*map(str, command)], env=environment, capture_output=True, text=True, check=False)
    found = rows.read(tmp_path / "r")
    assert [row["kind"] for row in found] == ["planned", "begin", "end", "lost"], ran.stdout + ran.stderr
    assert ran.returncode == 3
    assert not recorder.is_finished(tmp_path / "r")


def result(outcome: str) -> rows.Row:
    return {"kind": "test", "test": "t", "outcome": outcome, "seconds": 1.0, "message": ""}


@pytest.mark.parametrize(
    ("outcomes", "troubles", "state", "sentence"),
    [
        (["passed", "skipped"], [], PASSED, "1 passed, 1 skipped"),
        (["passed", "failed"], [], FAILED, "1 passed, 1 failed"),
        (["passed", "crashed"], [], FAILED, "1 passed, 1 crashed"),
        (
            ["passed", "not begun"],
            [suite.LATE] * 2,
            CUT,
            "1 passed, 1 not begun; processes 2 x ended by the time limit",
        ),
        (["passed"], ["no pytest"], FAILED, "1 passed; processes 1 x no pytest"),
        ([], [], FAILED, "0 passed"),
    ],
)
def test_what_the_tests_come_to(outcomes: list[str], troubles: list[str], state: str, sentence: str) -> None:
    found = suite.verdict([result(outcome) for outcome in outcomes], troubles)
    assert (found.state, found.sentence) == (state, sentence)


def test_all_tests_are_run_once_by_all_processes_together(setting: Elsewhere, monkeypatch: pytest.MonkeyPatch) -> None:
    (setting.folder / "test_all.py").write_text("".join(f"def test_{i}(): pass\n" for i in range(5)))
    monkeypatch.setattr(suite, "files", lambda device: ["test_all"])
    outcome = suite.tests(setting, programs(setting.folder))
    assert (outcome.state, outcome.sentence) == (PASSED, "5 passed"), (setting.folder / "log").read_text()
    assert len({row["test"] for row in outcome.rows}) == 5
    assert all(recorder.begun(suite.record_of(i, setting)) in (2, 3) for i in range(2)), "two cores, two processes"


def test_all_files_of_the_operators_are_run() -> None:
    names = runpy.run_path(str(ROOT / "tests/operator_tests.py"))["OPERATOR_TESTS"]
    assert sorted(suite.files("cuda")) == sorted(names)
    assert all((ROOT / f"tests/{name}.py").exists() for name in names)
