"""Threads of a Scorer: never more than the process was given; and pyarrow, which nothing else of the package needs."""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

pytest.importorskip("pyarrow")

import textnn
from textnn.batch import threads


@pytest.fixture
def eight(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A process that may use eight CPUs, and whose torch has as many threads."""
    monkeypatch.setattr(threads, "usable_cpus", lambda: 8)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delitem(sys.modules, "ray", raising=False)
    return monkeypatch


def ray_with(mode: int, resources: dict[str, float]) -> Any:
    context = SimpleNamespace(worker=SimpleNamespace(mode=mode), get_assigned_resources=lambda: resources)
    return SimpleNamespace(WORKER_MODE=1, is_initialized=lambda: True, get_runtime_context=lambda: context)


@pytest.mark.parametrize(
    ("asked", "quota", "openmp", "expected"),
    [
        (None, 8, None, 8),
        (3, 8, None, 3),
        (64, 8, None, 8),
        (None, 2, None, 2),
        (3, 2, "4", 2),
        (None, 8, "4", 4),
        (None, 8, "4,2", 4),
        (None, 8, "none", 8),
        (None, 8, "0", 8),
    ],
)
def test_the_least_limit_counts(
    eight: pytest.MonkeyPatch, asked: int | None, quota: int, openmp: str | None, expected: int
) -> None:
    eight.setattr(threads, "usable_cpus", lambda: quota)
    if openmp is not None:
        eight.setenv("OMP_NUM_THREADS", openmp)
    assert threads.granted_threads(asked) == expected


@pytest.mark.parametrize(
    ("mode", "resources", "expected"),
    [(1, {"CPU": 2.0}, 2), (1, {"CPU": 0.5}, 1), (1, {"CPU": 1.5}, 1), (1, {"GPU": 1.0}, 1), (0, {"CPU": 2.0}, 8)],
)
def test_an_actor_of_ray_has_the_cpus_that_it_was_given(
    eight: pytest.MonkeyPatch, mode: int, resources: dict[str, float], expected: int
) -> None:
    eight.setitem(sys.modules, "ray", ray_with(mode, resources))
    assert threads.granted_threads() == expected


def test_torch_has_as_many_threads_as_before_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "granted_threads", lambda most: most)
    before = torch.get_num_threads()
    with threads.limited_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_the_package_and_its_command_line_load_no_arrow() -> None:
    code = "import sys, textnn, _textnn_cli; assert not {'pyarrow', 'ray', 'textnn.batch'} & set(sys.modules)"
    environment = {"PYTHONPATH": str(Path(textnn.__file__).parent.parent), "PATH": ""}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def test_without_arrow_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pyarrow" else find(name))
    monkeypatch.delitem(sys.modules, "textnn.batch")
    with pytest.raises(ImportError, match=r"^textnn\.batch needs pyarrow: pip install pyarrow$"):
        importlib.import_module("textnn.batch")
