"""What textnn.functional.recurrent and its raw operators refuse, by the names of the arguments."""

from __future__ import annotations

import pytest
import torch
from ragged import operands

import textnn.functional as fast

GOOD = {
    "x": torch.randn(4, 2, 3),
    "h0": torch.zeros(2, 2, 5),
    "c0": None,
    "directions": [[torch.randn(15, 3), torch.randn(15, 5)], [torch.randn(15, 3), torch.randn(15, 5)]],
}


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"cell": "gru2"}, ValueError, "cell must be one of 'lstm', 'gru', 'rnn_tanh', 'rnn_relu', got 'gru2'"),
        ({"cell": "lstm"}, ValueError, "c0 must be a tensor for the cell 'lstm'"),
        ({"c0": torch.zeros(2, 2, 5)}, ValueError, "c0 must be None for the cell 'gru'"),
        ({"x": torch.randn(4, 3)}, ValueError, r"x must have shape \[T, B, I\], got \[4, 3\]"),
        ({"h0": torch.zeros(2, 5)}, ValueError, r"h0 must have shape \[directions, B, H\], got \[2, 5\]"),
        ({"h0": torch.zeros(1, 2, 5)}, ValueError, r"h0 must have shape \[2, B, H\], got \[1, 2, 5\]"),
        ({"h0": torch.zeros(2, 2, 0)}, ValueError, r"h0 must have at least one column, got \[2, 2, 0\]"),
        ({"h0": torch.zeros(2, 2, 4)}, ValueError, r"ahead.w_ih must have shape \[3H, I\] = \[12, 3\], got \[15, 3\]"),
        ({"directions": [[None, torch.randn(15, 5)]] * 2}, ValueError, "ahead.w_ih must be a tensor, got None"),
        ({"directions": [GOOD["directions"][0], [None, None]]}, ValueError, "reverse.w_ih must be a tensor, got None"),
        ({"directions": []}, ValueError, "directions must hold the weights of one direction or two, got 0"),
        ({"directions": [GOOD["directions"][0], [torch.randn(15, 3)]]}, ValueError, "reverse must hold w_ih, w_hh and"),
        ({"directions": [[*GOOD["directions"][0], *[torch.randn(15)] * 3]] * 2}, ValueError, "b_ih, b_hh, got 5"),
        ({"cell": "rnn_tanh"}, ValueError, r"ahead.w_ih must have shape \[H, I\] = \[5, 3\], got \[15, 3\]"),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, str) else None,
)
def test_errors_name_the_argument(changes, error, message):
    with pytest.raises(error, match=message):
        fast.recurrent(**{"cell": "gru", **GOOD, **changes})


def test_another_nonlinearity_is_refused():
    with pytest.raises(ValueError, match="nonlinearity must be 'tanh' or 'relu', got 'sigmoid'"):
        fast.rnn(torch.randn(4, 2, 3), torch.zeros(2, 5), torch.randn(5, 3), torch.randn(5, 5), nonlinearity="sigmoid")


def test_the_raw_operators_refuse_what_does_not_fit():
    """Backward operators too: none reads or writes where it must not."""
    x, h0, good = torch.randn(4, 2, 3), torch.zeros(1, 2, 5), [torch.randn(15, 3), torch.randn(15, 5)]
    w, rest = operands([good]), (None, "time_major", False, "ieee", -1, False, True, False, True, True)
    ops = torch.ops.textnn
    y, h, _, _, *kept = ops.recurrent("gru", x, None, h0, None, *w, *rest)
    wrong = [[good[0], torch.randn(15, 4)]], [[*good, torch.randn(4)]], [[*good, None, None, good[1]]], [good, good]
    for directions in wrong:
        with pytest.raises(RuntimeError, match="textnn: "):
            ops.recurrent("gru", x, None, h0, None, *operands(directions), *rest)
    with pytest.raises(RuntimeError, match="the reverse direction must have both w_ih and w_hh"):
        ops.recurrent("gru", x, None, h0, None, *w[:5], good[0], *w[6:], *rest)
    both, turned = torch.zeros(2, 2, 5), (None, "time_major", True, "ieee", -1, False, True, False, True, True)
    with pytest.raises(RuntimeError, match="reverse is of one direction, got weights of both"):
        ops.recurrent("gru", x, None, both, None, *operands([good, good]), *turned)
    with pytest.raises(RuntimeError, match="dc_n must not be given for gru"):
        ops.recurrent_backward("gru", y, h, h, None, x, None, h0, None, *w, *rest[:4], *kept, -1, False, True)
    with pytest.raises(RuntimeError, match="precision must be ieee, bf16 or bf16_outputs, got half"):
        ops.recurrent("gru", x, None, h0, None, *w, *rest[:3], "half", *rest[4:])
    with pytest.raises(RuntimeError, match="cell must be one of lstm, gru, rnn_tanh, rnn_relu, got tree"):
        ops.recurrent("tree", x, None, h0, None, *w, *rest)
    for place in range(4):
        short = list(kept)
        short[place] = torch.empty(1, 7)
        with pytest.raises(RuntimeError, match="which the forward pass makes with save=True, must have shape"):
            ops.recurrent_backward("gru", y, h, None, None, x, None, h0, None, *w, *rest[:4], *short, -1, False, True)
    for dy, dh in ((y[:3], h), (y, h[:, :1]), (y.double(), h)):
        with pytest.raises(RuntimeError, match="textnn: "):
            ops.recurrent_backward("gru", dy, dh, None, None, x, None, h0, None, *w, *rest[:4], *kept, -1, False, True)
