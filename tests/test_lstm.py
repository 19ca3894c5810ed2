"""textnn.functional.lstm, bilstm and embedding_lstm: what is the LSTM's own; the rest is in test_recurrent.py."""

from __future__ import annotations

import pytest
import torch
from ragged import compare, ragged_batch
from test_recurrent import FORMS, LENGTHS, SIZES, arguments, weights

import textnn.functional as fast
import textnn.reference as slow


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("reverse", [False, True])
def test_one_direction_equals_the_reference(capability, form, reverse):
    batch = ragged_batch(form, LENGTHS["ragged"], 6, torch.float64)
    x, h0, c0, w = arguments("lstm", batch, 6, 10, torch.float64)
    options = {"reverse": reverse, **batch.sizes}
    compare(fast.lstm, slow.lstm, [x, h0[0], c0[0], *w], torch.float64, f"{capability} {form} {reverse}", **options)


@pytest.mark.parametrize("form", FORMS)
def test_both_directions_equal_the_reference(capability, form):
    batch = ragged_batch(form, LENGTHS["ragged"], 6, torch.float64)
    inputs = arguments("lstm", batch, 6, 10, torch.float64, directions=2)
    compare(fast.bilstm, slow.bilstm, inputs, torch.float64, f"{capability} {form}", **batch.sizes)


@pytest.mark.parametrize("directions", [1, 2])
def test_ids_equal_the_reference(capability, directions):
    batch = ragged_batch("flat", LENGTHS["many"], 6, torch.float64)
    _, h0, c0, *w = arguments("lstm", batch, 6, 10, torch.float64, directions)
    ids, table = torch.randint(0, 9, (len(batch.x),)), torch.randn(9, 6, dtype=torch.float64)
    inputs = [ids, table, h0, c0, *w]
    compare(fast.embedding_lstm, slow.embedding_lstm, inputs, torch.float64, capability, **batch.sizes)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("directions", [1, 2])
def test_a_projection_equals_the_reference(capability, sizes, dtype, directions):
    width, H = sizes
    P = max(1, H // 2)
    batch = ragged_batch("flat", LENGTHS["ragged"], width, dtype)
    states = [torch.randn(directions, batch.B, n, dtype=dtype) for n in (P, H)]
    w = [weights("lstm", width, H, P, dtype, bias=directions == 1) for _ in range(directions)]

    def function(functions):
        return lambda x, h0, c0, *w: functions.recurrent("lstm", x, h0, c0, w, **batch.sizes)

    case = f"{capability} {sizes} P={P} {dtype} {directions}"
    compare(function(fast), function(slow), [batch.x, *states, *w], dtype, case)


def test_autocast_runs_in_float32():
    inputs = [
        torch.randn(4, 2, 3).bfloat16(),
        torch.zeros(2, 5),
        torch.zeros(2, 5),
        torch.randn(20, 3),
        torch.randn(20, 5),
    ]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y, _, _ = fast.lstm(*inputs)
    torch.testing.assert_close(y.float(), fast.lstm(*[t.float() for t in inputs])[0], rtol=1e-2, atol=1e-2)


GOOD = [torch.randn(4, 2, 3), torch.zeros(2, 5), torch.zeros(2, 5), torch.randn(20, 3), torch.randn(20, 5)]


@pytest.mark.parametrize(
    ("place", "value", "kwargs", "error", "message"),
    [
        (0, torch.randn(4, 3), {}, ValueError, r"x must have shape \[T, B, I\], got \[4, 3\]"),
        (0, torch.randn(4, 7, 3), {}, ValueError, r"x must have shape \[T, B, I\] = \[\*, 2, \*\], got \[4, 7, 3\]"),
        (1, torch.zeros(2, 4), {}, ValueError, r"w_hh must have shape \[4H, P\] = \[20, 4\], got \[20, 5\]"),
        (2, torch.zeros(3, 5), {}, ValueError, r"c0 must have shape \[B, H\] = \[2, 5\], got \[3, 5\]"),
        (3, torch.randn(20, 4), {}, ValueError, r"w_ih must have shape \[4H, I\] = \[20, 3\], got \[20, 4\]"),
        (3, torch.randn(20, 3).double(), {}, TypeError, "w_ih must have the dtype of x"),
        (0, GOOD[0], {"lengths": torch.tensor([5, 1])}, ValueError, "lengths must lie between 0 and 4, got 5"),
        (0, GOOD[0], {"lengths": torch.tensor([-1, 1])}, ValueError, "lengths must lie between 0 and 4, got -1"),
        (0, GOOD[0], {"lengths": torch.tensor([1])}, ValueError, r"lengths must have shape \[B\] = \[2\], got \[1\]"),
        (0, GOOD[0], {"lengths": torch.tensor([1.0, 2.0])}, TypeError, "lengths must be int64"),
        (0, GOOD[0][:, 0], {"offsets": torch.tensor([0, 9])}, ValueError, "offsets must begin with 0, rise"),
        (0, GOOD[0][:, 0], {"offsets": torch.tensor([1, 2])}, ValueError, "offsets must begin with 0"),
        (1, torch.zeros(2, 0), {}, ValueError, r"h0 and c0 must have at least one column, got \[2, 0\] and \[2, 5\]"),
        (0, GOOD[0][:, 0], {"batch_sizes": torch.tensor([2, 2]).int()}, TypeError, "batch_sizes must be int64, got"),
        (0, GOOD[0][:, 0], {"batch_sizes": torch.tensor([[2, 2]])}, ValueError, r"batch_sizes must have shape \[T\]"),
        (0, GOOD[0][:, 0], {"batch_sizes": torch.tensor([1, 2])}, RuntimeError, "batch_sizes must fall"),
        (0, GOOD[0][:, 0], {"batch_sizes": torch.tensor([2, 1])}, RuntimeError, "batch_sizes must sum to the 4 rows"),
        (
            0,
            GOOD[0],
            {"lengths": torch.tensor([1, 1]), "offsets": torch.tensor([0, 1])},
            ValueError,
            "at most one of lengths, offsets and batch_sizes may be given, got lengths and offsets",
        ),
    ],
)
def test_errors_name_the_argument(place, value, kwargs, error, message):
    inputs = list(GOOD)
    inputs[place] = value
    with pytest.raises(error, match=message):
        fast.lstm(*inputs, **kwargs)


def good():
    w = [torch.randn(20, 3), torch.randn(20, 5)]
    return [torch.randn(4, 2, 3), torch.zeros(2, 2, 5), torch.zeros(2, 2, 5), w, list(w)]


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (0, torch.randn(4, 3), r"x must have shape \[T, B, I\], got \[4, 3\]"),
        (1, torch.zeros(2, 5), r"h0 and c0 must have shapes \[directions, B, P\] .*, got \[2, 5\] and \[2, 2, 5\]"),
        (1, torch.zeros(1, 2, 5), r"h0 and c0 must have shapes \[2, B, P\] and \[2, B, H\], got \[1, 2, 5\]"),
        (2, torch.zeros(2, 3, 5), r"c0 must have shape \[directions, B, H\] = \[2, 2, 5\], got \[2, 3, 5\]"),
        (3, [torch.randn(20, 4), torch.randn(20, 5)], r"ahead.w_ih must have shape \[4H, I\] = \[20, 3\]"),
        (4, [torch.randn(20, 3), torch.randn(20, 4)], r"reverse.w_hh must have shape \[4H, P\] = \[20, 5\]"),
        (4, [torch.randn(20, 3)], "reverse must hold w_ih, w_hh and at most b_ih, b_hh, w_hr, got 1 tensors"),
        (4, [*good()[3], None, None, torch.randn(5, 5)], "w_hr must be given for both directions or for none"),
    ],
)
def test_errors_of_both_directions_name_the_argument(place, value, message):
    inputs = good()
    inputs[place] = value
    with pytest.raises(ValueError, match=message):
        fast.bilstm(*inputs)
