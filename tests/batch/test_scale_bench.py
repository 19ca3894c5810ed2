"""``python -m bench.scale``: a small run writes its figures into a page."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")

from bench import scale

pytestmark = pytest.mark.slow


def test_a_small_run_writes_its_figures(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "scale.md"
    page.write_text(f"before\n{scale.BEGIN}\nold\n{scale.END}\nbehind\n", encoding="utf-8")
    monkeypatch.setattr(scale, "PAGE", page)
    monkeypatch.setattr(scale, "RESULTS", tmp_path / "results")
    monkeypatch.setenv("PYTHONPATH", str(Path(scale.__file__).parents[1]))
    sizes = ["--rows", "160", "--rounds", "1", "--workers", "1", "2", "--memory-rows", "40000"]
    monkeypatch.setattr(sys, "argv", ["scale", "--model", str(model), *sizes, "--page"])
    scale.main()
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"before\n{scale.BEGIN}\n160 texts of ")
    assert [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| ")] == [
        "| way",
        "| ---",
        "| CSV, one process",
        "| Parquet, --workers 1",
        "| Parquet, --workers 2",
    ]
    assert "One file of 40,000 rows in one process: " in text
    assert (tmp_path / "results/scale.json").exists()


def test_texts_are_different_and_of_a_file(tmp_path: Path) -> None:
    assert list(scale.numbered(["a", "b"], range(5, 8))) == ["a 5", "b 6", "a 7"]
    (tmp_path / "in.csv").write_text("text,label\ngood,1\nbad,0\n", encoding="utf-8")
    assert scale.source_texts(str(tmp_path / "in.csv")) == ["good", "bad"]
