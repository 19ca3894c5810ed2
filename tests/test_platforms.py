"""Platforms on which the kernels do not build get a sentence that names the way out."""

from __future__ import annotations

import os
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


# As setup.py sees another machine; what Python's own build tools ask of this one has been asked before.
ELSEWHERE = """
import setuptools, distutils.sysconfig, platform, runpy, sys, sysconfig
import torch.utils.cpp_extension
sys.path.insert(0, "")
import tools.platforms
sysconfig.get_config_vars(), distutils.sysconfig.get_config_vars()
sys.platform, machine, folder = sys.argv[1:]
platform.machine = lambda: machine
sys.argv = ["setup.py", "-q", "build_ext", "--build-lib", folder]
runpy.run_path("setup.py", run_name="__main__")
"""


@pytest.mark.parametrize(("system", "machine"), [("win32", "AMD64"), ("darwin", "arm64")])
def test_setup_ends_with_that_sentence(system: str, machine: str, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", ELSEWHERE, system, machine, str(tmp_path)]
    environment = {**os.environ, "TEXTNN_CUDA": "0"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == refusal(system, machine)
    assert not list(tmp_path.iterdir())
