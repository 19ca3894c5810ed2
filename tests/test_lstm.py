"""textnn.functional.lstm: one layer and direction over a ragged batch."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ragged import TOLERANCE, compare, lstm_batch

import textnn.functional as fast
import textnn.reference as slow
from textnn import backends

FORMS = ["padded", "batch_first", "flat", "packed"]
LENGTHS = {
    "one": [1],
    "single long": [9],
    "equal": [4, 4, 4],
    "ragged": [3, 7, 1, 5, 2],
    "falling": [6, 5, 5, 2],
    "with empty": [0, 3, 0, 5],
    "all empty": [0, 0],
    "no sequence": [],
    "many": [i % 6 + 1 for i in range(37)],
}
SIZES = [(1, 1), (3, 5), (16, 16), (17, 33), (5, 20)]


def weights(width, H, P, dtype, bias=True):
    """w_ih, w_hh, b_ih, b_hh, w_hr with P = H for no projection."""
    shapes = [(4 * H, width), (4 * H, P), (4 * H,), (4 * H,), (P, H)]
    w = [torch.randn(*s, dtype=dtype) / max(1, s[-1]) ** 0.5 for s in shapes]
    return [*w[:2], *(w[2:4] if bias else [None, None]), w[4] if P != H else None]


def arguments(batch, width, H, P, dtype, bias=True):
    states = [torch.randn(batch.B, P, dtype=dtype), torch.randn(batch.B, H, dtype=dtype)]
    return [batch.x, *states, *weights(width, H, P, dtype, bias)]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS.keys())
@pytest.mark.parametrize("reverse", [False, True])
def test_equals_the_reference_for_every_form(capability, form, lengths, reverse):
    if form in ("packed", "padded", "batch_first") and max(lengths, default=0) == 0:
        pytest.skip("no steps in this form")
    batch = lstm_batch(form, lengths, 6, torch.float64)
    case = f"{capability} {form} {lengths} reverse={reverse}"
    compare(
        fast.lstm,
        slow.lstm,
        arguments(batch, 6, 10, 10, torch.float64),
        torch.float64,
        case,
        reverse=reverse,
        **batch.sizes,
    )


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("projected", [False, True])
def test_equals_the_reference_for_odd_sizes(capability, sizes, dtype, projected):
    width, H = sizes
    P = max(1, H // 2) if projected else H
    batch = lstm_batch("flat", LENGTHS["ragged"], width, dtype)
    case = f"{capability} {sizes} P={P} {dtype}"
    compare(fast.lstm, slow.lstm, arguments(batch, width, H, P, dtype), dtype, case, **batch.sizes)


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_equals_torch_at_a_size_where_threads_share_the_work(capability, threads):
    """Hidden units shared out (large weights), sequences shared out (small weights, many rows)."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for B, T, width, H in [(5, 7, 90, 200), (48, 6, 40, 50)]:
            layer = torch.nn.LSTM(width, H)
            x = torch.randn(T, B, width)
            w = [p.detach() for p in layer.parameters()]
            y, (h, c) = layer(x)
            got = fast.lstm(x, torch.zeros(B, H), torch.zeros(B, H), *w)
            for a, b in zip(got, (y, h[0], c[0]), strict=True):
                torch.testing.assert_close(a, b, **TOLERANCE[torch.float32])
    finally:
        torch.set_num_threads(before)


@settings(deadline=None, max_examples=60)
@given(
    lengths=st.lists(st.integers(0, 7), min_size=1, max_size=9),
    width=st.integers(1, 20),
    H=st.integers(1, 36),
    form=st.sampled_from(FORMS),
    reverse=st.booleans(),
    bias=st.booleans(),
)
def test_equals_the_reference_for_any_shape(lengths, width, H, form, reverse, bias):
    if max(lengths) == 0 and form != "flat":
        lengths = [*lengths, 1]
    batch = lstm_batch(form, lengths, width, torch.float64)
    case = f"{form} {lengths} I={width} H={H} reverse={reverse} bias={bias}"
    inputs = arguments(batch, width, H, H, torch.float64, bias)
    compare(fast.lstm, slow.lstm, inputs, torch.float64, case, reverse=reverse, **batch.sizes)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("reverse", "P"), [(False, 3), (True, 5)])
def test_gradcheck(capability, form, reverse, P):
    batch = lstm_batch(form, [2, 4, 1], 3, torch.float64)
    inputs = [None if a is None else a.nan_to_num().requires_grad_() for a in arguments(batch, 3, 5, P, torch.float64)]
    # The emulator takes seconds for a few hundred evaluations; along random directions there are two for each argument.
    assert torch.autograd.gradcheck(
        lambda *a: fast.lstm(*a, reverse=reverse, **batch.sizes), inputs, fast_mode=backends.runs_cuda(batch.x)
    )


@pytest.mark.parametrize("only", [0, 1, 2])
def test_gradients_when_one_result_alone_is_used(only):
    batch = lstm_batch("flat", [3, 1, 4], 5, torch.float64)
    inputs = arguments(batch, 5, 6, 6, torch.float64)
    compare(
        lambda *a: fast.lstm(*a, **batch.sizes)[only],
        lambda *a: slow.lstm(*a, **batch.sizes)[only],
        inputs,
        torch.float64,
        f"result {only}",
    )


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("P", [6, 3])
def test_without_outputs_the_final_states_and_their_gradients_are_the_same(capability, form, P):
    batch = lstm_batch(form, [3, 1, 4], 5, torch.float64)
    inputs = arguments(batch, 5, 6, P, torch.float64)
    compare(
        lambda *a: fast.lstm(*a, outputs=False, **batch.sizes),
        lambda *a: slow.lstm(*a, outputs=False, **batch.sizes),
        inputs,
        torch.float64,
        f"{capability} {form} P={P}",
    )
    assert fast.lstm(*inputs, outputs=False, **batch.sizes)[0].shape == (0,)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("P", [6, 3])
def test_opcheck(form, P):
    # Kept rows that stand for padding are not written, so a comparison of all that is kept wants a batch without any.
    lengths = [4, 4, 4] if form in ("padded", "batch_first") else [3, 1, 4]
    batch = lstm_batch(form, lengths, 5, torch.float32)
    inputs = [None if a is None else a.nan_to_num().requires_grad_() for a in arguments(batch, 5, 6, P, torch.float32)]
    layout = {"padded": "time_major", "batch_first": "batch_major"}.get(form, form)
    sizes = next(v for k, v in batch.sizes.items() if k != "batch_first")
    torch.library.opcheck(torch.ops.textnn.lstm.default, (*inputs, sizes, layout, False, True, True))
    y, h, _, *kept = torch.ops.textnn.lstm(*inputs, sizes, layout, False, True, True)
    x, _, c0, w_ih, w_hh, _, _, w_hr = inputs
    tensors = (torch.randn_like(y), torch.randn_like(h), None, x, c0, w_ih, w_hh, w_hr)
    plain = [None if t is None else t.detach() for t in tensors]
    backward = (*plain, sizes, layout, False, *[t.detach() for t in kept], True)
    torch.library.opcheck(
        torch.ops.textnn.lstm_backward.default, backward, test_utils=("test_schema", "test_faketensor")
    )


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_compiles_to_one_graph(dynamic, form):
    compiled = torch.compile(fast.lstm, fullgraph=True, dynamic=dynamic, backend="aot_eager")
    for lengths in ([3, 1, 4], [2, 5, 1, 1]):
        batch = lstm_batch(form, lengths, 5, torch.float64)
        inputs = arguments(batch, 5, 6, 6, torch.float64)
        compare(compiled, slow.lstm, inputs, torch.float64, f"{form} {lengths}", **batch.sizes)


def test_inference_keeps_nothing_and_gives_the_same(capability):
    batch = lstm_batch("flat", LENGTHS["many"], 9, torch.float32)
    inputs = arguments(batch, 9, 21, 21, torch.float32)
    with torch.inference_mode():
        got = fast.lstm(*inputs, **batch.sizes)
    trained = fast.lstm(*[None if a is None else a.requires_grad_() for a in inputs], **batch.sizes)
    for a, b in zip(got, trained, strict=True):
        assert torch.equal(a, b.detach())


def test_same_result_for_every_run_and_number_of_threads(capability):
    batch = lstm_batch("flat", LENGTHS["many"], 33, torch.float32)
    inputs = arguments(batch, 33, 65, 65, torch.float32)
    before, results = torch.get_num_threads(), []
    try:
        # On CUDA there are none; the emulator's matrix products are torch's own on the CPU, whose sums depend on them.
        for threads in (1, 2, 4, 2) if capability in backends.CPU_CAPABILITIES else (1, 1):
            torch.set_num_threads(threads)
            results.append(fast.lstm(*inputs, **batch.sizes))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_a_sequence_does_not_depend_on_its_batch(capability):
    """Alone and among 256: equal within the order of no more than a few additions."""
    lengths = [i % 11 + 1 for i in range(256)]
    batch = lstm_batch("flat", lengths, 20, torch.float32)
    w = weights(20, 30, 30, torch.float32)
    zeros = torch.zeros(256, 30)
    y, h, _ = fast.lstm(batch.x, zeros, zeros, *w, **batch.sizes)
    for b in (0, 7, 255):
        begin = int(batch.sizes["offsets"][b])
        x = batch.x[begin : begin + lengths[b]].unsqueeze(1)
        y_alone, h_alone, _ = fast.lstm(x, zeros[:1], zeros[:1], *w)
        torch.testing.assert_close(y_alone[:, 0], y[begin : begin + lengths[b]], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(h_alone[0], h[b], rtol=1e-5, atol=1e-6)


def test_expanded_and_strided_inputs(capability):
    inputs = [
        torch.randn(1, 1, 4, dtype=torch.float64).expand(5, 3, 4),
        torch.randn(3, 12, dtype=torch.float64)[:, ::2],
    ]
    inputs += [torch.randn(6, 3, dtype=torch.float64).t(), torch.randn(4, 24, dtype=torch.float64).t()]
    inputs += [torch.randn(24, 6, dtype=torch.float64)]
    compare(fast.lstm, slow.lstm, inputs, torch.float64, capability)
    odd = torch.randn(5, 3, 8, dtype=torch.float64)[..., ::2]
    compare(fast.lstm, slow.lstm, [odd, *inputs[1:]], torch.float64, capability)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    inputs = [torch.randn(4, 2, 3), torch.zeros(2, 5), torch.zeros(2, 5), torch.randn(20, 3), torch.randn(20, 5)]
    half = [t.to(dtype) for t in inputs]
    y, _, _ = fast.lstm(*half)
    assert y.dtype == dtype
    # On CUDA the state is rounded to its dtype after every step, and what else is kept in it.
    eps = torch.finfo(dtype).eps
    tolerance = {"rtol": 8 * eps, "atol": 4 * eps} if backends.runs_cuda(y) else {}
    torch.testing.assert_close(y, fast.lstm(*[t.float() for t in half])[0].to(dtype), **tolerance)


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
