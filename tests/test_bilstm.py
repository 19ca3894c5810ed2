"""textnn.functional.bilstm: both directions of one layer over a ragged batch."""

from __future__ import annotations

import pytest
import torch
from ragged import TOLERANCE, compare, lstm_batch
from test_lstm import FORMS, LENGTHS, SIZES, weights

import textnn.functional as fast
import textnn.reference as slow
from textnn import backends


def arguments(batch, width, H, P, dtype, bias=True):
    """x, h0, c0, the weights ahead and in reverse."""
    states = [torch.randn(2, batch.B, P, dtype=dtype), torch.randn(2, batch.B, H, dtype=dtype)]
    return [batch.x, *states, weights(width, H, P, dtype, bias), weights(width, H, P, dtype, bias)]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS.keys())
def test_equals_the_reference_for_every_form(capability, form, lengths):
    if form != "flat" and max(lengths, default=0) == 0:
        return  # these forms have at least one step
    batch = lstm_batch(form, lengths, 6, torch.float64)
    inputs = arguments(batch, 6, 10, 10, torch.float64)
    compare(fast.bilstm, slow.bilstm, inputs, torch.float64, f"{capability} {form} {lengths}", **batch.sizes)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("projected", [False, True])
@pytest.mark.parametrize("outputs", [False, True])
def test_equals_the_reference_for_odd_sizes(capability, sizes, dtype, projected, outputs):
    width, H = sizes
    P = max(1, H // 2) if projected else H
    batch = lstm_batch("flat", LENGTHS["ragged"], width, dtype)
    inputs = arguments(batch, width, H, P, dtype, bias=not projected)
    case = f"{capability} {sizes} P={P} {dtype}"
    compare(fast.bilstm, slow.bilstm, inputs, dtype, case, outputs=outputs, **batch.sizes)


# At the same time; in turn, because the weights are large; in turn, because there are many sequences; few active
# sequences, whose input gradients are put off; and for a long time.
@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("shape", [(5, 7, 40, 50), (5, 4, 90, 230), (30, 4, 20, 30), (1, 60, 200, 40)], ids=str)
def test_equals_torch_however_the_work_is_shared_out(capability, threads, shape):
    B, T, width, H = shape
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        layer = torch.nn.LSTM(width, H, bidirectional=True)
        ahead, reverse = list(layer.parameters())[:4], list(layer.parameters())[4:]
        x, zeros = torch.randn(T, B, width), torch.zeros(2, B, H)

        def theirs(x, *_):
            y, (h, c) = layer(x)
            return y, h, c

        case = f"{capability} {shape} {threads} threads"
        got = fast.bilstm(x, zeros, zeros, ahead, reverse)
        for a, b in zip(got, theirs(x), strict=True):
            torch.testing.assert_close(a, b, **TOLERANCE[torch.float32], msg=lambda m: f"{case}: {m}")
        results = []
        for function in (lambda x: fast.bilstm(x, zeros, zeros, ahead, reverse), theirs):
            x_ = x.clone().requires_grad_()
            results.append(torch.autograd.grad(function(x_)[0].square().sum(), [x_, *ahead, *reverse]))
        for a, b in zip(*results, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3, msg=lambda m: f"{case}: {m}")
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(("form", "P"), list(zip(FORMS, [5, 3, 5, 3], strict=True)))
def test_gradcheck(capability, form, P):
    batch = lstm_batch(form, [2, 4, 1], 3, torch.float64)
    x, h0, c0, ahead, reverse = arguments(batch, 3, 5, P, torch.float64)
    tensors = [t.nan_to_num().requires_grad_() for t in (x, h0, c0, *ahead, *reverse) if t is not None]

    def function(x, h0, c0, *rest):
        half = len(rest) // 2
        return fast.bilstm(x, h0, c0, rest[:half], rest[half:], **batch.sizes)

    # The emulator takes seconds for a few hundred evaluations; along random directions there are two for each argument.
    assert torch.autograd.gradcheck(function, tensors, fast_mode=backends.runs_cuda(x))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("P", [6, 3])
def test_opcheck(form, P):
    lengths = [4, 4, 4] if form in ("padded", "batch_first") else [3, 1, 4]
    batch = lstm_batch(form, lengths, 5, torch.float32)
    x, h0, c0, ahead, reverse = arguments(batch, 5, 6, P, torch.float32)
    inputs = [None if t is None else t.nan_to_num().requires_grad_() for t in (x, h0, c0, *ahead, *reverse)]
    layout = {"padded": "time_major", "batch_first": "batch_major"}.get(form, form)
    sizes = next(v for k, v in batch.sizes.items() if k != "batch_first")
    torch.library.opcheck(torch.ops.textnn.bilstm.default, (*inputs, sizes, layout, True, True))
    y, h, _, *kept = torch.ops.textnn.bilstm(*inputs, sizes, layout, True, True)
    used = [inputs[i] for i in (0, 2, 3, 4, 7, 8, 9, 12)]  # x, c0, and the weights without their biases
    plain = [None if t is None else t.detach() for t in (torch.randn_like(y), torch.randn_like(h), None, *used)]
    backward = (*plain, sizes, layout, *[t.detach() for t in kept], True)
    torch.library.opcheck(
        torch.ops.textnn.bilstm_backward.default, backward, test_utils=("test_schema", "test_faketensor")
    )


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_compiles_to_one_graph(dynamic, form):
    compiled = torch.compile(fast.bilstm, fullgraph=True, dynamic=dynamic, backend="aot_eager")
    for lengths in ([3, 1, 4], [2, 5, 1, 1]):
        batch = lstm_batch(form, lengths, 5, torch.float64)
        inputs = arguments(batch, 5, 6, 6, torch.float64)
        compare(compiled, slow.bilstm, inputs, torch.float64, f"{form} {lengths}", **batch.sizes)


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
def test_errors_name_the_argument(place, value, message):
    inputs = good()
    inputs[place] = value
    with pytest.raises(ValueError, match=message):
        fast.bilstm(*inputs)
