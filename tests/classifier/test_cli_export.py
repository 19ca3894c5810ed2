"""textnn export: what the command writes, and how it fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import run

from textnn import SentimentClassifier

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("arguments", "file"), [((), "model.onnx"), (("--format", "torch"), "model.pt2")])
def test_it_exports_a_saved_model(model: Path, tmp_path: Path, arguments: tuple[str, ...], file: str) -> None:
    if file == "model.onnx":
        pytest.importorskip("onnxscript")
    done = run("export", model, "-o", tmp_path / "exported", *arguments)
    assert done.exit_code == 0, done.output
    settings = json.loads((tmp_path / "exported" / "preprocessing.json").read_text())
    assert settings["program"]["file"] == file
    assert (tmp_path / "exported" / file).exists()


def test_tables_are_a_choice(model: Path, tmp_path: Path) -> None:
    sizes = []
    for option in ("--tables", "--no-tables"):
        done = run("export", model, "-o", tmp_path / option, "--format", "torch", option)
        assert done.exit_code == 0, done.output
        sizes.append((tmp_path / option / "model.pt2").stat().st_size)
    assert sizes[0] > sizes[1]


def test_wrong_usage_ends_with_2_and_writes_nothing(model: Path, tmp_path: Path) -> None:
    done = run("export", model, "-o", tmp_path / "exported", "--format", "onxx")
    assert (done.exit_code, "did you mean 'onnx'" in done.output) == (2, True)
    done = run("export", model, "-o", model)
    assert (done.exit_code, "an earlier export" in done.output) == (2, True)
    assert not (tmp_path / "exported").exists()


def test_options_are_refused_before_the_model_is_loaded(tmp_path: Path) -> None:
    done = run("export", tmp_path / "no model", "-o", tmp_path / "exported", "--format", "tf")
    assert (done.exit_code, done.stderr) == (2, "error: --format: expected one of 'onnx', 'torch', got 'tf'\n")
    (tmp_path / "file").write_text("mine")
    done = run("export", tmp_path / "no model", "-o", tmp_path / "file")
    assert (done.exit_code, "--output: expected a directory to export to, got the file" in done.stderr) == (2, True)


def test_a_directory_that_cannot_be_made_is_named(model: Path, fitted: SentimentClassifier) -> None:
    if not Path("/proc/self").exists():
        pytest.skip("a directory in which nothing can be made is needed")
    done = run("export", model, "-o", "/proc/exported", "--format", "torch")
    assert (done.exit_code, "error: /proc/exported: cannot be written: " in done.stderr) == (1, True)
    with pytest.raises(OSError, match=r"'/proc/exported'$"):
        fitted.export("torch", "/proc/exported")


def test_missing_packages_end_with_1(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise ImportError("an export to ONNX needs onnx: pip install onnx")

    monkeypatch.setattr("textnn.export.onnx.check_packages", fail)
    done = run("export", model, "-o", tmp_path / "exported")
    assert (done.exit_code, "pip install onnx" in done.output) == (1, True)
