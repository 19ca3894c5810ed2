"""A linear layer with cross entropy over many classes against F.linear and F.cross_entropy: time, and peak memory.

    python -m bench linear_cross_entropy [--seconds S]

One training step: the loss and the gradients of input, weight and bias. The peers are the plain form in float32 and,
for textnn under autocast, in both; torch's own form in blocks (``torch.nn.functional.linear_cross_entropy`` with
options, of torch 2.13 and later) is shown where torch has it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from textnn import functional

from . import memory
from .harness import AUTOCAST, Call, Effort, Row, compare, has_bfloat16

# N, H, V
SHAPES = [(8192, 256, 20000), (2048, 256, 10000), (1024, 512, 50000), (4096, 128, 4000), (700, 256, 6000)]
Shape = tuple[int, int, int]


def plain(x: Tensor, w: Tensor, b: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(F.linear(x, w, b), target)


def ours(x: Tensor, w: Tensor, b: Tensor, target: Tensor) -> Tensor:
    return functional.linear_cross_entropy(x, w, target, linear_bias=b)


def torch_in_blocks(x: Tensor, w: Tensor, b: Tensor, target: Tensor) -> Tensor:
    options: Any = torch.nn.LinearCrossEntropyOptions()  # type: ignore[attr-defined]
    return torch.nn.functional.linear_cross_entropy(x, w, target, linear_bias=b, options=options)  # type: ignore[attr-defined]


FORMS = {"textnn": ours, "F.linear": plain} | (
    {"torch's blocks": torch_in_blocks} if hasattr(torch.nn, "LinearCrossEntropyOptions") else {}
)


def inputs(shape: Shape) -> list[Tensor]:
    N, H, V = shape
    torch.manual_seed(0)
    leaves = [torch.randn(N, H), torch.randn(V, H) / H**0.5, torch.zeros(V)]
    return [*(t.requires_grad_() for t in leaves), torch.randint(V, (N,))]


def training(form: str, tensors: list[Tensor], autocast: bool = False) -> Call:
    *leaves, _ = tensors

    def call() -> list[Tensor]:
        for leaf in leaves:
            leaf.grad = None
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            loss = FORMS[form](*tensors)
        loss.backward()
        return [loss.detach(), *(leaf.grad for leaf in leaves if leaf.grad is not None)]

    return call


def step(shape: Shape, form: str, autocast: bool) -> memory.Step:
    tensors = inputs(shape)
    return memory.Step(training(form, tensors, autocast), tensors[:3])


def rows(data_path: str | None, effort: Effort) -> Iterator[Row]:
    for shape in SHAPES:
        tensors = inputs(shape)
        peers = {form: training(form, tensors) for form in FORMS if form != "textnn"}
        group = "Linear layer with cross entropy"
        yield compare(f"{group}, float32", str(shape), training("textnn", tensors), peers, effort)
        if has_bfloat16():
            peers |= {form + AUTOCAST: training(form, tensors, True) for form in FORMS if form != "textnn"}
        yield compare(f"{group}, autocast", str(shape), training("textnn", tensors, True), peers, effort).in_bfloat16()
    for shape in SHAPES:
        for autocast in (False, True):
            sizes = {form: memory.peak(step, shape, form, autocast) for form in FORMS}
            name = "autocast" if autocast else "float32"
            yield memory.row_of(f"{group}, {name}, memory", str(shape), {form: p.gross for form, p in sizes.items()})
