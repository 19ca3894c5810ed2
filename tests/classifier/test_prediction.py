"""Prediction in bulk: the results of one text at a time, in order, whatever the threads do."""

from __future__ import annotations

import copy
import pickle
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError

from textnn import SentimentClassifier
from textnn.models import ARCHITECTURES
from textnn.models import predictor as prediction
from textnn.models.predictor import in_chunks, ordered


def test_results_come_in_order_although_later_ones_are_done_first() -> None:
    def work(item: int) -> int:
        time.sleep(0.02 if item % 3 == 0 else 0.0)
        return item * item

    assert list(ordered(work, range(20), 4)) == [item * item for item in range(20)]


def test_no_more_is_read_than_the_workers_need() -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    results = ordered(lambda item: item, items(), 2)
    assert [next(results) for _ in range(5)] == [1, 2, 3, 4, 5]
    assert taken <= 5 + 3
    results.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("workers", [1, 3])
def test_an_error_comes_at_its_place(workers: int) -> None:
    def work(item: int) -> int:
        if item == 3:
            raise ValueError("three")
        return item

    results = ordered(work, range(6), workers)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)


def test_the_threads_end_with_the_stream_also_when_it_is_left_early() -> None:
    before = set(threading.enumerate())
    results = ordered(lambda item: item, range(100), 3)
    next(results)
    assert set(threading.enumerate()) > before
    results.close()  # type: ignore[attr-defined]
    assert set(threading.enumerate()) <= before


def test_each_worker_computes_on_one_core_and_the_caller_on_as_many_as_before() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        assert set(ordered(lambda _: torch.get_num_threads(), range(8), 2)) == {1}
        assert torch.get_num_threads() == 3
        assert list(ordered(lambda _: torch.get_num_threads(), range(1), 1)) == [3]
    finally:
        torch.set_num_threads(before)


def test_chunks_hold_all_items_once() -> None:
    assert list(in_chunks(range(7), 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(in_chunks([], 3)) == []


@pytest.mark.parametrize("name", list(ARCHITECTURES))
def test_many_texts_have_the_probabilities_of_each_alone(
    name: str, make_classifier: Any, reviews: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prediction, "CHUNK", 16)
    monkeypatch.setattr(prediction, "_TOKENS", 24)  # several batches a chunk, and texts that are longer than one
    classifier = make_classifier(name, epochs=1).fit(*reviews)
    texts = [*reviews[0][:50], "", "很 好 " * 30, " ", "无人 知晓"]
    alone = np.concatenate([classifier.predict_proba([text]) for text in texts])
    streamed = list(classifier.stream_proba(iter(texts)))
    assert [len(part) for part in streamed] == [16, 16, 16, 6]
    np.testing.assert_allclose(np.concatenate(streamed), alone, rtol=0, atol=1e-5)
    np.testing.assert_allclose(classifier.predict_proba(texts), alone, rtol=0, atol=1e-5)


def test_a_stream_takes_strings_only_and_needs_a_fit(fitted: SentimentClassifier) -> None:
    with pytest.raises(TypeError, match="X: expected strings, got one string"):
        fitted.stream_proba("很 好")
    with pytest.raises(TypeError, match=r"X\[1\]: expected a string, got float nan"):
        list(fitted.stream_proba(["很 好", float("nan")]))  # type: ignore[list-item]
    with pytest.raises(NotFittedError):
        SentimentClassifier().stream_proba(["很 好"])
    assert list(fitted.stream_proba([])) == []


def test_a_network_is_frozen_at_its_first_prediction_unless_it_is_not_to_be(
    make_classifier: Any, reviews: Any, tmp_path: Path
) -> None:
    classifier = make_classifier().fit(*reviews)
    assert classifier.frozen_ is None
    frozen = classifier.predict_proba(reviews[0])
    assert classifier.frozen_ is not None
    live = classifier.unfreeze().predict_proba(reviews[0])
    assert classifier.frozen_ is None
    np.testing.assert_allclose(frozen, live, rtol=0, atol=1e-5)
    classifier.save(tmp_path / "model")
    loaded = SentimentClassifier.load(tmp_path / "model", frozen=False)
    assert (loaded.predict_proba(reviews[0]) == live).all()
    assert loaded.frozen_ is None
    assert (SentimentClassifier.load(tmp_path / "model").predict_proba(reviews[0]) == frozen).all()


def test_a_copy_of_a_classifier_keeps_how_it_was_frozen(make_classifier: Any, reviews: Any) -> None:
    classifier = make_classifier("lstm").fit(*reviews).freeze(dtype="int8")
    expected = classifier.predict_proba(reviews[0])
    assert not (make_classifier("lstm").fit(*reviews).predict_proba(reviews[0]) == expected).all()
    assert (pickle.loads(pickle.dumps(classifier)).predict_proba(reviews[0]) == expected).all()
    assert (copy.deepcopy(classifier).predict_proba(reviews[0]) == expected).all()
