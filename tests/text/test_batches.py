"""Ragged batches: the right ids in the right rows, and every row exactly once."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from textnn.text import (
    CharTokenizer,
    LengthBucketSampler,
    RaggedDataset,
    Vocabulary,
    encode,
    encode_tokens,
    tokenize,
)

SEQUENCES = st.lists(st.lists(st.integers(0, 2**31 - 1), max_size=20), max_size=30)


def rows_of(batch) -> list[list[int]]:
    """Undo the ragged layout in the plainest way."""
    bounds = [*batch.offsets.tolist(), batch.ids.numel()]
    return [batch.ids.tolist()[start:end] for start, end in pairwise(bounds)]


# ---- dataset and batch -----------------------------------------------------------------------------------------------


def test_a_batch_holds_the_rows_asked_for_in_their_order():
    dataset = RaggedDataset([[5, 6, 7], [], [8], [9, 9]], labels=[0, 1, 2, 3])
    batch = dataset.batch([3, 0, 1, 3])
    assert batch.ids.tolist() == [9, 9, 5, 6, 7, 0, 9, 9]
    assert batch.offsets.tolist() == [0, 2, 5, 6]
    assert batch.lengths.tolist() == [2, 3, 1, 2]
    assert batch.labels is not None
    assert batch.labels.tolist() == [3, 0, 1, 3]
    assert batch.index.tolist() == [3, 0, 1, 3]
    assert batch.size == 4
    assert {t.dtype for t in (batch.ids, batch.offsets, batch.lengths, batch.labels, batch.index)} == {torch.int64}


@given(sequences=SEQUENCES, data=st.data())
def test_batches_give_back_the_sequences(sequences, data):
    dataset = RaggedDataset(iter(sequences))
    index = data.draw(st.lists(st.integers(0, len(sequences) - 1))) if sequences else []
    batch = dataset.batch(torch.tensor(index, dtype=torch.int64))
    assert rows_of(batch) == [sequences[row] or [Vocabulary.PAD_ID] for row in index]
    assert batch.lengths.tolist() == dataset.lengths[index].tolist() == [max(len(sequences[row]), 1) for row in index]
    assert batch.labels is None


def test_batches_suit_embedding_bag():
    torch.manual_seed(0)
    bag = torch.nn.EmbeddingBag(10, 4, mode="mean")
    batch = RaggedDataset([[1, 2], [], [3, 4, 5]]).batch([0, 1, 2])
    expected = torch.stack([bag.weight[row].mean(0) for row in ([1, 2], [0], [3, 4, 5])])
    torch.testing.assert_close(bag(batch.ids, batch.offsets), expected)


def test_a_batch_moves_and_does_not_change():
    batch = RaggedDataset([[1, 2]], labels=torch.tensor([1])).batch([0])
    moved = batch.to("meta")
    assert moved.labels is not None
    assert {t.device.type for t in (moved.ids, moved.offsets, moved.labels, moved.index)} == {"meta"}
    assert RaggedDataset([[1]]).batch([0]).to("cpu").labels is None
    with pytest.raises(FrozenInstanceError):
        batch.ids = batch.index  # type: ignore[misc]


def test_an_empty_batch_of_an_empty_dataset():
    dataset = RaggedDataset([], labels=[])
    batch = dataset.batch([])
    assert (len(dataset), batch.size, batch.ids.numel(), batch.lengths.numel()) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("sequences", "labels", "error", "message"),
    [
        ([[1], ["a"]], None, TypeError, r"sequences\[1\]: expected token ids, integers from 0 to 2\*\*31 - 1"),
        ([[1], [2.5]], None, TypeError, r"sequences\[1\]: expected token ids"),
        ([[1], [2**31]], None, ValueError, r"sequences\[1\]: expected token ids"),
        ([[1], [], [4, -3]], None, ValueError, r"sequences\[2\]: expected token ids from 0, got -3"),
        ([[1], [2]], [0], ValueError, r"labels: expected one for each of 2 sequences, got the shape \[1\]"),
        ([[1], [2]], [[0, 1]], ValueError, r"labels: .* got the shape \[1, 2\]"),
        ([[1], [2]], [0.5, 1.0], TypeError, r"labels: expected integers, got torch.float32"),
    ],
)
def test_wrong_sequences_and_labels(sequences, labels, error, message):
    with pytest.raises(error, match=message):
        RaggedDataset(sequences, labels)


@pytest.mark.parametrize("index", [[2], [-1], [0, 5]])
def test_rows_outside_the_dataset(index):
    with pytest.raises(IndexError, match="index: expected rows from 0 to 1, got rows from"):
        RaggedDataset([[1], [2]]).batch(index)


def test_an_index_is_a_vector():
    with pytest.raises(ValueError, match=r"index: expected a vector of rows, got the shape \[1, 1\]"):
        RaggedDataset([[1]]).batch(torch.zeros(1, 1, dtype=torch.int64))


# ---- sampler ---------------------------------------------------------------------------------------------------------

LENGTHS = st.lists(st.integers(1, 50), max_size=300)


def passes(lengths, batch_size, shuffle, seed, number=1) -> list[list[list[int]]]:
    sampler = LengthBucketSampler(lengths, batch_size, shuffle, torch.Generator().manual_seed(seed))
    return [[batch.tolist() for batch in sampler] for _ in range(number)]


@given(lengths=LENGTHS, batch_size=st.integers(1, 40), shuffle=st.booleans(), seed=st.integers(0, 2**32))
def test_every_row_comes_exactly_once(lengths, batch_size, shuffle, seed):
    for batches in passes(lengths, batch_size, shuffle, seed, number=2):
        assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
        sizes = sorted(map(len, batches), reverse=True)
        assert all(size == batch_size for size in sizes[:-1]), sizes
        assert len(batches) == len(LengthBucketSampler(lengths, batch_size)), sizes


@given(lengths=LENGTHS, batch_size=st.integers(1, 40), seed=st.integers(0, 2**32))
def test_a_generator_repeats_it_exactly(lengths, batch_size, seed):
    assert passes(lengths, batch_size, True, seed, number=3) == passes(lengths, batch_size, True, seed, number=3)


def test_rows_of_a_batch_have_similar_lengths():
    lengths = torch.randint(1, 200, (20_000,), generator=torch.Generator().manual_seed(0))
    batches = passes(lengths, 50, True, 1)[0]
    spreads = torch.tensor([float(lengths[batch].max() - lengths[batch].min()) for batch in batches])
    # 5,000 rows of a window fall on 200 lengths: 50 neighbours differ by some two of them.
    assert spreads.mean() < 5, spreads.mean()
    assert spreads.max() < 20, f"a batch reaches over two windows (spread {spreads.max()})"
    means = torch.tensor([float(lengths[batch].double().mean()) for batch in batches])
    order = torch.corrcoef(torch.stack([means[:-1], means[1:]]))[0, 1]
    assert abs(order) < 0.2, f"batches follow each other by length (correlation {order})"


def test_passes_differ():
    first, second = passes([3] * 500, 10, True, 0, number=2)
    assert first != second
    assert passes([3] * 500, 10, True, 1)[0] != first


def test_without_shuffling_the_longest_come_first_and_can_be_put_back():
    dataset = RaggedDataset([[row] * length for row, length in enumerate([2, 5, 1, 5, 3])])
    sampler = LengthBucketSampler(dataset.lengths, 2, shuffle=False)
    assert [batch.tolist() for batch in sampler] == [[1, 3], [4, 0], [2]]
    result = torch.empty(len(dataset), dtype=torch.int64)
    for batch in map(dataset.batch, sampler):
        result[batch.index] = batch.ids[batch.offsets]
    assert result.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("lengths", "batch_size", "message"),
    [
        ([1], 0, "batch_size: expected at least 1, got 0"),
        ([[1]], 1, r"lengths: expected a vector, got the shape \[1, 1"),
    ],
)
def test_wrong_sampler_arguments(lengths, batch_size, message):
    with pytest.raises(ValueError, match=message):
        LengthBucketSampler(lengths, batch_size)


# ---- from texts ------------------------------------------------------------------------------------------------------


def test_encode_is_tokens_then_ids():
    vocabulary = Vocabulary(["[PAD]", "[UNK]", "很", "好"])
    dataset = encode(["很好", "", "好差 很"], CharTokenizer(), vocabulary, labels=[1, 0, 1])
    assert rows_of(dataset.batch([0, 1, 2])) == [[2, 3], [0], [3, 1, 2]]
    assert dataset.labels is not None
    assert dataset.labels.tolist() == [1, 0, 1]


def test_long_texts_are_cut():
    vocabulary = Vocabulary(["[PAD]", "[UNK]", "a", "b"])
    dataset = encode_tokens([["a", "b", "a"], ["b"], []], vocabulary, max_length=2)
    assert rows_of(dataset.batch([0, 1, 2])) == [[2, 3], [3], [0]]
    with pytest.raises(ValueError, match="max_length: expected at least 1, got 0"):
        encode_tokens([], vocabulary, max_length=0)


def test_progress_adds_up_to_the_number_of_texts():
    done: list[int] = []
    assert len(list(tokenize(["a b"] * 250, str.split, done.append))) == 250
    assert done == [100, 100, 50]


def test_equal_tokens_are_one_object():
    first, second = tokenize(["".join(["lo", "ng"]), "".join(["lon", "g"])], str.split)
    assert first[0] is second[0]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("a text", "texts: expected a sequence of strings, got one string"),
        (["a", None], r"texts\[1\]: expected a string"),
    ],
)
def test_texts_are_strings(texts, message):
    with pytest.raises(TypeError, match=message):
        list(tokenize(texts, str.split))


def test_batches_gathered_together_are_those_gathered_one_by_one() -> None:
    for labels in (None, list(range(70))):
        data = RaggedDataset([[1 + row] * (row % 5) for row in range(70)], labels)
        rows = [torch.arange(70)[start::23] for start in range(23)] + [torch.tensor([], dtype=torch.int64)]
        rows *= 2  # more than are gathered at once
        found = list(data.batches(iter(rows)))
        assert len(found) == len(rows)
        for number, (batch, index) in enumerate(zip(found, rows, strict=True)):
            expected = data.batch(index)
            for name in ("ids", "offsets", "labels", "index"):
                one, other = getattr(batch, name), getattr(expected, name)
                assert (one is None and other is None) or torch.equal(one, other), f"batch {number}: {name}"
    assert list(RaggedDataset([[1]]).batches([])) == []
    with pytest.raises(IndexError, match="expected rows from 0 to 0"):
        list(RaggedDataset([[1]]).batches([torch.tensor([1])]))


def tagged() -> RaggedDataset:
    """Sentences whose tokens have a tag each, ten times their id, and two values each."""
    ids = [[3, 1, 4], [1], [5, 9], [2, 6, 5, 3]]
    flat = torch.tensor([token for sentence in ids for token in sentence])
    return RaggedDataset(ids, aligned={"tags": flat * 10, "places": torch.stack([flat, -flat], dim=1)})


def assert_aligned(batch) -> None:
    assert torch.equal(batch.aligned["tags"], batch.ids * 10)
    assert torch.equal(batch.aligned["places"], torch.stack([batch.ids, -batch.ids], dim=1))


def test_arrays_of_the_tokens_go_where_their_tokens_go() -> None:
    data = tagged()
    for batch in (
        data.batch([3, 0, 2]),
        data.whole(),
        data.batch([1]).to("cpu"),
        data.take(torch.tensor([2, 1])).whole(),
    ):
        assert_aligned(batch)
    parts = list(data.batches([torch.tensor([2, 0]), torch.tensor([3]), torch.tensor([1, 2])]))
    assert [part.ids.tolist() for part in parts] == [[5, 9, 3, 1, 4], [2, 6, 5, 3], [1, 5, 9]]
    for part in parts:
        assert_aligned(part)
    assert_aligned(RaggedDataset.chained([data, data.take(torch.tensor([0]))]).batch([4, 1]))


def test_an_array_of_the_tokens_has_as_many_values() -> None:
    with pytest.raises(ValueError, match=r"tags: expected one value for each of 3 tokens, got the shape \[2\]"):
        RaggedDataset([[1, 2], [3]], aligned={"tags": torch.tensor([0, 1])})
