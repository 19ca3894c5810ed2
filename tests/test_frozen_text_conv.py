"""textnn.functional.frozen_text_conv and EmbeddingTextConv.freeze(): inference from a table of products."""

from __future__ import annotations

import copy
import io
import pickle
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ragged import TOLERANCE

import textnn.functional as fast
import textnn.reference as slow
from textnn import EmbeddingTextConv, FrozenTextConv, backends

DTYPES = ["float32", "float64", "int16", "int8"]
LENGTHS = {
    "one": [1],
    "short": [1, 2, 3],
    "empty": [0, 4, 0],
    "all empty": [0, 0],
    "no sentence": [],
    "ragged": [7, 2, 9, 5, 1, 6],
    "long": [40, 3, 25],
}
V = 23


def make_layer(C=18, taps=(1, 2, 3, 5), D=7, dtype=torch.float32, vocabulary=V, **options):
    return EmbeddingTextConv(vocabulary, D, C, taps, dtype=dtype, **options).requires_grad_(False)


def flat(lengths, vocabulary=V):
    starts = [sum(lengths[:b]) for b in range(len(lengths))]
    return torch.randint(0, vocabulary, (sum(lengths),)), {"offsets": torch.tensor(starts, dtype=torch.int64)}


def padded(lengths, vocabulary=V):
    ids = torch.randint(0, vocabulary, (len(lengths), max(lengths, default=0)))
    return ids, {"lengths": torch.tensor(lengths, dtype=torch.int64)}


def arguments(frozen):
    """Of the functions, from a layer."""
    given = (frozen.table, frozen.bias, frozen.kernel_sizes)
    names = ("scale", "row", "rest", "weight", "padding", "activation")
    return given, {name: getattr(frozen, name) for name in names}


def assert_equals_the_layer(frozen, layer, ids, sizes, case):
    want = layer(ids, **sizes)
    got = frozen(ids, **sizes)
    assert got.dtype == want.dtype, case
    if frozen.scale is None:
        tolerance = TOLERANCE[torch.float64 if frozen.table.dtype == torch.float64 else torch.float32]
    else:
        # Each of K products is off by at most half a scale; no activation makes a difference larger.
        K = torch.tensor(frozen.kernel_sizes)[:, None]
        bound = (frozen.scale * K / 2).max().item() if frozen.scale.numel() else 0.0
        tolerance = dict(rtol=0, atol=bound * 1.01 + 1e-5)
    torch.testing.assert_close(got, want, **tolerance, msg=lambda m: f"{case}: {m}")


def assert_equals_the_reference(frozen, ids, sizes, case):
    """What the kernel does with the same table: integers included, to the rounding of the result's type."""
    positional, named = arguments(frozen)
    want = slow.frozen_text_conv(ids, *positional, **named, **sizes)
    got = fast.frozen_text_conv(ids, *positional, **named, **sizes)
    assert got.dtype == want.dtype, case
    tolerance = TOLERANCE[torch.float64 if frozen.table.dtype == torch.float64 else torch.float32]
    if frozen.scale is not None and frozen.rest is not None:
        # A product of a row behind the table may lie between two integers, and float32 round it to the other one.
        tolerance = dict(rtol=0, atol=1.01 * max(frozen.kernel_sizes) * frozen.scale.max().item() + 1e-5)
    torch.testing.assert_close(got, want, **tolerance, msg=lambda m: f"{case}: {m}")


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


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [0, 1, 11, V - 1, V, V + 5])
@pytest.mark.parametrize("order", [None, "all", "some"])
def test_a_memory_limit_changes_nothing_but_the_memory(capability, dtype, rows, order):
    layer = make_layer(dtype=torch.float64 if dtype == "float64" else torch.float32)
    listed = None if order is None else torch.randperm(V)[: V if order == "all" else 7]
    whole = layer.freeze(dtype=dtype)
    row_bytes = whole.table[0].numel() * whole.table.element_size()
    frozen = layer.freeze(memory_limit=rows * row_bytes + row_bytes - 1, dtype=dtype, order=listed)
    case = f"{capability} {dtype} {rows} rows, order {order}"
    assert frozen.table.shape[0] == min(rows, V), case
    for lengths in LENGTHS.values():
        ids, sizes = flat(lengths)
        assert_equals_the_layer(frozen, layer, ids, sizes, case)
        assert_equals_the_reference(frozen, ids, sizes, case)
    assert (frozen.rest is None) == (rows >= V), "a whole table needs no embeddings"


def test_the_listed_ids_are_those_in_the_table():
    layer = make_layer()
    order = torch.tensor([20, 3, 11, 0])
    row_bytes = layer.freeze().table[0].numel() * 4
    frozen = layer.freeze(memory_limit=4 * row_bytes, order=order)
    assert frozen.row[order].tolist() == [0, 1, 2, 3]
    assert torch.equal(frozen.table, layer.freeze().table[order])
    assert sorted(frozen.row.tolist()) == list(range(V))


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


def test_in_autocast_and_with_gradients_enabled():
    layer = make_layer().requires_grad_()
    frozen = layer.freeze()
    ids = torch.randint(0, V, (3, 8))
    assert not frozen(ids).requires_grad
    with torch.autocast(ids.device.type, dtype=torch.bfloat16):
        got, live = frozen(ids), layer(ids).detach()
    if backends.runs_cuda(ids):  # the layer runs in autocast's dtype there, a table of products stays what it is
        torch.testing.assert_close(got.bfloat16(), live, rtol=0.05, atol=0.05)
    else:
        torch.testing.assert_close(got, live)


def test_later_changes_of_the_layer_do_not_reach_it():
    layer = make_layer()
    ids = torch.randint(0, V, (3, 8))
    for frozen in (layer.freeze(), layer.freeze(0)):
        before = frozen(ids)
        for parameter in layer.parameters():
            parameter.add_(1)
        assert torch.equal(frozen(ids), before)


def through_a_file(frozen):
    file = io.BytesIO()
    torch.save(frozen.state_dict(), file)
    file.seek(0)
    partial = frozen.rest is not None
    fresh = FrozenTextConv(
        V, 7, 18, (1, 2, 3, 5), rows=frozen.table.shape[0], ordered=partial, dtype=frozen.table.dtype
    )
    fresh.load_state_dict(torch.load(file, weights_only=True))
    return fresh


@pytest.mark.parametrize(
    "clone",
    [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m)), through_a_file],
    ids=["deepcopy", "pickle", "state_dict"],
)
@pytest.mark.parametrize("limit", [None, 20_000])
@pytest.mark.parametrize("dtype", ["float32", "int16"])
def test_copies_and_state_dicts(clone, limit, dtype):
    frozen = make_layer().freeze(limit, dtype, torch.randperm(V))
    ids = torch.randint(0, V, (4, 9))
    assert torch.equal(clone(frozen)(ids), frozen(ids))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("table", [None, "float32", "int16"])
@pytest.mark.parametrize("limit", [None, 0])
def test_results_have_the_dtype_of_the_layer(dtype, table, limit):
    layer = make_layer(dtype=dtype)
    ids = torch.randint(0, V, (4, 9))
    y = layer.freeze(limit, table)(ids)
    assert y.dtype == dtype
    torch.testing.assert_close(y, layer(ids), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("limit", [None, 0])
@pytest.mark.parametrize("table", ["float32", "int8"])
def test_to_another_dtype_changes_that_of_the_results_only(limit, table):
    frozen = make_layer().freeze(limit, table)
    ids = torch.randint(0, V, (4, 9))
    want = frozen(ids)
    for dtype in (torch.float16, torch.float64, torch.float32):
        other = copy.deepcopy(frozen).to(dtype)
        assert other(ids).dtype == dtype
        torch.testing.assert_close(other(ids).float(), want, rtol=2e-3, atol=2e-3)
        assert torch.equal(other.table, frozen.table)


def test_it_says_how_large_it_is():
    text = repr(make_layer().freeze())
    assert f"rows={V}, bytes={V * 11 * 32 * 4:,}, dtype='float32'" in text, text


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


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (dict(memory_limit=-1), ValueError, "memory_limit must be at least 0 bytes, got -1"),
        (dict(memory_limit="1 GB"), TypeError, "memory_limit must be a number of bytes or None, got str '1 GB'"),
        (dict(dtype="int4"), ValueError, "dtype must be one of 'float32', 'float64', 'int16', 'int8', got 'int4'"),
        (dict(dtype=torch.float16), ValueError, "dtype must be one of"),
        (dict(order=torch.tensor([1.0])), TypeError, "order must be int64, got torch.float32"),
        (dict(order=torch.tensor([[1]])), ValueError, "order must have shape [ids], got [1, 1]"),
        (dict(order=torch.tensor([0, V])), IndexError, f"order must hold ids in [0, V) = [0, {V}), got 0 to {V}"),
        (dict(order=torch.tensor([3, 3])), ValueError, "order must hold each id at most once, got 2 ids, 1 distinct"),
    ],
)
def test_errors_of_freeze(given, error, message):
    with pytest.raises(error, match=re.escape(message)):
        make_layer().freeze(**given)


def test_integers_need_finite_weights():
    layer = make_layer()
    layer.weight[5, 0] = float("nan")
    with pytest.raises(ValueError, match="needs finite weights"):
        layer.freeze(dtype="int8")


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
