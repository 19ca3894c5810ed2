"""Fits: what is learnt, what is held out or left out, seeds, checkpoints, and what is refused or told."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
from pair_samples import CHINESE, ENGLISH, PAIRS, make_translator
from sklearn.base import clone

from _textnn_cli.parameters import table
from textnn import Translator
from textnn.models.options import OPTIONS, TRANSLATION, Parameter, chosen
from textnn.text import Vocabulary
from textnn.text.levels import END, UNKNOWN, Splitter
from textnn.text.streams import NEXT
from textnn.training import Checkpoint
from textnn.training.checkpoint import CheckpointError
from textnn.training.progress import Reporter
from textnn.translation import fitting
from textnn.translation.defaults import NAMES, resolve_options
from textnn.translation.encoding import PairEncoder, SourceReader
from textnn.translation.network import CELLS
from textnn.translation.parameters import NOT_STORED, parameters

SIGNATURE = {name: value.default for name, value in inspect.signature(Translator).parameters.items()}
DEFAULTS = {row.name: row.default for row in parameters(Parameter)}
DEFAULTS |= {name: OPTIONS[name].default for name in chosen(TRANSLATION)}
LARGER: dict[str, Any] = {"hidden_size": 32, "embedding_dim": 16, "epochs": 80, "learning_rate": 0.02}
"""What learns all pairs by heart."""


class BrokenOffError(Exception):
    """What breaks a training off."""


class Breaker(Reporter):
    """Raises when so many batches have been told of; keeps the notes."""

    def __init__(self, batches: int = 0, error: type[BaseException] = BrokenOffError) -> None:
        self.left, self.error, self.notes = batches, error, list[str]()

    def note(self, message: str) -> None:
        self.notes.append(message)

    def batch(self, loss: float, accuracy: float) -> None:
        self.left -= 1
        if not self.left:
            raise self.error


def assert_same(one: Translator, other: Translator) -> None:
    weights = other.state_.model.state_dict()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in one.state_.model.state_dict().items())
    for epoch, those in zip(one.history_, other.history_, strict=True):
        assert {**epoch, "seconds": 0} == {**those, "seconds": 0}


def test_the_signature_is_what_is_declared() -> None:
    assert DEFAULTS == SIGNATURE
    described = (inspect.getdoc(Translator) or "").partition("Attributes\n")[0]
    names = {name.strip() for line in described.splitlines() if " : " in line for name in line.split(":")[0].split(",")}
    assert names == {*SIGNATURE}
    assert {"random_state", "device", "verbose", "source_level", "target_level"} == NOT_STORED
    assert {"random_state", "device", "verbose"} == {*SIGNATURE} - {*table("translation")}


def test_every_default_is_declared_makes_sense_and_stands_on_the_page() -> None:
    options = resolve_options("lstm", None, {})
    for name, value in options.items():
        assert value is None or OPTIONS[name].check(name, value) == value
    assert {*NAMES} <= {*options}
    page = (Path(__file__).parents[2] / "docs/translation.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("|")]
    listed = {row[0].strip("`"): row[1] for row in rows if len(row) == 2 and row[0].strip("`") in options}
    shown = {name: f"{value:g}" if isinstance(value, float) else str(value) for name, value in options.items()}
    assert listed == {name: value for name, value in shown.items() if name not in ("bucket", "sparse", "full_steps")}


@pytest.mark.parametrize(("cell", "attention"), [("lstm", "general"), ("gru", "dot"), ("rnn", None)])
def test_pairs_are_learnt(cell: str, attention: str | None) -> None:
    model = make_translator(cell=cell, attention=attention, **LARGER).fit(ENGLISH, CHINESE)
    for beam in (1, 4):
        assert model.predict([source for source, _ in PAIRS], beam=beam) == [target for _, target in PAIRS]
    assert model.history_[-1]["perplexity"] < model.history_[0]["perplexity"]


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"cell": "transformer"}, ValueError, "cell: expected one of 'lstm', 'gru', 'rnn', got 'transformer'"),
        ({"attention": "concat"}, ValueError, "attention: expected 'dot', 'general' or None, got 'concat'"),
        ({"attention": True}, ValueError, "attention: expected 'dot', 'general' or None, got True"),
        ({"source_level": "letters"}, ValueError, "source_level: expected 'char', 'word' or a tokenizer"),
        ({"target_level": 3}, TypeError, "target_level: expected 'char', 'word' or a tokenizer"),
        ({"hidden_size": 7}, ValueError, "hidden_size: expected an even number, .* got 7"),
        ({"max_length": 0}, ValueError, "max_length: expected an integer from 1"),
        ({"lowercase": 1}, TypeError, "lowercase: expected True or False"),
        ({"label_smoothing": 1.0}, ValueError, "label_smoothing: expected a number from 0 and below 1"),
        ({"device": "none"}, ValueError, "device: 'none' cannot be used"),
        ({"random_state": -1}, ValueError, "random_state: expected an integer from 0"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(options: dict[str, Any], kind: Any, message: str) -> None:
    with pytest.raises(kind, match=message):
        make_translator(**options).fit(ENGLISH, CHINESE)


@pytest.mark.parametrize(
    ("X", "y", "kind", "message"),
    [
        ([], [], ValueError, "X: expected at least one text, got none"),
        (["a"], None, TypeError, "y: expected a translation of each text, got None"),
        (["a"], ["b", "c"], ValueError, "y: expected 1 texts, as many as in X, got 2"),
        ("a", ["b"], TypeError, r"X: expected a list of strings, got one string; write \[text\]"),
        (["a"], "b", TypeError, r"y: expected a list of strings, got one string; write \[text\]"),
        (["a", "b"], ["a", 3], TypeError, r"y\[1\]: expected a string, got int 3"),
        (["", " "], ["a", "b"], ValueError, r"at most 200 \(max_length\) on each, got none among 2"),
        (["a b"], [""], ValueError, "X: expected at least one pair with tokens on both sides"),
        (["a a"], ["b"], ValueError, "min_count: expected tokens in y that occur at least 2 times, got none"),
        (["a"], ["b b"], ValueError, "min_count: expected tokens in X that occur at least 2 times, got none"),
    ],
)
def test_pairs_that_make_no_sense_are_refused(X: Any, y: Any, kind: Any, message: str) -> None:
    with pytest.raises(kind, match=message):
        make_translator().fit(X, y)


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        (["a"], TypeError, "validation_data: expected a pair, texts and their translations, got list of 1"),
        (({"a"}, 3), TypeError, r"validation_data\[1\]: expected a list of strings, got int"),
        ((["a"], []), ValueError, r"validation_data\[1\]: expected 1 texts, as many as in validation_data\[0\], got 0"),
        (([], []), ValueError, "validation_data: expected at least one pair, got none"),
    ],
)
def test_validation_data_that_make_no_sense_are_refused(data: Any, kind: Any, message: str) -> None:
    with pytest.raises(kind, match=message):
        make_translator().fit(ENGLISH, CHINESE, validation_data=data)


def test_one_pair_is_enough() -> None:
    model = make_translator(min_count=1, validation_fraction=0.05, epochs=40, learning_rate=0.05)
    model.fit(["Thank you."], ["谢谢。"])
    assert model.predict(["Thank you."]) == ["谢谢。"]
    assert model.best_epoch_ == 40
    assert model.history_[0]["validation_loss"] is None


def test_what_has_no_validation_part_is_measured_on_none_and_what_has_on_it() -> None:
    held_out = [source for source, _ in PAIRS], [target for _, target in PAIRS]
    model = make_translator(epochs=30, patience=2, learning_rate=0.05).fit(ENGLISH, CHINESE, validation_data=held_out)
    found = [epoch["validation_perplexity"] for epoch in model.history_]
    assert model.best_epoch_ == 1 + found.index(min(found))
    assert model.state_.validation_perplexity == min(found)
    assert model.state_.n_pairs == len(ENGLISH)


def test_pairs_of_the_same_source_stay_together() -> None:
    sources = [f"text {number % 20}" for number in range(60)]
    training, held_out = fitting._hold_out(sources, 0.2, 0)
    assert sorted(training + held_out) == list(range(60))
    assert len(held_out) == 12
    assert not {sources[row] for row in training} & {sources[row] for row in held_out}


def test_empty_and_long_pairs_are_left_out_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    reporter = Breaker()
    monkeypatch.setattr(fitting, "make_reporter", lambda _: reporter)
    more = ["", " ", "I eat.", "I eat. " * 30]
    model = make_translator(max_length=20).fit([*ENGLISH, *more], [*CHINESE, "吃", "吃", "", "吃"])
    assert model.state_.n_pairs == len(ENGLISH)
    assert any("4 pairs left out that are empty or longer than max_length" in note for note in reporter.notes)


def test_validation_data_of_which_nothing_is_left_are_refused() -> None:
    expected = r"validation_data: expected at least one pair with tokens on both sides, and at most 9 \(max_length\)"
    for data in (([" ", "I eat."], ["吃", ""]), (["I eat. " * 30], ["吃"])):
        with pytest.raises(ValueError, match=f"{expected} on each, got none among {len(data[0])}"):
            make_translator(max_length=9).fit(ENGLISH, CHINESE, validation_data=data)


def test_ids_of_pairs() -> None:
    source, target = Vocabulary(["[PAD]", "[UNK]", "the", "dog"]), Vocabulary(["[PAD]", "[UNK]", "狗", " a"])
    encoder = PairEncoder(SourceReader(Splitter("word"), True), source, Splitter("word"), target)
    data = encoder(["The dog  The", "", "cat", "dog", "dog dog dog dog"], ["狗 a", "狗", "a", "", "狗"], longest=3)
    assert len(data) == 2
    batch = data.batch([0, 1])
    assert batch.ids.tolist() == [END, 2, 3, END, UNKNOWN]
    assert batch.aligned[NEXT].tolist() == [2, 3, END, UNKNOWN, END]
    assert batch.offsets.tolist() == [0, 3]
    assert [tensor.tolist() for tensor in batch.others[0]] == [[2, 3, 2, UNKNOWN], [0, 3]]
    plain = PairEncoder(SourceReader(Splitter("word"), False), source, Splitter("word"), target)
    assert plain.sources(["The dog"]) == [[UNKNOWN, 3]]


@pytest.mark.parametrize("levels", [("char", "char"), ("whitespace", "jieba"), (str.split, "char")], ids=str)
def test_levels(levels: Any) -> None:
    model = make_translator(source_level=levels[0], target_level=levels[1], **LARGER)
    model.fit(ENGLISH, CHINESE)
    assert model.predict(["We sleep.", "Tom run away."]) == ["我们睡觉。", "汤姆跑了。"]


@pytest.mark.parametrize("cell", CELLS)
def test_the_same_seed_gives_the_same_model(cell: str) -> None:
    options = {"cell": cell, "num_layers": 2, "dropout": 0.3, "validation_fraction": 0.2}
    one, other = (make_translator(**options).fit(ENGLISH, CHINESE) for _ in range(2))
    assert_same(one, other)
    third = make_translator(**{**options, "random_state": 1}).fit(ENGLISH, CHINESE)
    assert not torch.equal(third.state_.model.bias, one.state_.model.bias)


@pytest.mark.parametrize("options", [{}, {"cell": "gru", "attention": None, "tied": False}], ids=str)
def test_a_training_that_was_broken_off_goes_on_to_the_same_weights(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within an epoch, too; the second time by Ctrl-C."""
    model = make_translator(epochs=3, num_layers=2, dropout=0.3, validation_fraction=0.2, **options)
    expected = clone(model).fit(ENGLISH, CHINESE)
    checkpoint = Checkpoint(tmp_path / "state", resume=True, seconds=0)
    for batches, error in ((4, BrokenOffError), (9, KeyboardInterrupt)):
        breaker = Breaker(batches, error)
        monkeypatch.setattr(fitting, "make_reporter", lambda _, breaker=breaker: breaker)
        with pytest.raises(error):
            clone(model).fit(ENGLISH, CHINESE, checkpoint=checkpoint)
    reporter = Breaker()
    monkeypatch.setattr(fitting, "make_reporter", lambda _: reporter)
    assert_same(clone(model).fit(ENGLISH, CHINESE, checkpoint=checkpoint), expected)
    assert any(note.startswith("resumed after batch") for note in reporter.notes)


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = Checkpoint(tmp_path / "state", resume=True, seconds=0)
    monkeypatch.setattr(fitting, "make_reporter", lambda _: Breaker(3))
    with pytest.raises(BrokenOffError):
        make_translator().fit(ENGLISH, CHINESE, checkpoint=checkpoint)
    with pytest.raises(CheckpointError, match=r"another training: .*attention was 'general' and is None now"):
        make_translator(attention=None).fit(ENGLISH, CHINESE, checkpoint=checkpoint)
    with pytest.raises(CheckpointError, match="the texts to train on changed"):
        make_translator().fit(ENGLISH, [*CHINESE[:9], *CHINESE[:8:-1]], checkpoint=checkpoint)
    with pytest.raises(ValueError, match="random_state: expected a seed beside a checkpoint"):
        make_translator(random_state=None).fit(ENGLISH, CHINESE, checkpoint=checkpoint)


def test_a_fit_that_fails_leaves_the_model_as_it_was() -> None:
    model = make_translator().fit(ENGLISH, CHINESE)
    before = model.predict(ENGLISH[:3])
    with pytest.raises(ValueError, match="got none"):
        model.fit([], [])
    assert model.predict(ENGLISH[:3]) == before
    assert model.fit(iter(ENGLISH), iter(CHINESE)) is model, "generators will do"
    assert model.predict(ENGLISH[:3]) == before


def test_what_is_shown_has_perplexity_and_no_accuracy(capfd: pytest.CaptureFixture[str]) -> None:
    make_translator(verbose=1, validation_fraction=0.2).fit(ENGLISH, CHINESE)
    shown = capfd.readouterr().err
    assert "60 pairs, 20 held out; source: vocabulary of 14" in shown
    assert "epoch 2/2  loss " in shown
    assert "  perplexity " in shown
    assert "accuracy" not in shown
    make_translator().fit(ENGLISH, CHINESE)
    assert capfd.readouterr().err == ""


def test_a_training_in_bfloat16_comes_close_to_one_in_float32(bfloat16: None) -> None:
    one, other = (make_translator(precision=name, epochs=6).fit(ENGLISH, CHINESE) for name in ("float32", "bfloat16"))
    assert other.state_.model.bias.dtype == torch.float32
    assert not torch.equal(one.state_.model.bias, other.state_.model.bias)
    assert other.history_[-1]["loss"] == pytest.approx(one.history_[-1]["loss"], rel=0.05)


def test_of_fewer_than_five_different_sources_none_is_held_out() -> None:
    sources = [f"sentence {number % 4}" for number in range(60)]
    assert fitting._hold_out(sources, 0.2, 0) == (list(range(60)), [])
