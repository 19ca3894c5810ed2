"""The fast dropout: what ``nn.Dropout`` does, from a generator's bits."""

from __future__ import annotations

import pytest
import torch

from textnn.models.dropout import Dropout


@pytest.mark.parametrize("p", [0.1, 0.3, 0.75])
def test_values_are_dropped_with_the_probability_and_the_others_make_up_for_them(p: float) -> None:
    torch.manual_seed(0)
    y = Dropout(p).train()(torch.ones(1000, 321))
    share = float((y == 0).double().mean())
    assert abs(share - p) < 4 * (p * (1 - p) / y.numel()) ** 0.5
    assert set(y.unique().tolist()) <= {0.0, y.max().item()}
    assert abs(y.max().item() * (1 - p) - 1) < 2e-4  # p in steps of 1 / 65,536


def test_neighbours_are_dropped_independently() -> None:
    torch.manual_seed(0)
    dropped = (Dropout(0.5).train()(torch.ones(4, 100_000)) == 0).double().flatten()
    for distance in (1, 2, 3, 4, 5, 100_000):
        together = float((dropped[:-distance] * dropped[distance:]).mean())
        assert abs(together - 0.25) < 0.005, distance


def test_the_gradient_has_the_same_zeros() -> None:
    x = torch.randn(7, 5, requires_grad=True)
    y = Dropout(0.4).train()(x)
    y.sum().backward()
    assert x.grad is not None
    assert torch.equal(y.detach(), x.detach() * x.grad)


def test_nothing_is_dropped_in_evaluation_or_with_the_probability_0() -> None:
    x = torch.randn(3, 5)
    assert Dropout(0.9).eval()(x) is x
    assert Dropout(0.0).train()(x) is x
    assert not Dropout(1.0).train()(x).any()
    assert Dropout(0.5).train()(torch.empty(0, 5)).shape == (0, 5)
    with pytest.raises(ValueError, match="p must lie between 0 and 1"):
        Dropout(1.5)


def test_a_seed_gives_the_same_zeros() -> None:
    layer, x = Dropout(0.5).train(), torch.ones(9, 13)
    torch.manual_seed(3)
    first = layer(x)
    torch.manual_seed(3)
    assert torch.equal(layer(x), first)
    assert not torch.equal(layer(x), first)
