"""Saved language models: what is loaded gives what was saved, to the bit; what is bad is refused with its file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from language_samples import SENTENCES, VERSES, make_model

from textnn import LanguageModel, SentimentClassifier, SequenceTagger
from textnn.bundle import BundleError
from textnn.bundle.config import seal
from textnn.bundle.files import to_json
from textnn.language import bundle


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return make_model().fit(VERSES)


@pytest.fixture
def saved(model: LanguageModel, tmp_path: Path) -> Path:
    model.save(tmp_path / "model")
    return tmp_path / "model"


def edit(directory: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a configuration, and put the sum right."""
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    change(config)
    (directory / "config.json").write_bytes(to_json(seal(config)))


@pytest.mark.parametrize(
    ("level", "options"),
    [
        ("char", {"cell": "gru", "num_layers": 2}),
        ("char", {"tied": False}),
        ("char", {"context": "stream", "embedding_dim": 8}),
        ("word", {"cell": "rnn"}),
        ("jieba", {}),
    ],
)
def test_what_is_loaded_gives_what_was_saved(level: str, options: dict[str, Any], tmp_path: Path) -> None:
    texts = SENTENCES if level == "word" else VERSES
    model = make_model(level, **options, epochs=1).fit(texts)
    model.save(tmp_path / "model")
    loaded = LanguageModel.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.score_texts(texts), model.score_texts(texts))
    assert loaded.generate(seed=0) == model.generate(seed=0)
    assert loaded.generate(beam=3) == model.generate(beam=3)
    assert loaded.get_params() == {**model.get_params(), "random_state": None, "verbose": 1}
    for name in ("options_", "history_", "best_epoch_", "seed_", "vocabulary_"):
        assert getattr(loaded, name) == getattr(model, name), name
    loaded.save(tmp_path / "again")
    for file in (tmp_path / "model").iterdir():
        if file.name != "config.json":
            assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes(), file.name


def test_a_function_is_to_be_given_again(tmp_path: Path) -> None:
    model = make_model(str.split, epochs=1).fit(SENTENCES)
    model.save(tmp_path / "model")
    with pytest.raises(BundleError, match=r"trained with the function .*split as its tokenizer, which is not stored"):
        LanguageModel.load(tmp_path / "model")
    loaded = LanguageModel.load(tmp_path / "model", tokenizer=str.split)
    assert loaded.level is str.split
    assert loaded.perplexity(SENTENCES) == model.perplexity(SENTENCES)


def test_a_segmenter_goes_along(tmp_path: Path) -> None:
    segmenter = SequenceTagger("ngram-crf", random_state=0, verbose=0, validation_fraction=0.0, epochs=2)
    segmenter.fit_words(["春风 来去 。", "秋月 何时 。", "山雨 无人 。"] * 10).save(tmp_path / "segmenter")
    model = make_model(str(tmp_path / "segmenter"), epochs=1).fit(VERSES)
    model.save(tmp_path / "model")
    shutil.rmtree(tmp_path / "segmenter")
    loaded = LanguageModel.load(tmp_path / "model")
    assert loaded.perplexity(VERSES) == model.perplexity(VERSES)
    assert "春风" in loaded.vocabulary_


def test_the_files_and_the_card(saved: Path) -> None:
    assert {file.name for file in saved.iterdir()} == {
        "model.safetensors",
        "config.json",
        "vocabulary.txt",
        "README.md",
    }
    card = bundle.read_card(saved)
    assert card.startswith("# A language model")
    assert "On the validation split: perplexity" in card
    assert bundle.read_config(saved)["level"] == "char"


def test_models_of_other_tasks_are_named(saved: Path, model: LanguageModel, tmp_path: Path) -> None:
    for other in (SentimentClassifier, SequenceTagger):
        with pytest.raises(BundleError, match=r"got a model that LanguageModel\.load reads"):
            other.load(saved)
    SequenceTagger("ngram-crf", verbose=0, epochs=1).fit([["a", "b"]] * 20, [["x", "y"]] * 20).save(tmp_path / "tagger")
    with pytest.raises(BundleError, match=r"got a model that SequenceTagger\.load reads"):
        LanguageModel.load(tmp_path / "tagger")
    with pytest.raises(BundleError, match="tagger"):
        model.save(tmp_path / "tagger")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda config: config.update(cell="transformer"), "cell: expected one of"),
        (
            lambda config: config.update(level="letters"),
            "expected 'level' to be char, word or tokenizer, got 'letters'",
        ),
        (lambda config: config["options"].update(hidden_size=9), r"model\.safetensors: .*expected the shape"),
        (lambda config: config["options"].update(hidden_size=2**40), "hidden_size: expected an integer"),
        (lambda config: config["options"].update(layers=2), "layers: the architecture 'lstm' has no such option"),
        (lambda config: config["training"].update(best_epoch=9), "expected 'best_epoch' of 2 epochs, got 9"),
        (lambda config: config["training"].update(history=[1]), "expected 'history' to be a list of objects"),
        (lambda config: config["files"].pop("vocabulary.txt"), "expected bytes and sha256 of vocabulary.txt"),
        (lambda config: config.update(more=1), "got 'more'; was the model written by a newer textnn"),
        (lambda config: config.update(format_version=2), "the model has the format version 2"),
        (lambda config: config.update(level="tokenizer"), r"expected user_dictionary\.txt of a model with a tokenizer"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(change: Any, message: str, saved: Path) -> None:
    edit(saved, change)
    with pytest.raises(BundleError, match=message):
        LanguageModel.load(saved)


@pytest.mark.parametrize("name", ["model.safetensors", "vocabulary.txt"])
def test_a_damaged_file_is_refused(name: str, saved: Path) -> None:
    content = bytearray((saved / name).read_bytes())
    content[-3] ^= 1
    (saved / name).write_bytes(content)
    with pytest.raises(BundleError, match=f"{name}: expected other content"):
        LanguageModel.load(saved)


def test_arguments_of_load(saved: Path) -> None:
    with pytest.raises(ValueError, match="device: 'none' cannot be used"):
        LanguageModel.load(saved, device="none")
    with pytest.raises(ValueError, match="tokenizer: expected none for a model whose tokens are characters, got"):
        LanguageModel.load(saved, tokenizer="jieba")
    with pytest.raises(BundleError, match="expected the directory of a textnn model"):
        LanguageModel.load(saved / "none")


def test_weights_that_are_no_numbers_are_not_saved(tmp_path: Path) -> None:
    model = make_model(epochs=1).fit(VERSES)
    with torch.no_grad():
        model.state_.model.bias[2] = float("nan")
    with pytest.raises(BundleError, match="bias: expected finite weights"):
        model.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()
