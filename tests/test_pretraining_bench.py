"""bench.pretraining: texts are divided without overlap, results are kept and gone on with, the table shows gains."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from bench import harness
from bench.pretraining import __main__ as command
from bench.pretraining import contestants, corpora, page

pytestmark = pytest.mark.slow


def write(path: Path, count: int = 120) -> Path:
    source = random.Random(0)
    rows = []
    for number in range(count):
        label = number % 2
        rows.append(f"{label},{'好' if label else '差'}{''.join(source.choices('房间物流价格书服务', k=6))}{number}\n")
    path.write_text("label,review\n" + "".join(rows), encoding="utf-8")
    return path


def test_no_draw_has_a_text_of_the_test_part(tmp_path: Path) -> None:
    pool, test = corpora.divide(write(tmp_path / "reviews.csv"))
    assert (len(pool), len(test)) == (108, 12)
    draws = [corpora.draw(pool, test, 18, number) for number in range(3)]
    for split in draws:
        known = {*split.training.texts, *split.validation.texts}
        assert len(known) == 18
        assert not known & {*split.test.texts}
        assert known <= {*pool.texts}
        assert split.test is test
    assert len({split.training.texts[0] for split in draws}) > 1
    whole = corpora.draw(pool, test, None, 0)
    assert {*whole.training.texts, *whole.validation.texts} == {*pool.texts}


def test_what_is_there_is_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(command, "PAGE", tmp_path / "page.md")
    calls: list[tuple[str, int]] = []

    def contestant(name: str) -> Any:
        def run(split: Any, number: int, model: Path) -> dict[str, Any]:
            calls.append((name, number))
            return {"accuracy": 0.9 if name == contestants.JOINT else 0.8 + 0.01 * number, "seconds": 2.0}

        return run

    monkeypatch.setattr(command, "CONTESTANTS", {name: contestant(name) for name in contestants.CONTESTANTS})
    with pytest.raises(SystemExit, match="--model: expected the directory of a saved language model"):
        command.run([str(write(tmp_path / "reviews.csv")), "--model", str(tmp_path)])
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    words = [str(write(tmp_path / "reviews.csv")), "--model", str(tmp_path), "--sizes", "18", "all"]
    command.run([*words, "--draws", "1"])
    command.run([*words, "--draws", "2"])
    assert len(calls) == len(set(calls)) * 2 == 16  # two sizes
    command.run([*words[:4], "18", "--draws", "1", "--limit", "60"])
    assert len(calls) == 20, "of fewer texts it is another run, which the page does not show"
    (tmp_path / "config.json").write_text('{"seed": 1}', encoding="utf-8")
    command.run([*words, "--draws", "2", "--only", contestants.TFIDF, contestants.DEFAULT])
    assert len(calls) == 20, "these have no language model"
    command.run([*words[:4], "18", "--draws", "2"])
    assert len(calls) == 24, "with another language model it is another run"
    (tmp_path / "page.md").write_text("<!-- bench/pretraining -->\n<!-- end -->\n", encoding="utf-8")
    command.run(["--page"])
    written = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert f"| 18 | {contestants.JOINT} over {contestants.DEFAULT} | 2 | +9.50 | 0.71 | 2 of 2 |" in written
    assert len(json.loads((tmp_path / "results" / "pretraining.json").read_text(encoding="utf-8"))["rows"]) == 24


def test_rows_of_older_files_are_those_of_all_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "RESULTS", tmp_path)
    rows = [
        {"name": name, "size": 18, "draw": 0, "accuracy": 0.5, "seconds": 1.0, **more}
        for name in contestants.CONTESTANTS
        for more in ({}, {"limit": 60, "accuracy": 0.9, "model": None})
    ]
    harness.keep("pretraining", rows)
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    command.run([str(write(tmp_path / "reviews.csv")), "--model", str(tmp_path), "--sizes", "18", "--draws", "1"])
    assert (harness.kept("pretraining") or {})["rows"] == rows, "nothing was run"
    written = page.table({"machine": {}, "rows": rows})
    assert "50.00 (1 draw)" in written
    assert "90.00" not in written


def test_a_size_that_one_side_has_not_run_has_no_gain() -> None:
    row = {"size": 500, "draw": 0, "accuracy": 0.5, "seconds": 1.0}
    written = page.table({"machine": {}, "rows": [{**row, "name": contestants.DEFAULT}]})
    assert "50.00 (1 draw)" in written
    assert "over" not in written


@pytest.mark.parametrize("name", list(contestants.CONTESTANTS))
def test_each_contestant_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = {"level": "char", "epochs": 1, "embedding_dim": 4, "hidden_size": 6, "verbose": 0}
    monkeypatch.setattr(contestants, "LANGUAGE_MODEL", quick)
    pool, test = corpora.divide(write(tmp_path / "reviews.csv"))
    contestants.train_language_model(pool, tmp_path / "model")
    found = contestants.CONTESTANTS[name](corpora.draw(pool, test, 40, 0), 0, tmp_path / "model")
    assert 0 <= found["accuracy"] <= 1
    assert found["seconds"] > 0
