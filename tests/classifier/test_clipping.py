"""Gradient clipping: dense and sparse gradients, as if all were dense."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter

from textnn.training.clipping import clip_gradients


def make_parameters(sparse: bool, index: list[int]) -> list[Parameter]:
    """A matrix, a vector, a table with rows at these places, and a parameter without a gradient."""
    source = torch.Generator().manual_seed(0)
    parameters = [Parameter(torch.zeros(shape)) for shape in ((2, 3), (4,), (6, 2), (5,))]
    for parameter in parameters[:2]:
        parameter.grad = torch.randn(parameter.shape, generator=source)
    rows = torch.randn(len(index), 2, generator=source)
    table = torch.sparse_coo_tensor(torch.tensor([index], dtype=torch.int64), rows, (6, 2), check_invariants=True)
    parameters[2].grad = table if sparse else table.to_dense()
    return parameters


def dense(parameter: Parameter) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad.to_dense()


@pytest.mark.parametrize("index", [[1, 4], [4, 1], [1, 4, 1, 1], [3, 3], []])
@pytest.mark.parametrize("max_norm", [0.1, 1.0, 1e6])
def test_sparse_gradients_are_clipped_as_the_dense_ones_they_stand_for(index: list[int], max_norm: float) -> None:
    sparse, expected = make_parameters(True, index), make_parameters(False, index)
    norm = torch.nn.utils.clip_grad_norm_(expected, max_norm)
    assert clip_gradients(sparse, max_norm) == pytest.approx(norm.item(), rel=1e-6)
    for one, other in zip(sparse[:3], expected[:3], strict=True):
        torch.testing.assert_close(dense(one), dense(other), rtol=1e-5, atol=1e-7)
    assert sparse[3].grad is None


def test_below_the_limit_not_a_bit_changes() -> None:
    parameters, before = make_parameters(True, [1, 4, 1]), make_parameters(True, [1, 4, 1])
    clip_gradients(parameters, 1e3)
    for one, other in zip(parameters[:3], before[:3], strict=True):
        assert torch.equal(dense(one), dense(other))


def test_large_gradients_do_not_overflow() -> None:
    parameter = Parameter(torch.zeros(2))
    parameter.grad = torch.full((2,), 3e38)
    assert clip_gradients([parameter], 1.0) == pytest.approx(3e38 * math.sqrt(2), rel=1e-6)
    assert parameter.grad.tolist() == pytest.approx([math.sqrt(0.5)] * 2)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_norm_that_is_no_number_is_told_and_changes_nothing(value: float) -> None:
    parameters = make_parameters(True, [0])
    assert parameters[0].grad is not None
    parameters[0].grad[0, 0] = value
    expected = dense(parameters[1]).clone()
    assert not math.isfinite(clip_gradients(parameters, 1.0))
    assert torch.equal(dense(parameters[1]), expected)


def test_without_gradients_the_norm_is_zero() -> None:
    assert clip_gradients([Parameter(torch.zeros(2))], 1.0) == 0


@pytest.mark.parametrize("max_norm", [0, -1, math.nan])
def test_a_limit_that_makes_no_sense(max_norm: float) -> None:
    with pytest.raises(ValueError, match="max_norm: expected a number above 0, got"):
        clip_gradients([], max_norm)
