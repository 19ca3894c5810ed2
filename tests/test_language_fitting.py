"""Fits: what is held out, seeds, checkpoints, and what is refused or told."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from language_samples import SENTENCES, VERSES, make_model
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from _textnn_cli.parameters import table
from textnn import LanguageModel
from textnn.language import fitting, objective
from textnn.language.defaults import resolve_options
from textnn.language.encoding import Splitter, TextEncoder, count
from textnn.language.loss import cross_entropy
from textnn.language.network import CELLS, END, UNKNOWN
from textnn.language.parameters import NOT_STORED, parameters
from textnn.models.options import LANGUAGE, OPTIONS, Parameter, chosen
from textnn.text import Vocabulary
from textnn.training import Checkpoint
from textnn.training.checkpoint import CheckpointError
from textnn.training.progress import Reporter

SIGNATURE = {name: value.default for name, value in inspect.signature(LanguageModel).parameters.items()}


DEFAULTS = {row.name: row.default for row in parameters(Parameter)}
DEFAULTS |= {name: OPTIONS[name].default for name in chosen(LANGUAGE)}


class BrokenOffError(Exception):
    """What breaks a training off."""


class Breaker(Reporter):
    """Raises when so many batches have been told of; keeps the notes."""

    def __init__(self, batches: int = 0) -> None:
        self.left, self.notes = batches, list[str]()

    def note(self, message: str) -> None:
        self.notes.append(message)

    def batch(self, loss: float, accuracy: float) -> None:
        self.left -= 1
        if not self.left:
            raise BrokenOffError


def weights_of(model: LanguageModel) -> dict[str, torch.Tensor]:
    return model.state_.model.state_dict()


def assert_same(one: LanguageModel, other: LanguageModel) -> None:
    assert all(torch.equal(tensor, weights_of(other)[name]) for name, tensor in weights_of(one).items())
    for epoch, those in zip(one.history_, other.history_, strict=True):
        assert {**epoch, "seconds": 0} == {**those, "seconds": 0}


def test_the_signature_is_what_is_declared() -> None:
    assert DEFAULTS == SIGNATURE
    described = (inspect.getdoc(LanguageModel) or "").partition("Attributes\n")[0]
    names = {name.strip() for line in described.splitlines() if " : " in line for name in line.split(":")[0].split(",")}
    assert names == {*SIGNATURE}
    assert {"random_state", "device", "verbose", "level"} == NOT_STORED
    assert {"random_state", "device", "verbose"} == {*SIGNATURE} - {*table("language")}


@pytest.mark.parametrize("words", [True, False])
@pytest.mark.parametrize("cell", CELLS)
def test_every_default_is_declared_makes_sense_and_stands_on_the_page(cell: str, words: bool) -> None:
    options = resolve_options(cell, {}, words)
    for name, value in options.items():
        assert value is None or OPTIONS[name].check(name, value) == value
        assert LANGUAGE in OPTIONS[name].tasks
    assert {*chosen(LANGUAGE)} <= {*options}
    page = (Path(__file__).parents[1] / "docs/language.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("|")]
    listed = {row[0].strip("`"): row[1 + words] for row in rows if len(row) == 3 and row[0].strip("`") in options}
    shown = {name: f"{value:g}" if isinstance(value, float) else str(value) for name, value in options.items()}
    assert listed == {name: value for name, value in shown.items() if name != "bucket"}


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"cell": "transformer"}, ValueError, "cell: expected one of 'lstm', 'gru', 'rnn', got 'transformer'"),
        ({"level": "letters"}, ValueError, "level: expected 'char', 'word' or a tokenizer"),
        ({"level": 3}, TypeError, "level: expected 'char', 'word' or a tokenizer"),
        ({"hidden_size": 0}, ValueError, "hidden_size: expected an integer from 1"),
        ({"window": 0}, ValueError, "window: expected an integer from 1"),
        ({"context": "book"}, ValueError, "context: expected one of 'text', 'stream', got 'book'"),
        ({"tied": 1}, TypeError, "tied: expected True or False"),
        ({"max_vocabulary": 2}, ValueError, "max_vocabulary: expected an integer from 3"),
        ({"device": "none"}, ValueError, "device: 'none' cannot be used"),
        ({"random_state": -1}, ValueError, "random_state: expected an integer from 0"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(options: dict[str, Any], kind: Any, message: str) -> None:
    with pytest.raises(kind, match=message):
        make_model(**options).fit(VERSES)


@pytest.mark.parametrize(
    ("texts", "kind", "message"),
    [
        ([], ValueError, "X: expected at least one text that is not empty, got none"),
        (["", ""], ValueError, "X: expected at least one text that is not empty, got empty ones alone"),
        ("春风", TypeError, r"X: expected a list of strings, got one string; write \[text\]"),
        (["春", 3], TypeError, r"X\[1\]: expected a string, got int 3"),
        (["abcdef"], ValueError, "min_count: expected tokens that occur at least 2 times, got none"),
    ],
)
def test_texts_that_make_no_sense_are_refused(texts: Any, kind: Any, message: str) -> None:
    with pytest.raises(kind, match=message):
        make_model().fit(texts)
    with pytest.raises(ValueError, match="validation_data: expected at least one text that is not empty"):
        make_model().fit(VERSES, validation_data=[""])


def test_a_tokenizer_that_finds_nothing_is_told() -> None:
    with pytest.raises(ValueError, match="X: expected at least one text that is not empty, got no token in any of"):
        make_model(lambda text: []).fit(SENTENCES)


@pytest.mark.parametrize("text", ["春风春风春风", "aa", "abab" * 100])
def test_one_text_is_enough(text: str) -> None:
    model = make_model(min_count=1).fit([text])
    assert model.options_["batch_size"] == max(1, min(4, (len(text) + 1) // 8))
    assert model.perplexity([text]) > 1
    held_out = int(len(text) * 0.05)
    assert (model.history_[0]["validation_loss"] is not None) is (held_out > 0)


def test_of_few_texts_the_end_of_each_is_held_out() -> None:
    ids, lengths = TextEncoder(Splitter("char"), Vocabulary(["[PAD]", "[UNK]", *"abcdef"]))(["abcdef", "", "ab", "f"])
    kept, ends = fitting.Encoded(ids, lengths).cut(0.5)
    assert kept.ids.tolist() == [0, 2, 3, 4, 0, 0, 2, 0, 7]
    assert kept.lengths.tolist() == [4, 1, 2, 2]
    assert ends.ids.tolist() == [0, 5, 6, 7, 0, 3]
    assert ends.lengths.tolist() == [4, 2]


def test_few_texts_that_are_repeated_are_few() -> None:
    verses = ["春风来去。", "秋月何时。", "山雨无人。"] * 40
    model = make_model(epochs=30, learning_rate=0.03).fit(verses)
    assert [model.generate(verse[:2], temperature=0) for verse in verses[:3]] == [verse[2:] for verse in verses[:3]]


def test_texts_that_are_held_out_are_none_of_those_trained_on() -> None:
    training, held_out = fitting._hold_out(SENTENCES, 0.2, 0)
    assert held_out
    assert not set(training) & set(held_out)
    assert sorted(training + held_out) == sorted(SENTENCES)


def test_the_best_epoch_is_the_one_of_the_smallest_perplexity() -> None:
    held_out = ["来何无春", "雨山秋月"]
    model = make_model(epochs=30, patience=3, learning_rate=0.03).fit(VERSES, validation_data=held_out)
    found = [epoch["validation_perplexity"] for epoch in model.history_]
    assert model.best_epoch_ == 1 + found.index(min(found)) == len(found) - 3
    assert model.perplexity(held_out) == pytest.approx(min(found), rel=1e-5), "no text of it is cut"
    assert model.state_.validation_perplexity == min(found)
    assert np.exp(model.history_[0]["loss"]) == pytest.approx(model.history_[0]["perplexity"])


@pytest.mark.parametrize("level", ["char", "word", "jieba", str.split])
def test_levels(level: Any) -> None:
    texts = VERSES if level in ("char", "jieba") else SENTENCES
    model = make_model(level).fit(texts)
    tokens = model.state_.splitter.split(texts[0])
    assert all(token in model.vocabulary_ for token in tokens)
    assert len(next(iter(model.score_tokens(texts)))) == len(tokens) + 1
    assert model.generate(seed=0, n=5) == model.generate(seed=0, n=5)


@pytest.mark.parametrize(
    "text", ["He ran, and 他 did.  Twice\n\n", "", " x", "春风 来\t。", "a_b-c 3.5 don't", "été 한국 "]
)
def test_words_and_characters_joined_are_the_text(text: str) -> None:
    for level in ("char", "word"):
        splitter = Splitter(level)
        assert splitter.join(splitter.split(text)) == text


@pytest.mark.parametrize(
    ("level", "tokens", "text"),
    [
        ("whitespace", ["a", "。", "b"], "a 。 b"),
        (str.split, ["He", "ran", ",", "他", "来", "了"], "He ran,他来了"),
        ("jieba", ["我", "用", "textnn", "0", "号"], "我用textnn 0号"),
    ],
)
def test_between_tokens_of_a_tokenizer_there_is_a_space_where_a_script_has_one(
    level: Any, tokens: list[str], text: str
) -> None:
    assert Splitter.of(level).join(tokens) == text


def test_ids_of_texts_each_behind_the_mark_and_unknown_tokens() -> None:
    texts = ["ab", "", "ba[\U0001f600", "[PAD]"]
    splitter = Splitter("char")
    vocabulary = count(splitter, ["abab"], 2, None)
    ids, lengths = TextEncoder(splitter, vocabulary)(iter(texts))
    assert lengths.tolist() == [3, 1, 5, 6]
    assert ids.tolist() == [END, 2, 3, END, END, 3, 2, UNKNOWN, UNKNOWN, END, *[UNKNOWN] * 5]
    words = Splitter("word")
    ids, lengths = TextEncoder(words, count(words, ["a b a b"], 2, None))(["a b", "c [PAD]"])
    assert ids.tolist() == [END, UNKNOWN, 2, END, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN]


@pytest.mark.parametrize("cell", CELLS)
def test_the_same_seed_gives_the_same_model(cell: str) -> None:
    options = {"cell": cell, "num_layers": 2, "dropout": 0.3, "weight_dropout": 0.2}
    one, other = (make_model(**options).fit(VERSES) for _ in range(2))
    assert_same(one, other)
    third = make_model(**options, random_state=1).fit(VERSES)
    assert not torch.equal(third.state_.model.bias, one.state_.model.bias)


@pytest.mark.parametrize("context", ["text", "stream"])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_training_that_was_broken_off_goes_on_to_the_same_weights(
    cell: str, context: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within an epoch, too: the states of the streams and the order of the texts are as they were."""
    model = make_model(
        cell=cell, context=context, epochs=3, num_layers=2, dropout=0.3, weight_dropout=0.2, embedding_dropout=0.2
    )
    expected = clone(model).fit(VERSES)
    checkpoint = Checkpoint(tmp_path / "state", resume=True, seconds=0)
    for batches in (4, 9):
        monkeypatch.setattr(fitting, "make_reporter", lambda _, batches=batches: Breaker(batches))
        with pytest.raises(BrokenOffError):
            clone(model).fit(VERSES, checkpoint=checkpoint)
    reporter = Breaker()
    monkeypatch.setattr(fitting, "make_reporter", lambda _: reporter)
    assert_same(clone(model).fit(VERSES, checkpoint=checkpoint), expected)
    assert any(note.startswith("resumed after batch") for note in reporter.notes)


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = Checkpoint(tmp_path / "state", resume=True, seconds=0)
    monkeypatch.setattr(fitting, "make_reporter", lambda _: Breaker(3))
    with pytest.raises(BrokenOffError):
        make_model().fit(VERSES, checkpoint=checkpoint)
    with pytest.raises(CheckpointError, match=r"another training: .*context was 'text' and is 'stream' now"):
        make_model(context="stream").fit(VERSES, checkpoint=checkpoint)
    with pytest.raises(CheckpointError, match="the texts to train on changed"):
        make_model().fit([*VERSES[:9], *VERSES[:8:-1]], checkpoint=checkpoint)
    with pytest.raises(ValueError, match="random_state: expected a seed beside a checkpoint"):
        make_model(random_state=None).fit(VERSES, checkpoint=checkpoint)


def test_what_is_shown_has_perplexity_and_no_accuracy(capfd: pytest.CaptureFixture[str]) -> None:
    make_model(verbose=1).fit([*VERSES, "", ""])
    shown = capfd.readouterr().err
    assert "2 empty texts left out" in shown
    assert "epoch 2/2  loss " in shown
    assert "  perplexity " in shown
    assert "validation loss " in shown
    assert "accuracy" not in shown
    make_model().fit(VERSES)
    assert capfd.readouterr().err == ""


def test_a_fit_that_fails_leaves_the_model_as_it_was() -> None:
    model = make_model().fit(VERSES)
    before = model.generate(seed=0)
    with pytest.raises(ValueError, match="got none"):
        model.fit([])
    assert model.generate(seed=0) == before
    assert model.fit(iter(VERSES)) is model, "a generator will do"
    assert model.generate(seed=0) == before


def test_a_search_over_a_grid() -> None:
    search = GridSearchCV(make_model(learning_rate=0.02), {"hidden_size": [1, 16]}, cv=2).fit(VERSES)
    assert search.best_params_ == {"hidden_size": 16}
    assert search.score(VERSES) == pytest.approx(-np.log(search.best_estimator_.perplexity(VERSES)))


def test_a_training_in_bfloat16_comes_close_to_one_in_float32(bfloat16: None) -> None:
    options = {"learning_rate": 0.02, "epochs": 4, "hidden_size": 16}
    one, other = (make_model(precision=name, **options).fit(VERSES) for name in ("float32", "bfloat16"))
    assert other.state_.model.bias.dtype == torch.float32
    assert not torch.equal(one.state_.model.bias, other.state_.model.bias)
    assert other.perplexity(VERSES) == pytest.approx(one.perplexity(VERSES), rel=0.1)


def test_the_product_of_the_output_has_the_precision_of_the_training(
    bfloat16: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def watch(*arguments: Any) -> Any:
        seen.append(torch.is_autocast_enabled("cpu"))
        return cross_entropy(*arguments)

    monkeypatch.setattr(objective, "cross_entropy", watch)
    for precision, autocast in (("float32", False), ("bfloat16", True)):
        seen.clear()
        make_model(precision=precision, epochs=1).fit(VERSES)
        assert set(seen) == {autocast}


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("नमस्ते दुनिया", ["नमस्ते", " दुनिया"]),
        ("cafe\u0301 au lait", ["cafe\u0301", " au", " lait"]),
        ("안녕", ["안", "녕"]),
    ],
)
def test_a_word_keeps_its_marks(text: str, tokens: list[str]) -> None:
    assert Splitter("word").split(text) == tokens
