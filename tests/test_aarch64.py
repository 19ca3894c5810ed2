"""tools/aarch64.py: what is missing for the tests on another processor is named, with the command that brings it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tools import aarch64


def test_what_is_missing_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(aarch64, "FOLDER", tmp_path / "aarch64")
    monkeypatch.setattr(shutil, "which", lambda name, path="": None if "aarch64" in name else f"/usr/bin/{name}")
    said = aarch64.missing()
    assert said == (
        "the tests of aarch64 need aarch64-linux-gnu-g++, qemu-aarch64: "
        "on Debian apt-get install g++-aarch64-linux-gnu qemu-user ninja-build"
    )
    with pytest.raises(SystemExit, match="the tests of aarch64 need"):
        aarch64.main(["test"])
    assert not (tmp_path / "aarch64").exists()


def test_both_processors_run_and_one_that_fails_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def run(command: list[Any], env: dict[str, str], **_: Any) -> subprocess.CompletedProcess[str]:
        calls.append((env["QEMU_CPU"], [str(part) for part in command if "tests/" in str(part)]))
        return subprocess.CompletedProcess(command, int(env["QEMU_CPU"] == "max"))

    monkeypatch.setattr(aarch64, "set_up", lambda: Path("python"))
    monkeypatch.setattr(subprocess, "run", run)
    assert aarch64.main(["test"]) == 1
    assert [processor for processor, _ in calls] == ["max", "cortex-a72"]
    assert calls[1][1] == ["--confcutdir=tests/native", *aarch64.NEON_ALONE[1:]]
    monkeypatch.setenv("QEMU_CPU", "neoverse-n1")
    assert aarch64.main(["test", "tests/native/test_math.py"]) == 0
    assert calls[2] == ("neoverse-n1", ["--confcutdir=tests/native", "tests/native/test_math.py"])


def test_other_arguments_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert aarch64.main(["tests"]) == 2
    assert "expected test or python" in capsys.readouterr().err
