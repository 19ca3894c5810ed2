"""Platforms on which the kernels do not build are refused in a sentence, before anything is compiled."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tools.platforms import refusal

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("machine", ["x86_64", "aarch64", "AMD64"])
def test_linux_is_taken(machine: str) -> None:
    assert refusal("linux", machine) is None


@pytest.mark.parametrize(
    ("system", "machine", "advice"),
    [("win32", "AMD64", "WSL 2"), ("darwin", "arm64", "a Linux container"), ("linux", "riscv64", "such a machine")],
)
def test_others_get_a_sentence_with_the_way_out(system: str, machine: str, advice: str) -> None:
    said = refusal(system, machine)
    assert said is not None
    assert f"this is {system} on {machine}: " in said
    assert advice in said.partition(machine)[2]


def test_setup_stops_with_the_sentence() -> None:
    program = (
        "import platform, runpy, sys\n"
        "platform.machine = lambda: 'riscv64'\n"
        "sys.argv = ['setup.py', '-q', 'build_ext', '--dry-run']\n"
        "runpy.run_path('setup.py', run_name='__main__')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == refusal("linux", "riscv64"), done.stderr
