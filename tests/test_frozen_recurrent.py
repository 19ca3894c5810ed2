"""Recurrent layers frozen in bfloat16: the layer under autocast, in float32 results, whatever form its batch has."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

import textnn

pytestmark = pytest.mark.cpu
LENGTHS = torch.tensor([5, 1, 3])
KINDS = ("LSTM", "GRU", "RNN")


def make(kind, **options):
    return getattr(textnn, kind)(6, 18, batch_first=True, bidirectional=True, **options)


def flat(results):
    """The output and all states, as a list."""
    y, h = results
    return [y, *(h if isinstance(h, tuple) else (h,))]


def half(layer, *arguments, **options):
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        return [t.float() for t in flat(layer(*arguments, **options))]


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_layer_under_autocast(kind, layers, capability):
    layer, x = make(kind, num_layers=layers), torch.randn(3, 5, 6)
    frozen, before = layer.freeze("bfloat16"), copy.deepcopy(layer.state_dict())
    state = torch.randn(2 * layers, 3, 18)
    state = (state, state) if kind == "LSTM" else state
    for options in ({}, {"lengths": LENGTHS}, {"outputs": False}, {"hx": state}):
        found, want, full = flat(frozen(x, **options)), half(layer, x, **options), flat(layer(x, **options))
        for one, other, exact in zip(found, want, full, strict=True):
            assert one.dtype == torch.float32
            assert torch.equal(one, other)
            torch.testing.assert_close(one, exact.detach(), rtol=0.05, atol=0.03)
        assert not torch.equal(found[1], full[1])
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())
    assert not found[1].requires_grad


@pytest.mark.parametrize("kind", KINDS)
def test_packed_sequences_stay_packed(kind):
    layer = make(kind)
    packed = pack_padded_sequence(torch.randn(3, 5, 6), LENGTHS, batch_first=True, enforce_sorted=False)
    found, want = layer.freeze("bfloat16")(packed)[0], half(layer, packed)[0]
    assert isinstance(found, PackedSequence)
    assert torch.equal(found.data, want.data)


@pytest.mark.parametrize("kind", KINDS)
def test_of_token_ids_too(kind):
    layer = getattr(textnn, f"Embedding{kind}")(30, 6, 18, bidirectional=True)
    ids, offsets = torch.randint(0, 30, (9,)), [0, 5, 6]
    frozen = layer.freeze(10, "bfloat16")
    for one, other in zip(flat(frozen(ids, offsets=offsets)), half(layer, ids, offsets=offsets), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_keeps_to_itself_what_the_layer_was(kind):
    layer, x = make(kind, num_layers=2, dropout=0.5), torch.randn(3, 5, 6)
    frozen = layer.train().freeze("bfloat16")
    want = frozen(x)[0]
    torch.nn.init.zeros_(layer.weight_hh_l0)
    assert torch.equal(frozen(x)[0], want), "it drops, or its weights are those of the layer"
    assert torch.equal(frozen.train()(x)[0], want), "it drops in training"
    loaded = make(kind, num_layers=2).freeze("bfloat16")
    loaded.load_state_dict(frozen.state_dict())
    assert torch.equal(loaded(x)[0], want)


@pytest.mark.parametrize("kind", [*KINDS, *(f"Embedding{kind}" for kind in KINDS)])
def test_errors(kind):
    sizes = (9, 4, 3) if kind.startswith("Embedding") else (4, 3)
    layer = getattr(textnn, kind)(*sizes)
    with pytest.raises(ValueError, match=r"dtype must be .*'bfloat16', got 'int16': in its own dtype .* has nothing"):
        layer.freeze(dtype="int16")
    with pytest.raises(ValueError, match=r"'bfloat16' needs weights in float32, but .*weight.* is torch\.float64"):
        layer.double().freeze(dtype="bfloat16")


def test_the_cell_states_of_all_steps():
    layer, x = make("LSTM"), torch.randn(3, 5, 6)
    *_, (cells,) = layer.freeze("bfloat16")(x, return_cells=True)
    torch.testing.assert_close(cells, layer(x, return_cells=True)[2][0].detach(), rtol=0.05, atol=0.03)
