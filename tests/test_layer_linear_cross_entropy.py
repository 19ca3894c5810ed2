"""textnn.LinearCrossEntropyLoss, beside torch's own layer of this name."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import textnn
import textnn.functional as fast


def test_the_layer_is_torchs() -> None:
    """Constructor, parameters and results; where torch has it."""
    theirs = getattr(nn, "LinearCrossEntropyLoss", None)
    if theirs is None:
        pytest.skip("torch has no LinearCrossEntropyLoss before 2.13")
    for ours, other in ((textnn.LinearCrossEntropyLoss, theirs), (fast.linear_cross_entropy, F.linear_cross_entropy)):
        assert list(inspect.signature(ours).parameters) == list(inspect.signature(other).parameters)
        for name, parameter in inspect.signature(other).parameters.items():
            assert inspect.signature(ours).parameters[name].default == parameter.default, name
    for more in ({}, {"bias": True, "weight": torch.rand(7) + 0.1, "label_smoothing": 0.2, "ignore_index": 3}):
        for shape in ((), (2,)):
            ours, other = (c(5, 7, out_features=shape, **more) for c in (textnn.LinearCrossEntropyLoss, theirs))
            ours.load_state_dict(other.state_dict())
            assert list(ours.state_dict()) == list(other.state_dict())
            x, target = torch.randn(9, 5), torch.randint(7, (9, *shape))
            torch.testing.assert_close(ours(x, target), other(x, target))
            assert "textnn.LinearCrossEntropyLoss(" in repr(ours)


def test_the_layer_stays_whole_in_a_symbolic_trace_and_is_exported() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = nn.Linear(4, 5), textnn.LinearCrossEntropyLoss(5, 7)

        def forward(self, x: Tensor, target: Tensor) -> Tensor:
            loss: Tensor = self.head(self.body(x), target)
            return loss

    model, x, target = Model(), torch.randn(9, 4), torch.randint(7, (9,))
    traced = torch.fx.symbolic_trace(model)
    assert "head" in [node.target for node in traced.graph.nodes if node.op == "call_module"]
    for other in (traced, torch.export.export(model, (x, target)).module(), torch.jit.trace(model, (x, target))):
        torch.testing.assert_close(other(x, target), model(x, target))
    with pytest.raises(RuntimeError, match=r"torch.jit.script cannot compile textnn.LinearCrossEntropyLoss"):
        torch.jit.script(model)


def test_the_layer_learns_and_shares_weights() -> None:
    embedding, layer = nn.Embedding(20, 8), textnn.LinearCrossEntropyLoss(8, 20)
    layer.linear.weight = embedding.weight
    ids = torch.arange(20)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)
    for _ in range(60):
        optimizer.zero_grad()
        loss = layer(embedding(ids), ids)
        loss.backward()
        optimizer.step()
    assert loss < 0.5
    assert torch.equal(layer.linear(embedding(ids)).argmax(1), ids)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight": torch.ones(6)}, r"weight must have shape \[V\] = \[7\], got \[6\]"),
        ({"label_smoothing": -0.1}, r"label_smoothing must lie in \[0, 1\]"),
        ({"reduction": "max"}, "reduction must be"),
    ],
)
def test_errors_of_the_layer(options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        textnn.LinearCrossEntropyLoss(5, 7, **options)
