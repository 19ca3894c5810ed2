"""The search: greedy is argmax, a wide beam finds the best of all texts, sources side by side are sources alone."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from pair_samples import make_network
from torch.nn import functional as F

from textnn.text.levels import END, UNKNOWN
from textnn.translation.network import TranslationNetwork
from textnn.translation.search import Request, search

SOURCES = [[2, 3], [4], [5, 6, 2, 2], [3], [6, 6, 6]]


def flat(rows: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    lengths = torch.tensor([len(row) for row in rows])
    return torch.tensor([id_ for row in rows for id_ in row]), lengths.cumsum(0) - lengths


def log_probabilities(network: TranslationNetwork, source: list[int], target: list[int]) -> torch.Tensor:
    """Of each token behind those before it, [tokens + 1, V]: the end is one; the first token is none."""
    features = network(*flat([[END, *target]]), *flat([source]))
    logits = F.linear(features, network.weight, network.bias)
    logits[0, END] = -torch.inf
    if network.attention is None:
        logits[:, UNKNOWN] = -torch.inf
    return logits.log_softmax(dim=1)


def log_probability(network: TranslationNetwork, source: list[int], target: list[int]) -> float:
    found = log_probabilities(network, source, target)
    return float(found.gather(1, torch.tensor([*target, END])[:, None]).sum())


@pytest.fixture(params=[("lstm", "general"), ("gru", "dot"), ("rnn", None)], ids=str)
def network(request: Any) -> TranslationNetwork:
    """One whose translations depend on the source, and end after some tokens or never."""
    network = make_network(target=5, cell=request.param[0], attention=request.param[1], scale=3.0)
    network.bias.data.zero_()
    network.bias.data[END] = 0.0 if request.param[1] else -3.0
    return network


@torch.no_grad()
def test_greedy_takes_the_most_probable_token_each_time(network: TranslationNetwork) -> None:
    found = search(network, *flat(SOURCES), Request(1, 1.0, 6))
    for source, ids in zip(SOURCES, found, strict=True):
        target: list[int] = []
        while len(target) < 6:
            id_ = int(log_probabilities(network, source, target)[-1].argmax())
            if id_ == END:
                break
            target.append(id_)
        assert ids == target
        assert ids


@torch.no_grad()
@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_a_wide_beam_finds_the_best_of_all(network: TranslationNetwork, penalty: float) -> None:
    """With as many hypotheses as there are, of texts of up to 3 tokens; those that do not end count if none ends."""
    network.bias.data[END] += 1.0
    request = Request(200, penalty, 3)
    tokens = [id_ for id_ in range(1, 5) if network.attention is not None or id_ != UNKNOWN]
    texts = [list(text) for n in (1, 2) for text in itertools.product(tokens, repeat=n)]
    for source, ids in zip(SOURCES, search(network, *flat(SOURCES), request), strict=True):
        worth = {
            tuple(text): float(request.worth(torch.tensor(log_probability(network, source, text)), len(text) + 1))
            for text in texts
        }
        assert worth[tuple(ids)] == pytest.approx(max(worth.values()))


@torch.no_grad()
@pytest.mark.parametrize("beam", [1, 2, 5])
def test_sources_side_by_side_are_sources_alone(network: TranslationNetwork, beam: int) -> None:
    request = Request(beam, 1.0, 12)
    together = search(network, *flat(SOURCES), request)
    assert together == [search(network, *flat([source]), request)[0] for source in SOURCES]
    if beam == 1 and network.attention is not None:
        assert len({len(ids) for ids in together}) > 1, "they leave the batch at different times"


@torch.no_grad()
def test_a_longer_penalty_gives_no_shorter_translations() -> None:
    network = make_network(target=5, scale=3.0)
    network.bias.data.zero_()
    short, long = (search(network, *flat(SOURCES), Request(4, penalty, 30)) for penalty in (0.0, 3.0))
    assert sum(map(len, short)) < sum(map(len, long))


@torch.no_grad()
@pytest.mark.parametrize("beam", [1, 3])
def test_what_does_not_end_is_cut(beam: int) -> None:
    network = make_network(target=5)
    network.bias.data[END] = -100.0
    assert [len(ids) for ids in search(network, *flat(SOURCES), Request(beam, 1.0, 7))] == [7] * 5
    found = search(network, *flat([[2], [2, 3, 4]]), Request(beam, 1.0, 1000))
    assert [len(ids) for ids in found] == [23, 29], "20 and three for each token of the source"


@torch.no_grad()
@pytest.mark.parametrize("beam", [1, 4])
def test_a_source_with_tokens_has_a_translation(beam: int) -> None:
    network = make_network(target=5)
    network.bias.data[END] = 100.0
    assert all(len(ids) == 1 for ids in search(network, *flat(SOURCES), Request(beam, 0.0, 9)))


@torch.no_grad()
@pytest.mark.parametrize("beam", [1, 4])
def test_the_unknown_token_is_written_only_where_attention_can_replace_it(beam: int) -> None:
    for attention in ("dot", None):
        network = make_network(target=5, attention=attention)
        network.bias.data[UNKNOWN] = 100.0
        found = search(network, *flat(SOURCES), Request(beam, 1.0, 3))
        assert all((UNKNOWN in ids) is (attention is not None) for ids in found)


@torch.no_grad()
def test_a_beam_wider_than_the_vocabulary() -> None:
    network = make_network(target=3)
    assert search(network, *flat(SOURCES), Request(50, 1.0, 4)), "nothing fails"
