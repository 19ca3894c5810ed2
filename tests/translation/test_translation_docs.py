"""The example of docs/translation.md runs, and says what its comments say."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs/translation.md"


def test_the_example_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sacrebleu")
    pytest.importorskip("matplotlib")
    (program,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    small = "hidden_size=32, embedding_dim=16, epochs=60, batch_size=8, learning_rate=0.01, verbose=0"
    changed = program.replace("random_state=0", f"random_state=0, {small}")
    assert changed != program
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message="no known font has")
        exec(changed, names)
    (said,) = re.findall(r"# (\[.*\]), by a beam of 5", program)
    assert names["translator"].predict(["You sleep.", "Tom run away."]) == eval(said)
    assert names["translator"].score(names["X"], names["y"]) == pytest.approx(100)
    assert (tmp_path / "alignment.png").stat().st_size > 1000
