"""Inputs of linear_cross_entropy, its loss and gradients, and how near they have to be, for its tests."""

from __future__ import annotations

from typing import Any

import torch
from ragged import TOLERANCE
from torch import Tensor

from textnn.functional import linear_cross_entropy

OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "ignored": {"ignored": 0.4},
    "bias": {"bias": True},
    "weighted": {"weighted": True, "bias": True, "ignored": 0.2},
    "smooth": {"label_smoothing": 0.3, "ignored": 0.2},
    "all": {"label_smoothing": 0.1, "weighted": True, "bias": True, "ignored": 0.3, "ignore_index": 0},
}
REDUCTIONS = ("none", "sum", "mean")


def make(
    N: int,
    H: int,
    V: int,
    dtype: torch.dtype = torch.float64,
    ignored: float = 0.0,
    bias: bool = False,
    weighted: bool = False,
    **options: Any,
) -> tuple[list[Tensor], dict[str, Any]]:
    """Input, weight and target, and the options."""
    x, w, target = torch.randn(N, H, dtype=dtype), torch.randn(V, H, dtype=dtype), torch.randint(V, (N,))
    target[torch.rand(N) < ignored] = options.get("ignore_index", -100)
    options |= {"linear_bias": torch.randn(V, dtype=dtype)} if bias else {}
    options |= {"weight": torch.rand(V, dtype=dtype) + 0.5} if weighted else {}
    return [x, w, target], options


def results(function: Any, inputs: list[Tensor], options: dict[str, Any], upstream: float = 1.0) -> list[Tensor]:
    """The loss, and the gradients of input, weight and bias."""
    leaves = [t.detach().requires_grad_() for t in inputs[:2]]
    options = dict(options)
    if "linear_bias" in options:
        options["linear_bias"] = options["linear_bias"].detach().requires_grad_()
        leaves.append(options["linear_bias"])
    loss = function(*leaves[:2], inputs[2], **options)
    factor = torch.linspace(1, 2, loss.numel(), dtype=loss.dtype).reshape(loss.shape) if loss.dim() else upstream
    gradients = torch.autograd.grad((loss * factor).sum(), leaves)
    return [loss.detach(), *gradients]


def check(got: list[Tensor], want: list[Tensor], dtype: torch.dtype, case: str) -> None:
    names = ("loss", "dinput", "dweight", "dbias")
    for name, a, b in zip(names, got, want, strict=False):
        torch.testing.assert_close(
            a, b, **TOLERANCE[dtype], equal_nan=True, msg=lambda m, name=name: f"{case}, {name}: {m}"
        )


def check_threads(reduction: str, N: int = 300, H: int = 24, V: int = 4500, dtype: torch.dtype = torch.float32) -> None:
    """Check that results are the same for every run and number of threads."""
    inputs, options = make(N, H, V, dtype, bias=True, label_smoothing=0.1)
    options["reduction"] = reduction
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3, 2):
            torch.set_num_threads(threads)
            found.append(results(linear_cross_entropy, inputs, options))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))
