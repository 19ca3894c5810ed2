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
from .gradients import _transforms_active, _vmap_level, differentiate, register_gradient

_ops = torch.ops.textnn


def _gradients_like(call: logit_blocks.Call, wanted: logit_blocks.Wanted) -> tuple[Tensor, Tensor, Tensor]:
    x, (V, H) = call.x, call.linear_weight.shape
    return (
        dense(x) if wanted.dx else x.new_empty(0, H),
        dense(call.linear_weight) if wanted.dweight else x.new_empty(0, H),
        x.new_empty(V if wanted.dweight and call.linear_bias is not None else 0),
    )


@register_fake("textnn::linear_cross_entropy")
def _(*arguments: Any) -> tuple[Tensor, ...]:
    call, wanted, save = logit_blocks.forward_call(arguments)
    check_dims("x", call.x, 2)
    check_dims("linear_weight", call.linear_weight, 2)
    N, none = call.x.shape[0], call.reduction == "none"
    loss, lse = call.x.new_empty(N) if none else call.x.new_empty(()), call.x.new_empty(N if save else 0)
    return loss, lse, *_gradients_like(call, wanted if save and not none else logit_blocks.Wanted(False, False))


@register_fake("textnn::linear_cross_entropy_backward")
def _(*arguments: Any) -> tuple[Tensor, ...]:
    call, wanted, _dloss, _lse = logit_blocks.backward_call(arguments)
    check_dims("x", call.x, 2)
    check_dims("linear_weight", call.linear_weight, 2)
    return _gradients_like(call, wanted)


# Of devices without a kernel.
library.impl("linear_cross_entropy", logit_blocks.forward, "CompositeExplicitAutograd")
library.impl("linear_cross_entropy_backward", logit_blocks.backward, "CompositeExplicitAutograd")


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    call, wanted, _ = logit_blocks.forward_call(inputs)
    _loss, lse, *gradients = output
    ctx.options = call[5:]
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(*output[1:])
    ctx.save_for_backward(*call[:5], lse)
    # Not among what is saved: the first backward pass gives them away, and nothing may hold them from then on, or what
    # is done to a gradient in place would be done to the next one.
    ctx.beside = _needs(wanted, call.linear_bias) if call.reduction != "none" else (False,) * 3
    ctx.made = [g if made else None for g, made in zip(gradients, ctx.beside, strict=True)]


def _needs(wanted: logit_blocks.Wanted, bias: Maybe) -> tuple[bool, bool, bool]:
    """Which of the gradients of input, weight and bias there are."""
    return wanted.dx, wanted.dweight, wanted.dweight and bias is not None


def _backward(ctx: Any, dloss: Maybe, *_: Maybe) -> tuple[Maybe, ...]:
    if dloss is None:
        return (None,) * 12
    *tensors, lse = ctx.saved_tensors
    wanted = logit_blocks.Wanted(ctx.needs_input_grad[0], any(ctx.needs_input_grad[1:3]))
    needs = _needs(wanted, tensors[2])
    beside = all(made for made, needed in zip(ctx.beside, needs, strict=True) if needed)
    if beside and not torch.is_grad_enabled():  # otherwise gradients have to be differentiable themselves
        if any(
            g is None for g, needed in zip(ctx.made, needs, strict=True) if needed
        ):  # given away: the same once more
            ctx.made = list(_ops.linear_cross_entropy(*tensors, *ctx.options, *wanted, True)[2:])
        found = _scaled(ctx.made, needs, dloss)
    else:
        found = _ops.linear_cross_entropy_backward(dloss, *tensors, lse, *ctx.options, *wanted)
    return *(g if needed else None for g, needed in zip(found, needs, strict=True)), *[None] * 9


def _scaled(made: list[Maybe], needs: tuple[bool, ...], dloss: Tensor) -> list[Maybe]:
    """Gradients times that of the loss; in their own memory, after which they are gone from ``made``, where that may be
    done at once."""
    if type(dloss) is not Tensor or torch.compiler.is_compiling() or _transforms_active() or _vmap_level() > 0:
        return [g * dloss if needed and g is not None else None for g, needed in zip(made, needs, strict=True)]
    found = [g if needed else None for g, needed in zip(made, needs, strict=True)]
    made[:] = [None if needed else g for g, needed in zip(made, needs, strict=True)]
    if not (_can_look(dloss) and dloss.item() == 1):
        for g in found:
            if g is not None:
                g.mul_(dloss)
    return found


def _plain(inputs: Sequence[Any], _: Sequence[Tensor]) -> list[Maybe]:
    x, linear_weight, linear_bias, target, weight, reduction, ignore_index, label_smoothing = inputs[:8]
    options = {"reduction": reduction, "ignore_index": ignore_index, "label_smoothing": label_smoothing}
    return [F.cross_entropy(F.linear(x, linear_weight, linear_bias), target, weight=weight, **options), *[None] * 4]


def _plain_backward(inputs: Sequence[Any], _: Sequence[Tensor]) -> list[Maybe]:
    call, wanted, dloss, _lse = logit_blocks.backward_call(inputs)
    tensors = call[:3]
    places = [i for i, t in enumerate(tensors) if t is not None]
    found = differentiate(lambda own: _plain([*own, *call[3:]], ()), tensors, places, (dloss,))
    gradients: list[Maybe] = [None] * 3
    for place, gradient in zip(places, found, strict=True):
        gradients[place] = gradient
    needs = (*wanted, wanted.dweight)
    return [g if needed else None for g, needed in zip(gradients, needs, strict=True)]


register_gradient("linear_cross_entropy", _plain, _backward, _setup)
register_gradient("linear_cross_entropy_backward", _plain_backward)

# Losses are float32, as torch's; products have autocast's dtype where the CPU multiplies it.
for _device in ("cpu", "cuda"):
    follow_autocast("linear_cross_entropy", _device, lambda *_: [torch.float32], by_torch=True)
