"""scikit-learn's contract: parameters, clones, searches, and what an unfitted tagger says."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from tagged_samples import make_sentences, make_tagger, make_words

from textnn import SequenceTagger

X, Y = make_sentences(60)


def test_parameters_are_stored_as_they_are_given() -> None:
    tagger = SequenceTagger("ngram-crf", epochs=np.int64(3), scheme=None)
    assert tagger.get_params()["epochs"] is tagger.epochs
    assert tagger.set_params(epochs=4, scheme="BIO").get_params()["epochs"] == 4
    with pytest.raises(ValueError, match="Invalid parameter 'epoch'"):
        tagger.set_params(epoch=4)
    assert repr(SequenceTagger(epochs=2)) == "SequenceTagger(epochs=2)"


def test_a_clone_is_unfitted_and_fits_to_the_same(tagger: SequenceTagger) -> None:
    other = clone(tagger)
    assert other.get_params() == tagger.get_params()
    with pytest.raises(NotFittedError):
        other.predict(X)
    other.fit(*make_sentences(150))
    assert other.predict(X) == tagger.predict(X)


CALLS: list[tuple[str, tuple[Any, ...]]] = [
    ("predict", (X,)),
    ("predict_marginals", (X,)),
    ("entities", ("Ann ran",)),
    ("stream_entities", (["Ann ran"],)),
    ("cut", ("我来",)),
    ("cut_tagged", ("我来",)),
    ("stream_cut", (["我来"],)),
    ("score", (X, Y)),
    ("evaluate", (X, Y)),
    ("save", ("nowhere",)),
]


@pytest.mark.parametrize(("method", "arguments"), CALLS)
def test_an_unfitted_tagger_says_so(method: str, arguments: tuple[Any, ...]) -> None:
    with pytest.raises(NotFittedError, match="not fitted yet"):
        getattr(make_tagger(), method)(*arguments)


@pytest.mark.parametrize("name", ["tags_", "scheme_", "level_", "options_", "history_", "best_epoch_", "seed_"])
def test_fitted_attributes_are_there_after_a_fit(name: str, tagger: SequenceTagger) -> None:
    assert not hasattr(make_tagger(), name)
    assert getattr(tagger, name) is not None


def test_what_a_fit_comes_to(tagger: SequenceTagger) -> None:
    assert (tagger.level_, tagger.scheme_, tagger.seed_) == ("word", "BIO", 0)
    assert tagger.tags_ == ["O", *(f"{letter}-{kind}" for kind in ("LOC", "PER") for letter in "BIES")]
    assert 1 <= tagger.best_epoch_ <= len(tagger.history_) <= 6
    assert {"validation_f1", "validation_loss", "loss"} <= {*tagger.history_[0]}
    assert tagger.options_["hidden_size"] == 5
    assert tagger.score(*make_sentences(40, seed=1)) > 0.9


def test_fit_returns_the_tagger_and_a_second_fit_begins_anew(tagger: SequenceTagger) -> None:
    other = make_tagger("bilstm-crf", channels=4, epochs=6)
    assert other.fit(X, Y) is other
    other.fit(*make_sentences(150))
    assert other.predict(X) == tagger.predict(X)


def test_a_search_over_a_grid_and_scores_of_folds() -> None:
    search = GridSearchCV(make_tagger(epochs=4), {"ngram_buckets": [2, 512]}, cv=2).fit(X, Y)
    assert search.best_params_ == {"ngram_buckets": 512}
    assert search.score(X, Y) > search.cv_results_["mean_test_score"][0]
    assert cross_val_score(make_tagger(epochs=4), X, Y, cv=2).shape == (2,)


def test_copies_and_pickles_predict_the_same(tagger: SequenceTagger, segmenter: SequenceTagger) -> None:
    for other in (copy.deepcopy(tagger), pickle.loads(pickle.dumps(tagger))):
        assert other.predict(X) == tagger.predict(X)
    segmenter.cut("我来到北京")
    assert pickle.loads(pickle.dumps(segmenter)).cut("我来到北京") == segmenter.cut("我来到北京")


def test_fit_words_leaves_the_parameters_as_they_are() -> None:
    tagger = make_tagger(level="word", scheme="BIO")
    before = tagger.get_params()
    tagger.fit_words(make_words(20))
    assert tagger.get_params() == before
    assert (tagger.level_, tagger.scheme_) == ("char", "BMES")
