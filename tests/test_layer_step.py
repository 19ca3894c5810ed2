"""step() of the recurrent layers: one step of each sequence through all layers, in one kernel where there is one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune

import textnn
from textnn.layers import step

LAYERS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "LSTM": (textnn.LSTM, nn.LSTM, {}),
    "LSTM, projection": (textnn.LSTM, nn.LSTM, {"proj_size": 3}),
    "LSTM, no bias": (textnn.LSTM, nn.LSTM, {"bias": False, "batch_first": True}),
    "GRU": (textnn.GRU, nn.GRU, {"batch_first": True}),
    "RNN": (textnn.RNN, nn.RNN, {}),
    "RNN, relu": (textnn.RNN, nn.RNN, {"nonlinearity": "relu"}),
}

each_layer = pytest.mark.parametrize("layer", LAYERS)


def pair(layer: str, *sizes: int, **options: Any) -> tuple[Any, Any]:
    """Ours and torch's, with the same weights."""
    ours, theirs, own = LAYERS[layer]
    own = {**own, **options}
    both = ours(*sizes, **own), theirs(*sizes, **own)
    both[0].load_state_dict(both[1].state_dict())
    return both


def as_list(state: Any) -> list[Tensor]:
    return list(state) if isinstance(state, tuple) else [state]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The cells that the layers have called the operator for."""
    made: list[str] = []
    operator = step._operator

    def count(cell: str, *rest: Any) -> Any:
        made.append(cell)
        return operator(cell, *rest)

    monkeypatch.setattr(step, "_operator", count)
    return made


@each_layer
@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("layers", [1, 3])
def test_steps_equal_torch(layer, grad, layers, calls):
    ours, theirs = pair(layer, 7, 9, layers, dtype=torch.float64)
    xs = torch.randn(4, 5, 7, dtype=torch.float64)
    state, outputs = None, []
    with torch.set_grad_enabled(grad):
        for x in xs:
            y, state = ours.step(x, state)
            outputs.append(y)
        found = torch.stack(outputs)
        want, last = theirs(xs.transpose(0, 1) if theirs.batch_first else xs)
        want = want.transpose(0, 1) if theirs.batch_first else want
    for a, b in zip([found, *as_list(state)], [want, *as_list(last)], strict=True):
        torch.testing.assert_close(a, b)
    assert len(calls) == (0 if grad else 4)
    if grad:
        got, right = (
            torch.autograd.grad(y.square().sum(), list(m.parameters())) for y, m in ((found, ours), (want, theirs))
        )
        for a, b in zip(got, right, strict=True):
            torch.testing.assert_close(a, b)


@pytest.mark.parametrize("kind", ["EmbeddingLSTM", "EmbeddingGRU", "EmbeddingRNN"])
def test_steps_from_token_ids(kind, calls):
    layer = getattr(textnn, kind)(11, 5, 6, num_layers=2)
    ids = torch.tensor([[3, 1, 0], [10, 10, 2]])
    want, last = layer(ids)
    for dtype, grad in ((torch.int64, False), (torch.int32, False), (torch.int64, True)):
        state = None
        with torch.set_grad_enabled(grad):
            for t in range(3):
                y, state = layer.step(ids[:, t].to(dtype), state)
                torch.testing.assert_close(y, want[:, t])
        for a, b in zip(as_list(state), as_list(last), strict=True):
            torch.testing.assert_close(a, b)
    assert len(calls) == 6
    with torch.no_grad():
        with pytest.raises(IndexError, match=r"ids must lie in \[0, V\) = \[0, 11\), got 11"):
            layer.step(torch.tensor([3, 11]))
        with pytest.raises(TypeError, match=r"ids must be int64, got torch\.float32"):
            layer.step(torch.tensor([3.0, 1.0]))
        with pytest.raises(ValueError, match=r"ids must have shape \[B\], got \[2, 3\]"):
            layer.step(ids)


@torch.no_grad()
def test_changed_weights_count_at_once(calls):
    """There is no copy of them."""
    layer, x = textnn.GRU(4, 6, num_layers=2), torch.randn(3, 4)
    first, _ = layer.step(x)
    for change in (lambda w: w.mul_(2), lambda w: setattr(w, "data", w.data * 2)):
        for parameter in layer.parameters():
            change(parameter)
        y, _ = layer.step(x)
        torch.testing.assert_close(y, layer(x[None])[0][0])
        assert not torch.allclose(y, first)
    layer.weight_hh_l1 = nn.Parameter(torch.zeros(18, 6))
    torch.testing.assert_close(layer.step(x)[0], layer(x[None])[0][0])
    assert len(calls) == 4


@pytest.mark.parametrize("kind", ["GRU", "EmbeddingGRU"])
def test_hooks_run_and_may_make_the_weights(kind):
    layer = getattr(textnn, kind)(*((4, 6) if kind == "GRU" else (9, 4, 6)))
    x = torch.randn(3, 4) if kind == "GRU" else torch.tensor([1, 8, 1])
    whole = x[None] if kind == "GRU" else x[:, None]
    of_weights = layer if kind == "GRU" else layer.gru
    prune.l1_unstructured(of_weights, "weight_ih_l0", 0.5)
    seen = []
    layer.register_forward_hook(lambda *_: seen.append(1))
    with torch.no_grad():
        layer(whole)
        of_weights.weight_ih_l0_orig.mul_(5)
        y, _ = layer.step(x)
        assert len(seen) == 2
        torch.testing.assert_close(y, layer(whole)[0].reshape(3, 6))


@torch.no_grad()
def test_parametrizations_and_functional_call(calls):
    layer, x = textnn.RNN(4, 6), torch.randn(3, 4)
    other = {name: torch.randn_like(p) for name, p in layer.named_parameters()}

    class Step(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: Tensor) -> Tensor:
            return self.layer.step(x)[0]

    got = torch.func.functional_call(Step(), {f"layer.{name}": p for name, p in other.items()}, (x,))
    torch.testing.assert_close(got, torch.func.functional_call(layer, other, (x[None],))[0][0])
    nn.utils.parametrizations.weight_norm(layer, "weight_hh_l0")
    torch.testing.assert_close(layer.step(x)[0], layer(x[None])[0][0])
    assert len(calls) == 2


@torch.no_grad()
def test_what_the_operator_does_not_do(calls):
    """Dropout in training, autocast and 16 bits go through the forward pass."""
    x, state = torch.randn(3, 4), (torch.randn(2, 3, 6), torch.randn(2, 3, 6))
    for options in ({"dropout": 0.5}, {"weight_dropout": 0.5}):
        layer = textnn.LSTM(4, 6, 2, **options)
        torch.manual_seed(1)
        y, _ = layer.step(x, state)
        torch.manual_seed(1)
        assert torch.equal(y, layer(x[None], state)[0][0])
        assert not torch.allclose(y, layer.eval().step(x, state)[0])
    assert len(calls) == 2
    layer = textnn.LSTM(4, 6)
    with torch.autocast(x.device.type, torch.bfloat16):
        y, _ = layer.step(x)
        assert y.dtype == torch.bfloat16
        assert torch.equal(y, layer(x[None])[0][0])
    y, (h, _) = layer.bfloat16().step(x.bfloat16())
    assert y.dtype == h.dtype == torch.bfloat16
    assert len(calls) == 2


def test_without_gradients_in_grad_mode(calls):
    layer = textnn.LSTM(4, 6).requires_grad_(False)
    layer.step(torch.randn(3, 4))
    y, _ = layer.step(torch.randn(3, 4, requires_grad=True))
    assert len(calls) == 1
    assert y.requires_grad


@torch.no_grad()
def test_results_are_tensors_of_their_own():
    layer, x = textnn.LSTM(4, 6), torch.randn(3, 4)
    y, (h, c) = layer.step(x)
    kept = h.clone(), c.clone()
    y.zero_()
    assert torch.equal(h, kept[0])
    assert torch.equal(c, kept[1])
    layer.step(x, (h, c))
    assert torch.equal(h, kept[0])
    assert torch.equal(c, kept[1])


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("dynamic", [True, False])
def test_compiles(grad, dynamic):
    layer = textnn.EmbeddingLSTM(11, 5, 6, num_layers=2)
    compiled = torch.compile(
        lambda ids, state: layer.step(ids, state), fullgraph=True, backend="eager", dynamic=dynamic
    )
    with torch.set_grad_enabled(grad):
        for B in (2, 3, 4):
            ids, state = torch.arange(B), (torch.randn(2, B, 6), torch.randn(2, B, 6))
            for a, b in zip(*(pytree(f(ids, state)) for f in (compiled, layer.step)), strict=True):
                torch.testing.assert_close(a, b)


def pytree(results: Any) -> list[Tensor]:
    return [results[0], *as_list(results[1])]


def test_compiles_through_aot():
    layer, x = textnn.GRU(4, 6, 2), torch.randn(3, 4)
    with torch.no_grad():
        compiled = torch.compile(layer.step, fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(compiled(x)[0], layer.step(x)[0])


def test_accelerated_layers_and_meta_tensors():
    model = nn.Sequential(nn.LSTM(4, 6))
    textnn.accelerate(model)
    with torch.no_grad():
        y, _ = model[0].step(x := torch.randn(2, 4))
        torch.testing.assert_close(y, model[0](x[None])[0][0])
    y, (h, c) = textnn.LSTM(4, 6, 2, device="meta").step(torch.randn(3, 4, device="meta"))
    assert (y.shape, h.shape, c.shape) == ((3, 6), (2, 3, 6), (2, 3, 6))


@pytest.mark.parametrize("grad", [True, False])
def test_errors_of_the_layers(grad):
    layer, x = textnn.LSTM(4, 6), torch.randn(3, 4)
    h = torch.zeros(1, 3, 6)
    with torch.set_grad_enabled(grad):
        with pytest.raises(ValueError, match=r"LSTM.step: a bidirectional layer reads the whole sequence"):
            textnn.LSTM(4, 6, bidirectional=True).step(x)
        with pytest.raises(ValueError, match=r"x must have shape \[B, I\], got \[1, 3, 4\]"):
            layer.step(x[None])
        with pytest.raises(RuntimeError, match="Expected 4, got 5"):
            layer.step(torch.randn(3, 5))
        with pytest.raises(RuntimeError, match=r"Expected hidden\[1\] size \(1, 3, 6\), got \[1, 2, 6\]"):
            layer.step(x, (h, h[:, :2]))
        with pytest.raises(TypeError, match="expects two hidden states, h and c, got one tensor"):
            layer.step(x, h)
        with pytest.raises(ValueError, match="RNN input dtype"):
            layer.step(x.double())
        with pytest.raises(TypeError, match="x must be a tensor, got list"):
            layer.step([1.0])
