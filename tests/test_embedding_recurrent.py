"""textnn.functional.recurrent over token ids, whose products with the input are made once a distinct token."""

from __future__ import annotations

import pytest
import torch
from ragged import compare
from test_recurrent import LENGTHS, each_cell, operands, weights

import textnn
import textnn.functional as fast
import textnn.reference as slow
from textnn import backends

FORMS = ["padded", "dense", "flat"]


def make(cell, form, lengths, V, width, H, P, directions, dtype, bias=True):
    """ids, table, h0, c0, weights; and sizes. Ids at padding occur nowhere else; others repeat if V is small."""
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
    states[1] = states[1] if cell == "lstm" else None
    w = [weights(cell, width, H, P, dtype, bias) for _ in range(directions)]
    return [ids, torch.randn(V, width, dtype=dtype), *states, *w], sizes


def run(functions, cell, **options):
    """A function of ids, table, h0, c0 and the weights of each direction, that returns tensors alone."""

    def function(ids, table, h0, c0, *directions):
        results = functions.recurrent(cell, ids, h0, c0, directions, table=table, **options)
        return tuple(t for t in results if t is not None)

    return function


def assert_equal(cell, inputs, dtype, case, **options):
    compare(run(fast, cell, **options), run(slow, cell, **options), inputs, dtype, f"{cell} {case}")


@each_cell
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS.keys())
def test_equals_the_reference_for_every_form(capability, cell, form, lengths):
    if form != "flat" and max(lengths, default=0) == 0:
        return  # these forms have at least one step
    for directions, V in ((1, 4), (1, 400), (2, 4), (2, 400)) if cell == "lstm" else ((2, 4), (1, 400)):
        inputs, sizes = make(cell, form, lengths, V, 6, 10, 10, directions, torch.float64)
        case = f"{capability} {form} {lengths} directions={directions} V={V}"
        assert_equal(cell, inputs, torch.float64, case, padding_idx=1, **sizes)


@each_cell
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (16, 16), (17, 33), (40, 70)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_the_reference_for_odd_sizes(capability, cell, shape, dtype):
    width, H = shape
    for directions, sparse, outputs in ((1, False, True), (2, True, True), (2, False, False)):
        P = max(1, H // 2) if cell == "lstm" and directions == 2 else H
        inputs, sizes = make(cell, "flat", LENGTHS["many"], 9, width, H, P, directions, dtype, bias=H != 5)
        case = f"{capability} {shape} {dtype} directions={directions}"
        assert_equal(cell, inputs, dtype, case, sparse=sparse, outputs=outputs, **sizes)


@each_cell
def test_packed_ids_equal_the_reference(cell):
    inputs, _ = make(cell, "flat", [3, 2, 1], 4, 6, 10, 10, 2, torch.float64)
    assert_equal(cell, inputs, torch.float64, "packed", batch_sizes=torch.tensor([3, 2, 1]))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("lengths", [[7] * 5, [9, 4] * 24, [150], [40, 33, 60]], ids=["few", "many", "one", "long"])
def test_threads_share_the_work(capability, cell, threads, lengths):
    """By hidden units, by sequences, both directions at the same time; and the same bits however many there are."""
    inputs, sizes = make(cell, "flat", lengths, 30, 40, 50, 50, 2, torch.float32)
    function = run(fast, cell, **sizes)
    before, results = torch.get_num_threads(), []
    try:
        for count in (1, threads):
            torch.set_num_threads(count)
            ids, table, h0, *rest = inputs
            leaves = [t.clone().requires_grad_() for t in (table, h0)]
            y, h, *_ = function(ids, *leaves, *rest)
            results.append([y, h, *torch.autograd.grad(y.square().sum() + h.sum(), leaves)])
    finally:
        torch.set_num_threads(before)
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)
    for a, b in zip(results[1][:2], run(slow, cell, **sizes)(*inputs), strict=False):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@each_cell
@pytest.mark.parametrize(("form", "directions"), [("padded", 1), ("dense", 2), ("flat", 2)])
def test_gradcheck(capability, cell, form, directions):
    (ids, table, h0, c0, *w), sizes = make(cell, form, [2, 4, 1], 5, 3, 5, 5, directions, torch.float64)
    # The row of padding_idx gets no gradient by definition, so no token refers to it here.
    ids[ids == 1] = 2
    states = [h0] if c0 is None else [h0, c0]
    tensors = [t.requires_grad_() for t in (table, *states, *(t for d in w for t in d))]

    def function(table, *rest):
        h, c = rest[0], rest[1] if c0 is not None else None
        rest = rest[len(states) :]
        each = len(rest) // directions
        given = [rest[d * each : (d + 1) * each] for d in range(directions)]
        return run(fast, cell, padding_idx=1, **sizes)(ids, table, h, c, *given)

    # The emulator takes seconds for a few hundred evaluations; along random directions there are two for each argument.
    assert torch.autograd.gradcheck(function, tensors, fast_mode=backends.runs_cuda(ids))


@each_cell
@pytest.mark.parametrize(("form", "directions"), [("padded", 1), ("flat", 2)])
def test_opcheck(cell, form, directions):
    (ids, table, h0, c0, *w), sizes = make(cell, form, [4, 4, 4], 9, 5, 6, 6, directions, torch.float32)
    table, h0, *w = (t if t is None else t.requires_grad_() for t in (table, h0, *operands(w)))
    layout = "flat" if form == "flat" else "batch_major"
    (size,) = sizes.values()
    arguments = (cell, ids, table, h0, c0, *w, size, layout, False, "ieee", 0, False, True, False, True, True)
    torch.library.opcheck(torch.ops.textnn.recurrent.default, arguments)
    y, h, _, _, *kept = (t.detach() for t in torch.ops.textnn.recurrent(*arguments))
    given = cell, torch.randn_like(y), torch.randn_like(h), None, None, ids, table.detach(), h0.detach(), c0
    for sparse in (False, True):
        torch.library.opcheck(
            torch.ops.textnn.recurrent_backward.default,
            (*given, *(t if t is None else t.detach() for t in w), size, layout, False, "ieee", *kept, 0, sparse, True),
            test_utils=("test_schema", "test_faketensor"),
        )


@pytest.mark.parametrize(
    ("cell", "form", "directions", "dynamic"),
    [
        *[("lstm", form, n, dynamic) for form, n in (("padded", 2), ("flat", 1)) for dynamic in (False, True)],
        *[("gru", "flat", 2, True), ("rnn_tanh", "padded", 1, True)],
    ],
)
def test_compiles_to_one_graph(cell, form, directions, dynamic):
    def function(*inputs):
        return run(fast, cell, **sizes)(*inputs)

    compiled = torch.compile(function, fullgraph=True, dynamic=dynamic, backend="aot_eager")
    for lengths in ([3, 1, 4], [2, 5, 1, 1]):
        inputs, sizes = make(cell, form, lengths, 9, 5, 6, 6, directions, torch.float64)
        compare(compiled, run(slow, cell, **sizes), inputs, torch.float64, f"{cell} {form} {lengths}")


@pytest.mark.parametrize("outputs", [True, False])
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        *[("LSTM", {}), ("LSTM", {"num_layers": 2, "bidirectional": True}), ("LSTM", {"proj_size": 3})],
        *[("GRU", {"num_layers": 2}), ("GRU", {"bidirectional": True}), ("RNN", {"nonlinearity": "relu"})],
    ],
    ids=str,
)
def test_the_layer_is_an_embedding_and_a_recurrent_layer(kind, options, outputs):
    layer = getattr(textnn, f"Embedding{kind}")(20, 6, 9, **options, dtype=torch.float64)
    ids, lengths = torch.randint(0, 20, (5, 7)), torch.tensor([7, 1, 0, 4, 3])

    def parts(ids):
        x = torch.nn.functional.embedding(ids, layer.weight, padding_idx=0)
        return getattr(layer, kind.lower())(x, lengths=lengths, outputs=outputs)

    results = []
    for function in (lambda ids: layer(ids, lengths=lengths, outputs=outputs), parts):
        y, states = function(ids)
        found = [y, *(states if isinstance(states, tuple) else (states,))]
        loss = y.square().sum() + sum(state.sum() for state in found[1:])
        results.append([*found, *torch.autograd.grad(loss, list(layer.parameters()))])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-11)


def test_no_gradient_of_a_table_that_wants_none():
    layer = textnn.EmbeddingLSTM(20, 6, 9)
    layer.weight.requires_grad_(False)
    layer(torch.randint(0, 20, (5, 7)))[0].sum().backward()
    assert layer.weight.grad is None
    assert layer.lstm.weight_ih_l0.grad is not None


GOOD = make("lstm", "dense", [4, 4], 9, 3, 5, 5, 1, torch.float32)[0]


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
