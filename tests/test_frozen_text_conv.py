"""textnn.functional.frozen_text_conv: inference from a table of products."""

from __future__ import annotations

import re

import pytest
import torch
from frozen_layers import (
    DTYPES,
    V,
    arguments,
    assert_equals_the_layer,
    assert_equals_the_reference,
    flat,
    make_layer,
    padded,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from ragged import LENGTHS

import textnn.functional as fast
import textnn.reference as slow
from textnn import EmbeddingTextConv


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "identity"])
@pytest.mark.parametrize("make", [flat, padded], ids=["flat", "padded"])
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS.keys())
def test_equals_the_layer_and_the_reference(capability, dtype, padding, activation, make, lengths):
    wide = torch.float64 if dtype == "float64" else torch.float32
    layer = make_layer(padding=padding, activation=activation, dtype=wide)
    ids, sizes = make(lengths)
    frozen = layer.freeze(dtype=dtype)
    case = f"{capability} {dtype} {lengths} {padding} {activation}"
    assert_equals_the_layer(frozen, layer, ids, sizes, case)
    assert_equals_the_reference(frozen, ids, sizes, case)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("C", [1, 5, 16, 33, 70, 128, 150, 300])
@pytest.mark.parametrize("bias", [True, False])
def test_equals_the_layer_for_any_number_of_channels(capability, dtype, C, bias):
    layer = make_layer(C, (3, 4), bias=bias, dtype=torch.float64 if dtype == "float64" else torch.float32)
    ids, sizes = flat(LENGTHS["ragged"])
    assert_equals_the_layer(layer.freeze(dtype=dtype), layer, ids, sizes, f"{capability} {dtype} C={C}")


@settings(deadline=None, max_examples=80)
@given(
    lengths=st.lists(st.integers(0, 12), min_size=1, max_size=8),
    C=st.integers(1, 40),
    taps=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    rows=st.integers(0, 9),
    dtype=st.sampled_from(DTYPES),
    padding=st.sampled_from(["valid", "same"]),
    activation=st.sampled_from(["relu", "tanh", "identity"]),
)
def test_equals_the_reference_for_any_shape(lengths, C, taps, rows, dtype, padding, activation):
    wide = torch.float64 if dtype == "float64" else torch.float32
    layer = make_layer(C, taps, 5, wide, 9, padding=padding, activation=activation)
    row_bytes = layer.freeze(dtype=dtype).table[0].numel() * getattr(torch, dtype).itemsize
    frozen = layer.freeze(rows * row_bytes, dtype, torch.randperm(9))
    ids, sizes = flat(lengths, 9)
    assert_equals_the_reference(frozen, ids, sizes, f"{lengths} C={C} {taps} {rows} {dtype} {padding} {activation}")


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("tail", [0, 1, 2, 4, 5, 6, 30])
def test_sentences_that_end_in_one_repeated_token(capability, padding, tail):
    """Windows within a run are computed once: in the frozen layer, and in the live one, with its gradients."""
    layer = make_layer(padding=padding, activation="identity", dtype=torch.float64).requires_grad_()
    ids = torch.cat([torch.randint(1, V, (6, 5)), torch.zeros(6, tail, dtype=torch.int64)], dim=1)
    ids[1] = 0
    layer.weight.data[0] = torch.randn(7)  # padding whose windows may hold the maximum
    weight, bias = [c.weight for c in layer.convs], [c.bias for c in layer.convs]
    want = slow.embedding_text_conv(ids, layer.weight, weight, bias, padding=padding, activation="identity")
    got = layer(ids)
    torch.testing.assert_close(got, want)
    leaves = [*weight, *bias]
    factors = torch.randn_like(want)
    for a, b in zip(*(torch.autograd.grad((y * factors).sum(), leaves) for y in (got, want)), strict=True):
        torch.testing.assert_close(a, b, msg=lambda m: f"{capability} {padding} {tail}: {m}")
    torch.testing.assert_close(layer.freeze()(ids), want.detach())


def test_integers_do_not_overflow(capability):
    """All products of a sentence at the limit, for as many taps as there are."""
    layer = EmbeddingTextConv(4, 1, 1, (1, 3, 40, 300), padding_idx=None).requires_grad_(False)
    layer.weight.fill_(1.0)
    for conv in layer.convs:
        conv.weight.fill_(0.5)
        conv.bias.zero_()
    ids = torch.randint(0, 4, (2, 350))
    for sign in (1, -1):
        layer.weight.fill_(sign)
        want = torch.tensor([[0.5, 1.5, 20.0, 150.0]]).expand(2, 4) * sign
        for dtype in ("int16", "int8"):
            layer.activation = "identity"
            torch.testing.assert_close(layer.freeze(dtype=dtype)(ids), want, msg=lambda m: f"{capability}: {m}")


@pytest.mark.parametrize("rows", [0, 3])
def test_nan_stays_nan_in_its_own_sentence(capability, rows):
    layer = make_layer(20, (3,))
    layer.weight[2, 1] = float("nan")
    frozen = layer.freeze(None if rows else 0)
    ids = torch.randint(3, V, (3, 9))
    ids[0, 4], ids[2, 0] = 2, 2
    y = frozen(ids)
    assert y[0].isnan().all()
    assert y[2].isnan().all()
    assert not y[1].isnan().any()


def test_infinities_are_ordinary_values(capability):
    layer = make_layer(5, (1,), activation="identity")
    layer.convs[0].weight.abs_()
    layer.weight[1:3] = torch.tensor([float("inf"), -float("inf")])[:, None]
    frozen = layer.freeze()
    assert (frozen(torch.tensor([[3, 1, 4, 2]])) == float("inf")).all()
    assert (frozen(torch.tensor([[2, 2, 2, 2]])) == -float("inf")).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_same_result_for_every_run_and_number_of_threads(capability, dtype):
    layer = make_layer(200, (2, 3, 4), 40, vocabulary=150)
    before, results = torch.get_num_threads(), []
    batches = [flat([30, 2, 17, 9] * 120, 150), flat([3000, 2500], 150)]
    frozen = layer.freeze(dtype=dtype)
    try:
        for threads in (1, 2, 4, 2):
            torch.set_num_threads(threads)
            results.append([frozen(ids, **sizes) for ids, sizes in batches])
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(map(torch.equal, results[0], other)), f"{capability} {dtype}"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [0, 5, V])
def test_opcheck(dtype, rows):
    layer = make_layer(5, (1, 3))
    row_bytes = layer.freeze(dtype=dtype).table[0].numel() * getattr(torch, dtype).itemsize
    f = layer.freeze(rows * row_bytes, dtype, torch.randperm(V))
    ids, sizes = flat([4, 1, 0, 6])
    bias = f.bias.double() if dtype == "float64" else f.bias
    given = (ids, f.table, f.scale, bias, f.kernel_sizes, f.row, f.rest, f.weight, sizes["offsets"], True, False, 1)
    torch.library.opcheck(torch.ops.textnn.frozen_text_conv.default, given)


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("make", [flat, padded], ids=["flat", "padded"])
@pytest.mark.parametrize("limit", [None, 0])
def test_compiles_to_one_graph(dynamic, make, limit):
    frozen = make_layer().freeze(limit, "int16")
    compiled = torch.compile(frozen, fullgraph=True, dynamic=dynamic, backend="aot_eager")
    for lengths in ([4, 2, 6], [3, 8, 2, 2]):
        ids, sizes = make(lengths)
        torch.testing.assert_close(compiled(ids, **sizes), frozen(ids, **sizes), rtol=0, atol=0)


def test_exports_with_a_free_batch():
    frozen = make_layer().freeze()
    ids = torch.randint(0, V, (3, 8))
    B, L = torch.export.Dim("B", min=2), torch.export.Dim("L", min=2)
    program = torch.export.export(frozen, (ids,), dynamic_shapes=({0: B, 1: L},))
    other = torch.randint(0, V, (5, 11))
    torch.testing.assert_close(program.module()(other), frozen(other), rtol=0, atol=0)


@pytest.mark.parametrize("limit", [None, 0, 3000])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("narrow", [torch.bfloat16, torch.float16])
def test_autocast_changes_nothing(limit, dtype, narrow):
    layer = make_layer()
    frozen, ids = layer.freeze(limit, dtype), torch.randint(0, V, (3, 8))
    want = frozen(ids)
    with torch.autocast(ids.device.type, dtype=narrow):
        assert torch.equal(frozen(ids), want)
        assert torch.equal(layer.freeze(limit, dtype)(ids), want)


def test_in_autocast_and_with_gradients_enabled():
    layer = make_layer().requires_grad_()
    ids = torch.randint(0, V, (3, 8))
    for frozen in (layer.freeze(), layer.freeze(3000)):
        assert not frozen(ids).requires_grad
        with torch.autocast(ids.device.type, dtype=torch.bfloat16):
            got, live = frozen(ids), layer(ids).detach()
        # The layer's results have autocast's dtype, as a convolution's; a table of products stays what it is.
        assert (got.dtype, live.dtype) == (torch.float32, torch.bfloat16)
        torch.testing.assert_close(got.bfloat16(), live, rtol=0.05, atol=0.05)


def test_embeddings_without_dimensions():
    layer = make_layer(D=0)
    ids = torch.randint(0, V, (3, 8))
    for frozen in (layer.freeze(), layer.freeze(0)):
        torch.testing.assert_close(frozen(ids), layer(ids))


IDS = torch.randint(0, V, (2, 6))


def call(frozen_dtype="float32", limit=None, ids=IDS, sizes=None, **changed):
    (table, bias, taps), named = arguments(make_layer().freeze(limit, frozen_dtype))
    given = {"table": table, "bias": bias, "kernel_sizes": taps, **named, **(sizes or {}), **changed}
    return fast.frozen_text_conv(ids, **given)


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        (dict(ids=IDS + V), IndexError, f"ids must lie in [0, V) = [0, {V})"),
        (dict(ids=IDS - V), IndexError, "ids must lie in"),
        (dict(ids=IDS + V, limit=0), IndexError, f"ids must lie in [0, V) = [0, {V})"),
        (dict(ids=IDS.float()), TypeError, "ids must be int64"),
        (dict(ids=IDS[0]), ValueError, "ids must have shape [B, L], got [6]"),
        (dict(sizes={"lengths": torch.tensor([7, 1])}), ValueError, "lengths must lie between 0 and 6, got 7"),
        (dict(sizes={"lengths": torch.tensor([1])}), ValueError, "lengths must have shape [B] = [2], got [1]"),
        (dict(ids=IDS[0], sizes={"offsets": torch.tensor([0, 7])}), ValueError, "offsets must begin with 0, rise"),
        (dict(padding="full"), ValueError, "padding must be 'valid' or 'same', got 'full'"),
        (dict(activation="gelu"), ValueError, "activation must be"),
        (dict(kernel_sizes=[]), ValueError, "kernel_sizes must be positive and at least one, got ()"),
        (dict(kernel_sizes=[1, 2]), ValueError, "bias must have shape [S, C] = [2, *], got [4, 18]"),
        (dict(kernel_sizes=[1, 2, 3, 4]), ValueError, "table must have shape [R, sum of K, width] = [*, 10, 32]"),
        (dict(table=torch.zeros(V, 11, 18)), ValueError, "table must have shape [R, sum of K, width] = [*, 11, 32]"),
        (dict(table=torch.zeros(V, 11, 32).half()), TypeError, "table must be float32, float64, int16 or int8"),
        (dict(frozen_dtype="int8", scale=None), ValueError, "scale belongs to a table of integers, got torch.int8"),
        (dict(scale=torch.ones(4, 18)), ValueError, "scale belongs to a table of integers, got torch.float32 with it"),
        (dict(limit=0, weight=None), ValueError, "rest and weight belong together, got only rest"),
        (dict(limit=0, weight=torch.zeros(6, 11, 32)), ValueError, "weight must have shape"),
        (dict(limit=0, rest=torch.zeros(V, 7).double()), TypeError, "rest must be torch.float32 for a table of"),
        (dict(row=torch.full((V,), V)), IndexError, f"row must lie in [0, {V}), got {V} to {V}"),
        (dict(row=torch.zeros(V)), TypeError, "row must be int64"),
        (dict(bias=torch.zeros(4, 18, requires_grad=True)), RuntimeError, "frozen_text_conv has no gradient"),
    ],
)
def test_errors_name_the_argument(changed, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call(**changed)


@pytest.mark.cpu
def test_the_operator_itself_refuses_ids_outside_the_table():
    """Under torch.compile the check in Python is left out."""
    f = make_layer().freeze()
    with pytest.raises(RuntimeError, match=rf"ids must lie in \[0, {V}\), got 99 at position 3"):
        torch.ops.textnn.frozen_text_conv(
            torch.tensor([[1, 2, 3, 99]]),
            f.table,
            None,
            f.bias,
            f.kernel_sizes,
            None,
            None,
            None,
            None,
            False,
            False,
            1,
        )
