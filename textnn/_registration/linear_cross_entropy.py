"""The operators of a linear layer with cross entropy.

reduction mean, sum   the gradients are made beside the loss, for a loss that nothing follows; what follows scales them
none                  the backward operator makes the logits once more, and so it does for higher derivatives
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.library import register_fake

from .._checks import _can_look
from . import logit_blocks
from .common import Maybe, dense, follow_autocast, library
from .fake_checks import check_dims
from .gradients import _vmap_level, differentiate, register_gradient

_ops = torch.ops.textnn


def _gradients_like(
    x: Tensor, linear_weight: Tensor, linear_bias: Maybe, need_dx: bool, need_dweight: bool
) -> tuple[Tensor, Tensor, Tensor]:
    H, V = x.shape[1], linear_weight.shape[0]
    biased = need_dweight and linear_bias is not None
    return (
        dense(x) if need_dx else x.new_empty(0, H),
        dense(linear_weight) if need_dweight else x.new_empty(0, H),
        x.new_empty(V if biased else 0),
    )


@register_fake("textnn::linear_cross_entropy")
def _(
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
    check_dims("x", x, 2)
    check_dims("linear_weight", linear_weight, 2)
    N, none = x.shape[0], reduction == "none"
    keep = save and not none
    return (
        x.new_empty(N) if none else x.new_empty(()),
        x.new_empty(N if save else 0),
        *_gradients_like(x, linear_weight, linear_bias, keep and need_dx, keep and need_dweight),
    )


@register_fake("textnn::linear_cross_entropy_backward")
def _(
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
) -> tuple[Tensor, ...]:
    check_dims("x", x, 2)
    check_dims("linear_weight", linear_weight, 2)
    return _gradients_like(x, linear_weight, linear_bias, need_dx, need_dweight)


# Of devices without a kernel.
library.impl("linear_cross_entropy", logit_blocks.forward, "CompositeExplicitAutograd")
library.impl("linear_cross_entropy_backward", logit_blocks.backward, "CompositeExplicitAutograd")


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    *tensors, reduction, ignore_index, label_smoothing, precision, need_dx, need_dweight, _ = inputs
    ctx.options = (reduction, ignore_index, label_smoothing, precision)
    ctx.made = (need_dx, need_dweight) if reduction != "none" else (False, False)
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(*output[1:])
    ctx.save_for_backward(*tensors, *output[1:])


def _backward(ctx: Any, dloss: Maybe, *_: Maybe) -> tuple[Maybe, ...]:
    *tensors, lse, dx, dweight, dbias = ctx.saved_tensors
    if dloss is None:
        return (None,) * 12
    need_dx, need_dweight = ctx.needs_input_grad[0], any(ctx.needs_input_grad[1:3])
    made = (ctx.made[0] or not need_dx) and (ctx.made[1] or not need_dweight)
    if made and not torch.is_grad_enabled():  # otherwise gradients have to be differentiable themselves
        found = [dx, dweight, dbias] if _is_one(dloss) else [g * dloss for g in (dx, dweight, dbias)]
    else:
        found = _ops.linear_cross_entropy_backward(dloss, *tensors, lse, *ctx.options, need_dx, need_dweight)
    of_bias = found[2] if tensors[2] is not None and need_dweight else None
    return found[0] if need_dx else None, found[1] if need_dweight else None, of_bias, *[None] * 9


def _is_one(dloss: Tensor) -> bool:
    """Whether nothing follows the loss, as far as that is to be seen at once."""
    return type(dloss) is Tensor and _can_look(dloss) and _vmap_level() == 0 and dloss.item() == 1


def _plain(inputs: Sequence[Any], _: Sequence[Tensor]) -> list[Maybe]:
    x, linear_weight, linear_bias, target, weight, reduction, ignore_index, label_smoothing = inputs[:8]
    options = {"reduction": reduction, "ignore_index": ignore_index, "label_smoothing": label_smoothing}
    return [F.cross_entropy(F.linear(x, linear_weight, linear_bias), target, weight=weight, **options), *[None] * 4]


def _plain_backward(inputs: Sequence[Any], _: Sequence[Tensor]) -> list[Maybe]:
    dloss, x, linear_weight, linear_bias, target, weight, _lse, *options, _, need_dx, need_dweight = inputs
    tensors = [x, linear_weight, linear_bias]
    places = [i for i, t in enumerate(tensors) if t is not None]
    found = differentiate(lambda own: _plain([*own, target, weight, *options], ()), tensors, places, (dloss,))
    gradients: list[Maybe] = [None] * 3
    for place, gradient in zip(places, found, strict=True):
        gradients[place] = gradient
    wanted = (need_dx, need_dweight, need_dweight)
    return [g if wants else None for g, wants in zip(gradients, wanted, strict=True)]


register_gradient("linear_cross_entropy", _plain, _backward, _setup)
register_gradient("linear_cross_entropy_backward", _plain_backward)

# Losses are float32, as torch's; products have autocast's dtype.
for _device in ("cpu", "cuda"):
    follow_autocast("linear_cross_entropy", _device, lambda *_: [torch.float32])
