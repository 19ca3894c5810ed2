"""Ragged batches in every form, and how to compare two functions on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

# What float32 sums of a few hundred terms may differ by, in another order of addition; float64 is 2**29 times finer.
TOLERANCE = {torch.float32: dict(rtol=2e-4, atol=2e-5), torch.float64: dict(rtol=1e-10, atol=1e-11)}
# Of sentences, for kernels of up to 5 taps.
LENGTHS = {
    "one": [1],
    "short": [1, 2, 3],
    "empty": [0, 4, 0],
    "all empty": [0, 0],
    "no sentence": [],
    "ragged": [7, 2, 9, 5, 1, 6],
    "long": [40, 3, 25],
}


@dataclass
class Batch:
    """x, the arguments that say how long its sequences are, and the number of sequences."""

    x: Tensor
    sizes: dict[str, Any] = field(default_factory=dict)
    B: int = 0


def ragged_batch(form: str, lengths: Sequence[int], width: int, dtype: torch.dtype) -> Batch:
    """The forms of textnn.functional.lstm; padding is NaN, so that reading it shows."""
    B, T = len(lengths), max(lengths, default=0)
    if form == "dense":
        return Batch(torch.randn(T, B, width, dtype=dtype), {}, B)
    if form in ("padded", "batch_first"):
        x = torch.full((B, T, width), float("nan"), dtype=dtype)
        for b, n in enumerate(lengths):
            x[b, :n] = torch.randn(n, width, dtype=dtype)
        sizes = {"lengths": torch.tensor(list(lengths), dtype=torch.int64)}
        if form == "batch_first":
            return Batch(x, {**sizes, "batch_first": True}, B)
        return Batch(x.transpose(0, 1), sizes, B)  # not contiguous on purpose
    N = sum(lengths)
    if form == "flat":
        offsets = torch.tensor([sum(lengths[:b]) for b in range(B)], dtype=torch.int64)
        return Batch(torch.randn(N, width, dtype=dtype), {"offsets": offsets}, B)
    assert form == "packed", form
    ordered = sorted(lengths, reverse=True)
    batch_sizes = torch.tensor([sum(n > t for n in ordered) for t in range(T)], dtype=torch.int64)
    return Batch(torch.randn(N, width, dtype=dtype), {"batch_sizes": batch_sizes}, B)


def compare(
    f: Callable[..., Any], g: Callable[..., Any], arguments: Sequence[Any], dtype: torch.dtype, case: str, **kwargs: Any
) -> None:
    """f and g give the same results and the same gradients for every floating-point tensor among the arguments."""
    results = []
    for function in (f, g):
        leaves: list[Tensor] = []

        def leaf(a: Any, leaves: list[Tensor] = leaves) -> Any:
            if isinstance(a, list):
                return [leaf(v) for v in a]
            if isinstance(a, Tensor) and a.is_floating_point():
                leaves.append(a.detach().requires_grad_())
                return leaves[-1]
            return a

        outputs = function(*[leaf(a) for a in arguments], **kwargs)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        weights = [torch.linspace(-1, 1, o.numel(), dtype=dtype).reshape(o.shape) for o in outputs]
        loss = sum((o * w).sum() for o, w in zip(outputs, weights, strict=True))
        if any(o.requires_grad for o in outputs):
            gradients = torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True)
        else:  # a batch without any sequence
            gradients = tuple(torch.zeros_like(t) for t in leaves)
        results.append([*[o.detach() for o in outputs], *gradients])
    for i, (a, b) in enumerate(zip(*results, strict=True)):
        a = a.to_dense() if a.is_sparse else a
        b = b.to_dense() if b.is_sparse else b
        # Gradients of NaN padding are zero on both sides: textnn never reads it, the reference never uses it.
        torch.testing.assert_close(a, b, **TOLERANCE[dtype], msg=lambda m, i=i: f"{case}, result {i}: {m}")


def operands(directions: Sequence[Any]) -> list[Any]:
    """The weights of one or two directions as the raw operators take them: five of each, absent ones None."""
    given = [[*w, *[None] * (5 - len(w))] for w in directions]
    return [*given[0], *(given[1] if len(given) > 1 else [None] * 5)]
