"""textnn.accelerate: what it replaces, and how one sees what it did not."""

from __future__ import annotations

import re
import warnings

import pytest
import torch
from torch import nn

import textnn
from textnn import GRU, LSTM, LSTMCell, accelerate


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(5, 9, 2, bidirectional=True, batch_first=True)
        self.cells = nn.ModuleList([nn.LSTMCell(18, 4)])
        self.tied = self.lstm

    def forward(self, x):
        y, _ = self.tied(x)
        return self.cells[0](y[:, -1])[0]


class Own(nn.LSTM):
    pass


def quietly(model):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return accelerate(model)


def test_it_swaps_layers_in_place():
    model, x = Model(), torch.randn(3, 4, 5)
    parameters, want = list(model.parameters()), model(x)
    calls = []
    model.lstm.register_forward_hook(lambda *_: calls.append(1))
    assert quietly(model) is model
    assert type(model.lstm) is LSTM
    assert model.tied is model.lstm
    assert type(model.cells[0]) is LSTMCell
    assert all(a is b for a, b in zip(model.parameters(), parameters, strict=True))
    torch.testing.assert_close(model(x), want)
    assert calls == [1]
    assert type(quietly(nn.LSTM(2, 3))) is LSTM


def test_it_swaps_layers_with_projections_too():
    layer, x = nn.LSTM(5, 9, proj_size=4), torch.randn(3, 2, 5)
    want = layer(x)
    assert type(quietly(layer)) is LSTM
    torch.testing.assert_close(layer(x), want)


def test_a_print_shows_what_was_replaced():
    assert repr(
        quietly(nn.Sequential(nn.LSTM(2, 3, proj_size=1), nn.LSTMCell(2, 3), nn.GRU(2, 3), nn.RNNCell(2, 3)))
    ) == (
        "Sequential(\n  (0): textnn.LSTM(2, 3, proj_size=1)\n  (1): textnn.LSTMCell(2, 3)\n  (2): textnn.GRU(2, 3)\n"
        "  (3): textnn.RNNCell(2, 3)\n)"
    )


def test_subclasses_are_left_alone_and_named():
    model = nn.Sequential(nn.LSTM(2, 3), nn.ModuleDict({"own": Own(2, 3)}), nn.GRU(2, 3))
    message = "accelerate left 1.own (Own) as it is: a subclass of a recurrent layer may rely on the code it overrides"
    with pytest.warns(UserWarning, match=f"^{re.escape(message)}$") as caught:
        accelerate(model)
    assert caught[0].filename == __file__
    assert [type(m) for m in (model[0], model[1]["own"], model[2])] == [LSTM, Own, GRU]


def test_a_long_list_of_subclasses_is_cut():
    message = r"^accelerate left 0 \(Own\), .* 9 \(Own\) and 2 more as they are: .* overrides; nothing was replaced$"
    with pytest.warns(UserWarning, match=message):
        accelerate(nn.Sequential(*(Own(2, 3) for _ in range(12))))
    with pytest.warns(UserWarning, match=r"left the module itself \(Own\) as it is"):
        accelerate(Own(2, 3))


def test_it_says_when_there_is_nothing_to_replace():
    message = r"^accelerate replaced nothing: Sequential has no recurrent layer of torch\.nn$"
    with pytest.warns(UserWarning, match=message):
        accelerate(nn.Sequential(nn.Linear(2, 3)))


def test_a_second_call_has_nothing_to_say():
    assert type(quietly(quietly(nn.LSTM(2, 3)))) is LSTM
    assert type(quietly(quietly(nn.GRUCell(2, 3)))) is textnn.GRUCell


def test_what_is_no_module_is_named():
    with pytest.raises(TypeError, match=r"module must be an nn\.Module, got str"):
        accelerate("model")  # type: ignore[type-var]


# names in a print
def layers():
    conv, lstm = textnn.EmbeddingTextConv(7, 4, 3), textnn.EmbeddingLSTM(7, 4, 3)
    return [
        textnn.LSTM(4, 3),
        textnn.LSTMCell(4, 3),
        textnn.TextConv(4, 3),
        conv,
        lstm,
        textnn.NgramBag(9, 2),
        conv.freeze(),
        lstm.freeze(),
        lstm.lstm.freeze(),
    ]


@pytest.mark.parametrize("layer", layers(), ids=lambda layer: type(layer).__name__)
def test_each_layer_shows_whose_it_is(layer):
    assert repr(layer).startswith(f"textnn.{type(layer).__name__}(")
    assert hasattr(textnn, type(layer).__name__)


def test_a_subclass_of_a_layer_goes_by_its_own_name():
    class Mine(LSTM):
        pass

    assert repr(Mine(2, 3)) == "Mine(2, 3)"
