"""The example of docs/language.md runs, and says what its comments say."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

PAGE = Path(__file__).parents[1] / "docs/language.md"


def test_the_example_of_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    small = program.replace("random_state=0", "random_state=0, hidden_size=64, embedding_dim=32, verbose=0")
    assert small != program
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            exec(small, names)
    finally:
        torch.set_num_threads(threads)
    model, verses = names["model"], names["verses"]
    assert capsys.readouterr().out == model.generate("春", seed=1)
    assert "春" + model.generate("春", beam=8) in verses
    good, bad = model.score_texts(["春风来去。", "来春去风。"])
    assert good > bad + 3
    assert model.next_tokens("春", top=1)[0][0] == "风"
