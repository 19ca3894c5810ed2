"""LSTMCell, GRUCell and RNNCell against torch.nn's."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import textnn
import textnn.reference as slow
from textnn._registration.cells import CELLS
from textnn.functional import cell_step

LAYERS = {"LSTMCell": {}, "GRUCell": {}, "RNNCell": {"nonlinearity": "relu"}}

each_layer = pytest.mark.parametrize("layer", LAYERS)


def pair(layer: str, *sizes: int, **options: Any) -> tuple[Any, Any]:
    """Ours and torch's, with the same weights."""
    options = {**LAYERS[layer], **options}
    ours, theirs = getattr(textnn, layer)(*sizes, **options), getattr(nn, layer)(*sizes, **options)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def states_of(layer: str, *shape: int, **options: Any) -> Any:
    h = torch.randn(*shape, **options)
    return (h, torch.randn(*shape, **options)) if layer == "LSTMCell" else h


def as_list(states: Any) -> list[Tensor]:
    return list(states) if isinstance(states, tuple) else [states]


def derivatives(cell: Any, x: Tensor, hx: Any, order: int) -> list[Tensor]:
    """Results and their derivatives with respect to everything."""
    leaves = [x, *(as_list(hx) if hx is not None else []), *cell.parameters()]
    found = results = as_list(cell(x, hx))
    for _ in range(order):
        loss = sum((t * t.cos()).sum() for t in results)
        results = list(torch.autograd.grad(loss, leaves, create_graph=True, materialize_grads=True))
        found = found + results
    return found


@each_layer
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("with_state", [True, False])
def test_layer_equals_torch(layer, bias, batched, with_state):
    lead = (4,) if batched else ()
    both = pair(layer, 7, 9, bias=bias, dtype=torch.float64)
    x = torch.randn(*lead, 7, dtype=torch.float64, requires_grad=True)
    hx = states_of(layer, *lead, 9, dtype=torch.float64, requires_grad=True) if with_state else None
    got, want = (derivatives(cell, x, hx, 2) for cell in both)
    for a, b in zip(got, want, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)
    with torch.no_grad():
        torch.testing.assert_close(both[0](x, hx), both[1](x, hx))
    for parameter in both[0].parameters():
        parameter.requires_grad_(False)
    torch.testing.assert_close(both[0](x, hx), both[1](x, hx))


@each_layer
def test_only_what_needs_a_gradient_gets_one(layer):
    x, hx = torch.randn(3, 7), states_of(layer, 3, 9)
    names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh", "x", *("hc" if layer == "LSTMCell" else "h")]
    for wanted in names:
        results = []
        for cell in pair(layer, 7, 9):
            cell.requires_grad_(False)
            tensors = {**dict(cell.named_parameters()), "x": x.clone(), **dict(zip("hc", as_list(hx), strict=False))}
            leaf = tensors[wanted].requires_grad_()
            out = as_list(cell(tensors["x"], (tensors["h"], tensors["c"]) if layer == "LSTMCell" else tensors["h"]))
            results.append(torch.autograd.grad(out[-1].sum(), leaf)[0])
            leaf.requires_grad_(False)
        torch.testing.assert_close(*results, msg=lambda m, wanted=wanted: f"{wanted}: {m}")


@each_layer
def test_an_input_that_was_made_from_the_state(layer):
    """Its gradient is counted once, by differentiable gradients as well."""
    seed = torch.randn(3, 7, dtype=torch.float64, requires_grad=True)
    results = []
    for cell in pair(layer, 7, 7, dtype=torch.float64):
        h = seed.cos()
        h, *_ = as_list(cell(h.sin(), (h, h.exp()) if layer == "LSTMCell" else h))
        results.append(torch.autograd.grad(h.square().sum(), seed, create_graph=True)[0])
    torch.testing.assert_close(*results)


@each_layer
@pytest.mark.parametrize("low", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("train", [True, False])
def test_autocast_gives_the_dtypes_of_torch(layer, low, train):
    ours, theirs = pair(layer, 7, 9)
    x = torch.randn(3, 7)
    for dtype in (torch.float32, low, None):
        hx = None if dtype is None else states_of(layer, 3, 9, dtype=dtype)
        with torch.autocast(x.device.type, dtype=low), torch.set_grad_enabled(train):
            got, want = (as_list(cell(x, hx)) for cell in (ours, theirs))
        assert [t.dtype for t in got] == [t.dtype for t in want], (dtype, low)
        for a, b in zip(got, want, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=16 * torch.finfo(low).eps)


@each_layer
@pytest.mark.parametrize("low", [torch.bfloat16, torch.float16])
def test_halves(layer, low):
    ours, theirs = pair(layer, 7, 9, dtype=low)
    x, hx = torch.randn(3, 7, dtype=low), states_of(layer, 3, 9, dtype=low)
    results = []
    for cell in (ours, theirs):
        states = as_list(cell(x, hx))
        results.append([*states, *torch.autograd.grad(states[-1].sum(), list(cell.parameters()))])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=8 * torch.finfo(low).eps, atol=16 * torch.finfo(low).eps)


@each_layer
@pytest.mark.parametrize("dynamic", [False, True])
def test_layer_compiles_to_one_graph(layer, dynamic):
    ours, _ = pair(layer, 7, 9)
    compiled = torch.compile(ours, fullgraph=True, dynamic=dynamic, backend="aot_eager")
    for B in (3, 5):
        x, hx = torch.randn(B, 7), states_of(layer, B, 9)
        results = []
        for cell in (compiled, ours):
            h, *_ = as_list(cell(x, hx))
            results.append([h, *torch.autograd.grad(h.sum(), list(ours.parameters()))])
        torch.testing.assert_close(*results)


@each_layer
def test_tracing_sees_the_operators(layer):
    ours, _ = pair(layer, 7, 9)
    x, hx = torch.randn(3, 7), states_of(layer, 3, 9)
    traced = torch.jit.trace(ours, (x, hx))
    torch.testing.assert_close(traced(x + 1, hx), ours(x + 1, hx))
    assert "PythonOp" not in str(traced.inlined_graph)


@each_layer
def test_a_parametrized_weight_is_used(layer):
    results = []
    for cell in pair(layer, 7, 9):
        torch.nn.utils.parametrizations.weight_norm(cell, "weight_hh")
        cell.parametrizations.weight_hh.original0.data.mul_(2)
        results.append(cell(torch.ones(2, 7), None))
    torch.testing.assert_close(*results)


@each_layer
def test_meta_tensors(layer):
    ours, _ = pair(layer, 7, 9)
    h, *_ = as_list(ours.to("meta")(torch.empty(3, 7, device="meta")))
    assert h.shape == (3, 9)
    assert h.is_meta


@each_layer
def test_a_device_without_kernels(layer, monkeypatch):
    ours, theirs = pair(layer, 7, 9)
    monkeypatch.setattr(cell_step, "has_kernels", lambda device: False)
    monkeypatch.setattr(cell_step, "_forward", None)
    x = torch.randn(3, 7)
    torch.testing.assert_close(ours(x), theirs(x))


class Steps(nn.Module):
    """Two steps; the kind of hx is part of the graph."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor) -> Tensor:
        after = self.cell(x, self.cell(x))
        return after[0] if isinstance(after, tuple) else after


@each_layer
def test_script_takes_the_cell_of_torch(layer):
    ours, theirs = pair(layer, 7, 9)
    x, hx = torch.randn(3, 7), states_of(layer, 3, 9)
    if layer == "RNNCell":  # it is torch's but for its name
        scripted = torch.jit.script(ours)
    else:
        with pytest.warns(UserWarning, match=rf"takes torch.nn.{layer} with the same parameters instead"):
            scripted = torch.jit.script(ours)
    torch.testing.assert_close(scripted(x, hx), theirs(x, hx))


@pytest.mark.parametrize("layer", ["LSTMCell", "GRUCell"])
def test_a_symbolic_trace_has_the_cell_in_it(layer):
    ours, _ = pair(layer, 7, 9)

    class Step(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = ours

        def forward(self, x: Tensor, h: Tensor, c: Tensor) -> Any:
            return self.cell(x), self.cell(x, (h, c) if layer == "LSTMCell" else h)

    traced = torch.fx.symbolic_trace(Step())
    assert [node.op for node in traced.graph.nodes].count("call_module") == 2
    x, h, c = torch.randn(3, 7), torch.randn(3, 9), torch.randn(3, 9)
    torch.testing.assert_close(traced(x, h, c), Step()(x, h, c))


@pytest.mark.cpu
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dynamo", [True, False])
@pytest.mark.parametrize("layer", ["LSTMCell", "GRUCell"])
def test_onnx_has_operators_of_its_own(layer, dynamo, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    model, x, path = Steps(pair(layer, 7, 9)[0]).eval(), torch.randn(3, 7), tmp_path / "cell.onnx"
    torch.onnx.export(model, (x,), path, dynamo=dynamo, input_names=["x"], verbose=False)
    (got,) = onnxruntime.InferenceSession(path).run(None, {"x": x.numpy()})
    torch.testing.assert_close(torch.from_numpy(got), model(x).detach())


@pytest.mark.parametrize("cell", CELLS)
def test_a_step_of_every_cell(cell):
    x, h = torch.randn(3, 7), torch.randn(3, 9)
    weights = [torch.randn(CELLS[cell].blocks * 9, n).requires_grad_() for n in (7, 9)]
    c = h.cos() if cell == "lstm" else None
    results = []
    for train in (True, False):
        with torch.set_grad_enabled(train):
            results.append(as_list(cell_step.step(cell, x, h, c, *weights, None, None)))
    gates = x @ weights[0].t(), h @ weights[1].t()
    want = [t for t in slow.recurrent_cell(cell, *gates, h, c) if t is not None]
    for got in results:
        torch.testing.assert_close(got, want)
    got, expected = (torch.autograd.grad(r[-1].sum(), weights) for r in (results[0], want))
    torch.testing.assert_close(got, expected)


# What torch says of these shapes: of the input, of h, of c.
SIZES = {
    "input size": (((3, 8),), "input has inconsistent input_size: got 8 expected 7"),
    "input size, unbatched": (((8,),), "input has inconsistent input_size: got 8 expected 7"),
    "hidden size": (((3, 7), (3, 10), (3, 10)), "hidden0 has inconsistent hidden_size: got 10, expected 9"),
    "hidden size, unbatched": (((7,), (10,), (9,)), "hidden0 has inconsistent hidden_size: got 10, expected 9"),
    "batch": (((3, 7), (1, 9), (3, 9)), "Input batch size 3 doesn't match hidden0 batch size 1"),
    "cell size": (((3, 7), (3, 9), (3, 10)), "hidden1 has inconsistent hidden_size: got 10, expected 9"),
    "cell batch": (((3, 7), (3, 9), (4, 9)), "Input batch size 3 doesn't match hidden1 batch size 4"),
    "rank": (((3, 7), (9,), (9,)), "input and hidden0 must both have a batch dimension or none"),
    "rank, unbatched": (((7,), (3, 9), (3, 9)), "input and hidden0 must both have a batch dimension or none"),
}


@pytest.mark.parametrize("layer", ["LSTMCell", "GRUCell"])
@pytest.mark.parametrize("name", SIZES)
def test_sizes_that_do_not_fit(layer, name):
    (shape, *states), message = SIZES[name]
    if layer == "GRUCell" and name.startswith("cell"):
        return
    hx: Any = [torch.randn(s) for s in states]
    hx = None if not states else tuple(hx) if layer == "LSTMCell" else hx[0]
    both = pair(layer, 7, 9)
    with pytest.raises(RuntimeError) as found:
        both[0](torch.randn(shape), hx)
    assert str(found.value).startswith(f"{layer}: {message}, with input of shape {list(shape)}")
    with pytest.raises(RuntimeError) as theirs:
        both[1](torch.randn(shape), hx)
    assert "rank" in name or str(theirs.value) == message


@each_layer
def test_dimensions_that_do_not_fit(layer):
    ours, _ = pair(layer, 7, 9)
    with pytest.raises(ValueError, match=f"{layer}: Expected input to be 1D or 2D, got 3D instead"):
        ours(torch.randn(1, 3, 7))
    hidden = r"hx\[0\]" if layer == "LSTMCell" else "hidden"
    with pytest.raises(ValueError, match=f"{layer}: Expected {hidden} to be 1D or 2D, got 3D instead"):
        ours(torch.randn(3, 7), states_of(layer, 1, 3, 9))


def test_two_states_are_a_pair():
    ours, theirs = pair("LSTMCell", 7, 9)
    x, (h, c) = torch.randn(3, 7), states_of("LSTMCell", 3, 9)
    torch.testing.assert_close(ours(x, [h, c]), theirs(x, [h, c]))
    with pytest.raises(TypeError, match="LSTMCell: hx must be a tuple of two hidden states, h and c, got one tensor"):
        ours(x, h)
    with pytest.raises(RuntimeError, match="hx must be a tuple of two hidden states, h and c, got 3 of them"):
        ours(x, (h, c, c))
    with pytest.raises(TypeError, match="GRUCell: hx must be a tensor, got tuple"):
        textnn.GRUCell(7, 9)(x, (h, c))
