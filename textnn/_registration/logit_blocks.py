"""A linear layer with cross entropy in torch's own operations, for devices without a kernel for it.

Block by block of rows, so that logits [N, V] never exist. Arguments and results are those of the operators
(csrc/ops/library.cpp). Nothing here waits for a device: ignored rows are computed and masked, and a target out of range
is found by the device's own check of an index.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from .common import Maybe, check_memory

_LOGITS = 1 << 25  # of a block
_FEW_ROWS = 256
PRECISIONS = {"ieee": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def check(
    x: Tensor, linear_weight: Tensor, linear_bias: Maybe, target: Tensor, weight: Maybe, reduction: str, precision: str
) -> None:
    """Arguments that an operator is given by hand."""
    if x.dim() != 2 or linear_weight.dim() != 2 or linear_weight.shape[1] != x.shape[1]:
        shapes = f"{list(x.shape)} and {list(linear_weight.shape)}"
        raise RuntimeError(f"textnn: x and linear_weight must have shapes [N, H] and [V, H], got {shapes}")
    if x.dtype not in (torch.float32, torch.float64):
        raise RuntimeError(f"textnn: x must be float32 or float64, got {x.dtype}")
    N, V = x.shape[0], linear_weight.shape[0]
    for name, t, shape, dtype in (
        ("linear_weight", linear_weight, [V, x.shape[1]], x.dtype),
        ("linear_bias", linear_bias, [V], x.dtype),
        ("target", target, [N], torch.int64),
        ("weight", weight, [V], x.dtype),
    ):
        if t is None:
            continue
        if list(t.shape) != shape or t.dtype != dtype or t.device != x.device:
            got = f"{list(t.shape)} {t.dtype} on {t.device}"
            raise RuntimeError(f"textnn: {name} must be {shape} {dtype} on {x.device}, got {got}")
    if reduction not in ("none", "mean", "sum"):
        raise RuntimeError(f"textnn: reduction must be none, mean or sum, got {reduction}")
    if precision not in PRECISIONS:
        raise RuntimeError(f"textnn: precision must be ieee, bf16 or fp16, got {precision}")
    check_memory(x=x, linear_weight=linear_weight, linear_bias=linear_bias, target=target, weight=weight)


@dataclass
class _Call:
    """What all blocks share; for each row the weight of its class, 0 where the target is ignored."""

    x: Tensor
    linear_weight: Tensor
    linear_bias: Maybe
    target: Tensor
    weight: Maybe
    reduction: str
    smoothing: float
    own: Tensor
    used: Tensor
    total: Tensor
    factor: torch.dtype

    @classmethod
    def of(
        cls,
        x: Tensor,
        linear_weight: Tensor,
        linear_bias: Maybe,
        target: Tensor,
        weight: Maybe,
        reduction: str,
        ignore_index: int,
        label_smoothing: float,
        precision: str,
    ) -> _Call:
        check(x, linear_weight, linear_bias, target, weight, reduction, precision)
        if not 0 <= label_smoothing <= 1:
            raise RuntimeError(f"textnn: label_smoothing must lie in [0, 1], got {label_smoothing}")
        used = target != ignore_index
        target = torch.where(used, target, 0)
        own = used.to(x.dtype)
        if weight is not None and target.numel():
            own = torch.where(used, weight[target], 0)
        half = PRECISIONS[precision] if x.dtype == torch.float32 else None
        factor = half or x.dtype
        rounded = linear_weight.to(factor)
        rest = (linear_bias, target, weight, reduction, label_smoothing)
        return cls(x.to(factor), rounded, *rest, own, used, own.sum(), factor)

    @property
    def class_weights(self) -> Tensor:
        """Of all classes, [V], or one for all [1]."""
        return self.own.new_ones(1) if self.weight is None else self.weight

    def blocks(self) -> Iterator[slice]:
        N, V = self.x.shape[0], self.linear_weight.shape[0]
        rows = max(_FEW_ROWS, _LOGITS // max(1, V))
        for begin in range(0, N, rows):
            yield slice(begin, min(N, begin + rows))

    def logits(self, rows: slice) -> Tensor:
        z = (self.x[rows] @ self.linear_weight.t()).to(self.own.dtype)
        return z if self.linear_bias is None else z.add_(self.linear_bias)

    def weight_sum(self) -> Tensor:
        return self.class_weights.expand(self.linear_weight.shape[0]).sum()

    def losses(self, rows: slice, z: Tensor, lse: Tensor) -> Tensor:
        e, V = self.smoothing, self.linear_weight.shape[0]
        score = z.gather(1, self.target[rows, None])[:, 0]
        loss = (1 - e) * self.own[rows] * (lse - score)
        if e > 0:
            loss = loss + e / V * (self.weight_sum() * lse - (z * self.class_weights).sum(1))
        return torch.where(self.used[rows], loss, 0)

    def differentiate(self, rows: slice, z: Tensor, lse: Tensor, up: Tensor) -> Tensor:
        """Gradients of logits, in their place, for those of the losses."""
        e, V = self.smoothing, self.linear_weight.shape[0]
        up = torch.where(self.used[rows], up, 0)
        hit = up * (1 - e) * self.own[rows]
        dz = z.sub_(lse[:, None]).exp_()
        dz *= (hit + up * (e / V) * self.weight_sum() if e > 0 else hit)[:, None]
        if e > 0:
            dz -= (up * (e / V))[:, None] * self.class_weights
        dz.scatter_add_(1, self.target[rows, None], -hit[:, None])
        return dz.masked_fill_(~self.used[rows, None], 0)


class _Sums:
    """Gradients of x, linear_weight and linear_bias; without rows where they are not wanted."""

    def __init__(self, call: _Call, need_dx: bool, need_dweight: bool) -> None:
        self.call, (N, H), V = call, call.x.shape, call.linear_weight.shape[0]
        biased = need_dweight and call.linear_bias is not None
        self.dx = call.own.new_empty(N if need_dx else 0, H)
        self.dweight = call.own.new_zeros(V if need_dweight else 0, H)
        self.dbias = call.own.new_zeros(V if biased else 0)
        self.need_dx, self.need_dweight, self.need_dbias = need_dx, need_dweight, biased

    def add(self, rows: slice, dz: Tensor) -> None:
        call, factors = self.call, dz.to(self.call.factor)
        if self.need_dx:
            self.dx[rows] = factors @ call.linear_weight
        if self.need_dweight and call.factor == self.dweight.dtype:
            self.dweight.addmm_(factors.t(), call.x[rows])
        elif self.need_dweight:
            self.dweight += factors.t() @ call.x[rows]
        if self.need_dbias:
            self.dbias += dz.sum(0)

    def results(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.dx, self.dweight, self.dbias


def forward(
    x: Tensor,
    linear_weight: Tensor,
    linear_bias: Maybe,
    target: Tensor,
    weight: Maybe,
    reduction: str,
    ignore_index: int,
    label_smoothing: float,
    precision: str,
    need_dx: bool,
    need_dweight: bool,
    save: bool,
) -> tuple[Tensor, ...]:
    """The operator ``linear_cross_entropy``."""
    options = (reduction, ignore_index, label_smoothing, precision)
    call = _Call.of(x, linear_weight, linear_bias, target, weight, *options)
    keep = save and reduction != "none"
    sums = _Sums(call, keep and need_dx, keep and need_dweight)
    each, lse = call.own.new_zeros(x.shape[0]), call.own.new_zeros(x.shape[0])
    up = call.own.new_ones(()) if reduction == "sum" else 1 / call.total
    for rows in call.blocks():
        z = call.logits(rows)
        lse[rows] = torch.where(call.used[rows], z.logsumexp(1), 0)
        each[rows] = call.losses(rows, z, lse[rows])
        if keep and (need_dx or need_dweight):
            sums.add(rows, call.differentiate(rows, z, lse[rows], up))
    loss = each if reduction == "none" else each.sum() if reduction == "sum" else each.sum() / call.total
    return loss, lse if save else lse.new_empty(0), *sums.results()


def backward(
    dloss: Tensor,
    x: Tensor,
    linear_weight: Tensor,
    linear_bias: Maybe,
    target: Tensor,
    weight: Maybe,
    lse: Tensor,
    reduction: str,
    ignore_index: int,
    label_smoothing: float,
    precision: str,
    need_dx: bool,
    need_dweight: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """The operator ``linear_cross_entropy_backward``."""
    options = (reduction, ignore_index, label_smoothing, precision)
    call = _Call.of(x, linear_weight, linear_bias, target, weight, *options)
    check_memory(dloss=dloss, lse=lse)
    for name, t, shape in (("dloss", dloss, x.shape[:1] if reduction == "none" else ()), ("lse", lse, x.shape[:1])):
        if t.shape != shape or t.dtype != x.dtype:
            raise RuntimeError(f"textnn: {name} must be {list(shape)} {x.dtype}, got {list(t.shape)} {t.dtype}")
    sums = _Sums(call, need_dx, need_dweight)
    up = dloss / call.total if reduction == "mean" else dloss
    for rows in call.blocks():
        own = up[rows] if reduction == "none" else up
        sums.add(rows, call.differentiate(rows, call.logits(rows), lse[rows], own))
    return sums.results()
