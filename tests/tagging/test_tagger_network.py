"""The network: a batch of sentences gives what each gives alone; n-grams, pairs and probabilities by plain Python."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
import torch
from tagged_samples import ARCHITECTURES, DEEP, make_characters, make_sentences, make_tagger, make_words

from textnn import SequenceTagger
from textnn.tagging import prediction
from textnn.tagging.entities import span_chances
from textnn.tagging.fitting import count_pairs, encode
from textnn.tagging.intake import Tagged
from textnn.tagging.network import find_keys
from textnn.tagging.prediction import best_tags, probabilities, work_on
from textnn.tagging.tags import TagSet
from textnn.tagging.windows import REACH, Windows, hash_features, pair_keys, window_features
from textnn.text import RaggedBatch, RaggedDataset

SENTENCES = [[2, 3, 4], [5], [3, 3, 2, 6, 7, 2, 4], [2, 2], [7, 6, 5, 4]]


def flat(sentences: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    lengths = [len(ids) for ids in sentences]
    return torch.tensor([id_ for ids in sentences for id_ in ids]), torch.tensor([0, *np.cumsum(lengths)[:-1]])


@pytest.mark.parametrize("level", ["word", "char"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_batch_gives_what_each_sentence_gives_alone(architecture: str, level: str) -> None:
    X, y = make_sentences(40) if level == "word" else make_characters(40)
    own = {} if architecture == "ngram-crf" else {"channels": 4} if level == "word" else {"bigram_dim": 3}
    state = make_tagger(architecture, level=level, epochs=1, **own).fit(X, y).state_
    data = state.encoder(X)
    with torch.inference_mode():
        together = state.model(*data.whole().inputs)
        alone = [state.model(*state.encoder([tokens]).whole().inputs) for tokens in X]
    assert together.shape == (sum(map(len, X)), len(state.tags))
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-4, atol=1e-5)


def test_a_batch_of_a_segmenter_gives_what_each_sentence_gives_alone(segmenter: SequenceTagger) -> None:
    state, X = segmenter.state_, ["".join(words) for words in make_words(20, seed=1)]
    with torch.inference_mode():
        together = state.model(*state.encoder(X).whole().inputs)
        alone = [state.model(*state.encoder([text]).whole().inputs) for text in X]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-4, atol=1e-5)


def test_windows_show_the_neighbours_within_a_sentence() -> None:
    windows = Windows(*flat(SENTENCES))
    other = windows.with_ids(flat(SENTENCES)[0] * 10)
    for place in range(-REACH, REACH + 1):
        expected = [ids[i + place] if 0 <= i + place < len(ids) else 0 for ids in SENTENCES for i in range(len(ids))]
        assert windows.at(place).tolist() == expected, place
        assert other.at(place).tolist() == [10 * id_ for id_ in expected], place


def test_the_same_surroundings_have_the_same_rows_and_others_other_ones() -> None:
    """With so many buckets, and so few n-grams, two that share one would be a bad hash."""
    source = random.Random(0)
    sentences = [source.choices(range(2, 8), k=source.randint(1, 6)) for _ in range(200)]
    windows = Windows(*flat(sentences))
    buckets = 2**26
    rows = hash_features(window_features(windows, windows), buckets)
    assert len(rows) == sum(map(len, sentences))
    assert int(rows.min()) >= 1
    assert int(rows.max()) < buckets
    seen: dict[tuple[int, ...], set[tuple[int, ...]]] = {}
    for row, (ids, place) in zip(rows.tolist(), [(s, i) for s in sentences for i in range(len(s))], strict=True):
        around = tuple([0, 0, *ids, 0, 0][place : place + 2 * REACH + 1])
        seen.setdefault(around, set()).add(tuple(row))
    assert all(len(found) == 1 for found in seen.values()), "rows follow from the window alone"
    assert len({row for found in seen.values() for row in found}) == len(seen), "different windows differ"


def test_a_sentence_in_a_batch_has_the_rows_that_it_has_alone() -> None:
    windows = Windows(*flat(SENTENCES))
    together = hash_features(window_features(windows, windows.with_ids(flat(SENTENCES)[0] % 3 + 1)), 1000)
    alone = []
    for ids in SENTENCES:
        windows = Windows(*flat([ids]))
        kinds = windows.with_ids(torch.tensor(ids) % 3 + 1)
        alone.append(hash_features(window_features(windows, kinds), 1000))
    assert together.equal(torch.cat(alone))


@pytest.mark.parametrize("min_count", [1, 2, 3])
def test_pairs_are_counted_within_sentences(min_count: int) -> None:
    size = 8
    data = RaggedDataset(SENTENCES * 2 + [[2, 3]])
    counts: dict[int, int] = {}
    for ids in [*SENTENCES * 2, [2, 3]]:
        for left, right in itertools.pairwise([0, *ids, 0]):
            key = left * size + right
            counts[key] = counts.get(key, 0) + 1
    expected = sorted(key for key, count in counts.items() if count >= min_count)
    assert count_pairs(data, size, min_count).tolist() == expected


def test_pairs_are_found_or_unknown() -> None:
    keys = torch.tensor([3, 8, 21])
    assert find_keys(keys, torch.tensor([8, 0, 21, 22, 3, 4])).tolist() == [2, 0, 3, 0, 1, 0]
    assert find_keys(torch.zeros(0, dtype=torch.int64), keys).tolist() == [0, 0, 0]
    assert pair_keys(torch.tensor([2, 0]), torch.tensor([3, 7]), 8).tolist() == [19, 7]


def all_sequences(state: object, ids: int) -> list[tuple[int, ...]]:
    return list(itertools.product(range(len(state.tags)), repeat=ids))


@pytest.fixture(scope="module")
def small() -> SequenceTagger:
    """A tagger of one type, so that all sequences of tags can be looked at."""
    X, y = make_sentences(60)
    y = [[tag.replace("LOC", "PER") for tag in tags] for tags in y]
    return make_tagger(epochs=8, ngram_buckets=64).fit(X, y)


@pytest.mark.parametrize("tokens", [["Ann"], ["met", "Bob"], ["Ann", "met", "Bob", "Lee"]])
def test_probabilities_are_those_of_all_sequences(small: SequenceTagger, tokens: list[str]) -> None:
    state = small.state_
    K, length = len(state.tags), len(tokens)
    with torch.inference_mode():
        emissions = state.model(*state.encoder([tokens]).whole().inputs).double()
    start, end, transitions = (each.detach().double() for each in state.model.crf.scores())
    sequences = all_sequences(state, length)
    scores = torch.stack(
        [
            start[tags[0]]
            + end[tags[-1]]
            + sum(emissions[i, tag] for i, tag in enumerate(tags))
            + sum(transitions[a, b] for a, b in itertools.pairwise(tags))
            for tags in sequences
        ]
    )
    chances = scores.softmax(0)
    marginals = torch.zeros(length, K, dtype=torch.float64)
    for tags, chance in zip(sequences, chances, strict=True):
        for place, tag in enumerate(tags):
            marginals[place, tag] += chance
    found = small.predict_marginals([tokens])[0]
    np.testing.assert_allclose(found, marginals, atol=1e-5)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-5)
    best = sequences[int(scores.argmax())]
    assert small.predict([tokens])[0] == state.tags.decode(best)
    # The probability of a span is that of all sequences that have its tags there.
    batch = RaggedBatch(torch.zeros(length, dtype=torch.int64), torch.tensor([0]), None, torch.tensor([0]))
    best = next(sequences[row] for row in scores.argsort(descending=True) if any(sequences[row]))
    spans = state.tags.spans(np.array(best))
    expected = [
        sum(float(c) for tags, c in zip(sequences, chances, strict=True) if tags[first:last] == best[first:last])
        for first, last in zip(spans.start, spans.end, strict=True)
    ]
    assert expected, "the best sequence that has a span"
    found = span_chances(state, emissions.float(), batch, spans.start, spans.end, torch.tensor(best)).detach()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_confidence_is_that_of_the_sentence_alone(small: SequenceTagger) -> None:
    texts = ["Ann met Bob Lee", "Eve van Dam", "then Max ran . New York", ""]
    together = list(small.stream_entities(texts))
    assert together[-1] == []
    for text, entities in zip(texts, together, strict=True):
        alone = small.entities(text)
        assert [entity[:4] for entity in alone] == [entity[:4] for entity in entities]
        assert [entity.confidence for entity in alone] == pytest.approx([entity.confidence for entity in entities])
        assert all(0 < entity.confidence <= 1 for entity in entities)


def test_batches_of_so_many_tokens_give_what_one_batch_gives(
    tagger: SequenceTagger, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, _ = make_sentences(40, seed=3)
    expected = work_on(tagger.state_, X, best_tags)
    monkeypatch.setattr(prediction, "_TOKENS", 7)
    for found, whole in zip(work_on(tagger.state_, [*X, []], best_tags), [*expected, []], strict=True):
        assert found.tolist() == list(whole)


@pytest.mark.parametrize("work", [best_tags, probabilities])
def test_a_sentence_without_tokens_has_none_of_anything(tagger: SequenceTagger, work: prediction.Work) -> None:
    for sentences in ([[]], [[], ["Ann"], []]):
        found = work_on(tagger.state_, sentences, work)
        assert [len(each) for each in found] == [len(tokens) for tokens in sentences]
    assert tagger.predict([]) == []
    assert tagger.predict_marginals([[]])[0].shape == (0, 9)


@pytest.mark.parametrize("architecture", DEEP)
def test_dropout_acts_in_training_alone(architecture: str) -> None:
    X, y = make_sentences(30)
    drops = {"dropout": 0.5, "embedding_dropout": 0.5, "word_dropout": 0.5, "ngram_dropout": 0.5}
    state = make_tagger(architecture, channels=4, epochs=1, **drops).fit(X, y).state_
    inputs = state.encoder(X).whole().inputs
    with torch.no_grad():
        assert state.model(*inputs).equal(state.model(*inputs))
        state.model.train()
        assert not state.model(*inputs).equal(state.model(*inputs))
    state.model.eval()


def test_tags_lie_beside_the_ids_of_their_tokens(tagger: SequenceTagger) -> None:
    X, y = make_sentences(5)
    data = encode(tagger.state_, Tagged(X, y))
    tags: TagSet = tagger.state_.tags
    assert data.aligned["tags"].tolist() == [number for those in y for number in tags.encode(those)]
