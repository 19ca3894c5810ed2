"""What textnn.functional.linear_cross_entropy and its operators say about wrong arguments, and the rare right ones."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import textnn.functional as fast

X, W, Y = torch.randn(4, 3), torch.randn(5, 3), torch.tensor([0, 4, -100, 2])


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (([1.0], W, Y), {}, TypeError, "input must be a tensor, got list"),
        ((X, W[:, :2], Y), {}, ValueError, r"linear_weight must have shape \[V, H\] = \[V, 3\].*got \[5, 2\]"),
        ((X, W[0], Y), {}, ValueError, r"linear_weight must have shape"),
        ((X, W.double(), Y), {}, TypeError, "linear_weight must have the dtype of input"),
        ((X.long(), W, Y), {}, TypeError, "input must have a floating-point dtype"),
        ((X, W, Y[:3]), {}, ValueError, r"target must have shape \[4\] for input \[4, 3\], got \[3\]"),
        ((X, W, Y.int()), {}, TypeError, "target must be int64"),
        ((X, W, Y), {"linear_bias": torch.zeros(4)}, ValueError, r"linear_bias must have shape \[5\]"),
        ((X, W, Y), {"weight": torch.zeros(4)}, ValueError, r"weight must have shape \[V\] = \[5\], got \[4\]"),
        ((X, W, Y), {"weight": [1.0] * 5}, TypeError, "weight must be a tensor, got list"),
        ((X, W, Y), {"weight": torch.ones(5, requires_grad=True)}, ValueError, "weight must not require a gradient"),
        ((X, W, Y), {"reduction": "max"}, ValueError, "reduction must be 'none', 'mean' or 'sum', got 'max'"),
        ((X, W, Y), {"label_smoothing": 1.5}, ValueError, r"label_smoothing must lie in \[0, 1\], got 1.5"),
        ((X, W, torch.rand(4, 5)), {"ignore_index": 1}, ValueError, "ignore_index must be None"),
    ],
)
def test_errors_name_the_argument(arguments: Any, options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        fast.linear_cross_entropy(*arguments, **options)


@pytest.mark.cpu
@pytest.mark.parametrize("wrong", [5, -1])
def test_targets_out_of_range_are_an_error(wrong: int) -> None:
    target = Y.clone()
    target[1] = wrong
    with pytest.raises(
        IndexError, match=rf"target must lie in \[0, V\) = \[0, 5\) or be ignore_index, -100, got {wrong}"
    ):
        fast.linear_cross_entropy(X, W, target)
    call = (X, W, None, target, None, "mean", -100, 0.0, "ieee", True, True, True)
    with pytest.raises(
        RuntimeError, match=rf"target must lie in \[0, 5\) or be ignore_index, -100, got {wrong} in row 1"
    ):
        torch.ops.textnn.linear_cross_entropy(*call)
    compiled = torch.compile(fast.linear_cross_entropy, backend="aot_eager")
    with pytest.raises(RuntimeError, match="target must lie in"):
        compiled(X, W, target)


@pytest.mark.cpu
@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (0, X[0], "the input must have shape"),
        (0, X.half(), "must be float32 or float64"),
        (1, W[:, :2], "linear_weight must have shape"),
        (2, X[:, 0], "linear_bias must have shape"),
        (3, Y[:2], "target must have shape"),
        (3, Y.int(), "target must have the dtype"),
        (4, torch.ones(5).double(), "weight must have the dtype"),
        (5, "max", "reduction must be"),
        (7, -0.5, "label_smoothing must lie in"),
        (8, "int8", "precision must be"),
    ],
)
def test_raw_operators_check_their_arguments(place: int, value: Any, message: str) -> None:
    call: list[Any] = [X, W, None, Y, None, "none", -100, 0.0, "ieee", True, True]
    backward = [torch.ones(4), *call[:5], torch.zeros(4), *call[5:]]
    call[place] = backward[place + 1 + (place > 4)] = value
    with pytest.raises(RuntimeError, match=message):
        torch.ops.textnn.linear_cross_entropy(*call, False)
    with pytest.raises(RuntimeError, match=message):
        torch.ops.textnn.linear_cross_entropy_backward(*backward)


@pytest.mark.cpu
def test_targets_of_bytes_and_inputs_without_a_column() -> None:
    target = torch.tensor([0, 4, 1, 2])
    want = fast.linear_cross_entropy(X, W, target)
    assert fast.linear_cross_entropy(X, W, target.to(torch.uint8)).equal(want)
    loss = fast.linear_cross_entropy(torch.zeros(2, 3, 0), torch.zeros(5, 0), torch.zeros(2, 3, dtype=torch.int64))
    torch.testing.assert_close(loss, torch.tensor(5.0).log())


@pytest.mark.cpu
def test_raw_backward_operator_checks_gradient_and_lse() -> None:
    rest: tuple[Any, ...] = ("none", -100, 0.0, "ieee", True, True)
    for dloss, lse, message in (
        (torch.ones(3), torch.zeros(4), "the gradient must have shape"),
        (torch.ones(4), torch.zeros(3), "lse must have shape"),
        (torch.ones(4).double(), torch.zeros(4), "the gradient must have the dtype"),
    ):
        with pytest.raises(RuntimeError, match=message):
            torch.ops.textnn.linear_cross_entropy_backward(dloss, X, W, None, Y, None, lse, *rest)
