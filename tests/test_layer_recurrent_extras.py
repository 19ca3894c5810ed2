"""What the recurrent layers have beyond those of torch.nn: jagged nested tensors, two more kinds of dropout."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import textnn

each_kind = pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])


def as_tuple(states):
    return states if isinstance(states, tuple) else (states,)


@pytest.mark.parametrize("layer", ["LSTM", "GRU", "EmbeddingLSTM", "EmbeddingRNN", "FrozenLSTM", "FrozenEmbeddingLSTM"])
def test_a_jagged_nested_tensor_is_a_flat_batch(layer):
    parts = [torch.randn(n, 5) for n in (3, 1, 4)]
    name = layer.removeprefix("Frozen")
    made = getattr(textnn, name)(*([11] if "Embedding" in name else []), 5, 6, bidirectional=True)
    if "Embedding" in name:
        parts = [torch.randint(0, 11, (n,)) for n in (3, 1, 4)]
    made = made.freeze() if layer.startswith("Frozen") else made
    with torch.set_grad_enabled(not layer.startswith("Frozen")):
        nested = torch.nested.nested_tensor(parts, layout=torch.jagged)
        output, final = made(nested)
        want, want_final = made(torch.cat(parts), offsets=[0, 3, 4])
        assert output.is_nested
        assert torch.equal(output.values(), want)
        torch.testing.assert_close(as_tuple(final), as_tuple(want_final))
        assert made(nested, outputs=False)[0].shape == (0,)
    with pytest.raises(ValueError, match="a nested tensor has its own lengths"):
        made(nested, lengths=[3, 1, 4])
    with pytest.raises(ValueError, match=r"must have the layout torch\.jagged, got torch\.strided"):
        made(torch.nested.nested_tensor([part.float() for part in parts]))


def test_a_nested_tensor_whose_offsets_end_early_is_refused():
    nested = torch.nested.nested_tensor_from_jagged(torch.randn(8, 5), torch.tensor([0, 3, 6]))
    with pytest.raises(ValueError, match="the offsets of a nested tensor must end with its 8 rows, got 6"):
        textnn.GRU(5, 6)(nested)


def test_gradients_flow_through_a_jagged_nested_tensor():
    layer, flat = textnn.GRU(5, 6), torch.randn(8, 5, requires_grad=True)
    nested = torch.nested.nested_tensor_from_jagged(flat, torch.tensor([0, 3, 4, 8]))
    (gradient,) = torch.autograd.grad(layer(nested)[0].values().square().sum(), flat)
    (want,) = torch.autograd.grad(layer(flat, offsets=[0, 3, 4])[0].square().sum(), flat)
    torch.testing.assert_close(gradient, want)


@pytest.mark.parametrize("form", ["padded", "batch_first", "flat", "packed"])
def test_variational_dropout_leaves_out_the_same_units_at_all_steps(form):
    """The second layer copies what it reads, so its outputs show the mask."""
    layer = textnn.RNN(4, 4, 2, nonlinearity="relu", bias=False, dropout=0.5, variational=True)
    layer.batch_first = form == "batch_first"
    with torch.no_grad():
        for weight, value in zip(layer.parameters(), (1.0, 0.0, 1.0, 0.0), strict=True):
            weight.copy_(value * torch.eye(4))
    lengths = [3, 5, 2]
    ones = torch.ones(5, 3, 4)
    if form == "flat":
        y = layer(torch.ones(10, 4), offsets=[0, 3, 8])[0].split(lengths)
    elif form == "packed":
        packed = pack_padded_sequence(ones, lengths, enforce_sorted=False)
        padded = pad_packed_sequence(layer(packed)[0])[0]
        y = [padded[:n, b] for b, n in enumerate(lengths)]
    else:
        padded = layer(ones.transpose(0, 1) if layer.batch_first else ones, lengths=lengths)[0]
        y = [padded[b, :n] if layer.batch_first else padded[:n, b] for b, n in enumerate(lengths)]
    assert all(torch.equal(rows, rows[:1].expand_as(rows)) for rows in y)
    assert {value for rows in y for value in rows.flatten().tolist()} == {0.0, 2.0}
    assert not torch.equal(y[0][0], y[1][0]) or not torch.equal(y[0][0], y[2][0])
    layer.eval()
    assert layer(ones.transpose(0, 1) if layer.batch_first else ones)[0].eq(1).all()


@each_kind
def test_weight_dropout_is_of_w_hh_and_in_training_only(kind):
    layer, x = getattr(textnn, kind)(5, 9, weight_dropout=1.0), torch.randn(4, 2, 5)
    same = copy.deepcopy(layer).eval()
    with torch.no_grad():
        same.weight_hh_l0.zero_()
    torch.testing.assert_close(layer(x)[0], same(x)[0])
    layer.weight_dropout = 0.5
    first, second = layer(x)[0], layer(x)[0]
    assert not torch.equal(first, second)
    layer.eval()
    assert torch.equal(layer(x)[0], layer(x)[0])
    assert "weight_dropout=0.5" in repr(layer)
    with pytest.raises(ValueError, match=r"weight_dropout must lie between 0 and 1, got 1\.5"):
        getattr(textnn, kind)(5, 9, weight_dropout=1.5)


def test_variational_and_weight_dropout_compile_to_one_graph():
    layer = textnn.GRU(5, 9, 2, dropout=0.5, variational=True, weight_dropout=0.3)
    compiled = torch.compile(layer, fullgraph=True, dynamic=True, backend="aot_eager")
    for sizes in ([3, 1], [2, 4, 1]):
        lengths = torch.tensor(sizes)
        y, _ = compiled(torch.randn(sum(sizes), 5), offsets=lengths.cumsum(0) - lengths)
        assert y.shape == (sum(sizes), 9)


def test_states_of_an_lstm_are_two():
    layer, x, state = textnn.LSTM(3, 4), torch.randn(5, 2, 3), torch.zeros(1, 2, 4)
    with pytest.raises(RuntimeError, match="LSTM expects two hidden states, h and c, got 3 of them"):
        layer(x, (state, state, state))
    with pytest.raises(TypeError, match="LSTM expects two hidden states, h and c, got one tensor"):
        layer(x, torch.stack([state, state]))
