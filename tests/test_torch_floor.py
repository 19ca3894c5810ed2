"""The oldest torch that textnn runs on: one statement, and everything that repeats it agrees."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools.torch_floor import PYPROJECT, target_define, torch_floor

ROOT = Path(__file__).parents[1]
FLOOR = "{}.{}".format(*torch_floor())


def test_the_compiler_gets_the_release_of_the_dependencies() -> None:
    major, minor = torch_floor()
    define = re.fullmatch(r"-DTORCH_TARGET_VERSION=0x(\w\w)(\w\w)0{12}", target_define())
    assert define is not None
    assert (int(define[1], 16), int(define[2], 16)) == (major, minor)
    assert "target_define()" in (ROOT / "setup.py").read_text()


def test_every_torch_that_pyproject_asks_for_is_this_release_or_later() -> None:
    named = re.findall(r'"torch([^"]*)"', PYPROJECT.read_text())
    assert named == [f">={FLOOR}"] * 2, "one of the build, one of the package"


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md", "docs/cuda.md", "CHANGELOG.md"])
def test_pages_name_no_other_release(name: str) -> None:
    """Figures name the torch that they were measured with; what can be installed is said in these two forms."""
    text = (ROOT / name).read_text(encoding="utf-8")
    found = re.findall(r"torch>=(\d+\.\d+)", text) + re.findall(r"torch \(?(\d+\.\d+) (?:or later|及以上)", text)
    assert set(found) == {FLOOR}, found


@pytest.mark.parametrize("text", ["", 'dependencies = ["torch>=2.10"]', '[x]\ndependencies = [\n    "torch",\n]\n'])
def test_a_file_without_the_line_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r'hold no line "torch>=MAJOR\.MINOR"'):
        torch_floor(path)


def test_only_the_line_of_the_dependencies_counts(tmp_path: Path) -> None:
    path = tmp_path / "pyproject.toml"
    build = '[build-system]\nrequires = ["torch>=2.99"]\n'
    path.write_text(f'{build}[project]\ndependencies = [\n    "numpy",\n    "torch>=3.1",\n]\nx = "torch>=2.98"\n')
    assert torch_floor(path) == (3, 1)
