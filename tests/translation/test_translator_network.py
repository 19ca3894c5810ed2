"""The network: one ragged call is the sum of its parts, attention looks at each source alone, gradients are right."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pair_samples import make_network
from torch.nn import functional as F

from textnn.functional import linear_cross_entropy
from textnn.models.options import BFLOAT16
from textnn.text import RaggedDataset
from textnn.text.levels import END
from textnn.text.streams import NEXT
from textnn.translation.network import ATTENTIONS, CELLS, gather, spread
from textnn.translation.objective import TranslationObjective

SOURCES = [[2, 3], [4], [5, 6, 2, 2]]
TARGETS = [[0, 2, 3, 4], [0, 5], [0]]
ALL = [(cell, attention) for cell in CELLS for attention in (*ATTENTIONS, None)]


def flat(rows: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    lengths = torch.tensor([len(row) for row in rows])
    return torch.tensor([id_ for row in rows for id_ in row]), lengths.cumsum(0) - lengths


@pytest.mark.parametrize(("cell", "attention"), ALL)
def test_pairs_side_by_side_are_pairs_alone(cell: str, attention: str | None) -> None:
    network = make_network(cell=cell, attention=attention)
    together = network(*flat(TARGETS), *flat(SOURCES))
    alone = [network(*flat([t]), *flat([s])) for t, s in zip(TARGETS, SOURCES, strict=True)]
    torch.testing.assert_close(together, torch.cat(alone))
    assert together.shape == (7, 5)


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_the_features_are_those_of_luong(attention: str) -> None:
    """By the equations, from the layers' outputs on: a_s = softmax(h . W m_s), tanh(W [c; h])."""
    network = make_network(attention=attention)
    source, target = SOURCES[2], TARGETS[0]
    memory, states = network.encode(*flat([source]))
    h, _ = network.decoder(torch.tensor([target]), tuple(states))
    query = h[0] if network.score is None else h[0] @ network.score.weight.T
    weights = (query @ memory.T).softmax(dim=1)
    expected = torch.tanh(torch.cat([weights @ memory, h[0]], dim=1) @ network.combine.weight.T)
    features, found = network.read(*flat([target]), memory, torch.tensor([0]), states)
    torch.testing.assert_close(features, expected)
    torch.testing.assert_close(found, h[0])
    torch.testing.assert_close(network.weights(found, memory), weights)


@pytest.mark.parametrize("cell", CELLS)
def test_the_decoder_begins_with_both_directions_of_the_encoder(cell: str) -> None:
    network = make_network(cell=cell)
    _, states = network.encode(*flat([SOURCES[0]]))
    _, final = network.encoder(torch.tensor([SOURCES[0]]))
    final = torch.stack(final) if cell == "lstm" else final[None]  # [states, layers * 2, 1, H / 2]
    for layer in range(2):
        expected = torch.cat([final[:, 2 * layer], final[:, 2 * layer + 1]], dim=2)
        torch.testing.assert_close(states[:, layer], expected)


@pytest.mark.parametrize(("cell", "attention"), ALL)
@pytest.mark.parametrize("tied", [True, False])
def test_steps_are_the_ragged_call(cell: str, attention: str | None, tied: bool) -> None:
    """With two targets of each source, as a beam has them."""
    network = make_network(cell=cell, attention=attention, tied=tied)
    one, other = [0, 2, 3, 4], [0, 4, 4, 2]
    source, offsets = flat(SOURCES)
    memory, states = network.encode(source, offsets)
    found = []
    states = states.repeat_interleave(2, dim=2)
    for step in zip(one, other, strict=True):
        logits, states = network.step(torch.tensor([step] * 3), memory, offsets, states)
        found.append(logits)
    for place, target in enumerate((one, other)):
        features = network(*flat([target] * 3), source, offsets)
        expected = F.linear(features, network.weight, network.bias).unflatten(0, (3, 4))
        torch.testing.assert_close(torch.stack(found, dim=1)[:, :, place], expected)


def test_gradients_are_those_of_the_equations() -> None:
    network = make_network(num_layers=1).train()
    network.word_dropout = network.drop.p = 0.0
    ids, offsets = flat(TARGETS)
    following = torch.tensor([2, 3, 4, 0, 5, 0, 0])

    def loss(*weights: torch.Tensor) -> Any:
        given = dict(zip(names, weights, strict=True))
        out = torch.func.functional_call(network, given, (ids, offsets, *flat(SOURCES)))
        return linear_cross_entropy(out, given["decoder.weight"], following, linear_bias=given["bias"], reduction="sum")

    names = [name for name, _ in network.named_parameters()]
    network.encoder.sparse = False
    assert torch.autograd.gradcheck(loss, [p.detach().requires_grad_() for p in network.parameters()], atol=1e-4)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_is_cross_entropy_of_what_follows(bfloat16: None, smoothing: float) -> None:
    network = make_network()
    following = torch.tensor([2, 3, 4, 0, 5, 0, 0], dtype=torch.int32)
    flat_targets, _ = flat(TARGETS)
    lengths = torch.tensor([len(row) for row in TARGETS])
    data = RaggedDataset.of_flat(
        flat_targets.int(), lengths, others=(RaggedDataset(SOURCES),), aligned={NEXT: following}
    )
    batch = data.whole()
    objective = TranslationObjective(network, smoothing)
    features = network(*batch.inputs)
    logits = features @ network.weight.T + network.bias
    sums, held_out = objective.sums(features, batch), objective.held_out(features, batch)
    expected = F.cross_entropy(logits, following.long(), reduction="sum", label_smoothing=smoothing)
    torch.testing.assert_close(sums.loss, expected)
    torch.testing.assert_close(held_out.loss, F.cross_entropy(logits, following.long(), reduction="sum"))
    assert sums.weight == held_out.weight == objective.size(data.lengths) == 7
    wide = TranslationObjective(network.float(), smoothing, BFLOAT16).sums(features.float(), batch)
    torch.testing.assert_close(wide.loss.double(), expected, rtol=0.02, atol=0)


@pytest.mark.parametrize("lengths", [[3, 1, 2], [2, 2, 2], [4], [1, 1]])
def test_spread_and_gather(lengths: list[int]) -> None:
    x = torch.randn(sum(lengths), 3, dtype=torch.float64, requires_grad=True)
    sizes = torch.tensor(lengths)
    padded, rows = spread(x, sizes.cumsum(0) - sizes)
    assert padded.shape == (len(lengths), max(lengths), 3)
    for row, part in zip(padded, x.split(lengths), strict=True):
        assert torch.equal(row[: len(part)], part)
        assert not row[len(part) :].any()
    assert torch.equal(gather(padded, rows), x)
    weights = torch.randn_like(x)
    (gather(padded, rows) * weights).sum().backward()
    assert torch.equal(x.grad, weights)


def test_training_drops_words_of_both_sides_and_evaluation_none() -> None:
    network = make_network(num_layers=1)
    network.word_dropout = 1.0
    unknown = network(*flat([[1, 1]]), *flat([[1, 1, 1]]))
    assert not torch.allclose(network(*flat([[END, 3]]), *flat([[2, 3, 4]])), unknown)
    network.train()
    network.drop.p = 0.0
    torch.testing.assert_close(network(*flat([[END, 3]]), *flat([[2, 3, 4]])), unknown)
