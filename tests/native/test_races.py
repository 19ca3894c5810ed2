"""Barriers, shared work and workspaces under the thread sanitizer, which knows which accesses are ordered, and by what.

A processor of x86 orders more than the program asks for, one of ARM does not; the sanitizer goes by the program. Each
order that is taken away from it has to be missed.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import build
import pytest
from conftest import FLAVOUR

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(FLAVOUR == "sanitized", reason="has a sanitizer of its own"),
]
SOURCES = ("tests/native/races.cpp", "tests/native/probes.cpp", "tests/native/pools.cpp", "csrc/cpu/workspace.cpp")
HEADERS = ("tests/native/probes.h", "tests/native/pools.h")
HEADERS += tuple(f"csrc/cpu/{name}.h" for name in ("parallel", "flush_subnormals", "workspace"))
# file, statement, the same without its order
UNORDERED = {
    "arriving at a barrier": (
        "csrc/cpu/parallel.h",
        "waiting_.fetch_add(1, std::memory_order_acq_rel)",
        "waiting_.fetch_add(1, std::memory_order_relaxed)",
    ),
    "opening a barrier": (
        "csrc/cpu/parallel.h",
        "generation_.store(generation + 1, std::memory_order_release)",
        "generation_.store(generation + 1, std::memory_order_relaxed)",
    ),
    "leaving a barrier": (
        "csrc/cpu/parallel.h",
        "return generation_.load(std::memory_order_acquire) != generation;",
        "return generation_.load(std::memory_order_relaxed) != generation;",
    ),
    "giving a slot back": (
        "csrc/cpu/workspace.cpp",
        "slot.busy.clear(std::memory_order_release);",
        "slot.busy.clear(std::memory_order_relaxed);",
    ),
    "taking hold of a slot": (
        "csrc/cpu/workspace.cpp",
        "slot.busy.test_and_set(std::memory_order_acquire)",
        "slot.busy.test_and_set(std::memory_order_relaxed)",
    ),
}


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    """Compile the program of this folder and run it; skips the test where the sanitizer does not run."""
    if lack := build.missing():
        pytest.skip(lack)
    program = folder / "races"
    command = [str(build.compiler()), "-std=c++17", "-O1", "-g1", "-pthread", "-fsanitize=thread", *build.WARNINGS]
    made = subprocess.run(
        [*command, *SOURCES, "-o", str(program)], cwd=folder, capture_output=True, text=True, check=False
    )
    if "cannot find" in made.stderr:
        pytest.skip("the compiler has no thread sanitizer")
    assert made.returncode == 0, made.stderr
    done = subprocess.run([str(program)], capture_output=True, text=True, check=False)
    if "FATAL: ThreadSanitizer" in done.stderr:
        pytest.skip(done.stderr.strip().splitlines()[0])
    return done


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of what the program is made of."""
    for name in SOURCES + HEADERS:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(build.ROOT / name, tmp_path / name)
    return tmp_path


def test_every_access_is_ordered(folder: Path) -> None:
    done = run(folder)
    assert done.returncode == 0, done.stderr[:4000]
    assert done.stdout == "0 errors\n"


@pytest.mark.parametrize("missing", UNORDERED)
def test_an_order_that_is_missing_is_noticed(folder: Path, missing: str) -> None:
    name, ordered, unordered = UNORDERED[missing]
    text = (folder / name).read_text()
    assert ordered in text
    (folder / name).write_text(text.replace(ordered, unordered))
    assert "WARNING: ThreadSanitizer: data race" in run(folder).stderr
