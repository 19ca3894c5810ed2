"""Saved taggers: what is loaded predicts as what was saved; what is bad is refused with the name of its file.

docs/safety.md lists what is refused with its message; ``tests/test_safety_table.py`` makes all of that.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safety.models import edit
from tagged_samples import ARCHITECTURES, make_characters, make_sentences, make_tagger, make_words

from textnn import SentimentClassifier, SequenceTagger
from textnn.bundle import BundleError, files
from textnn.tagging import bundle

X, Y = make_sentences(40)


@pytest.fixture
def saved(tagger: SequenceTagger, tmp_path: Path) -> Path:
    tagger.save(tmp_path / "tagger")
    return tmp_path / "tagger"


@pytest.mark.parametrize("level", ["word", "char"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_what_is_loaded_predicts_as_what_was_saved(architecture: str, level: str, tmp_path: Path) -> None:
    sentences, tags = (X, Y) if level == "word" else make_characters(40)
    tagger = make_tagger(architecture, level=level, epochs=1).fit(sentences, tags)
    tagger.save(tmp_path / "tagger")
    loaded = SequenceTagger.load(tmp_path / "tagger")
    np.testing.assert_array_equal(
        np.concatenate(loaded.predict_marginals(sentences)), np.concatenate(tagger.predict_marginals(sentences))
    )
    assert loaded.predict(sentences) == tagger.predict(sentences)
    stored = {**tagger.get_params(), "random_state": None, "verbose": 1}
    assert loaded.get_params() == stored
    for name in ("tags_", "scheme_", "level_", "options_", "history_", "best_epoch_", "seed_"):
        assert getattr(loaded, name) == getattr(tagger, name), name
    assert str(loaded.state_.validation_scores) == str(tagger.state_.validation_scores)
    loaded.save(tmp_path / "again")
    for file in (tmp_path / "tagger").iterdir():
        if file.name != "config.json":
            assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes(), file.name


@pytest.mark.parametrize("scheme", ["IOB1", "BILOU", "IO", None])
def test_schemes_and_tags_without_spans_come_back(scheme: str | None, tmp_path: Path) -> None:
    sentences, tags = make_sentences(40, scheme or "BIO")
    tagger = make_tagger(epochs=2, scheme=scheme).fit(sentences, tags)
    tagger.save(tmp_path / "tagger")
    loaded = SequenceTagger.load(tmp_path / "tagger")
    assert loaded.scheme_ == scheme
    assert loaded.predict(sentences) == tagger.predict(sentences)


def test_a_segmenter_comes_back(segmenter: SequenceTagger, tmp_path: Path) -> None:
    segmenter.save(tmp_path / "tagger")
    text = "".join(make_words(1)[0])
    assert SequenceTagger.load(tmp_path / "tagger").cut(text, ["到北"]) == segmenter.cut(text, ["到北"])
    assert "# A segmenter" in (tmp_path / "tagger" / "README.md").read_text(encoding="utf-8")


def test_the_files_are_those_that_are_described(
    saved: Path, character_tagger: SequenceTagger, segmenter: SequenceTagger, tmp_path: Path
) -> None:
    common = {*bundle.FORMAT.files} - {"characters.txt", "words.txt"}
    assert {file.name for file in saved.iterdir()} == common | {"characters.txt"}
    for name, fitted in (("characters", character_tagger), ("segmenter", segmenter)):
        fitted.save(tmp_path / name)
        assert {file.name for file in (tmp_path / name).iterdir()} == common | {"words.txt"}
    edit(tmp_path / "segmenter", lambda config: config["files"].pop("words.txt"))
    with pytest.raises(BundleError, match=r"expected words\.txt of a tagger of characters that finds spans"):
        SequenceTagger.load(tmp_path / "segmenter")
    card = (saved / "README.md").read_text(encoding="utf-8")
    assert "- Types: `LOC`, `PER`" in card
    assert 'tagger.entities("...")' in card


def test_a_tagger_replaces_another_one_and_nothing_else(saved: Path, tagger: SequenceTagger, tmp_path: Path) -> None:
    make_tagger(epochs=1).fit(X, Y).save(saved)
    assert SequenceTagger.load(saved).architecture == "ngram-crf"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(BundleError, match="mine"):
        tagger.save(tmp_path / "mine")
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_models_of_other_tasks_are_named(saved: Path, tagger: SequenceTagger, tmp_path: Path) -> None:
    small = {"embedding_dim": 4, "channels": 4, "epochs": 1, "verbose": 0, "tokenizer": "whitespace"}
    SentimentClassifier("textcnn", **small).fit(["a b", "c d"] * 10, ["x", "y"] * 10).save(tmp_path / "classifier")
    with pytest.raises(BundleError, match=r"config\.json: .*'textnn-tagger'.*a model that SentimentClassifier.load"):
        SequenceTagger.load(tmp_path / "classifier")
    with pytest.raises(BundleError, match=r"config\.json: .*'textnn-model'.*a model that SequenceTagger.load reads"):
        SentimentClassifier.load(saved)
    with pytest.raises(BundleError, match=r"a model that SentimentClassifier\.load reads"):
        tagger.save(tmp_path / "classifier")
    SentimentClassifier.load(tmp_path / "classifier")


def test_every_file_cut_off_or_changed_is_refused_by_its_name(saved: Path, tmp_path: Path) -> None:
    for name in sorted({*bundle.FORMAT.files} - {"README.md", "words.txt"}):
        content = (saved / name).read_bytes()
        for damaged in (
            content[:-2],
            content[: len(content) // 2],
            content + b"\n",
            content[:-2] + b"\0" + content[-1:],
            b"",
        ):
            (saved / name).write_bytes(damaged)
            if name == "config.json" and damaged == content + b"\n":
                SequenceTagger.load(saved)  # its layout does not count
                continue
            with pytest.raises(BundleError, match=name):
                SequenceTagger.load(saved)
        (saved / name).unlink()
        with pytest.raises(BundleError, match=name):
            SequenceTagger.load(saved)
        (saved / name).write_bytes(content)
    (saved / "README.md").unlink()
    SequenceTagger.load(saved)


def test_weights_that_are_no_numbers_are_not_saved(tmp_path: Path) -> None:
    tagger = make_tagger(epochs=1).fit(X, Y)
    with torch.no_grad():
        tagger.state_.model.crf.transitions[0, 0] = float("nan")
    with pytest.raises(BundleError, match=r"crf\.transitions: expected finite weights"):
        tagger.save(tmp_path / "tagger")
    assert not list(tmp_path.iterdir())


def test_nothing_is_allocated_on_the_word_of_a_file(saved: Path) -> None:
    """Options of a network of 100 GB are refused by the sizes of what is there."""
    edit(saved, lambda config: config["options"].update(hidden_size=60_000, embedding_dim=60_000))
    with pytest.raises(BundleError, match=r"model\.safetensors"):
        SequenceTagger.load(saved)


def test_a_lexicon_is_as_large_as_its_file_may_be(
    character_tagger: SequenceTagger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    character_tagger.save(tmp_path / "tagger")
    size = (tmp_path / "tagger" / "words.txt").stat().st_size
    monkeypatch.setattr(files, "SMALL", size - 1)  # its own limit counts, not that of other files
    for name in ("config.json", "tags.json", "README.md"):
        monkeypatch.setitem(files.LARGEST, name, 1 << 20)
    SequenceTagger.load(tmp_path / "tagger")
    monkeypatch.setitem(files.LARGEST, "words.txt", size - 1)
    with pytest.raises(BundleError, match=rf"words\.txt: expected at most {size - 1} bytes, got {size}"):
        SequenceTagger.load(tmp_path / "tagger")
    with pytest.raises(BundleError, match=rf"words\.txt: expected at most {size - 1} bytes, got {size}; no model was"):
        character_tagger.save(tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_keys_of_pairs_rise(character_tagger: SequenceTagger, tmp_path: Path) -> None:
    from safety.models import weights

    character_tagger.save(tmp_path / "tagger")
    weights(lambda tensors: tensors.update(keys=tensors["keys"].flip(0)))(tmp_path / "tagger")
    with pytest.raises(BundleError, match=r"model\.safetensors: expected rising keys of pairs"):
        SequenceTagger.load(tmp_path / "tagger")


def test_tags_in_a_file_are_shown_without_control_characters(saved: Path) -> None:
    escape = "\x1b]0;owned\x07"
    (saved / "tags.json").write_text(json.dumps({"names": [f"{escape}"], "scheme": "BIO"}), encoding="utf-8")
    edit(saved, lambda config: None)
    with pytest.raises(BundleError) as raised:
        SequenceTagger.load(saved)
    assert "\x1b" not in str(raised.value)
    assert "tags.json" in str(raised.value)


def test_a_model_says_what_it_predicts_whatever_its_parameters_say(saved: Path, tagger: SequenceTagger) -> None:
    """What is stored of the constructor's parameters is a record; predictions follow from options and tags."""
    edit(
        saved, lambda config: config["parameters"].update(scheme="BILOU", hidden_size=77, unknown=[1], device="cuda:7")
    )
    loaded = SequenceTagger.load(saved)
    assert (loaded.scheme, loaded.hidden_size, loaded.device) == ("BILOU", 77, "cpu")
    assert loaded.predict(X) == tagger.predict(X)


@pytest.mark.parametrize("device", ["cuda:99", "none"])
def test_a_device_that_is_not_there_is_named(device: str, saved: Path) -> None:
    with pytest.raises(ValueError, match=f"device: '{device}' cannot be used"):
        SequenceTagger.load(saved, device=device)


def test_a_directory_of_links_is_read(saved: Path, tagger: SequenceTagger, tmp_path: Path) -> None:
    linked: Any = tmp_path / "linked"
    linked.mkdir()
    for file in saved.iterdir():
        (linked / file.name).symlink_to(file)
    assert SequenceTagger.load(linked).predict(X) == tagger.predict(X)
    shutil.rmtree(linked)
