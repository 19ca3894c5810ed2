"""tools/suites.py: a suite that fails hides no other, and is not hidden by one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tools import suites

# In the place of pytest: exits with a status that its arguments name, and notes that it was called.
PROGRAM = """
import sys
with open(sys.argv[1], "a") as calls:
    print(*sys.argv[3:], file=calls)
sys.exit(int(sys.argv[2].split(",")[len(open(sys.argv[1]).readlines()) - 1]))
"""


@pytest.mark.parametrize(
    ("codes", "status", "words"),
    [
        ("0,0,0", 0, ["passed", "passed", "passed"]),
        ("1,0,0", 1, ["FAILED (exit status 1)", "passed", "passed"]),
        ("0,0,1", 1, ["passed", "passed", "FAILED (exit status 1)"]),
        ("5,0,2", 1, ["no tests", "passed", "FAILED (exit status 2)"]),
        ("5,5,5", 0, ["no tests", "no tests", "no tests"]),
    ],
)
def test_all_suites_run_and_each_result_is_shown(
    codes: str, status: int, words: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    calls = tmp_path / "calls"
    pytest_ = [sys.executable, "-c", PROGRAM, str(calls), codes]
    assert suites.run(["cpu", "emulated", "slow"], ["-k", "x"], pytest_) == status
    assert calls.read_text().splitlines() == ["-k x", "--device cuda-emulated -k x", "-m slow -k x"]
    shown = capfd.readouterr().out.split("--- tests ---\n")[1].splitlines()
    assert [line.split(",")[0] for line in shown] == [
        f"{name:10s}{word}" for name, word in zip(suites.SUITES, words, strict=True)
    ]


@pytest.mark.parametrize("given", [[], ["gpu"], ["--", "-q"]], ids=str)
def test_a_suite_that_does_not_exist_is_refused(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert suites.main(given) == 2
    assert "expected some of cpu, emulated, slow" in capsys.readouterr().err
