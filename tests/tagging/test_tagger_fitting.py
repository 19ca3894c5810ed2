"""Fitting: the same seed gives the same weights, a break changes nothing, and a fit that fails leaves no trace."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tagged_samples import ARCHITECTURES, make_characters, make_sentences, make_tagger, make_words

from textnn import SequenceTagger
from textnn.tagging import fitting
from textnn.training import Checkpoint
from textnn.training.loop import TrainingError
from textnn.training.progress import Reporter

X, Y = make_sentences(60)
VECTORS = Path(__file__).with_name("few_tokens.vec")


def weights(tagger: SequenceTagger) -> dict[str, torch.Tensor]:
    return dict(tagger.state_.model.state_dict())


def same(one: SequenceTagger, other: SequenceTagger) -> bool:
    a, b = weights(one), weights(other)
    return a.keys() == b.keys() and all(a[name].equal(b[name]) for name in a)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_seed_gives_the_same_weights_and_no_generator_moves(architecture: str) -> None:
    np.random.seed(3)  # noqa: NPY002  # the global generator is what this is about
    torch.manual_seed(3)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = make_tagger(architecture).fit(X, Y)
    assert torch.get_rng_state().equal(before[0])
    assert (np.random.get_state()[1] == before[1]).all()  # noqa: NPY002
    torch.manual_seed(4)
    assert same(make_tagger(architecture).fit(X, Y), first)
    assert not same(make_tagger(architecture, random_state=1).fit(X, Y), first)
    assert first.seed_ == 0


def test_a_random_state_and_none_are_seeds_as_well() -> None:
    first, second = (make_tagger(random_state=np.random.RandomState(5), epochs=1).fit(X, Y) for _ in range(2))
    assert first.seed_ == second.seed_
    assert same(first, second)
    tagger = make_tagger(random_state=None, epochs=1).fit(X, Y)
    assert same(make_tagger(random_state=tagger.seed_, epochs=1).fit(X, Y), tagger)


@pytest.mark.parametrize(("fit", "kind"), [("fit", "words"), ("fit", "characters"), ("fit_words", "words")])
def test_every_way_to_give_sentences_gives_the_same(fit: str, kind: str) -> None:
    if fit == "fit_words":
        data: tuple[Any, ...] = (make_words(30),)
        forms = [(["  ".join(words) for words in data[0]],), ((tuple(words) for words in data[0]),)]
    elif kind == "words":
        data = X, Y
        forms = [(map(tuple, X), iter(Y)), ([np.array(words) for words in X], [np.array(tags) for tags in Y])]
    else:
        data = make_characters(30)
        forms = [([list(text) for text in data[0]], data[1])]
    expected = getattr(make_tagger("cnn-crf", epochs=1), fit)(*data)
    for form in forms:
        assert same(getattr(make_tagger("cnn-crf", epochs=1), fit)(*form), expected)


class BrokenOffError(Exception):
    """What ends a training in the middle."""


class Breaker(Reporter):
    """Ends a training after some batches."""

    def __init__(self, batches: int) -> None:
        self.batches = batches

    def batch(self, *_: Any) -> None:
        self.batches -= 1
        if self.batches < 0:
            raise BrokenOffError


@pytest.mark.parametrize("architecture", ["bilstm-crf", "ngram-crf"])
@pytest.mark.parametrize("batches", [1, 5, 8])
def test_a_fit_that_was_broken_off_resumes_to_the_same_weights(
    architecture: str, batches: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"batch_size": 16, "dropout": 0.3} if architecture != "ngram-crf" else {"batch_size": 16}
    expected = make_tagger(architecture, **options).fit(X, Y)
    tagger = make_tagger(architecture, **options)
    with monkeypatch.context() as patch:
        patch.setattr(fitting, "make_reporter", lambda verbose: Breaker(batches))
        with pytest.raises(BrokenOffError):
            tagger.fit(X, Y, checkpoint=Checkpoint(tmp_path, resume=True, seconds=0))
    assert not hasattr(tagger, "state_")
    tagger.fit(X, Y, checkpoint=Checkpoint(tmp_path, resume=True, seconds=0))
    assert same(tagger, expected)
    assert [epoch["loss"] for epoch in tagger.history_] == [epoch["loss"] for epoch in expected.history_]


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    make_tagger(epochs=1).fit(X, Y, checkpoint=tmp_path)
    resumed = Checkpoint(tmp_path, resume=True)
    for other in (make_tagger("cnn-crf", epochs=1), make_tagger(epochs=1, random_state=1)):
        with pytest.raises(ValueError, match="checkpoint"):
            other.fit(X, Y, checkpoint=resumed)
    with pytest.raises(ValueError, match="random_state: expected a seed beside a checkpoint, got None"):
        make_tagger(random_state=None).fit(X, Y, checkpoint=tmp_path)


def _failing(parameters: dict[str, Any], *data: Any) -> Callable[[SequenceTagger], object]:
    return lambda tagger: tagger.set_params(**parameters).fit(*data)


FAILURES = {
    "the loss": (_failing({"learning_rate": 1e30, "epochs": 5}, X, Y), TrainingError),
    "the tags": (_failing({}, X, [["O"]]), ValueError),
    "the validation data": (_failing({}, X, Y, ([["a"]], [["B-NEW"]])), ValueError),
    "an option": (_failing({"dropout": 2.0}, X, Y), ValueError),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_fit_that_fails_leaves_the_tagger_as_it_was(name: str) -> None:
    fail, error = FAILURES[name]
    tagger = make_tagger("cnn-crf", epochs=2).fit(X, Y)
    state, predicted = tagger.state_, tagger.predict(X)
    with pytest.raises(error):
        fail(tagger)
    assert tagger.state_ is state
    assert tagger.predict(X) == predicted


def test_predictions_of_threads_are_those_of_one(tagger: SequenceTagger) -> None:
    sentences, _ = make_sentences(300, seed=4)
    expected = tagger.predict(sentences), [entity[:4] for entity in tagger.entities("Ann met Bob Lee")]
    barrier = threading.Barrier(4)

    def work(_: int) -> Any:
        barrier.wait()
        return tagger.predict(sentences), [entity[:4] for entity in tagger.entities("Ann met Bob Lee")]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == [expected] * 4
    torch.set_num_threads(3)
    try:
        assert tagger.predict(sentences) == expected[0]
    finally:
        torch.set_num_threads(1)


def test_two_fits_at_once_are_those_that_follow_each_other() -> None:
    expected = make_tagger().fit(X, Y)
    with ThreadPoolExecutor(2) as pool:
        for found in pool.map(lambda _: make_tagger().fit(X, Y), range(2)):
            assert same(found, expected)


def test_what_the_program_around_has_set_changes_nothing() -> None:
    expected = make_tagger("cnn-crf").fit(X, Y)
    try:
        torch.set_default_dtype(torch.float64)
        with torch.inference_mode(), torch.device("meta"):
            found = make_tagger("cnn-crf").fit(X, Y)
            assert found.predict(X) == expected.predict(X)
            marginals = found.predict_marginals(X)
    finally:
        torch.set_default_dtype(torch.float32)
    assert same(found, expected)
    assert all(parameter.requires_grad for parameter in found.state_.model.parameters())
    np.testing.assert_array_equal(np.concatenate(marginals), np.concatenate(expected.predict_marginals(X)))


@pytest.mark.parametrize("device", ["cuda:99", "meta", "none"])
def test_a_device_that_is_not_there_is_named(device: str) -> None:
    with pytest.raises(ValueError, match=f"device: '{device}' cannot be used"):
        make_tagger(device=device).fit(X, Y)


def test_vectors_are_where_the_embedding_begins() -> None:
    plain = make_tagger("cnn-crf", embedding_dim=4, epochs=1, learning_rate=1e-9).fit(X, Y)
    tagger = make_tagger("cnn-crf", embedding_dim=None, epochs=1, learning_rate=1e-9, vectors=VECTORS).fit(X, Y)
    assert tagger.options_["embedding_dim"] == 4
    table = tagger.state_.model.tokens.weight
    rows = [tagger.state_.vocabulary.id(token) for token in ("ann", "rome", "met")]
    directions = torch.tensor([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0.5**0.5, 0.5**0.5]])
    torch.testing.assert_close(torch.nn.functional.normalize(table[rows]), directions)
    others = [row for row in range(len(table)) if row not in rows]
    torch.testing.assert_close(table[others], plain.state_.model.tokens.weight[others])


@pytest.mark.parametrize(
    ("architecture", "options", "message"),
    [
        ("ngram-crf", {"vectors": VECTORS}, "vectors: the architecture 'ngram-crf' has no embedding"),
        ("cnn-crf", {"vectors": VECTORS}, "embedding_dim: expected 4 as in .*few_tokens.vec, or none, got 6"),
        ("cnn-crf", {"vectors": "nowhere.vec"}, "vectors: nowhere.vec: cannot be read"),
        ("cnn-crf", {"vectors": VECTORS, "embedding_dim": None, "min_count": 999}, "got an empty vocabulary"),
    ],
)
def test_vectors_that_cannot_be_used_are_refused(architecture: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_tagger(architecture, **options).fit(X, Y)


@pytest.mark.parametrize("bad", ["nan", "inf", "-inf", "x"])
def test_vectors_that_are_no_numbers_are_refused(bad: str, tmp_path: Path) -> None:
    file = tmp_path / "bad.vec"
    file.write_text(f"2 2\nann 1 0\nrome {bad} 0\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"bad\.vec.*line 3"):
        make_tagger("cnn-crf", embedding_dim=None, vectors=file).fit(X, Y)


def test_validation_data_takes_the_place_of_a_part_of_the_sentences() -> None:
    held_out = make_sentences(20, seed=9)
    tagger = make_tagger("cnn-crf", epochs=2).fit(X, Y, held_out)
    assert tagger.state_.n_sentences == len(X)
    scores = tagger.state_.validation_scores
    assert scores.overall.true == sum(tag[0] == "B" for tags in held_out[1] for tag in tags)
    assert scores.overall.f1 == pytest.approx(tagger.history_[tagger.best_epoch_ - 1]["validation_f1"])
    none = make_tagger(epochs=2, validation_fraction=0.0).fit(X, Y)
    assert none.state_.validation_scores is None
    assert none.best_epoch_ == 2


def test_tags_without_spans_are_judged_by_accuracy() -> None:
    y = [[tag.replace("-", "") for tag in tags] for tags in Y]
    tagger = make_tagger(scheme=None, epochs=10).fit(X, y)
    assert "validation_accuracy" in tagger.history_[0]
    assert tagger.score(X, y) == tagger.evaluate(X, y).accuracy > 0.9
    assert tagger.evaluate(X, y).spans is None


def test_sentences_that_are_the_same_are_on_one_side() -> None:
    """Else a tagger is measured by what it was trained on."""
    from textnn.tagging.intake import hold_out

    sentences = [["a", "b"], ["ab"], ["a", "b"], "ab", ["c"]] * 10
    training, held_out = hold_out(sentences, 0.4, 0)
    assert sorted(training + held_out) == list(range(50))
    assert {tuple(sentences[row]) for row in training}.isdisjoint(tuple(sentences[row]) for row in held_out)


def test_early_stopping_keeps_the_best_weights() -> None:
    held_out = make_sentences(30, seed=9)
    tagger = make_tagger("cnn-crf", epochs=30, patience=2, learning_rate=0.05).fit(X, Y, held_out)
    measures = [epoch["validation_f1"] for epoch in tagger.history_]
    assert len(measures) < 30
    assert tagger.best_epoch_ == len(measures) - 2
    assert tagger.score(*held_out) == pytest.approx(max(measures))
