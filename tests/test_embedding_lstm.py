"""textnn.functional.embedding_lstm: an LSTM over token ids, whose input products are made once a distinct token."""

from __future__ import annotations

import pytest
import torch
from ragged import compare
from test_lstm import LENGTHS, weights

import textnn
import textnn.functional as fast
import textnn.reference as slow
from textnn import backends

FORMS = ["padded", "dense", "flat"]


def make(form, lengths, V, width, H, P, directions, dtype, bias=True):
    """Arguments and sizes; ids at padding occur nowhere else, and those of the batch repeat if V is small."""
    B, N = len(lengths), sum(lengths)
    sizes = {}
    if form == "flat":
        ids = torch.randint(0, V - 1, (N,))
        ends = torch.tensor(lengths, dtype=torch.int64)
        sizes = {"offsets": ends.cumsum(0) - ends}
    else:
        ids = torch.randint(0, V - 1, (B, max(lengths, default=0)))
        if form == "padded":
            sizes = {"lengths": torch.tensor(lengths, dtype=torch.int64)}
            for b, n in enumerate(lengths):
                ids[b, n:] = V - 1
    states = [torch.randn(directions, B, n, dtype=dtype) for n in (P, H)]
    w = [weights(width, H, P, dtype, bias) for _ in range(directions)]
    return [ids, torch.randn(V, width, dtype=dtype), *states, *w], sizes


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS.keys())
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("V", [4, 400], ids=["repeated", "distinct"])
def test_equals_the_reference_for_every_form(capability, form, lengths, directions, V):
    if form != "flat" and max(lengths, default=0) == 0:
        return  # these forms have at least one step
    inputs, sizes = make(form, lengths, V, 6, 10, 10, directions, torch.float64)
    case = f"{capability} {form} {lengths} directions={directions} V={V}"
    compare(fast.embedding_lstm, slow.embedding_lstm, inputs, torch.float64, case, padding_idx=1, **sizes)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 5), (16, 16, 16), (17, 33, 20), (40, 20, 20)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("outputs", [False, True])
def test_equals_the_reference_for_odd_sizes(capability, shape, dtype, directions, outputs):
    width, H, P = shape
    inputs, sizes = make("flat", LENGTHS["many"], 9, width, H, P, directions, dtype, bias=H != 5)
    case = f"{capability} {shape} {dtype} directions={directions}"
    for sparse in (False, True):
        options = {"outputs": outputs, "sparse": sparse, **sizes}
        compare(fast.embedding_lstm, slow.embedding_lstm, inputs, dtype, case, **options)


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("lengths", [[7] * 5, [9, 4] * 24, [150], [40, 33, 60]], ids=["few", "many", "one", "long"])
def test_threads_share_the_work(capability, threads, lengths):
    """By hidden units, by sequences, both directions at the same time; and the same bits however many there are."""
    inputs, sizes = make("flat", lengths, 30, 40, 50, 50, 2, torch.float32)
    before, results = torch.get_num_threads(), []
    try:
        for count in (1, threads):
            torch.set_num_threads(count)
            leaves = [t.clone().requires_grad_() if t.is_floating_point() else t for t in inputs[:4]]
            y, h, c = fast.embedding_lstm(*leaves, *inputs[4:], **sizes)
            results.append([y, h, c, *torch.autograd.grad(y.square().sum() + h.sum(), leaves[1:])])
    finally:
        torch.set_num_threads(before)
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)
    for a, b in zip(results[1][:3], slow.embedding_lstm(*inputs, **sizes), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("directions", "P"), [(1, 3), (2, 5)])
def test_gradcheck(capability, form, directions, P):
    inputs, sizes = make(form, [2, 4, 1], 5, 3, 5, P, directions, torch.float64)
    ids, *rest = inputs
    count = [3, *[len([t for t in w if t is not None]) for w in rest[3:]]]
    flat = [t.requires_grad_() for t in [*rest[:3], *[t for w in rest[3:] for t in w if t is not None]]]

    def function(table, h0, c0, *w):
        return fast.embedding_lstm(ids, table, h0, c0, w[: count[1]], w[count[1] :] or None, padding_idx=1, **sizes)

    # The row of padding_idx gets no gradient by definition, so no token refers to it here.
    ids[ids == 1] = 2
    # The emulator takes seconds for a few hundred evaluations; along random directions there are two for each argument.
    assert torch.autograd.gradcheck(function, flat, fast_mode=backends.runs_cuda(ids))


@pytest.mark.parametrize("form", ["padded", "flat"])
@pytest.mark.parametrize("directions", [1, 2])
def test_opcheck(form, directions):
    inputs, sizes = make(form, [4, 4, 4], 9, 5, 6, 6, directions, torch.float32)
    ids, table, h0, c0, *w = inputs
    w = [*w[0], *(w[1] if directions == 2 else [None] * 5)]
    tensors = [None if t is None else t.requires_grad_() for t in (table, h0, c0, *w)]
    layout = "flat" if form == "flat" else "batch_major"
    (size,) = sizes.values()
    arguments = (ids, *tensors, size, layout, 0, False, True, True)
    torch.library.opcheck(torch.ops.textnn.embedding_lstm.default, arguments)
    y, h, _, *kept = torch.ops.textnn.embedding_lstm(*arguments)
    used = [t for i, t in enumerate(tensors) if i not in (1, 5, 6, 10, 11)]  # neither h0 nor biases
    plain = [None if t is None else t.detach() for t in (torch.randn_like(y), torch.randn_like(h), None, ids, *used)]
    for sparse in (False, True):
        backward = (*plain, size, layout, *[t.detach() for t in kept], 0, sparse, True)
        torch.library.opcheck(
            torch.ops.textnn.embedding_lstm_backward.default, backward, test_utils=("test_schema", "test_faketensor")
        )


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("form", ["padded", "flat"])
@pytest.mark.parametrize("directions", [1, 2])
def test_compiles_to_one_graph(dynamic, form, directions):
    compiled = torch.compile(fast.embedding_lstm, fullgraph=True, dynamic=dynamic, backend="aot_eager")
    for lengths in ([3, 1, 4], [2, 5, 1, 1]):
        inputs, sizes = make(form, lengths, 9, 5, 6, 6, directions, torch.float64)
        compare(compiled, slow.embedding_lstm, inputs, torch.float64, f"{form} {lengths}", **sizes)


@pytest.mark.parametrize("outputs", [True, False])
@pytest.mark.parametrize("options", [{}, {"num_layers": 2}, {"bidirectional": True, "num_layers": 2}, {"proj_size": 3}])
def test_the_layer_is_an_embedding_and_an_lstm(options, outputs):
    layer = textnn.EmbeddingLSTM(20, 6, 9, **options, dtype=torch.float64)
    ids, lengths = torch.randint(0, 20, (5, 7)), torch.tensor([7, 1, 0, 4, 3])

    def parts(ids):
        x = torch.nn.functional.embedding(ids, layer.weight, padding_idx=0)
        y, (h, c) = layer.lstm(x, lengths=lengths, outputs=outputs)
        return y, h, c

    def whole(ids):
        y, (h, c) = layer(ids, lengths=lengths, outputs=outputs)
        return y, h, c

    results = []
    for function in (whole, parts):
        y, h, c = function(ids)
        parameters = list(layer.parameters())
        results.append([y, h, c, *torch.autograd.grad(y.square().sum() + h.sum() + c.sum(), parameters)])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-11)


def test_no_gradient_of_a_table_that_wants_none():
    layer = textnn.EmbeddingLSTM(20, 6, 9)
    layer.weight.requires_grad_(False)
    layer(torch.randint(0, 20, (5, 7)))[0].sum().backward()
    assert layer.weight.grad is None
    assert layer.lstm.weight_ih_l0.grad is not None


GOOD = make("dense", [4, 4], 9, 3, 5, 5, 1, torch.float32)[0]


@pytest.mark.parametrize(
    ("place", "value", "kwargs", "error", "message"),
    [
        (0, torch.zeros(4, dtype=torch.int64), {}, ValueError, r"ids must have shape \[B, T\], got \[4\]"),
        (0, torch.full((2, 4), 9), {}, IndexError, r"ids must lie in \[0, V\) = \[0, 9\), got 9"),
        (0, torch.zeros(2, 4), {}, TypeError, "ids must be int64, got torch.float32"),
        (1, torch.zeros(9), {}, ValueError, r"table must have shape \[V, D\], got \[9\]"),
        (1, torch.zeros(9, 4), {}, ValueError, r"ahead.w_ih must have shape \[4H, I\] = \[20, 4\], got \[20, 3\]"),
        (2, torch.zeros(2, 2, 5), {}, ValueError, r"h0 and c0 must have shapes \[1, B, P\] and \[1, B, H\]"),
        (2, torch.zeros(1, 3, 5), {}, ValueError, "must have shape"),
        (0, GOOD[0], {"lengths": torch.tensor([5, 1])}, ValueError, "lengths must lie between 0 and 4, got 5"),
        (0, GOOD[0], {"padding_idx": 9}, ValueError, "padding_idx must be a row of the table with 9 rows, got 9"),
    ],
)
def test_errors_name_the_argument(place, value, kwargs, error, message):
    inputs = list(GOOD)
    inputs[place] = value
    with pytest.raises(error, match=message):
        fast.embedding_lstm(*inputs, **kwargs)


def test_states_of_another_size_are_refused_by_the_layer():
    with pytest.raises(RuntimeError, match=r"Expected hidden\[0\] size \(1, 2, 9\), got \[1, 3, 9\]"):
        textnn.EmbeddingLSTM(20, 6, 9)(torch.zeros(2, 4, dtype=torch.int64), (torch.zeros(1, 3, 9),) * 2)
