"""EmbeddingTextConv.freeze(): how large the table may be, which ids it holds, its dtype, copies of it."""

from __future__ import annotations

import copy
import io
import pickle
import re

import pytest
import torch
from frozen_layers import DTYPES, V, assert_equals_the_layer, assert_equals_the_reference, flat, make_layer
from ragged import LENGTHS

from textnn import FrozenTextConv


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
