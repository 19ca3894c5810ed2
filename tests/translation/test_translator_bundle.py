"""Saved translators: what is loaded gives what was saved; what is bad is refused with its file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pair_samples import CHINESE, ENGLISH, make_translator

from textnn import LanguageModel, SequenceTagger, Translator
from textnn.bundle import BundleError
from textnn.bundle.config import seal
from textnn.bundle.files import to_json
from textnn.translation import bundle


@pytest.fixture
def saved(translator: Translator, tmp_path: Path) -> Path:
    translator.save(tmp_path / "model")
    return tmp_path / "model"


def edit(directory: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a configuration, and put the sum right."""
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    change(config)
    (directory / "config.json").write_bytes(to_json(seal(config)))


@pytest.mark.parametrize(
    "options",
    [
        {"cell": "gru", "num_layers": 2},
        {"cell": "rnn", "attention": None, "tied": False},
        {"attention": "dot", "source_level": "char", "target_level": "jieba"},
        {"source_level": "whitespace", "lowercase": False},
    ],
    ids=str,
)
def test_what_is_loaded_gives_what_was_saved(options: dict[str, Any], tmp_path: Path) -> None:
    model = make_translator(**options, validation_fraction=0.1).fit(ENGLISH, CHINESE)
    model.save(tmp_path / "model")
    loaded = Translator.load(tmp_path / "model")
    assert loaded.predict(ENGLISH[:16]) == model.predict(ENGLISH[:16])
    assert loaded.get_params() == {**model.get_params(), "random_state": None, "verbose": 1}
    for name in ("options_", "history_", "best_epoch_", "seed_", "source_vocabulary_", "target_vocabulary_"):
        assert getattr(loaded, name) == getattr(model, name), name
    loaded.save(tmp_path / "again")
    for file in (tmp_path / "model").iterdir():
        if file.name != "config.json":
            assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes(), file.name


def test_functions_are_to_be_given_again(tmp_path: Path) -> None:
    model = make_translator(source_level=str.split, target_level=list, epochs=1).fit(ENGLISH, CHINESE)
    model.save(tmp_path / "model")
    with pytest.raises(BundleError, match=r"which is not stored; load it with load\(path, source_tokenizer=function\)"):
        Translator.load(tmp_path / "model")
    with pytest.raises(BundleError, match=r"load\(path, target_tokenizer=function\)"):
        Translator.load(tmp_path / "model", source_tokenizer=str.split)
    loaded = Translator.load(tmp_path / "model", str.split, list)
    assert (loaded.source_level, loaded.target_level) == (str.split, list)
    assert loaded.predict(ENGLISH[:4]) == model.predict(ENGLISH[:4])


def test_segmenters_of_both_sides_go_along(tmp_path: Path) -> None:
    segmenter = SequenceTagger("ngram-crf", random_state=0, verbose=0, validation_fraction=0.0, epochs=2)
    segmenter.fit_words(["我 吃 。", "你 睡觉 。", "汤姆 看 书 。"] * 10).save(tmp_path / "segmenter")
    path = str(tmp_path / "segmenter")
    model = make_translator(source_level=path, target_level=path, epochs=2).fit(CHINESE, CHINESE)
    model.save(tmp_path / "model")
    shutil.rmtree(path)
    loaded = Translator.load(tmp_path / "model")
    assert loaded.predict(CHINESE[:4]) == model.predict(CHINESE[:4])
    assert "睡觉" in loaded.source_vocabulary_


def test_the_files_and_the_card(saved: Path) -> None:
    assert {file.name for file in saved.iterdir()} == {
        "model.safetensors",
        "config.json",
        "source-vocabulary.txt",
        "target-vocabulary.txt",
        "README.md",
    }
    card = bundle.read_card(saved)
    assert card.startswith("# A translator")
    assert "attention by the score 'general'" in card
    assert bundle.read_config(saved)["source"] == {"level": "word", "tokenizer": {}}


def test_models_of_other_tasks_are_named(saved: Path, translator: Translator, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"got a model that Translator\.load reads"):
        LanguageModel.load(saved)
    small = {"hidden_size": 4, "embedding_dim": 4, "epochs": 1, "verbose": 0}
    LanguageModel(**small).fit(CHINESE).save(tmp_path / "language")
    with pytest.raises(BundleError, match=r"got a model that LanguageModel\.load reads"):
        Translator.load(tmp_path / "language")
    with pytest.raises(BundleError, match="language"):
        translator.save(tmp_path / "language")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda config: config.update(cell="transformer"), "cell: expected one of"),
        (lambda config: config.update(attention="concat"), "attention: expected 'dot', 'general' or None"),
        (lambda config: config.update(attention=None), r"model\.safetensors: .*unknown: \['score\.weight'\]"),
        (lambda config: config["source"].update(level="letters"), "expected 'level' to be char, word or tokenizer"),
        (lambda config: config["target"].update(level="tokenizer"), r"expected target-user_dictionary\.txt of a model"),
        (lambda config: config["target"].update(more=1), "names in 'target', got 'more'"),
        (lambda config: config.pop("source"), "expected 'source' to be of the type dict, got nothing"),
        (lambda config: config["options"].update(hidden_size=30), r"model\.safetensors: .*expected the shape"),
        (lambda config: config["options"].update(hidden_size=2**40), "hidden_size: expected an integer"),
        (lambda config: config["options"].update(layers=2), "layers: the architecture 'lstm' has no such option"),
        (lambda config: config["training"].update(best_epoch=99), "expected 'best_epoch' of 60 epochs, got 99"),
        (lambda config: config["training"].update(history=[1]), "expected 'history' to be a list of objects"),
        (lambda config: config["files"].pop("source-vocabulary.txt"), "expected bytes and sha256 of source-vocab"),
        (lambda config: config.update(more=1), "got 'more'; was the model written by a newer textnn"),
        (lambda config: config.update(format_version=2), "the model has the format version 2"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(change: Any, message: str, saved: Path) -> None:
    edit(saved, change)
    with pytest.raises(BundleError, match=message):
        Translator.load(saved)


@pytest.mark.parametrize("name", ["model.safetensors", "source-vocabulary.txt", "target-vocabulary.txt"])
def test_a_damaged_file_is_refused(name: str, saved: Path) -> None:
    content = bytearray((saved / name).read_bytes())
    content[-3] ^= 1
    (saved / name).write_bytes(content)
    with pytest.raises(BundleError, match=f"{name}: expected other content"):
        Translator.load(saved)
    (saved / name).unlink()
    with pytest.raises(BundleError, match=f"{name}: the file is missing"):
        Translator.load(saved)


def test_arguments_of_load(saved: Path) -> None:
    with pytest.raises(ValueError, match="device: 'none' cannot be used"):
        Translator.load(saved, device="none")
    with pytest.raises(ValueError, match="source_tokenizer: expected none for a model whose tokens are words"):
        Translator.load(saved, source_tokenizer="jieba")
    with pytest.raises(ValueError, match=r"^target_tokenizer: expected "):
        Translator.load(saved, target_tokenizer="none")
    with pytest.raises(BundleError, match="expected the directory of a textnn model"):
        Translator.load(saved / "none")
