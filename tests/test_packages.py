"""Messages about packages that are not installed: each can be acted on by pasting its end."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from waiting import HANG

from textnn import packages

ROOT = Path(__file__).parents[1]


def extra(name: str) -> set[str]:
    """The packages that an extra of this package installs."""
    rows = importlib.metadata.requires("textnn") or []
    return {re.split(r"[^\w-]", row)[0] for row in rows if re.search(rf"extra == .{name}\W", row)}


@pytest.mark.parametrize("name", ["plots", "serve", "export", "translate", "batch"])
def test_what_a_part_asks_for_is_what_its_extra_installs(name: str) -> None:
    assert set(getattr(packages, name.upper())) == extra(name)


def test_the_extra_of_ray_installs_what_its_engine_asks_for() -> None:
    assert {name.partition("[")[0] for name in (*packages.BATCH, *packages.RAY)} == extra("ray")


@pytest.mark.slow
def test_plain_dependencies_do_the_main_job_and_what_is_missing_is_one_sentence(tmp_path: Path) -> None:
    rows = importlib.metadata.requires("textnn") or []
    plain = [re.split(r"[^\w.-]", row)[0] for row in rows if "extra ==" not in row]
    assert "torch" in plain
    command = [sys.executable, str(Path(__file__).with_name("plain_install.py")), str(tmp_path), *plain]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=HANG)
    assert done.returncode == 0, done.stderr
    missed = set(re.findall(r"\w+", done.stdout))
    assert {"fastapi", "matplotlib", "onnx", "pyarrow", "sacrebleu"} <= missed, done.stdout


def test_all_that_is_missing_is_named_by_the_names_of_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    packages.need(packages.SERVE, "serving needs")
    absent = ("limits", "prometheus_client")
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in absent else find(name))
    with pytest.raises(
        ImportError, match=r"^serving needs prometheus-client, limits: pip install prometheus-client limits$"
    ):
        packages.need(packages.SERVE, "serving needs")


def test_a_package_with_extras_of_its_own_is_found_and_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(importlib.util, "find_spec", asked.append)
    with pytest.raises(ImportError, match=r"^it needs ray\[data\]: pip install 'ray\[data\]'$"):
        packages.need(packages.RAY, "it needs")
    assert asked == ["ray"]


def test_no_text_says_to_install_this_package_from_a_registry() -> None:
    """It is on none, where anybody might register its name."""
    files = [path for folder in ("textnn", "_textnn_cli", "docs") for path in (ROOT / folder).rglob("*.*")]
    texts = {path: path.read_text(encoding="utf-8") for path in files if path.suffix in (".py", ".md", ".html", ".js")}
    assert len(texts) > 100
    assert [str(path) for path, text in texts.items() if re.search(r"pip install[^\n]*\btextnn\b", text)] == []
