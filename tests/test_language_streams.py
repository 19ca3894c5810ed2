"""Streams of texts: every token once, in order, and the states of one window are where the next one begins."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from language_samples import make_network
from torch import Tensor

from textnn.language.loss import log_probabilities
from textnn.language.network import CELLS, END
from textnn.language.objective import LanguageObjective
from textnn.text import TokenStreams
from textnn.text.streams import NEXT


def make_texts(lengths: list[int]) -> tuple[Tensor, Tensor]:
    """Return ids of texts of some lengths, each behind END, and the lengths with the mark."""
    generator = torch.Generator().manual_seed(0)
    texts = [torch.randint(2, 7, (length,), generator=generator) for length in lengths]
    ids = torch.cat([torch.cat([torch.tensor([END]), text]) for text in texts]).to(torch.int32)
    return ids, torch.tensor(lengths) + 1


def read_streams(streams: TokenStreams) -> list[list[int]]:
    """Return the tokens of each stream, put together from the windows of all batches."""
    found: list[list[int]] = [[] for _ in range(streams.streams)]
    for batch in streams.batches(streams.rows_in_order(0)):
        for stream, part in zip(found, batch.ids.tensor_split(batch.offsets[1:].tolist()), strict=False):
            stream += part.tolist()
    return found


@pytest.mark.parametrize("lengths", [[0], [3], [5, 0, 2], [1] * 30, [40], [7, 9, 20, 3]])
@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("window", [1, 2, 4, 100])
def test_streams_have_every_token_once_in_its_order(lengths: list[int], count: int, window: int) -> None:
    ids, sizes = make_texts(lengths)
    streams = TokenStreams(ids, sizes, count, window, shuffle=False)
    found = read_streams(streams)
    assert [id_ for stream in found for id_ in stream] == ids.tolist()
    assert max(map(len, found)) - min(map(len, found)) <= 1
    assert len(found) == min(count, len(ids))
    assert max(streams.lengths) <= window


@pytest.mark.parametrize(
    ("lengths", "count", "window", "streams"),
    [
        ([3, 3, 3, 3], 2, 4, [[1, 2], [3, 4]]),
        ([9, 1, 1, 1], 2, 4, [[1], [2, 3, 4]]),
        ([1, 1, 1, 9], 2, 4, [[4], [1, 2, 3]]),
        ([2, 2], 5, 9, [[1], [2]]),
    ],
)
def test_to_measure_by_streams_begin_with_texts_the_longest_first(
    lengths: list[int], count: int, window: int, streams: list[list[int]]
) -> None:
    texts = [[END, *[number] * length] for number, length in enumerate(lengths, 1)]
    ids = torch.tensor([id_ for text in texts for id_ in text], dtype=torch.int32)
    found = read_streams(TokenStreams(ids, torch.tensor(lengths) + 1, count, window, shuffle=False, whole=True))
    assert found == [[id_ for number in numbers for id_ in texts[number - 1]] for numbers in streams]


def test_a_text_that_is_much_longer_than_a_window_is_cut() -> None:
    ids, sizes = make_texts([40, 3])
    streams = TokenStreams(ids, sizes, 3, 5, shuffle=False, whole=True)
    assert [len(stream) for stream in read_streams(streams)] == [15, 15, 15]
    with pytest.raises(ValueError, match="whole: expected False beside shuffle"):
        TokenStreams(ids, sizes, 3, 5, whole=True)


def test_what_follows_the_last_token_is_the_mark() -> None:
    ids, sizes = make_texts([3, 2])
    batch = TokenStreams(ids, sizes, 1, 100).whole()
    assert batch.aligned[NEXT].tolist() == [*ids[1:].tolist(), END]


def test_each_pass_has_the_texts_in_a_new_order_and_the_same_generator_gives_the_same() -> None:
    ids, sizes = make_texts([3, 5, 2, 4, 6])
    streams = TokenStreams(ids, sizes, 1, 4)
    orders = []
    for seed in (1, 2, 1):
        list(streams.rows_to_train(0, bucket=False, generator=torch.Generator().manual_seed(seed)))
        (order,) = read_streams(streams)
        batch = streams.whole()
        assert batch.aligned[NEXT].tolist() == [*order[1:], END]
        orders.append(order)
    assert orders[0] == orders[2] != orders[1]
    texts = [tuple(part.tolist()) for part in ids.split(sizes.tolist())]
    begins = [at for at, id_ in enumerate(orders[0]) if id_ == END]
    parts = [tuple(orders[0][a:b]) for a, b in zip(begins, [*begins[1:], len(ids)], strict=True)]
    assert sorted(parts) == sorted(texts)


def test_wrong_sizes_are_refused() -> None:
    ids, sizes = make_texts([3])
    with pytest.raises(ValueError, match=r"streams, window: expected numbers from 1, got 0 and 4"):
        TokenStreams(ids, sizes, 0, 4)
    with pytest.raises(ValueError, match=r"lengths: expected the sum 4, above 0, got 5"):
        TokenStreams(ids, sizes + 1, 1, 4)
    with pytest.raises(ValueError, match=r"lengths: expected the sum 0"):
        TokenStreams(ids[:0], sizes[:0], 1, 4)


def features(network: Any, streams: TokenStreams) -> list[Tensor]:
    """Return the features of each stream, read in windows with states carried."""
    network.streams = streams.streams
    network.begin_pass()
    found: list[list[Tensor]] = [[] for _ in range(streams.streams)]
    for batch in streams.batches(streams.rows_in_order(0)):
        parts = network(*batch.inputs).tensor_split(batch.offsets[1:].tolist())
        for stream, part in zip(found, parts, strict=False):
            stream.append(part)
    network.end_passes()
    return [torch.cat(parts) for parts in found]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("context", ["text", "stream"])
@pytest.mark.parametrize(("count", "window"), [(1, 3), (3, 4), (2, 1)])
def test_states_that_are_carried_give_what_one_long_sequence_gives(
    cell: str, context: str, count: int, window: int
) -> None:
    ids, sizes = make_texts([9, 4, 0, 12, 2])
    network = make_network(cell=cell, context=context)
    with torch.no_grad():
        windows = features(network, TokenStreams(ids, sizes, count, window, shuffle=False))
        whole = features(network, TokenStreams(ids, sizes, count, 1000, shuffle=False))
    for one, other in zip(windows, whole, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-14)


@pytest.mark.parametrize("cell", CELLS)
def test_a_text_is_read_as_if_it_stood_alone_and_in_a_stream_behind_the_one_before(cell: str) -> None:
    ids, sizes = make_texts([9, 4, 6])
    last = ids[-7:].long()
    for context, same in (("text", True), ("stream", False)):
        network = make_network(cell=cell, context=context)
        with torch.no_grad():
            (stream,) = features(network, TokenStreams(ids, sizes, 1, 5, shuffle=False))
            alone = network(last, torch.tensor([0]))
        assert torch.allclose(stream[-7:], alone, rtol=0, atol=1e-14) is same, context


def test_in_a_stream_a_tenth_of_the_texts_begins_afresh_in_training_and_none_afterwards() -> None:
    """The first features of a text are those behind fresh states just where it begins with them."""
    options = {"context": "stream", "dropout": 0.0, "embedding_dropout": 0.0, "num_layers": 1}
    network = make_network(**options)
    ids, offsets = torch.tensor([3, END] * 500), torch.tensor([0])
    with torch.no_grad():
        fresh = network(torch.tensor([END]), offsets)
        after = {training: network.train(training)(ids, offsets)[1::2] for training in (True, False)}
    shares = {training: float((x - fresh).abs().amax(1).lt(1e-12).float().mean()) for training, x in after.items()}
    assert shares[False] == 0
    assert 0.05 < shares[True] < 0.15


def test_gradients_end_at_the_window_and_states_do_not() -> None:
    ids, sizes = make_texts([11])
    network = make_network().train()
    streams = TokenStreams(ids, sizes, 1, 6, shuffle=False)
    network.streams = 1
    network.begin_pass()
    first, second = streams.batches(streams.rows_in_order(0))
    network(*first.inputs)
    states = network.carried_states()["states"].clone()
    assert states.abs().sum() > 0
    assert not states.requires_grad
    network(*second.inputs).sum().backward()
    reached = network.embedding.weight.grad.abs().sum(1).nonzero().flatten().tolist()
    assert set(reached) == set(second.ids.tolist())
    network.begin_pass()
    assert not network.carried_states()["states"].any()


def test_the_objective_is_minus_the_log_probability_of_what_follows() -> None:
    ids, sizes = make_texts([5, 3])
    network = make_network()
    batch = TokenStreams(ids, sizes, 1, 100).whole()
    with torch.no_grad():
        x = network(*batch.inputs)
        logits = x @ network.weight.T + network.bias
        by_hand = -sum(
            float(logits[place].log_softmax(0)[target]) for place, target in enumerate(batch.aligned[NEXT].tolist())
        )
        objective = LanguageObjective(network)
        for sums in (objective.sums(x, batch), objective.held_out(x, batch)):
            assert float(sums.loss) == pytest.approx(by_hand, rel=1e-12)
            assert (sums.weight, sums.total) == (10, 10)
        parts = log_probabilities(x, network.weight, network.bias, batch.aligned[NEXT])
    assert float(parts.sum()) == pytest.approx(-by_hand, rel=1e-12)


@pytest.mark.parametrize(("tied", "hidden"), [(True, 5), (True, 6), (False, 6)])
def test_the_output_has_the_weights_of_the_embedding_if_asked_for(tied: bool, hidden: int) -> None:
    network = make_network(tied=tied, hidden_size=hidden)
    assert (network.weight is network.embedding.weight) is tied
    assert (network.narrow is not None) is (tied and hidden != 5)
    assert network(torch.tensor([0, 3]), torch.tensor([0])).shape == (2, network.weight.shape[1])


def test_dropout_leaves_out_the_same_units_at_all_steps_of_a_text() -> None:
    network = make_network(hidden_size=200, embedding_dim=200, num_layers=1, dropout=0.5).train()
    x = network(torch.tensor([0, 3, 4, 0, 5]), torch.tensor([0]))
    gone = x == 0
    assert torch.equal(gone[0], gone[1])
    assert torch.equal(gone[1], gone[2])
    assert torch.equal(gone[3], gone[4])
    assert not torch.equal(gone[2], gone[3]), "another text"
    assert 60 < int(gone[0].sum()) < 140
