"""Generated text: how the next token is drawn, where a text ends, and the most probable text."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from language_samples import SENTENCES, VERSES, make_model, make_state

from textnn import LanguageModel
from textnn.language import generation
from textnn.language.encoding import Splitter
from textnn.language.generation import Request, _largest, _last_token, beam_search, first_stop, sample
from textnn.language.network import END, UNKNOWN
from textnn.language.sampling import Sampling, distribution
from textnn.language.scoring import score_each

LOGITS = torch.tensor([0.5, 3.0, 2.0, 1.0, 1.0, -1.0])


def test_without_limits_the_distribution_is_the_models_without_the_unknown_token() -> None:
    expected = LOGITS.double().exp()
    expected[UNKNOWN] = 0
    torch.testing.assert_close(distribution(LOGITS, Sampling()), expected / expected.sum())


def test_the_smallest_temperature_takes_the_most_probable() -> None:
    found = distribution(LOGITS, Sampling(1e-310))
    assert found.equal(distribution(LOGITS, Sampling(0.0)))


def test_temperature_sharpens_and_flattens() -> None:
    for temperature in (0.5, 2.0):
        expected = (LOGITS.double() / temperature).exp()
        expected[UNKNOWN] = 0
        torch.testing.assert_close(distribution(LOGITS, Sampling(temperature)), expected / expected.sum())
    assert distribution(LOGITS, Sampling(0)).tolist() == [0, 0, 1, 0, 0, 0]


@pytest.mark.parametrize(("top_k", "kept"), [(1, [2]), (2, [2, 3]), (3, [2, 3, 4]), (99, [0, 2, 3, 4, 5])])
def test_top_k_keeps_the_most_probable_of_equal_ones_the_first(top_k: int, kept: list[int]) -> None:
    found = distribution(LOGITS, Sampling(top_k=top_k))
    assert found.nonzero().flatten().tolist() == kept
    assert float(found.sum()) == pytest.approx(1.0)
    whole = distribution(LOGITS, Sampling())
    torch.testing.assert_close(found[kept], whole[kept] / whole[kept].sum())


def test_top_p_keeps_the_fewest_that_have_the_probability() -> None:
    whole = distribution(LOGITS, Sampling())
    order = whole.argsort(descending=True, stable=True)
    for count in range(1, 6):
        share = float(whole[order[:count]].sum())
        below = distribution(LOGITS, Sampling(top_p=share - 1e-9))
        assert set(below.nonzero().flatten().tolist()) == set(order[:count].tolist())
        assert float(below.sum()) == pytest.approx(1.0)
    assert distribution(LOGITS, Sampling(top_p=1e-12)).nonzero().flatten().tolist() == [2], "at least one"


def test_top_p_counts_what_top_k_has_left() -> None:
    found = distribution(LOGITS, Sampling(top_k=2, top_p=0.7))
    assert found.nonzero().flatten().tolist() == [2], "0.73 of the two"


def test_draws_have_the_frequencies_of_the_distribution() -> None:
    state = make_state("ab", num_layers=1)
    texts = ["".join(sample(state, Request([END], 1), Sampling(), seed)) for seed in range(3000)]
    x, _ = generation.read_prompt(state, [END])
    expected = distribution(generation.logits_of(state, x)[0], Sampling())
    for name, id_ in (("", END), ("a", 2), ("b", 3)):
        share, p = texts.count(name) / len(texts), float(expected[id_])
        assert abs(share - p) < 5 * math.sqrt(p * (1 - p) / len(texts)), name


def brute_force(state: Any, n: int, prompt: str = "") -> tuple[str, float]:
    """The most probable of all texts that end within n tokens or have n of them, scored by whole passes."""
    letters = state.vocabulary.tokens[2:]
    best = ("", -math.inf)
    for length in range(n + 1):
        for letters_of in itertools.product(letters, repeat=length):
            text = "".join(letters_of)
            ids = [END, *state.vocabulary.encode(prompt + text)]
            with torch.no_grad():
                x = state.model(torch.tensor(ids), torch.tensor([0]))
                logits = x @ state.model.weight.T + state.model.bias
                logits[:, UNKNOWN] = -math.inf
                scores = logits.log_softmax(1)
            targets = [*ids[1:], END][len(prompt) :]
            if length == n:
                targets = targets[:-1]
            rows = scores[len(prompt) :]
            score = sum(float(row[target]) for row, target in zip(rows, targets, strict=False))
            best = max(best, (text, score), key=lambda pair: pair[1])
    return best


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("tokens", "n"), [("ab", 4), ("abc", 3)])
def test_a_beam_as_wide_as_all_texts_finds_the_most_probable(tokens: str, n: int, seed: int) -> None:
    state = make_state(tokens, num_layers=1)
    with torch.no_grad():
        torch.manual_seed(seed)
        state.model.embedding.weight.normal_(std=2.0)
        state.model.bias.normal_()
        state.model.bias[END] -= 1.0
    text, score = beam_search(state, Request([END, 2], n), len(tokens) ** n)
    expected, best = brute_force(state, n, "a")
    assert text == expected
    assert score == pytest.approx(best, rel=1e-9)
    narrow, lower = beam_search(state, Request([END, 2], n), 1)
    assert lower <= score + 1e-12, narrow


@pytest.mark.parametrize(
    ("prompt", "written"), [("one zzz", " three"), ("one two", " three"), ("one two ", "three"), ("", "three")]
)
def test_what_is_written_goes_on_from_the_prompt_as_it_stands(prompt: str, written: str) -> None:
    splitter = Splitter.of(str.split)
    last = _last_token(splitter.split(prompt), prompt)
    assert splitter.gap(last, "three") + "three" == written


def test_a_beam_ends_at_a_stop() -> None:
    state = make_state("ab", num_layers=1)
    with torch.no_grad():
        state.model.bias[:] = torch.tensor([-9.0, 0.0, 1.0, 0.0])
    text, _ = beam_search(state, Request([END], 6, ("aa",)), 64)
    assert text.endswith("aa") or "aa" not in text
    assert len(text) <= 6
    assert "aa" not in text[:-1]


@pytest.mark.parametrize("count", [1, 2, 5, 30, 99])
def test_the_largest_scores_of_equal_ones_the_first(count: int) -> None:
    scores = torch.tensor([[0.5, 2.0, -torch.inf, 2.0], [2.0, -torch.inf, 1.0, 0.5]], dtype=torch.float64)
    expected = [(2.0, 0, 1), (2.0, 0, 3), (2.0, 1, 0), (1.0, 1, 2), (0.5, 0, 0), (0.5, 1, 3)]
    expected += [(-math.inf, 0, 2), (-math.inf, 1, 1)]
    assert _largest(scores, count) == expected[:count]


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return make_model(epochs=10, hidden_size=24, embedding_dim=12, learning_rate=0.02).fit(VERSES)


def test_a_seed_gives_the_same_text_and_another_another(model: LanguageModel) -> None:
    texts = [model.generate("春", seed=seed) for seed in range(8)]
    assert texts == [model.generate("春", seed=seed) for seed in range(8)]
    assert len(set(texts)) > 1
    before = torch.get_rng_state()
    model.generate()
    assert torch.equal(before, torch.get_rng_state()), "the global generator is left alone"


def test_a_stream_is_the_text_in_pieces(model: LanguageModel) -> None:
    pieces = list(model.stream("春", seed=3))
    assert len(pieces) > 1
    assert "".join(pieces) == model.generate("春", seed=3)
    assert all(len(piece) == 1 for piece in pieces)
    stream = model.stream("春", seed=3)
    assert next(stream) == pieces[0]
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled(), "the reader's modes are his own between two pieces"


def test_a_text_ends_with_n_tokens_or_its_own_end(model: LanguageModel) -> None:
    assert len(model.generate(n=3, seed=0)) == 3
    lengths = {len(model.generate(seed=seed)) for seed in range(10)}
    assert max(lengths) < 200
    for seed in range(10):
        text = model.generate(seed=seed)
        assert set(text) <= set("".join(VERSES))


def test_a_text_ends_behind_the_first_stop(model: LanguageModel) -> None:
    whole = next(text for seed in range(50) if len(text := model.generate(seed=seed)) >= 5)
    seed = next(seed for seed in range(50) if model.generate(seed=seed) == whole)
    assert model.generate(seed=seed, stop=whole[2]) == whole[: whole.index(whole[2]) + 1]
    assert model.generate(seed=seed, stop=[whole[1:3], whole[4]]) == whole[:3]
    assert model.generate(seed=seed, stop="絕無") == whole


@pytest.mark.parametrize(
    ("text", "stop", "new", "end"),
    [
        ("abc", ["b"], 3, 2),
        ("abcb", ["b"], 1, 4),
        ("ab", ["abc"], 2, None),
        ("xab", ["ab", "xa"], 3, 2),
        ("a", [], 1, None),
    ],
)
def test_the_first_stop_that_new_characters_complete(text: str, stop: list[str], new: int, end: int | None) -> None:
    assert first_stop(text, stop, new) == end


def test_greedy_takes_the_most_probable_token_each_time(model: LanguageModel) -> None:
    text = model.generate("春", n=4, temperature=0)
    prompt = "春"
    for token in text:
        assert token == model.next_tokens(prompt, 1)[0][0]
        prompt += token


def test_a_beam_is_at_least_as_probable_as_greedy(model: LanguageModel) -> None:
    def score(text: str) -> float:
        (scores,) = score_each(model.state_, [text])
        return float(scores.sum())

    assert score(model.generate(beam=20)) >= score(model.generate(temperature=0)) - 1e-6


def test_unknown_tokens_of_a_prompt_are_told_and_never_written(model: LanguageModel) -> None:
    with pytest.warns(UserWarning, match=r"prompt: not all of its tokens are in the vocabulary \('龍'\)"):
        text = model.generate("春龍", seed=0)
    assert "[UNK]" not in text
    with pytest.warns(UserWarning, match=r"prompt: no token of it is in the vocabulary \('x', 'y'\)"):
        model.generate("xyx", seed=0)
    with pytest.warns(UserWarning, match="no token of it is"):
        assert model.generate("[", beam=2) == model.generate("]", beam=2)
    for seed in range(20):
        assert "[" not in model.generate(seed=seed, temperature=3.0)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"prompt": None}, TypeError, "prompt: expected a string, got NoneType"),
        ({"n": 0}, ValueError, "n: expected an integer from 1"),
        ({"temperature": -1}, ValueError, "temperature: expected a number from 0"),
        ({"temperature": "hot"}, TypeError, "temperature: expected a number"),
        ({"top_k": 0}, ValueError, "top_k: expected an integer from 1"),
        ({"top_p": 0}, ValueError, "top_p: expected a number above 0 to 1"),
        ({"top_p": 1.1}, ValueError, "top_p: expected a number above 0 to 1"),
        ({"beam": 0}, ValueError, "beam: expected an integer from 1"),
        ({"beam": 2, "seed": 1}, ValueError, "beam: expected no temperature, top_k, top_p or seed beside it"),
        ({"beam": 2, "top_k": 1}, ValueError, "beam: expected no temperature, top_k, top_p or seed beside it"),
        ({"seed": -1}, ValueError, "seed: expected an integer from 0"),
        ({"stop": ""}, ValueError, "stop: expected a string, or strings, none of them empty"),
        ({"stop": [1]}, ValueError, "stop: expected a string, or strings, none of them empty"),
        ({"stop": 5}, TypeError, "stop: expected a string, or strings, got int"),
        ({"stop": b"a"}, TypeError, "stop: expected a string, or strings, got bytes"),
    ],
)
def test_what_makes_no_sense_is_refused(
    options: dict[str, Any], kind: type[Exception], message: str, model: LanguageModel
) -> None:
    with pytest.raises(kind, match=message):
        model.generate(**options)


def test_words_are_joined_as_they_were_cut() -> None:
    model = make_model("word", epochs=10, hidden_size=32, embedding_dim=16, learning_rate=0.02).fit(SENTENCES)
    text = model.generate("the cat", temperature=0, stop=".")
    assert "the cat" + text in set(SENTENCES)
