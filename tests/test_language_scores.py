"""Scores: log-probabilities computed by hand, perplexity, and what generation says of the same text."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from language_samples import SENTENCES, VERSES, make_model, make_state

from textnn import LanguageModel
from textnn.language import scoring
from textnn.language.encoding import Splitter
from textnn.language.generation import logits_of, next_tokens, read_prompt
from textnn.language.network import END, UNKNOWN
from textnn.language.sampling import Sampling, distribution

TEXTS = ["abc", "", "a", "cab?bac", "abcabcabcabc"]


def by_hand(state, text: str) -> list[float]:
    """The log-probability of each token of a text and of its end, from a pass over everything before it."""
    ids = [END, *state.vocabulary.encode(text)]
    found = []
    for place, target in enumerate([*ids[1:], END]):
        with torch.no_grad():
            x = state.model(torch.tensor(ids[: place + 1]), torch.tensor([0]))[-1]
            logits = state.model.weight @ x + state.model.bias
        found.append(float(logits[target]) - math.log(sum(math.exp(float(value)) for value in logits)))
    return found


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_scores_are_those_computed_by_hand(cell: str) -> None:
    state = make_state(cell=cell)
    found = list(scoring.score_each(state, TEXTS))
    for text, scores in zip(TEXTS, found, strict=True):
        assert scores.dtype == np.float64
        np.testing.assert_allclose(scores, by_hand(state, text), rtol=1e-10)


def test_perplexity_is_exp_of_minus_the_mean_of_all_of_them() -> None:
    state = make_state()
    scores = [score for text in TEXTS for score in by_hand(state, text)]
    assert scoring.perplexity(state, TEXTS) == pytest.approx(math.exp(-sum(scores) / len(scores)), rel=1e-10)


def test_long_texts_are_read_in_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    state = make_state()
    texts = ["abc" * 50, "cba" * 7, "", "b" * 31]
    whole = list(scoring.score_each(state, texts))
    monkeypatch.setattr(scoring, "_WINDOW", 3)
    monkeypatch.setattr(scoring, "_TOKENS", 10)
    for one, other in zip(whole, scoring.score_each(state, texts), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-13)


def test_more_texts_than_a_chunk_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "CHUNK", 2)
    state = make_state()
    for text, scores in zip(TEXTS, scoring.score_each(state, iter(TEXTS)), strict=True):
        np.testing.assert_allclose(scores, by_hand(state, text), rtol=1e-10)


def test_the_score_of_a_text_is_the_sum_of_what_generation_says_step_by_step() -> None:
    state = make_state()
    text, total = "abcab", 0.0
    prompt = [END]
    for id_ in [*state.vocabulary.encode(text), END]:
        x, _ = read_prompt(state, prompt)
        unknown = float(next_tokens(state, prompt)[UNKNOWN].exp())
        drawn = float(distribution(logits_of(state, x)[0], Sampling())[id_])
        assert drawn * (1 - unknown) == pytest.approx(float(next_tokens(state, prompt)[id_].exp()), rel=1e-9)
        total += math.log(drawn * (1 - unknown))
        prompt.append(id_)
    (scores,) = scoring.score_each(state, [text])
    assert scores.sum() == pytest.approx(total, rel=1e-9)


def test_the_estimator_gives_scores_perplexity_and_probabilities() -> None:
    model = make_model("word").fit(SENTENCES)
    texts = SENTENCES[:3]
    parts = list(model.score_tokens(texts))
    assert [len(part) for part in parts] == [len(Splitter("word").split(text)) + 1 for text in texts]
    np.testing.assert_allclose(model.score_texts(texts), [part.sum() for part in parts])
    mean = np.concatenate(parts).mean()
    assert model.perplexity(texts) == pytest.approx(math.exp(-mean))
    assert model.score(texts) == pytest.approx(mean)
    tokens = model.next_tokens("the", top=100)
    assert sum(probability for _, probability in tokens) == pytest.approx(1.0)
    assert {name for name, _ in tokens} == {"", *model.vocabulary_.tokens[1:]}
    assert [p for _, p in tokens] == sorted((p for _, p in tokens), reverse=True)
    assert len(model.next_tokens("the", top=2)) == 2


def test_a_model_finds_what_it_learnt_more_probable() -> None:
    model = make_model(epochs=8, hidden_size=32, embedding_dim=16, learning_rate=0.02).fit(VERSES)
    assert model.perplexity(VERSES) < 4
    assert model.perplexity(["来春人山。"]) > 10 * model.perplexity(VERSES)
    assert model.history_[-1]["validation_perplexity"] < model.history_[0]["validation_perplexity"]


def test_what_is_no_text_is_refused() -> None:
    model = make_model().fit(VERSES)
    with pytest.raises(TypeError, match=r"X: expected strings, got one string; write \[text\]"):
        model.perplexity("春风")
    with pytest.raises(TypeError, match=r"X\[1\]: expected a string, got float"):
        model.score_texts(["春", float("nan")])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="X: expected at least one text, got none"):
        model.perplexity([])
    assert model.score_texts([]).shape == (0,)
    assert model.score_texts([""]).shape == (1,), "an empty text ends at once"
    with pytest.raises(TypeError, match="prompt: expected a string, got int"):
        model.next_tokens(3)  # type: ignore[arg-type]


def test_an_unfitted_model_says_so() -> None:
    from sklearn.exceptions import NotFittedError

    for call in (lambda m: m.perplexity(["a"]), lambda m: m.generate(), lambda m: m.stream(), lambda m: m.save("none")):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            call(LanguageModel())
