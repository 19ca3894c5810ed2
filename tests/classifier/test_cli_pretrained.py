"""``textnn train --pretrained``: the encoder of a saved language model, on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import run, write_csv

from textnn import LanguageModel, SentimentClassifier
from textnn.text import read_corpus

SMALL = ["--embedding-dim", "8", "--channels", "8", "--epochs", "2"]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A saved language model of reviews without labels."""
    texts = read_corpus(write_csv(tmp_path / "all.csv", 100, seed=1)).texts
    options = {"embedding_dim": 6, "hidden_size": 10, "epochs": 1, "batch_size": 4, "window": 8}
    LanguageModel(random_state=0, verbose=0, **options).fit(texts).save(tmp_path / "language-model")
    return tmp_path / "language-model"


@pytest.mark.parametrize(("architecture", "name"), [("tfidf-textcnn", "encoder_size"), ("lstm", "hidden_size")])
def test_it_begins_with_the_language_model_and_says_so(
    architecture: str, name: str, model: Path, tmp_path: Path
) -> None:
    options = SMALL if architecture == "tfidf-textcnn" else SMALL[-2:]
    words = [write_csv(tmp_path / "a.csv"), "-o", tmp_path / "m", "-a", architecture, "--pretrained", model, *options]
    result = run("train", *words)
    assert result.exit_code == 0, result.output
    assert f"begins with {model}: lstm, " in result.stderr
    assert "of the level char, embedding_dim 6, hidden_size 10, num_layers 1" in result.stderr
    assert json.loads((tmp_path / "m" / "config.json").read_bytes())["options"][name] == 10
    assert SentimentClassifier.load(tmp_path / "m").predict(["物流 很 好"]).shape == (1,)


def test_with_resume_it_ends_with_the_same_model(model: Path, tmp_path: Path) -> None:
    data = write_csv(tmp_path / "a.csv")
    for name, more in (("whole", []), ("resumed", ["--resume"])):
        words = [data, "-o", tmp_path / name, "-a", "lstm", "--pretrained", model, *SMALL[-2:]]
        if more:  # an interrupted one, with a state after each epoch
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("textnn.training.joint.check_logits", _interrupt)
                assert run("train", *words).exit_code != 0
        assert run("train", *words, *more).exit_code == 0
    whole, resumed = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "resumed"))
    assert whole == resumed


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--tokenizer char -a lstm", "--tokenizer: expected 'auto' beside pretrained"),
        ("--hidden-size 8 -a lstm", "--hidden-size: expected 10 as in "),
        ("-a gru", "--pretrained: the language model's cell is 'lstm'; expected the architecture 'lstm' or 'tfidf-"),
        ("-a mlp", "--pretrained: expected one of the architectures 'tfidf-textcnn', 'lstm', 'gru', 'rnn' beside it"),
    ],
)
def test_what_does_not_go_with_it_is_refused_by_the_options_name(
    options: str, message: str, model: Path, tmp_path: Path
) -> None:
    data = write_csv(tmp_path / "a.csv")
    result = run("train", data, "-o", tmp_path / "m", "--pretrained", model, *options.split())
    assert result.exit_code == 2, result.output
    assert result.stderr.splitlines()[-1].startswith(f"error: {message}"), result.stderr
    assert not (tmp_path / "m").exists()


def test_a_directory_of_something_else_is_refused(tmp_path: Path) -> None:
    data = write_csv(tmp_path / "a.csv")
    result = run("train", data, "-o", tmp_path / "m", "--pretrained", tmp_path / "nothing")
    assert result.exit_code == 2, result.output
    assert result.stderr.splitlines()[-1].startswith("error: --pretrained: "), result.stderr
