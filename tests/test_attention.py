"""textnn.functional.ragged_attention: each query attends to the states of its own sentence."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from ragged import LENGTHS, TOLERANCE, compare, ragged_batch
from torch import Tensor

import textnn.functional as fast
import textnn.reference as slow

hypothesis = pytest.importorskip("hypothesis")
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

FORMS = ("padded", "flat")
SIZES = [(1, 1), (3, 5), (4, 16), (7, 65), (18, 9)]  # Q, H


def make(
    form: str, lengths: Any, Q: int, H: int, dtype: torch.dtype = torch.float64
) -> tuple[list[Any], dict[str, Any]]:
    """Query and states, and what says how long sentences are; padding is NaN."""
    batch = ragged_batch("batch_first" if form == "padded" else "flat", lengths, H, dtype)
    batch.sizes.pop("batch_first", None)
    return [torch.randn(batch.B, Q, H, dtype=dtype) / H**0.5, batch.x], batch.sizes


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_the_reference(capability, form, lengths, dtype):
    for Q, H in SIZES:
        for return_weights in (False, True):
            inputs, options = make(form, LENGTHS[lengths], Q, H, dtype)
            options |= {"return_weights": return_weights, "scale": 0.7}
            case = f"{capability} {form} {lengths} {dtype} {Q} {H} {return_weights}"
            compare(fast.ragged_attention, slow.ragged_attention, inputs, dtype, case, **options)


def test_equals_plain_pytorch_on_a_dense_batch(capability):
    query, states = torch.randn(3, 4, 20), torch.randn(3, 33, 20)
    context = fast.ragged_attention(query, states, scale=20**-0.5)
    torch.testing.assert_close(context, torch.nn.functional.scaled_dot_product_attention(query, states, states))


@pytest.mark.parametrize("form", FORMS)
def test_weights_sum_to_one_and_are_zero_at_padding(capability, form):
    inputs, options = make(form, [40, 0, 3], 5, 8)
    context, weights = fast.ragged_attention(*inputs, **options, return_weights=True)
    assert not context[1].any()
    if form == "flat":
        assert weights.shape == (5, 43)
        sums = torch.stack([weights[:, :40].sum(1), weights[:, 40:].sum(1)])
    else:
        assert weights.shape == (3, 5, 40)
        assert not weights[1].any()
        assert not weights[2, :, 3:].any()
        sums = weights[[0, 2]].sum(2)
    torch.testing.assert_close(sums, torch.ones(2, 5, dtype=torch.float64))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("wanted", ["context", "weights", "both"])
def test_gradcheck(form, wanted):
    inputs, options = make(form, [3, 0, 5, 1], 2, 3)
    inputs = [t.nan_to_num().requires_grad_() for t in inputs]

    def call(*given: Tensor) -> Any:
        both = fast.ragged_attention(*given, **options, return_weights=True)
        return both if wanted == "both" else both[wanted == "weights"]

    torch.autograd.gradcheck(call, inputs)
    torch.autograd.gradgradcheck(call, inputs)


@pytest.mark.parametrize("form", FORMS)
def test_results_do_not_depend_on_threads(capability, form):
    inputs, options = make(form, [90, 3, 0, 200, 61], 37, 40, torch.float32)
    inputs = [t.nan_to_num().requires_grad_() for t in inputs]
    before, results = torch.get_num_threads(), []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        try:
            context, weights = fast.ragged_attention(*inputs, **options, return_weights=True)
            loss = (context * torch.linspace(-1, 1, 40)).sum() + weights.square().sum()
            results.append([context, weights, *torch.autograd.grad(loss, inputs)])
        finally:
            torch.set_num_threads(before)
    for other in results[1:]:
        assert all(map(torch.equal, results[0], other))


def test_large_scores_and_nan(capability):
    query, states = torch.full((2, 3, 4), 1e4), torch.randn(2, 30, 4) * 100
    context, weights = fast.ragged_attention(query, states, return_weights=True)
    want = slow.ragged_attention(query, states, return_weights=True)
    torch.testing.assert_close((context, weights), want, **TOLERANCE[torch.float32])
    states[0, 29, 2] = float("nan")
    context, weights = fast.ragged_attention(query, states, return_weights=True)
    assert context[0].isnan().all()
    assert weights[0].isnan().all()
    assert context[1].isfinite().all()
    assert fast.ragged_attention(query, states, lengths=[29, 30]).isfinite().all()


@pytest.mark.parametrize("wanted", ["context", "weights", "both"])
def test_states_without_a_column(wanted):
    query, states = torch.randn(2, 3, 0, requires_grad=True), torch.randn(2, 5, 0, requires_grad=True)
    context, weights = fast.ragged_attention(query, states, lengths=[5, 2], return_weights=True)
    assert weights[1, 0].tolist() == [0.5, 0.5, 0.0, 0.0, 0.0]
    results = {"context": [context], "weights": [weights], "both": [context, weights]}[wanted]
    sum(result.sum() for result in results).backward()
    assert query.grad.shape == query.shape
    assert states.grad.shape == states.shape


@pytest.mark.cpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_weights_that_are_smaller_than_any_normal_number_are_zero(capability, dtype):
    least = torch.tensor(torch.finfo(dtype).tiny, dtype=dtype).log().item()
    states = torch.tensor([[0.0], [least + 2], [least - 2], [10 * least], [-torch.inf]], dtype=dtype)
    query = torch.ones(1, 1, 1, dtype=dtype)
    weights = fast.ragged_attention(query, states, offsets=[0], return_weights=True)[1]
    assert weights[0, 0] == 1
    assert 0 < weights[0, 1] < 20 * torch.finfo(dtype).tiny
    assert not weights[0, 2:].any()


def test_padding_gets_no_gradient():
    (query, states), options = make("padded", [2, 4], 3, 5)
    states.requires_grad_()
    fast.ragged_attention(query, states, **options).sum().backward()
    assert states.grad is not None
    assert not states.grad[0, 2:].any()
    assert states.grad[0, :2].any()


@pytest.mark.parametrize("form", FORMS)
def test_takes_non_contiguous_tensors(capability, form):
    (query, states), options = make(form, [5, 2, 7], 4, 6)
    inputs = [query.transpose(0, 1).contiguous().transpose(0, 1), states.transpose(0, 1).contiguous().transpose(0, 1)]
    assert not inputs[1].is_contiguous()
    compare(fast.ragged_attention, slow.ragged_attention, inputs, torch.float64, form, **options)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("save", [True, False])
def test_opcheck(form, save):
    (query, states), options = make(form, [3, 0, 5], 2, 3)
    states = states.nan_to_num()
    sizes = options.get("lengths", options.get("offsets"))
    for leaves in (False, True):
        arguments = (query.requires_grad_(leaves), states.requires_grad_(leaves), sizes, form == "flat", 0.5, save)
        torch.library.opcheck(torch.ops.textnn.ragged_attention.default, arguments)
    context, weights = torch.ops.textnn.ragged_attention(query, states, sizes, form == "flat", 0.5, True)
    given = (torch.randn_like(context), None, query, states, weights.detach(), sizes, form == "flat", 0.5)
    torch.library.opcheck(torch.ops.textnn.ragged_attention_backward.default, given)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dynamic", [True, False])
def test_compiles(form, dynamic):
    compiled = torch.compile(fast.ragged_attention, fullgraph=True, backend="aot_eager", dynamic=dynamic)
    for lengths in ([3, 2], [4, 0, 6]):
        inputs, options = make(form, lengths, 2, 3)
        compare(compiled, fast.ragged_attention, inputs, torch.float64, f"{form} {lengths}", **options)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_16_bits_and_autocast(dtype):
    (query, states), options = make("padded", [5, 2], 3, 8, torch.float32)
    want = fast.ragged_attention(query, states, **options)
    got = fast.ragged_attention(query.to(dtype), states.to(dtype), **options)
    assert got.dtype == dtype
    torch.testing.assert_close(got.float(), want, rtol=0.02, atol=0.02)
    with torch.autocast(query.device.type, dtype):
        context, weights = fast.ragged_attention(query, states, **options, return_weights=True)
    assert context.dtype == weights.dtype == dtype
    torch.testing.assert_close(context.float(), want, rtol=0.02, atol=0.02)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"query": torch.zeros(2, 4)}, ValueError, r"query must have shape \[B, Q, H\]"),
        ({"states": torch.zeros(2, 3, 5)}, ValueError, r"states must have shape \[B, T, H\] = \[2, \*, 4\]"),
        ({"states": torch.zeros(3, 4)}, ValueError, r"states must have shape \[B, T, H\]"),
        ({"lengths": [1, 4]}, ValueError, "lengths must lie between 0 and 3, got 4"),
        ({"lengths": None, "offsets": [0, 1]}, ValueError, r"states must have shape \[N, H\] = \[\*, 4\]"),
        ({"offsets": [0, 1], "states": torch.zeros(3, 4)}, ValueError, "at most one of lengths and offsets"),
        (
            {"lengths": None, "offsets": [0], "states": torch.zeros(3, 4)},
            ValueError,
            "query must be of 1 sentences, as many as there are, got 2",
        ),
        ({"states": torch.zeros(2, 3, 4).double()}, TypeError, "states must have the dtype of query"),
        ({"query": 1}, TypeError, "query must be a tensor, got int"),
    ],
)
def test_wrong_arguments(change, error, message):
    right = {"query": torch.zeros(2, 1, 4), "states": torch.zeros(2, 3, 4), "lengths": [1, 3]}
    fast.ragged_attention(**right)
    with pytest.raises(error, match=message):
        fast.ragged_attention(**{**right, **change})


@pytest.mark.cpu
def test_raw_calls_with_a_length_out_of_range():
    query, states = torch.zeros(2, 1, 4), torch.zeros(2, 3, 4)
    with pytest.raises(RuntimeError, match="lengths must lie between 0 and 3"):
        torch.ops.textnn.ragged_attention(query, states, torch.tensor([1, 4]), False, 1.0, True)


def test_raw_calls_with_wrong_arguments():
    forward, backward = torch.ops.textnn.ragged_attention, torch.ops.textnn.ragged_attention_backward
    query, states, sizes = torch.zeros(2, 1, 4), torch.zeros(2, 3, 4), torch.tensor([1, 3])
    context, weights = forward(query, states, sizes, False, 1.0, True)
    for arguments, message in (
        ((query[0], states, sizes, False, 1.0, True), "query must have shape"),
        ((query, states, sizes, True, 1.0, True), "states must have shape"),
        ((query[:1], states, sizes, False, 1.0, True), "query must be of 2 sentences"),
        ((query, states.double(), sizes, False, 1.0, True), "states must have the dtype"),
    ):
        with pytest.raises(RuntimeError, match=message):
            forward(*arguments)
    for arguments, message in (
        ((context, None, query, states, weights[:1], sizes), "weights, which the forward pass makes"),
        ((context[:1], None, query, states, weights, sizes), "dcontext must have shape"),
        ((context, weights.double(), query, states, weights, sizes), "dweights must have the dtype"),
        ((None, None, query, states, weights, sizes), "dcontext or dweights must be given"),
    ):
        with pytest.raises(RuntimeError, match=message):
            backward(*arguments, False, 1.0)


@settings(max_examples=40)
@given(st.data())
def test_any_shapes(data):
    form = data.draw(st.sampled_from(FORMS))
    lengths = data.draw(st.lists(st.integers(0, 40), max_size=5))
    Q, H = data.draw(st.integers(0, 20)), data.draw(st.integers(1, 70))
    inputs, options = make(form, lengths, Q, H)
    compare(fast.ragged_attention, slow.ragged_attention, inputs, torch.float64, f"{form} {lengths} {Q} {H}", **options)
