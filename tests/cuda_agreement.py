"""What the cases of cuda_cases.py share: comparisons with the reference, and what torch is asked for meanwhile."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any

import torch
from ragged import TOLERANCE
from torch import Tensor

HALVES = (torch.float16, torch.bfloat16)
# Sequences enough for two tiles in each group of blocks, units for several slices, an empty sequence.
RAGGED = [5, 1, 3, 0, 4, 4, 2, 5, 1, 3, 3, 2]
CASES: dict[str, Callable[[], None]] = {}
WATCHERS: list[Callable[[bool], None]] = []
"""Called before and after each comparison; with True after it, when gradients have been made."""


def case(name: str, *arguments: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add a call of the function to the cases."""

    def add(function: Callable[..., None]) -> Callable[..., None]:
        CASES[name] = lambda: function(*arguments)
        return function

    return add


@contextlib.contextmanager
def asked_of_torch(precision: str = "highest", deterministic: bool = False) -> Iterator[None]:
    """Let torch make products of float32 in TF32 ("high"), or ask it to be deterministic."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    torch.use_deterministic_algorithms(deterministic, warn_only=True)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
        torch.use_deterministic_algorithms(False)


@contextlib.contextmanager
def multiprocessors(number: int) -> Iterator[None]:
    """Give the emulated device so many."""
    before = os.environ.get("CUEMU_SMS")
    os.environ["CUEMU_SMS"] = str(number)
    try:
        yield
    finally:
        del os.environ["CUEMU_SMS"]
        if before is not None:
            os.environ["CUEMU_SMS"] = before


def tolerance_of(dtype: torch.dtype, tf32: bool = False) -> dict[str, float]:
    """Of sums of some dozens of terms whose factors were rounded to dtype, some of them once for every step."""
    if dtype in HALVES or tf32:
        eps = torch.finfo(torch.float16).eps if tf32 else torch.finfo(dtype).eps
        return {"rtol": 16 * eps, "atol": 16 * eps}
    return TOLERANCE[dtype]


def agree(
    function: Callable[..., Any], reference: Callable[..., Any], arguments: list[Any], tolerance: dict[str, float]
) -> None:
    """Results and gradients of both; the reference is computed from the same values in at least float32."""
    for seen in WATCHERS:
        seen(False)

    def run(f: Callable[..., Any], widen: bool) -> list[Tensor]:
        leaves: list[Tensor] = []

        def leaf(a: Any) -> Any:
            if isinstance(a, (list, tuple)):
                return [leaf(v) for v in a]
            if not isinstance(a, Tensor) or not a.is_floating_point():
                return a
            leaves.append((a.float() if widen and a.dtype in HALVES else a).detach().clone().requires_grad_())
            return leaves[-1]

        outputs = f(*[leaf(a) for a in arguments])
        outputs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
        # Gradients of the order of one, whatever the number of results.
        loss = sum((o * torch.linspace(-1, 1, o.numel()).reshape(o.shape).to(o)).sum() for o in outputs)
        return [o.detach() for o in outputs] + list(torch.autograd.grad(loss, leaves, materialize_grads=True))

    for i, (a, b) in enumerate(zip(run(function, False), run(reference, True), strict=True)):
        a = a.to_dense() if a.is_sparse else a
        b = b.to_dense() if b.is_sparse else b
        scale = max(1.0, float(b.abs().max())) if b.numel() else 1.0  # a sum's error is that of its greatest terms
        torch.testing.assert_close(a.to(b.dtype) / scale, b / scale, **tolerance, msg=lambda m, i=i: f"result {i}: {m}")
    for seen in WATCHERS:
        seen(True)


BLOCKS = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}  # of H rows in a weight


def weights_of(cell: str, width: int, H: int, P: int, dtype: torch.dtype) -> list[Tensor | None]:
    """w_ih, w_hh, b_ih, b_hh, w_hr with P = H for no projection; small, so that gates stay in their range."""
    rows = BLOCKS[cell] * H
    shapes = [(rows, width), (rows, P), (rows,), (rows,), (P, H)]
    w: list[Tensor | None] = [torch.randn(*s).div(max(1, s[-1]) ** 0.5).to(dtype) for s in shapes]
    return w if P != H else [*w[:4], None]


def lstm_weights(width: int, H: int, P: int, dtype: torch.dtype) -> list[Tensor | None]:
    """Those of an LSTM."""
    return weights_of("lstm", width, H, P, dtype)
