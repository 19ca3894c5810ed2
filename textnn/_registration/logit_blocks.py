"""A linear layer with cross entropy in torch's own operations, for devices without a kernel for it.

Block by block of rows, so that logits [N, V] never exist. Arguments and results are those of the operators
(csrc/ops/library.cpp). Nothing here waits for a device: ignored rows are computed and masked, and a target out of range
is found by the device's own check of an index.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .common import Maybe, check_memory

_LOGITS = 1 << 25  # of a block
_FEW_ROWS = 256
PRECISIONS = {"ieee": None, "bf16": torch.bfloat16, "fp16": torch.float16}


class Call(NamedTuple):
    """What both operators are told of the layer and the loss, in the order of their schemas."""

    x: Tensor
    linear_weight: Tensor
    linear_bias: Maybe
    target: Tensor
    weight: Maybe
    reduction: str
    ignore_index: int
    label_smoothing: float
    precision: str


class Wanted(NamedTuple):
    """Which gradients are to be made."""

    dx: bool
    dweight: bool


def forward_call(arguments: Sequence[Any]) -> tuple[Call, Wanted, bool]:
    """Take apart the arguments of ``linear_cross_entropy``; the last result is ``save``."""
    *call, need_dx, need_dweight, save = arguments
    return Call(*call), Wanted(need_dx, need_dweight), save


def backward_call(arguments: Sequence[Any]) -> tuple[Call, Wanted, Tensor, Tensor]:
    """Take apart the arguments of ``linear_cross_entropy_backward``; the last results are ``dloss`` and ``lse``."""
    dloss, *tensors = arguments[:6]
    lse, *options, need_dx, need_dweight = arguments[6:]
    return Call(*tensors, *options), Wanted(need_dx, need_dweight), dloss, lse


def check(call: Call) -> None:
    """Arguments that an operator is given by hand."""
    x, linear_weight = call.x, call.linear_weight
    if x.dim() != 2 or linear_weight.dim() != 2 or linear_weight.shape[1] != x.shape[1]:
        shapes = f"{list(x.shape)} and {list(linear_weight.shape)}"
        raise RuntimeError(f"textnn: x and linear_weight must have shapes [N, H] and [V, H], got {shapes}")
    if x.dtype not in (torch.float32, torch.float64):
        raise RuntimeError(f"textnn: x must be float32 or float64, got {x.dtype}")
    N, V = x.shape[0], linear_weight.shape[0]
    shapes_and_dtypes = {
        "linear_weight": ([V, x.shape[1]], x.dtype),
        "linear_bias": ([V], x.dtype),
        "target": ([N], torch.int64),
        "weight": ([V], x.dtype),
    }
    for name, (shape, dtype) in shapes_and_dtypes.items():
        t = getattr(call, name)
        if t is None:
            continue
        if list(t.shape) != shape or t.dtype != dtype or t.device != x.device:
            got = f"{list(t.shape)} {t.dtype} on {t.device}"
            raise RuntimeError(f"textnn: {name} must be {shape} {dtype} on {x.device}, got {got}")
    if call.reduction not in ("none", "mean", "sum"):
        raise RuntimeError(f"textnn: reduction must be none, mean or sum, got {call.reduction}")
    if call.precision not in PRECISIONS:
        raise RuntimeError(f"textnn: precision must be ieee, bf16 or fp16, got {call.precision}")
    if not 0 <= call.label_smoothing <= 1:
        raise RuntimeError(f"textnn: label_smoothing must lie in [0, 1], got {call.label_smoothing}")
    check_memory(**{name: getattr(call, name) for name in Call._fields[:5]})


class _Rows:
    """What all blocks share; for each row the weight of its class, 0 where the target is ignored."""

    def __init__(self, call: Call) -> None:
        check(call)
        self.used = call.target != call.ignore_index
        self.target = torch.where(self.used, call.target, 0)
        self.own = self.used.to(call.x.dtype)
        if call.weight is not None and call.target.numel():
            self.own = torch.where(self.used, call.weight[self.target], 0)
        self.total = self.own.sum()
        half = PRECISIONS[call.precision] if call.x.dtype == torch.float32 else None
        self.factor = half or call.x.dtype
        self.x, self.linear_weight = call.x.to(self.factor), call.linear_weight.to(self.factor)
        self.linear_bias, self.weight, self.smoothing = call.linear_bias, call.weight, call.label_smoothing

    @property
    def class_weights(self) -> Tensor:
        """Of all classes, [V], or one for all [1]."""
        return self.own.new_ones(1) if self.weight is None else self.weight

    def blocks(self) -> Iterator[slice]:
        N, V = self.x.shape[0], self.linear_weight.shape[0]
        rows = max(_FEW_ROWS, _LOGITS // max(1, V))
        for begin in range(0, N, rows):
            yield slice(begin, min(N, begin + rows))

    def logits(self, block: slice) -> Tensor:
        z = (self.x[block] @ self.linear_weight.t()).to(self.own.dtype)
        return z if self.linear_bias is None else z.add_(self.linear_bias)

    def weight_sum(self) -> Tensor:
        return self.class_weights.expand(self.linear_weight.shape[0]).sum()

    def losses(self, block: slice, z: Tensor, lse: Tensor) -> Tensor:
        e, V = self.smoothing, self.linear_weight.shape[0]
        score = z.gather(1, self.target[block, None])[:, 0]
        loss = (1 - e) * self.own[block] * (lse - score)
        if e > 0:
            loss = loss + e / V * (self.weight_sum() * lse - (z * self.class_weights).sum(1))
        return torch.where(self.used[block], loss, 0)

    def differentiate(self, block: slice, z: Tensor, lse: Tensor, up: Tensor) -> Tensor:
        """Gradients of logits, in their place, for those of the losses."""
        e, V = self.smoothing, self.linear_weight.shape[0]
        up = torch.where(self.used[block], up, 0)
        hit = up * (1 - e) * self.own[block]
        dz = z.sub_(lse[:, None]).exp_()
        dz *= (hit + up * (e / V) * self.weight_sum() if e > 0 else hit)[:, None]
        if e > 0:
            dz -= (up * (e / V))[:, None] * self.class_weights
        dz.scatter_add_(1, self.target[block, None], -hit[:, None])
        return dz.masked_fill_(~self.used[block, None], 0)


class _Sums:
    """Gradients of x, linear_weight and linear_bias; without rows where they are not wanted."""

    def __init__(self, rows: _Rows, wanted: Wanted) -> None:
        self.rows, self.wanted, (N, H), V = rows, wanted, rows.x.shape, rows.linear_weight.shape[0]
        self.biased = wanted.dweight and rows.linear_bias is not None
        self.dx = rows.own.new_empty(N if wanted.dx else 0, H)
        self.dweight = rows.own.new_zeros(V if wanted.dweight else 0, H)
        self.dbias = rows.own.new_zeros(V if self.biased else 0)

    def add(self, block: slice, dz: Tensor) -> None:
        rows, factors = self.rows, dz.to(self.rows.factor)
        if self.wanted.dx:
            self.dx[block] = factors @ rows.linear_weight
        if self.wanted.dweight and rows.factor == self.dweight.dtype:
            self.dweight.addmm_(factors.t(), rows.x[block])
        elif self.wanted.dweight:
            self.dweight += factors.t() @ rows.x[block]
        if self.biased:
            self.dbias += dz.sum(0)

    def results(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.dx, self.dweight, self.dbias


def forward(*arguments: Any) -> tuple[Tensor, ...]:
    """The operator ``linear_cross_entropy``."""
    call, wanted, save = forward_call(arguments)
    rows, none = _Rows(call), call.reduction == "none"
    keep = save and not none
    sums = _Sums(rows, Wanted(keep and wanted.dx, keep and wanted.dweight))
    N = call.x.shape[0]
    each, lse = rows.own.new_zeros(N), rows.own.new_zeros(N)
    up = rows.own.new_ones(()) if call.reduction == "sum" else 1 / rows.total
    for block in rows.blocks():
        z = rows.logits(block)
        lse[block] = torch.where(rows.used[block], z.logsumexp(1), 0)
        each[block] = rows.losses(block, z, lse[block])
        if any(sums.wanted):
            sums.add(block, rows.differentiate(block, z, lse[block], up))
    loss = each if none else each.sum() if call.reduction == "sum" else each.sum() / rows.total
    return loss, lse if save else lse.new_empty(0), *sums.results()


def backward(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    """The operator ``linear_cross_entropy_backward``."""
    call, wanted, dloss, lse = backward_call(arguments)
    rows, none = _Rows(call), call.reduction == "none"
    check_memory(dloss=dloss, lse=lse)
    x = call.x
    for name, t, shape in (("dloss", dloss, x.shape[:1] if none else ()), ("lse", lse, x.shape[:1])):
        if t.shape != shape or t.dtype != x.dtype:
            raise RuntimeError(f"textnn: {name} must be {list(shape)} {x.dtype}, got {list(t.shape)} {t.dtype}")
    sums = _Sums(rows, wanted)
    up = dloss / rows.total if call.reduction == "mean" else dloss
    for block in rows.blocks():
        own = up[block] if none else up
        sums.add(block, rows.differentiate(block, rows.logits(block), lse[block], own))
    return sums.results()
