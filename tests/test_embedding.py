"""textnn.functional.embedding: the look-up of torch, with a gradient summed for each distinct token."""

from __future__ import annotations

import pytest
import torch
from ragged import compare

import textnn.functional as fast
import textnn.reference as slow

SHAPES = {"flat": (40,), "padded": (5, 9), "cube": (2, 3, 4), "empty": (0,), "no tokens": (3, 0), "one": (1,)}


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("padding_idx", [None, 0, -1])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_the_reference(capability, sparse, padding_idx, shape, dtype):
    for V, D in ((7, 5), (300, 33), (300, 150)):
        ids, table = torch.randint(0, V, shape), torch.randn(V, D, dtype=dtype)
        case = f"{capability} {shape} V={V} D={D} {padding_idx} {sparse}"
        compare(fast.embedding, slow.embedding, [ids, table], dtype, case, padding_idx=padding_idx, sparse=sparse)


@pytest.mark.parametrize("V", [3, 64, 65, 5000])
def test_the_sparse_gradient_has_a_row_for_each_distinct_token(V):
    ids, table = torch.randint(0, V, (6, 20)), torch.randn(V, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(fast.embedding(ids, table, sparse=True).sum(), table)
    assert gradient.is_coalesced()
    assert torch.equal(gradient.indices()[0], ids.unique())
    assert torch.equal(gradient.values()[:, 0], ids.unique(return_counts=True)[1].float())


def test_gradients_accumulate():
    """Sums of coalesced tensors rely on the order of their rows."""
    ids, table = torch.randint(0, 50, (3, 20)), torch.randn(50, 4, requires_grad=True)
    for row in ids:
        fast.embedding(row, table, sparse=True).sum().backward()
    want = torch.bincount(ids.flatten(), minlength=50).float()
    assert torch.equal(table.grad.to_dense()[:, 0], want)


def test_not_contiguous_and_narrow_arguments():
    ids, table = torch.randint(0, 9, (4, 6), dtype=torch.int32).t(), torch.randn(5, 9).t()
    assert torch.equal(fast.embedding(ids, table), table[ids.long()])
    assert torch.equal(fast.embedding(ids, table.bfloat16()), table.bfloat16()[ids.long()])


def test_gradcheck(capability):
    ids, table = torch.randint(0, 4, (2, 3)), torch.randn(6, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda t: fast.embedding(ids, t, padding_idx=2), [table])


@pytest.mark.parametrize("sparse", [False, True])
def test_opcheck(sparse):
    ids, table = torch.randint(0, 9, (2, 5)), torch.randn(9, 3, requires_grad=True)
    tests = ("test_schema", "test_faketensor") if sparse else torch.library._OPCHECK_DEFAULT_UTILS  # no sparse fakes
    torch.library.opcheck(torch.ops.textnn.embedding.default, (ids, table, -1, sparse), test_utils=tests)
    backward = torch.ops.textnn.embedding_backward.default
    torch.library.opcheck(
        backward, (torch.randn(2, 5, 3), ids, 9, -1, sparse), test_utils=("test_schema", "test_faketensor")
    )


@pytest.mark.parametrize("dynamic", [False, True])
def test_compiles_to_one_graph(dynamic):
    compiled = torch.compile(fast.embedding, fullgraph=True, dynamic=dynamic, backend="aot_eager")
    for shape in ((4, 6), (3, 8)):
        inputs = [torch.randint(0, 9, shape), torch.randn(9, 3, dtype=torch.float64)]
        compare(compiled, slow.embedding, inputs, torch.float64, f"{shape}")


@pytest.mark.parametrize("sparse", [False, True])
def test_same_result_for_every_number_of_threads(capability, sparse):
    ids, table = torch.randint(0, 700, (900,)) ** 2 // 700, torch.randn(700, 90, requires_grad=True)
    weight, before, results = torch.randn(900, 90), torch.get_num_threads(), []
    try:
        for threads in (1, 2, 4):
            torch.set_num_threads(threads)
            y = fast.embedding(ids, table, sparse=sparse)
            results.append(torch.autograd.grad((y * weight).sum(), table)[0].to_dense())
    finally:
        torch.set_num_threads(before)
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


IDS, TABLE = torch.randint(0, 9, (2, 6)), torch.randn(9, 4)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: fast.embedding(IDS + 9, TABLE), IndexError, r"ids must lie in \[0, V\) = \[0, 9\)"),
        (lambda: fast.embedding(IDS - 9, TABLE), IndexError, "ids must lie in"),
        (lambda: fast.embedding(IDS.float(), TABLE), TypeError, "ids must be int64"),
        (lambda: fast.embedding(IDS, TABLE[0]), ValueError, r"table must have shape \[V, D\], got \[4\]"),
        (lambda: fast.embedding(IDS, TABLE.long()), TypeError, "table must have a floating-point dtype"),
        (lambda: fast.embedding(IDS, TABLE, padding_idx=9), ValueError, "padding_idx must be a row"),
    ],
)
def test_errors_name_the_argument(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.cpu
def test_the_operators_themselves_refuse_ids_outside_the_table():
    """Under torch.compile the check in Python is left out."""
    ids = torch.tensor([1, 2, 12])
    with pytest.raises(RuntimeError, match=r"ids must lie in \[0, 9\), got 12 at position 2"):
        torch.ops.textnn.embedding(ids, TABLE, -1, False)
    with pytest.raises(RuntimeError, match=r"ids must lie in \[0, 9\), got 12 at position 2"):
        torch.ops.textnn.embedding_backward(torch.ones(3, 4), ids, 9, -1, True)
    with pytest.raises(RuntimeError, match=r"must have shape \[..., D\] of ids \[3\], got \[2, 4\]"):
        torch.ops.textnn.embedding_backward(torch.ones(2, 4), ids, 9, -1, True)
