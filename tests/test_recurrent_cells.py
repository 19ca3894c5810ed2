"""The cell states of all steps: ``cells`` of textnn.functional.recurrent, ``return_cells`` of the layers."""

from __future__ import annotations

import pytest
import torch
from ragged import compare, ragged_batch
from test_recurrent import FORMS, LENGTHS, SHARED, arguments, operands, run
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

import textnn
import textnn.functional as fast
import textnn.reference as slow
from textnn import backends
from textnn.export import to_torch_nn
from textnn.functional import elsewhere
from textnn.layers import plain


def assert_equal(inputs, dtype, case, **options):
    compare(run(fast, "lstm", cells=True, **options), run(slow, "lstm", cells=True, **options), inputs, dtype, case)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS.keys())
def test_equals_the_reference_for_every_form(capability, form, lengths):
    if form != "flat" and max(lengths, default=0) == 0:
        return  # these forms have at least one step
    for directions, P in ((1, 10), (2, 10), (2, 4)):
        batch = ragged_batch(form, lengths, 6, torch.float64)
        inputs = arguments("lstm", batch, 6, 10, torch.float64, directions, P)
        assert_equal(inputs, torch.float64, f"{capability} {form} {lengths} {directions} {P}", **batch.sizes)


@pytest.mark.parametrize("H", [1, 16, 33, 70])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_the_reference_for_odd_sizes(capability, H, dtype):
    batch = ragged_batch("flat", LENGTHS["ragged"], 5, dtype)
    inputs = arguments("lstm", batch, 5, H, dtype, directions=2)
    assert_equal(inputs, dtype, f"{capability} {H} {dtype}", **batch.sizes)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("form", ["batch_first", "flat"])
def test_from_token_ids(capability, form, sparse):
    batch = ragged_batch(form, LENGTHS["ragged"], 5, torch.float64)
    _, h0, c0, *w = arguments("lstm", batch, 5, 6, torch.float64, directions=2)
    ids, table = torch.randint(0, 9, batch.x.shape[:-1]), torch.randn(9, 5, dtype=torch.float64)
    sizes = {name: size for name, size in batch.sizes.items() if name != "batch_first"}

    def function(functions):
        options = {"padding_idx": 1, "sparse": sparse, "cells": True, **sizes}
        return lambda table, h0, c0, *w: functions.recurrent("lstm", ids, h0, c0, w, table=table, **options)

    compare(function(fast), function(slow), [table, h0, c0, *w], torch.float64, f"{capability} {form}")


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("shape", SHARED[:5], ids=str)
def test_other_results_are_the_same_to_the_bit(capability, threads, shape):
    """However the work is shared out; and so are their gradients."""
    B, T, width, H = shape
    batch = ragged_batch("batch_first", [T - b % T for b in range(B)], width, torch.float32)
    x, *rest = arguments("lstm", batch, width, H, torch.float32, directions=2)
    x = x.nan_to_num().requires_grad_()
    leaves = [x, *(t.requires_grad_() for d in rest[2:] for t in d)]
    before, found = torch.get_num_threads(), []
    torch.set_num_threads(threads)
    try:
        for cells in (False, True):
            y, h, c_n, *c = run(fast, "lstm", cells=cells, **batch.sizes)(x, *rest)
            loss = y.square().sum() + h.sum() + c_n.sum() + sum(state.sum() * 0 for state in c)
            found.append([y, h, c_n, *torch.autograd.grad(loss, leaves)])
    finally:
        torch.set_num_threads(before)
    assert len(c) == 1
    for b in range(B):
        last = T - b % T - 1
        assert torch.equal(c[0][b, last, :H], c_n[0, b])
        assert torch.equal(c[0][b, 0, H:], c_n[1, b])
        assert not c[0][b, last + 1 :].any()
    for a, b in zip(*found, strict=True):
        assert torch.equal(a, b)


def test_inference_gives_the_same(capability):
    batch = ragged_batch("flat", LENGTHS["many"], 9, torch.float32)
    inputs = arguments("lstm", batch, 9, 70, torch.float32, directions=2)
    with torch.inference_mode():
        got = run(fast, "lstm", cells=True, outputs=False, **batch.sizes)(*inputs)
    assert got[0].shape == (0,)
    inputs[0].requires_grad_()
    trained = run(fast, "lstm", cells=True, outputs=False, **batch.sizes)(*inputs)
    assert all(torch.equal(a, b.detach()) for a, b in zip(got, trained, strict=True))


@pytest.mark.parametrize(("form", "directions"), list(zip(FORMS, [1, 2, 2, 1], strict=True)))
def test_gradcheck(capability, form, directions):
    batch = ragged_batch(form, [2, 4, 1], 3, torch.float64)
    x, h0, c0, *w = arguments("lstm", batch, 3, 5, torch.float64, directions, P=3)
    tensors = [t.nan_to_num().requires_grad_() for t in (x, h0, c0, *(t for d in w for t in d))]

    def function(x, h0, c0, *rest):
        each = len(rest) // directions
        given = [rest[d * each : (d + 1) * each] for d in range(directions)]
        return fast.recurrent("lstm", x, h0, c0, given, cells=True, **batch.sizes)

    # The emulator takes seconds for a few hundred evaluations; along random directions there are two for each argument.
    assert torch.autograd.gradcheck(function, tensors, fast_mode=backends.runs_cuda(x))


@pytest.mark.cpu
@pytest.mark.parametrize(("form", "directions"), [("flat", 2), ("batch_first", 1)])
def test_second_derivatives(form, directions):
    batch = ragged_batch(form, [2, 3], 2, torch.float64)
    x, h0, c0, *w = arguments("lstm", batch, 2, 3, torch.float64, directions)
    x, c0 = x.nan_to_num().requires_grad_(), c0.requires_grad_()
    assert torch.autograd.gradgradcheck(
        lambda x, c0: run(fast, "lstm", cells=True, **batch.sizes)(x, h0, c0, *w)[3], (x, c0)
    )


@pytest.mark.parametrize(("form", "directions"), list(zip(FORMS, [1, 2, 2, 1], strict=True)))
def test_opcheck(form, directions):
    batch = ragged_batch(form, [3, 1, 4], 5, torch.float32)
    x, h0, c0, *w = arguments("lstm", batch, 5, 6, torch.float32, directions, P=3 if directions == 2 else None)
    x, h0, c0, *w = (t if t is None else t.nan_to_num().requires_grad_() for t in (x, h0, c0, *operands(w)))
    layout = {"padded": "time_major", "batch_first": "batch_major"}.get(form, form)
    sizes = next(v for k, v in batch.sizes.items() if k != "batch_first")
    inputs = ("lstm", x, None, h0, c0, *w, sizes, layout, False, "ieee", -1, False, True, True, True, True)
    torch.library.opcheck(torch.ops.textnn.recurrent.default, inputs)
    y, _, c_n, c, *kept = (t.detach() for t in torch.ops.textnn.recurrent(*inputs))
    states = [None if t is None else t.detach() for t in (x, None, h0, c0, *w)]
    torch.library.opcheck(
        torch.ops.textnn.recurrent_backward.default,
        ("lstm", y, None, c_n, torch.randn_like(c), *states, sizes, layout, False, "ieee", *kept, -1, False, True),
        test_utils=("test_schema", "test_faketensor"),
    )


@pytest.mark.parametrize("form", ["padded", "flat", "packed"])
@pytest.mark.parametrize("dynamic", [False, True])
def test_compiles_to_one_graph(form, dynamic):
    def function(*inputs):
        return run(fast, "lstm", cells=True, **sizes)(*inputs)

    compiled = torch.compile(function, fullgraph=True, dynamic=dynamic, backend="aot_eager")
    for lengths in ([3, 1, 4], [2, 5, 1, 1]):
        batch = ragged_batch(form, lengths, 5, torch.float64)
        sizes, inputs = batch.sizes, arguments("lstm", batch, 5, 6, torch.float64, directions=2, P=4)
        want = run(slow, "lstm", cells=True, **sizes)
        compare(compiled, want, inputs, torch.float64, f"{form} {lengths}")


def test_cells_without_a_cell_state_are_refused():
    x, h0, w = torch.randn(4, 2, 3), torch.zeros(1, 2, 5), [torch.randn(15, 3), torch.randn(15, 5)]
    with pytest.raises(ValueError, match="cells must be False for the cell 'gru', which has no cell state"):
        fast.recurrent("gru", x, h0, None, [w], cells=True)
    given = (x, None, h0, None, *operands([w]), None, "time_major", False, "ieee")
    with pytest.raises(RuntimeError, match="cells must be False for gru, which has no cell state"):
        torch.ops.textnn.recurrent("gru", *given, -1, False, True, True, True, True)
    y, h, _, _, *kept = torch.ops.textnn.recurrent("gru", *given, -1, False, True, False, True, True)
    with pytest.raises(RuntimeError, match="dc must not be given for gru"):
        torch.ops.textnn.recurrent_backward("gru", y, h, None, y, *given, *kept, -1, False, True)
    for kind in ("GRU", "RNN"):
        with pytest.raises(ValueError, match=f"return_cells must be False for {kind}, which has no cell state"):
            getattr(textnn, kind)(3, 5)(x, return_cells=True)
        with pytest.raises(ValueError, match=f"return_cells must be False for {kind}, which has no cell state"):
            getattr(textnn, f"Embedding{kind}")(9, 3, 5)(torch.ones(2, 3, dtype=torch.int64), return_cells=True)
    for layer, ids in ((textnn.LSTM(3, 5), x), (textnn.EmbeddingLSTM(9, 3, 5), torch.ones(2, 3, dtype=torch.int64))):
        with pytest.raises(ValueError, match="return_cells: expected False, as layers of torch"):
            to_torch_nn(layer)(ids, return_cells=True)


def test_a_gradient_of_another_shape_is_refused():
    x, state, w = torch.randn(4, 2, 3), torch.zeros(1, 2, 5), [torch.randn(20, 3), torch.randn(20, 5)]
    given = (x, None, state, state, *operands([w]), None, "time_major", False, "ieee")
    *_, c, kept, cells, h_prev, m = torch.ops.textnn.recurrent("lstm", *given, -1, False, True, True, True, True)
    for dc in (c[:3], c[..., :4], c.double()):
        with pytest.raises(RuntimeError, match="textnn: "):
            torch.ops.textnn.recurrent_backward(
                "lstm", None, None, None, dc, *given, kept, cells, h_prev, m, -1, False, True
            )


# --- layers ---


def layer_and_batch(**options):
    layer = textnn.LSTM(4, 5, 2, bidirectional=True, dtype=torch.float64, **options)
    return layer, torch.randn(3, 6, 4, dtype=torch.float64), torch.tensor([2, 6, 3])


def want_of(layer, x, lengths):
    """The cell states of every layer by the reference, [B, T, 2H]."""
    zeros = [torch.zeros(2, len(x), n, dtype=x.dtype) for n in (layer.proj_size or layer.hidden_size, 5)]
    cells = []
    for number in range(layer.num_layers):
        w = layer._directions(number)
        x, _, _, c = slow.recurrent("lstm", x, *zeros, w, lengths=lengths, batch_first=True, cells=True)
        cells.append(c)
    return tuple(cells)


@pytest.mark.parametrize("proj_size", [0, 3])
def test_every_layer_in_the_form_of_the_input(capability, proj_size):
    layer, x, lengths = layer_and_batch(batch_first=True, proj_size=proj_size)
    want = want_of(layer, x, lengths)
    output, final, cells = layer(x, lengths=lengths, return_cells=True)
    torch.testing.assert_close(cells, want)
    torch.testing.assert_close((output, final), layer(x, lengths=lengths))
    nothing, _, cells = layer(x, lengths=lengths, outputs=False, return_cells=True)
    assert nothing.shape == (0,)
    torch.testing.assert_close(cells, want)
    flat, flat_want = (
        torch.cat([v[b, :n] for b, n in enumerate(lengths)]) for v in (x, torch.cat(want, dim=-1).detach())
    )
    offsets = lengths.cumsum(0) - lengths
    torch.testing.assert_close(torch.cat(layer(flat, offsets=offsets, return_cells=True)[2], dim=-1), flat_want)
    nested = torch.nested.nested_tensor_from_jagged(flat, torch.cat([offsets, lengths.sum()[None]]))
    cells = layer(nested, return_cells=True)[2]
    torch.testing.assert_close(torch.cat([c.values() for c in cells], dim=-1), flat_want)
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    cells = layer(packed, return_cells=True)[2]
    assert all(isinstance(c, PackedSequence) for c in cells)
    torch.testing.assert_close(tuple(pad_packed_sequence(c, batch_first=True)[0] for c in cells), want)
    torch.testing.assert_close(layer(x[1], return_cells=True)[2], tuple(c[1] for c in want))
    layer.batch_first = False
    cells = layer(x.transpose(0, 1), lengths=lengths, return_cells=True)[2]
    torch.testing.assert_close(tuple(c.transpose(0, 1) for c in cells), want)


def test_gradients_flow_through_the_cells_of_every_layer(capability):
    layer, x, lengths = layer_and_batch(batch_first=True)
    leaves = [x.requires_grad_(), *layer.parameters()]
    found = []
    for cells in (layer(x, lengths=lengths, return_cells=True)[2], want_of(layer, x, lengths)):
        loss = sum((c * torch.linspace(-1, 1, c.numel(), dtype=c.dtype).view_as(c)).sum() for c in cells)
        found.append(torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True))
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("sparse", [False, True])
def test_a_layer_on_ids(capability, sparse):
    layer = textnn.EmbeddingLSTM(11, 4, 5, 2, bidirectional=True, sparse=sparse, dtype=torch.float64)
    ids, lengths = torch.randint(0, 11, (3, 6)), torch.tensor([2, 6, 3])
    _, _, cells = layer(ids, lengths=lengths, return_cells=True)
    torch.testing.assert_close(cells, want_of(layer.lstm, layer.weight[ids], lengths))
    nested = torch.nested.nested_tensor([ids[0, :2], ids[1], ids[2, :3]], layout=torch.jagged)
    values = layer(nested, return_cells=True)[2][1].values()
    torch.testing.assert_close(values, torch.cat([cells[1][b, :n] for b, n in enumerate(lengths)]))
    values.sum().backward()
    assert layer.weight.grad.is_sparse == sparse


def test_half_precision():
    layer = textnn.LSTM(4, 5, dtype=torch.bfloat16)
    x = torch.randn(3, 2, 4, dtype=torch.bfloat16)
    _, (_, c), (cells,) = layer(x, return_cells=True)
    assert cells.dtype == torch.bfloat16
    assert torch.equal(cells[-1], c[0])


def test_layers_compile_and_export():
    layer, x, lengths = layer_and_batch(batch_first=True)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    results = (function(x, lengths=lengths, return_cells=True) for function in (compiled, layer))
    torch.testing.assert_close(*results)
    program = torch.export.export(layer, (x,), {"lengths": lengths, "return_cells": True})
    torch.testing.assert_close(
        program.module()(x, lengths=lengths, return_cells=True), layer(x, lengths=lengths, return_cells=True)
    )


@pytest.mark.filterwarnings("ignore:textnn has no kernels")
def test_on_a_device_without_kernels(monkeypatch):
    layer, x, lengths = layer_and_batch(batch_first=True)
    want = [layer(x, **sizes, return_cells=True) for sizes in ({}, {"lengths": lengths})]
    for module in (elsewhere, plain):
        monkeypatch.setattr(module, "has_kernels", lambda device: False)
    got = [layer(x, **sizes, return_cells=True) for sizes in ({}, {"lengths": lengths})]
    torch.testing.assert_close(got, want)


def test_torchs_tools_take_them_or_say_why_not(monkeypatch):
    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = textnn.LSTM(4, 5)

        def forward(self, x):
            return self.lstm(x, return_cells=True)[2][0]

    model, x = Model(), torch.randn(3, 2, 4)
    torch.testing.assert_close(torch.fx.symbolic_trace(model)(x), model(x))
    monkeypatch.setattr(elsewhere, "in_onnx_export", lambda: True)
    with pytest.raises(ValueError, match="the LSTM of ONNX has final cell states alone; leave return_cells out"):
        model(x)
