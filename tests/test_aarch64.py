"""tools/aarch64.py: what is missing for the tests on another processor is named, with the command that brings it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tools import aarch64, aarch64_loops


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


DISASSEMBLY = """
0000000000000000 <void textnn::cpu::base::Kernel<float>::tile<4>(long)>:
   0:	mov     x0, x1
   4:	ldr     q0, [x0]
   8:	fmla    v1.4s, v0.4s, v2.s[0]
   c:	ldr     q3, [sp, #16]
  10:	fmla    v3.4s, v0.4s, v2.s[1]
  14:	str     q3, [sp, #16]
  18:	ldr     x3, [sp, #8]
  1c:	b.ne    4 <void textnn::cpu::base::Kernel<float>::tile<4>(long)+0x4>  // b.any
  20:	bl      80 <memcpy>
  24:	cbnz    x4, 0 <void textnn::cpu::base::Kernel<float>::tile<4>(long)>
  28:	b.eq    30 <void textnn::cpu::base::Kernel<float>::tile<4>(long)+0x30>

0000000000000030 <textnn::cpu::dotprod::Bytes::tile(textnn::cpu::base::Rows const&)>:
  30:	sdot    v1.4s, v0.16b, v2.16b
  34:	bl      80 <memcpy>
  38:	b.lt    30 <textnn::cpu::dotprod::Bytes::tile(textnn::cpu::base::Rows const&)>
"""


def test_the_innermost_loops_of_a_disassembly() -> None:
    assert list(aarch64_loops.loops(DISASSEMBLY.splitlines())) == [
        aarch64_loops.Loop("Kernel<float>::tile<4>(long)", products=2, instructions=7, spills=2, calls=0),
        aarch64_loops.Loop("Bytes::tile(textnn::cpu::base::Rows const&)", 1, 3, 0, 1),
    ]
