"""textnn.functional.recurrent: one layer of any cell over a ragged batch; what holds for every cell.

Not every cell is tried with everything: the engine is one, so the LSTM stands for what does not depend on the cell.
"""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ragged import TOLERANCE, compare, operands, ragged_batch

import textnn
import textnn.functional as fast
import textnn.reference as slow
from textnn import backends

CELLS = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}  # blocks of H rows in a weight
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
# Below, at and above a vector of units, and a panel of four.
SIZES = [(1, 1), (3, 5), (16, 16), (17, 33), (5, 20), (7, 70)]

each_cell = pytest.mark.parametrize("cell", CELLS)


def weights(cell, width, H, P, dtype, bias=True):
    """w_ih, w_hh, b_ih, b_hh and, for P other than H, w_hr."""
    rows = CELLS[cell] * H
    shapes = [(rows, width), (rows, P), *([(rows,), (rows,)] if bias else []), *([(P, H)] if P != H else [])]
    w = [torch.randn(*s, dtype=dtype) / max(1, s[-1]) ** 0.5 for s in shapes]
    return w if bias or P == H else [*w[:2], None, None, w[2]]


def arguments(cell, batch, width, H, dtype, directions=1, P=None, bias=True):
    """x, h0, c0, weights of the directions."""
    P = P or H
    states = [torch.randn(directions, batch.B, n, dtype=dtype) for n in (P, H)]
    w = [weights(cell, width, H, P, dtype, bias) for _ in range(directions)]
    return [batch.x, states[0], states[1] if cell == "lstm" else None, *w]


def run(functions, cell, **options):
    """A function of x, h0, c0 and the weights of each direction, that returns tensors alone."""

    def function(x, h0, c0, *directions):
        results = functions.recurrent(cell, x, h0, c0, directions, **options)
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
    batch = ragged_batch(form, lengths, 6, torch.float64)
    for directions in (1, 2) if cell == "lstm" else (2,):
        inputs = arguments(cell, batch, 6, 10, torch.float64, directions)
        assert_equal(cell, inputs, torch.float64, f"{capability} {form} {lengths} {directions}", **batch.sizes)


@each_cell
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_the_reference_for_odd_sizes(capability, cell, sizes, dtype):
    width, H = sizes
    batch = ragged_batch("flat", LENGTHS["ragged"], width, dtype)
    for directions, bias in ((1, True), (2, False)):
        inputs = arguments(cell, batch, width, H, dtype, directions, bias=bias)
        assert_equal(cell, inputs, dtype, f"{capability} {sizes} {dtype} {directions}", **batch.sizes)


@pytest.mark.parametrize("function", ["gru", "rnn"])
@pytest.mark.parametrize("form", FORMS)
def test_a_single_direction_in_reverse(capability, function, form):
    cell = {"gru": "gru", "rnn": "rnn_relu"}[function]
    batch = ragged_batch(form, LENGTHS["ragged"], 6, torch.float64)
    x, h0, _, w = arguments(cell, batch, 6, 10, torch.float64)
    options = {"reverse": True, **batch.sizes, **({"nonlinearity": "relu"} if function == "rnn" else {})}
    case = f"{capability} {function} {form}"
    compare(getattr(fast, function), getattr(slow, function), [x, h0[0], *w], torch.float64, case, **options)


# Hidden units shared out (large weights), sequences shared out (small weights, many rows), both directions at the same
# time or in turn, few active sequences, whose products with the input are made in slices, for a long time.
SHARED = [(5, 7, 90, 200), (48, 6, 40, 50), (5, 7, 40, 50), (30, 4, 20, 30), (1, 60, 200, 40), (3, 50, 20, 130)]


@each_cell
@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("shape", SHARED, ids=str)
def test_equals_torch_however_the_work_is_shared_out(capability, cell, threads, shape):
    B, T, width, H = shape
    kind = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}.get(cell, torch.nn.RNN)
    options = {"nonlinearity": cell[4:]} if cell.startswith("rnn") else {}
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        layer = kind(width, H, bidirectional=True, **options)
        w = list(layer.parameters())
        x, zeros = torch.randn(T, B, width), torch.zeros(2, B, H)
        results = []
        for ours in (True, False):
            x_ = x.clone().requires_grad_()
            if ours:
                c0 = zeros if cell == "lstm" else None
                y, *states = fast.recurrent(cell, x_, zeros, c0, [w[:4], w[4:]])
            else:
                y, states = layer(x_)
            h = states[0] if isinstance(states, (list, tuple)) else states
            gradients = torch.autograd.grad(y.square().mean() + h.square().mean(), [x_, *w])
            results.append([y.detach(), h.detach(), *gradients])
    finally:
        torch.set_num_threads(before)
    for i, (a, b) in enumerate(zip(*results, strict=True)):
        case = f"{capability} {cell} {shape} {threads} threads, result {i}"
        torch.testing.assert_close(a, b, **TOLERANCE[torch.float32], msg=lambda m, case=case: f"{case}: {m}")


@settings(deadline=None, max_examples=60)
@given(
    cell=st.sampled_from(list(CELLS)),
    lengths=st.lists(st.integers(0, 7), min_size=1, max_size=9),
    width=st.integers(1, 20),
    H=st.integers(1, 36),
    form=st.sampled_from(FORMS),
    directions=st.integers(1, 2),
    bias=st.booleans(),
)
def test_equals_the_reference_for_any_shape(cell, lengths, width, H, form, directions, bias):
    if max(lengths) == 0 and form != "flat":
        lengths = [*lengths, 1]
    batch = ragged_batch(form, lengths, width, torch.float64)
    inputs = arguments(cell, batch, width, H, torch.float64, directions, bias=bias)
    assert_equal(cell, inputs, torch.float64, f"{form} {lengths} I={width} H={H} bias={bias}", **batch.sizes)


@each_cell
@pytest.mark.parametrize(("form", "directions"), list(zip(FORMS, [1, 2, 2, 1], strict=True)))
def test_gradcheck(capability, cell, form, directions):
    batch = ragged_batch(form, [2, 4, 1], 3, torch.float64)
    x, h0, c0, *w = arguments(cell, batch, 3, 5, torch.float64, directions, P=3 if cell == "lstm" else None)
    states = [h0] if c0 is None else [h0, c0]
    tensors = [t.nan_to_num().requires_grad_() for t in (x, *states, *(t for d in w for t in d))]

    def function(x, *rest):
        c = None if c0 is None else rest[1]
        rest = rest[len(states) :]
        each = len(rest) // directions
        y, *final = fast.recurrent(
            cell, x, tensors[1], c, [rest[d * each : (d + 1) * each] for d in range(directions)], **batch.sizes
        )
        return tuple(t for t in (y, *final) if t is not None)

    # The emulator takes seconds for a few hundred evaluations; along random directions there are two for each argument.
    assert torch.autograd.gradcheck(function, tensors, fast_mode=backends.runs_cuda(x))


@pytest.mark.cpu
@each_cell
@pytest.mark.parametrize(("form", "directions"), [("flat", 2), ("batch_first", 1)])
def test_second_derivatives(cell, form, directions):
    batch = ragged_batch(form, [2, 3], 2, torch.float64)
    x, h0, c0, *w = arguments(cell, batch, 2, 3, torch.float64, directions)
    x, h0, w = x.nan_to_num().requires_grad_(), h0.requires_grad_(), [[t.requires_grad_() for t in d] for d in w]

    def function(x, w_hh):
        changed = [[w[0][0], w_hh, *w[0][2:]], *w[1:]]
        return run(fast, cell, **batch.sizes)(x, h0, c0, *changed)[:2]

    assert torch.autograd.gradgradcheck(function, (x, w[0][1]))
    theirs, ours = (run(functions, cell, **batch.sizes)(x, h0, c0, *w)[0].square().sum() for functions in (slow, fast))
    for a, b in zip(*(torch.autograd.grad(y, [x, h0], create_graph=True) for y in (ours, theirs)), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.cpu
@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_differentiable_gradients_of_states_that_were_made_from_the_input(kind):
    x = torch.randn(4, 2, 3, dtype=torch.float64, requires_grad=True)
    h, c = x[:1].cos(), x[1:2].sin()
    gradients = []
    for library in (textnn, torch.nn):
        torch.manual_seed(0)
        layer = getattr(library, kind)(3, 3, dtype=torch.float64)
        y, _ = layer(x, (h, c) if kind == "LSTM" else h)
        gradients.append(torch.autograd.grad(y.square().sum(), x, create_graph=True)[0])
    torch.testing.assert_close(*gradients)


@pytest.mark.cpu
def test_second_derivatives_from_token_ids_leave_the_padding_row_alone():
    layer = textnn.EmbeddingGRU(9, 3, 4, dtype=torch.float64)
    y, _ = layer(torch.tensor([3, 0, 5, 3]), offsets=[0, 3])
    (gradient,) = torch.autograd.grad(y.square().sum(), layer.weight, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum(), layer.weight)
    assert gradient[3].any()
    assert second[3].any()
    assert not gradient[0].any()


@each_cell
@pytest.mark.parametrize("only", [0, 1, 2])
def test_gradients_when_one_result_alone_is_used(cell, only):
    batch = ragged_batch("flat", [3, 1, 4], 5, torch.float64)
    inputs = arguments(cell, batch, 5, 6, torch.float64)
    only = min(only, 2 if cell == "lstm" else 1)
    ours, theirs = (run(functions, cell, **batch.sizes) for functions in (fast, slow))
    compare(
        lambda *a: ours(*a)[only], lambda *a: theirs(*a)[only], inputs, torch.float64, f"{cell}, result {only} alone"
    )


@each_cell
@pytest.mark.parametrize("form", FORMS)
def test_without_outputs_the_final_states_and_their_gradients_are_the_same(capability, cell, form):
    batch = ragged_batch(form, [3, 1, 4], 5, torch.float64)
    inputs = arguments(cell, batch, 5, 6, torch.float64, directions=2)
    assert_equal(cell, inputs, torch.float64, f"{capability} {form}", outputs=False, **batch.sizes)
    assert run(fast, cell, outputs=False, **batch.sizes)(*inputs)[0].shape == (0,)


@each_cell
def test_all_that_is_kept_is_written(capability, cell):
    """Of units beyond H too, so that what one graph keeps is equal to what another keeps."""
    for dtype in (torch.float32, torch.float64):
        for H in (1, 5, 13):
            for _ in range(2):  # the second time in memory that the first has filled
                batch = ragged_batch("flat", [3, 1], 4, dtype)
                x, h0, c0, *w = arguments(cell, batch, 4, H, dtype)
                inputs = (cell, x, None, h0, c0, *operands(w), batch.sizes["offsets"], "flat", False, "ieee")
                *_, kept, cells, h_prev, _ = torch.ops.textnn.recurrent(*inputs, -1, False, True, False, True, True)
                for t in (kept, cells, h_prev):
                    assert not t.isnan().any(), f"{capability} {dtype} H = {H}"
                    t.fill_(torch.nan)
                del kept, cells, h_prev, t


@each_cell
@pytest.mark.parametrize(("form", "directions"), list(zip(FORMS, [1, 2, 2, 1], strict=True)))
def test_opcheck(cell, form, directions):
    batch = ragged_batch(form, [3, 1, 4], 5, torch.float32)
    P = 3 if cell == "lstm" and directions == 2 else None
    x, h0, c0, *w = arguments(cell, batch, 5, 6, torch.float32, directions, P)
    x, h0, *w = (t if t is None else t.nan_to_num().requires_grad_() for t in (x, h0, *operands(w)))
    c0 = None if c0 is None else c0.requires_grad_()
    layout = {"padded": "time_major", "batch_first": "batch_major"}.get(form, form)
    sizes = next(v for k, v in batch.sizes.items() if k != "batch_first")
    inputs = (cell, x, None, h0, c0, *w, sizes, layout, False, "ieee", -1, False, True, False, True, True)
    torch.library.opcheck(torch.ops.textnn.recurrent.default, inputs)
    y, h, _, _, *kept = (t.detach() for t in torch.ops.textnn.recurrent(*inputs))
    states = [None if t is None else t.detach() for t in (x, None, h0, c0, *w)]
    given = cell, torch.randn_like(y), torch.randn_like(h), None, None
    torch.library.opcheck(
        torch.ops.textnn.recurrent_backward.default,
        (*given, *states, sizes, layout, False, "ieee", *kept, -1, False, True),
        test_utils=("test_schema", "test_faketensor"),
    )


@pytest.mark.parametrize(
    ("cell", "form", "dynamic"),
    [
        *[("lstm", form, dynamic) for form in ("padded", "flat", "packed") for dynamic in (False, True)],
        *[("gru", "padded", True), ("gru", "flat", False), ("rnn_relu", "flat", True), ("rnn_tanh", "packed", False)],
    ],
)
def test_compiles_to_one_graph(cell, form, dynamic):
    def function(*inputs):
        return run(fast, cell, **sizes)(*inputs)

    compiled = torch.compile(function, fullgraph=True, dynamic=dynamic, backend="aot_eager")
    for lengths in ([3, 1, 4], [2, 5, 1, 1]):
        batch = ragged_batch(form, lengths, 5, torch.float64)
        sizes, inputs = batch.sizes, arguments(cell, batch, 5, 6, torch.float64, directions=2)
        compare(compiled, run(slow, cell, **sizes), inputs, torch.float64, f"{cell} {form} {lengths}")


@each_cell
def test_inference_keeps_nothing_and_gives_the_same(capability, cell):
    batch = ragged_batch("flat", LENGTHS["many"], 9, torch.float32)
    x, h0, c0, *w = arguments(cell, batch, 9, 70, torch.float32, directions=2)
    function = run(fast, cell, **batch.sizes)
    with torch.inference_mode():
        got = function(x, h0, c0, *w)
    trained = function(x.requires_grad_(), h0, c0, *w)
    assert all(torch.equal(a, b.detach()) for a, b in zip(got, trained, strict=True))


@each_cell
def test_same_result_for_every_run_and_number_of_threads(capability, cell):
    batch = ragged_batch("flat", LENGTHS["many"], 33, torch.float32)
    inputs = arguments(cell, batch, 33, 65, torch.float32)
    before, results = torch.get_num_threads(), []
    try:
        # On CUDA there are none; the emulator's matrix products are torch's own on the CPU, whose sums depend on them.
        for threads in (1, 2, 4, 8, 2) if capability in backends.CPU_CAPABILITIES else (1, 1):
            torch.set_num_threads(threads)
            results.append(run(fast, cell, **batch.sizes)(*inputs))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_a_sequence_does_not_depend_on_its_batch(capability):
    """Alone and among 256: equal within the order of no more than a few additions."""
    lengths = [i % 11 + 1 for i in range(256)]
    batch = ragged_batch("flat", lengths, 20, torch.float32)
    w = weights("lstm", 20, 30, 30, torch.float32)
    zeros = torch.zeros(256, 30)
    y, h, _ = fast.lstm(batch.x, zeros, zeros, *w, **batch.sizes)
    for b in (0, 7, 255):
        begin = int(batch.sizes["offsets"][b])
        x = batch.x[begin : begin + lengths[b]].unsqueeze(1)
        y_alone, h_alone, _ = fast.lstm(x, zeros[:1], zeros[:1], *w)
        torch.testing.assert_close(y_alone[:, 0], y[begin : begin + lengths[b]], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(h_alone[0], h[b], rtol=1e-5, atol=1e-6)


@each_cell
def test_expanded_and_strided_inputs(capability, cell):
    rows = CELLS[cell] * 6
    x = torch.randn(1, 1, 4, dtype=torch.float64).expand(5, 3, 4)
    h0 = torch.randn(6, 3, dtype=torch.float64).t()[None]
    c0 = torch.randn(1, 3, 12, dtype=torch.float64)[..., ::2] if cell == "lstm" else None
    w = [torch.randn(4, rows, dtype=torch.float64).t(), torch.randn(rows, 6, dtype=torch.float64)]
    assert_equal(cell, [x, h0, c0, w], torch.float64, capability)
    odd = torch.randn(5, 3, 8, dtype=torch.float64)[..., ::2]
    assert_equal(cell, [odd, h0, c0, w], torch.float64, capability)


@each_cell
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(cell, dtype):
    x, h0, c0, w = arguments(cell, ragged_batch("dense", [4, 4], 3, torch.float32), 3, 5, torch.float32)
    half = [x.to(dtype), h0.to(dtype), None if c0 is None else c0.to(dtype), [t.to(dtype) for t in w]]
    y, h, *_ = run(fast, cell)(*half)
    assert y.dtype == h.dtype == dtype
    wide = [None if a is None else [t.float() for t in a] if isinstance(a, list) else a.float() for a in half]
    exact = run(fast, cell)(*wide)[0]
    # On CUDA the state is rounded to its dtype after every step, and what else is kept in it; on the CPU the factors of
    # products are, in bfloat16 (tests/test_recurrent_bfloat16.py has the bounds).
    eps = torch.finfo(dtype).eps
    rounds = backends.runs_cuda(y) or dtype == torch.bfloat16
    tolerance = {"rtol": 8 * eps, "atol": 4 * eps} if rounds else {}
    torch.testing.assert_close(y, exact.to(dtype), **tolerance)
