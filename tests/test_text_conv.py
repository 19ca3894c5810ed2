"""textnn.functional.text_conv and embedding_text_conv: convolutions, activation, maximum over time."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from ragged import LENGTHS, compare

import textnn.functional as fast
import textnn.reference as slow

OPERATORS = ["text_conv", "embedding_text_conv"]
PADDINGS = ["valid", "same"]
ACTIVATIONS = ["relu", "tanh", "identity"]


def make(operator, lengths, form, D, C, taps, dtype, V=23, bias=True):
    """Arguments and keyword arguments; padding is NaN or an unused token."""
    weight = [torch.randn(C, D, k, dtype=dtype) for k in taps]
    biases = [torch.randn(C, dtype=dtype) for _ in taps] if bias else None
    B, L, N = len(lengths), max(lengths, default=0), sum(lengths)
    if form == "flat":
        ids = torch.randint(0, V, (N,))
        sizes = {"offsets": torch.tensor([sum(lengths[:b]) for b in range(B)], dtype=torch.int64)}
    else:
        ids = torch.randint(0, V, (B, L))
        sizes = {"lengths": torch.tensor(lengths, dtype=torch.int64)}
    if operator == "embedding_text_conv":
        return [ids, torch.randn(V, D, dtype=dtype), weight, biases], sizes
    x = torch.randn(*ids.shape, D, dtype=dtype)
    if form == "padded":
        for b, n in enumerate(lengths):
            x[b, n:] = float("nan")
    return [x, weight, biases], sizes


def check(operator, inputs, dtype, case, **kwargs):
    compare(getattr(fast, operator), getattr(slow, operator), inputs, dtype, f"{operator} {case}", **kwargs)


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("form", ["padded", "flat"])
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS.keys())
def test_equals_the_reference(capability, operator, padding, activation, form, lengths):
    inputs, sizes = make(operator, lengths, form, 7, 18, (1, 2, 3, 5), torch.float64)
    case = f"{capability} {form} {lengths} {padding} {activation}"
    check(operator, inputs, torch.float64, case, padding=padding, activation=activation, **sizes)


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("D", [1, 3, 16, 35])
@pytest.mark.parametrize("C", [1, 5, 16, 33, 70])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_the_reference_for_odd_sizes(capability, operator, D, C, dtype):
    inputs, sizes = make(operator, LENGTHS["ragged"], "flat", D, C, (3, 4), dtype)
    check(operator, inputs, dtype, f"{capability} D={D} C={C} {dtype}", **sizes)


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("padding", PADDINGS)
def test_equals_conv1d_on_dense_batches(capability, operator, padding):
    inputs, _ = make(operator, [12] * 5, "flat", 9, 20, (3, 4), torch.float64)
    *tokens, weight, bias = inputs
    shape = (5, 12) if operator == "embedding_text_conv" else (5, 12, 9)
    tokens[0] = tokens[0].reshape(shape)

    def conv1d(*arguments):
        *tokens, weight, bias = arguments
        x = F.embedding(tokens[0], tokens[1]) if len(tokens) == 2 else tokens[0]
        maps = [F.conv1d(x.transpose(1, 2), w, b, padding=padding).relu() for w, b in zip(weight, bias, strict=True)]
        return torch.cat([m.max(dim=2).values for m in maps], dim=1)

    compare(
        lambda *a: getattr(fast, operator)(*a, padding=padding),
        conv1d,
        [*tokens, weight, bias],
        torch.float64,
        f"{operator} {padding}",
    )


@settings(deadline=None, max_examples=80)
@given(
    operator=st.sampled_from(OPERATORS),
    lengths=st.lists(st.integers(0, 12), min_size=1, max_size=8),
    D=st.integers(1, 20),
    C=st.integers(1, 40),
    taps=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    padding=st.sampled_from(PADDINGS),
    activation=st.sampled_from(ACTIVATIONS),
    bias=st.booleans(),
)
def test_equals_the_reference_for_any_shape(operator, lengths, D, C, taps, padding, activation, bias):
    inputs, sizes = make(operator, lengths, "flat", D, C, taps, torch.float64, V=9, bias=bias)
    case = f"{lengths} D={D} C={C} {taps} {padding} {activation} bias={bias}"
    check(operator, inputs, torch.float64, case, padding=padding, activation=activation, **sizes)


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradcheck(capability, operator, padding, activation):
    inputs, sizes = make(operator, [4, 1, 0, 6], "flat", 3, 5, (1, 3), torch.float64)
    *tokens, weight, bias = inputs
    leaves = [t.requires_grad_() for t in [*tokens, *weight, *bias] if t.is_floating_point()]
    S, ids = len(weight), [t for t in tokens if not t.is_floating_point()]

    def f(vectors, *w):
        return getattr(fast, operator)(*ids, vectors, w[:S], w[S:], padding=padding, activation=activation, **sizes)

    assert torch.autograd.gradcheck(f, leaves)


@pytest.mark.parametrize("operator", OPERATORS)
def test_opcheck(operator):
    inputs, sizes = make(operator, [4, 1, 0, 6], "flat", 3, 5, (1, 3), torch.float32)
    *tokens, weight, bias = inputs
    for t in [*tokens, *weight, *bias]:
        if t.is_floating_point():
            t.requires_grad_()
    extra = (-1, False) if operator == "embedding_text_conv" else ()
    forward = getattr(torch.ops.textnn, operator).default
    arguments = (*tokens, weight, bias, sizes["offsets"], True, False, 1, "ieee", *extra, True)
    torch.library.opcheck(forward, arguments)
    y, window = (t.detach() for t in forward(*arguments))
    plain = [t.detach() for t in tokens]
    backward = getattr(torch.ops.textnn, operator + "_backward").default
    for sparse in (False, True) if extra else (None,):
        tail = (-1, sparse, True) if extra else (True,)
        given = (
            torch.randn_like(y),
            *plain,
            [w.detach() for w in weight],
            sizes["offsets"],
            True,
            False,
            1,
            "ieee",
            y,
            window,
            *tail,
        )
        torch.library.opcheck(backward, given, test_utils=("test_schema", "test_faketensor"))


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("form", ["padded", "flat"])
def test_compiles_to_one_graph(operator, dynamic, form):
    compiled = torch.compile(getattr(fast, operator), fullgraph=True, dynamic=dynamic, backend="aot_eager")
    for lengths in ([4, 2, 6], [3, 8, 2, 2]):
        inputs, sizes = make(operator, lengths, form, 5, 7, (2, 3), torch.float64)
        compare(compiled, getattr(slow, operator), inputs, torch.float64, f"{operator} {form} {lengths}", **sizes)


def test_a_sentence_shorter_than_a_kernel_is_padded_with_zero_vectors(capability):
    x, w = torch.randn(1, 2, 4), [torch.randn(3, 4, 5)]
    padded = torch.cat([x, torch.zeros(1, 3, 4)], dim=1)
    torch.testing.assert_close(fast.text_conv(x, w), F.conv1d(padded.transpose(1, 2), w[0]).relu()[:, :, 0])


def test_an_empty_sentence_gives_the_activated_bias(capability):
    bias = torch.tensor([-1.0, 0.5, 2.0])
    for padding in PADDINGS:
        y = fast.text_conv(
            torch.randn(1, 4, 2), [torch.randn(3, 2, 3)], [bias], lengths=torch.tensor([0]), padding=padding
        )
        torch.testing.assert_close(y[0], bias.relu())


def test_the_first_of_equal_maxima_counts(capability):
    x = torch.ones(1, 6, 2, requires_grad=True)
    fast.text_conv(x, [torch.ones(1, 2, 2)], activation="identity").sum().backward()
    assert x.grad[0, :, 0].tolist() == [1, 1, 0, 0, 0, 0]


def test_nan_stays_nan(capability):
    x = torch.randn(2, 9, 3)
    x[0, 4, 1] = float("nan")
    y = fast.text_conv(x, [torch.randn(20, 3, 2)])
    assert y[0].isnan().all()
    assert not y[1].isnan().any()


@pytest.mark.parametrize("operator", OPERATORS)
def test_same_result_for_every_run_and_number_of_threads(capability, deterministic, operator):
    inputs, sizes = make(operator, [30, 2, 17, 9] * 12, "flat", 40, 50, (2, 3, 4), torch.float32, V=150)
    *tokens, weight, bias = inputs
    leaves = [t.requires_grad_() for t in [*tokens, *weight, *bias] if t.is_floating_point()]
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 4, 8, 2):
            torch.set_num_threads(threads)
            y = getattr(fast, operator)(*inputs, **sizes)
            results.append([y.detach(), *torch.autograd.grad(y.square().sum(), leaves)])
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_a_sentence_does_not_depend_on_its_batch(capability):
    inputs, sizes = make("embedding_text_conv", [i % 30 + 1 for i in range(256)], "flat", 40, 50, (3, 4), torch.float32)
    ids, *rest = inputs
    y = fast.embedding_text_conv(ids, *rest, **sizes)
    for b in (0, 100, 255):
        begin = int(sizes["offsets"][b])
        alone = fast.embedding_text_conv(ids[begin : begin + b % 30 + 1][None], *rest)
        torch.testing.assert_close(alone[0], y[b], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("V", [30, 100_000], ids=["dense ids", "few of many ids"])
def test_sparse_gradient_equals_the_dense_one(capability, V):
    inputs, sizes = make("embedding_text_conv", [8, 3, 5], "flat", 6, 9, (2, 3), torch.float64, V=V)
    ids, table, weight, bias = inputs
    table.requires_grad_()
    gradients = []
    for sparse in (True, False):
        y = fast.embedding_text_conv(ids, table, weight, bias, padding_idx=int(ids[0]), sparse=sparse, **sizes)
        gradients.append(torch.autograd.grad(y.square().sum(), table)[0])
    assert gradients[0].is_sparse
    assert gradients[0]._nnz() == len(ids.unique())
    assert torch.equal(gradients[0].to_dense(), gradients[1])
    assert not gradients[1][ids[0]].any()
    assert gradients[1].any()


X, W = torch.randn(2, 6, 4), [torch.randn(3, 4, 2), torch.randn(3, 4, 3)]
IDS, TABLE = torch.randint(0, 9, (2, 6)), torch.randn(9, 4)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: fast.text_conv(X[0], W), ValueError, r"x must have shape \[B, L, D\], got \[6, 4\]"),
        (lambda: fast.text_conv(X, W[0]), ValueError, "weight and bias must be sequences"),
        (lambda: fast.text_conv(X, []), ValueError, "at least one"),
        (
            lambda: fast.text_conv(X, [W[0], W[1][:2]]),
            ValueError,
            r"weight\[1\] must have shape \[C, D, K\] = \[3, 4, \*\]",
        ),
        (lambda: fast.text_conv(X, W, [torch.zeros(3)]), ValueError, "bias must hold 2 tensors"),
        (lambda: fast.text_conv(X, W, padding="full"), ValueError, "padding must be 'valid' or 'same', got 'full'"),
        (lambda: fast.text_conv(X, W, activation="gelu"), ValueError, "activation must be"),
        (
            lambda: fast.text_conv(X, W, lengths=torch.tensor([7, 1])),
            ValueError,
            "lengths must lie between 0 and 6, got 7",
        ),
        (lambda: fast.text_conv(X.double(), W), TypeError, r"weight\[0\] must have the dtype of x"),
        (lambda: fast.embedding_text_conv(IDS + 9, TABLE, W), IndexError, r"ids must lie in \[0, V\) = \[0, 9\)"),
        (lambda: fast.embedding_text_conv(IDS - 9, TABLE, W), IndexError, "ids must lie in"),
        (lambda: fast.embedding_text_conv(IDS.float(), TABLE, W), TypeError, "ids must be int64"),
        (lambda: fast.embedding_text_conv(IDS, TABLE, W, padding_idx=9), ValueError, "padding_idx must be a row"),
        (lambda: fast.embedding_text_conv(IDS[0], TABLE, W), ValueError, r"ids must have shape \[B, L\]"),
    ],
)
def test_errors_name_the_argument(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.cpu
def test_the_operator_itself_refuses_ids_outside_the_table():
    """Under torch.compile the check in Python is left out."""
    with pytest.raises(RuntimeError, match=r"ids must lie in \[0, 9\), got 12 at position 3"):
        torch.ops.textnn.embedding_text_conv(
            torch.tensor([[1, 2, 3, 12]]), TABLE, W, [], None, False, False, 1, "ieee", -1, False, False
        )
