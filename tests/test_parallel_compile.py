"""tools/parallel_compile: files side by side without ninja, compiled again only when something of them changes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from setuptools._distutils.ccompiler import new_compiler

from tools.parallel_compile import side_by_side

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAX_JOBS", "2")
    Path("common.h").write_text("#define ONE 1\n")
    for name in "abc":
        Path(f"{name}.c").write_text(f'#include "common.h"\nint {name}(void) {{ return ONE; }}\n')
    return ["a.c", "b.c", "c.c"]


def compile_all(sources: list[str], flags: list[str] | None = None) -> dict[str, Any]:
    """Compile, and return when each object was written."""
    compiler = new_compiler()
    objects = side_by_side(compiler)(sources, "out", extra_postargs=flags or [], depends=["common.h"])
    assert objects == [f"out/{Path(s).stem}.o" for s in sources]
    return {o: Path(o).stat().st_mtime_ns for o in objects}


def changed(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    return {Path(o).stem for o in before if before[o] != after[o]}


def test_only_what_changed_is_compiled_again(sources: list[str]) -> None:
    first = compile_all(sources)
    assert changed(first, again := compile_all(sources)) == set()
    Path("b.c").write_text("int b(void) { return 2; }\n")
    assert changed(again, second := compile_all(sources)) == {"b"}
    Path("common.h").write_text("#define ONE 3\n")
    assert changed(second, third := compile_all(sources)) == {"a", "b", "c"}
    assert changed(third, fourth := compile_all(sources, ["-O1"])) == {"a", "b", "c"}
    Path("out/c.o").unlink()
    assert changed(fourth, compile_all(sources, ["-O1"])) == {"c"}


def test_a_file_that_does_not_compile_is_named_and_tried_again(sources: list[str]) -> None:
    Path("b.c").write_text("int b(void) { return }\n")
    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"does not compile: b\.c"):
            compile_all(sources)
    Path("b.c").write_text("int b(void) { return 0; }\n")
    compile_all(sources)
