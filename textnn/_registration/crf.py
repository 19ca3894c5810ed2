"""The operators of the conditional random field."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.library import register_autograd, register_fake

from ..reference import crf as reference
from .common import Maybe, _library, dense, once, register_gradient

_ops = torch.ops.textnn
_gradients = _ops.crf_log_likelihood_backward.default


def _count(x: Tensor, sizes: Maybe, layout: str) -> Any:
    if layout == "flat":
        assert sizes is not None
        return sizes.shape[0]
    return x.shape[0 if layout == "batch_major" else 1]


@register_fake("textnn::crf_log_likelihood")
def _(
    x: Tensor, tags: Maybe, start: Tensor, end: Tensor, transitions: Tensor, sizes: Maybe, layout: str, save: bool
) -> tuple[Tensor, Tensor]:
    return x.new_empty(_count(x, sizes, layout)), dense(x) if save else x.new_empty(0)


@register_fake("textnn::crf_log_likelihood_backward")
def _(
    dy: Tensor,
    x: Tensor,
    tags: Maybe,
    start: Tensor,
    end: Tensor,
    transitions: Tensor,
    sizes: Maybe,
    layout: str,
    alphas: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return dense(x), dense(start), dense(end), dense(transitions)


@register_fake("textnn::crf_marginals")
def _(x: Tensor, start: Tensor, end: Tensor, transitions: Tensor, sizes: Maybe, layout: str) -> Tensor:
    return dense(x)


@register_fake("textnn::crf_decode")
def _(
    x: Tensor, start: Tensor, end: Tensor, transitions: Tensor, sizes: Maybe, layout: str, n_best: int
) -> tuple[Tensor, Tensor]:
    tags = x.new_empty(n_best, *x.shape[:-1], dtype=torch.int64)
    return tags, x.new_empty(n_best, _count(x, sizes, layout))


def _batch(sizes: Maybe, layout: str) -> dict[str, Any]:
    if layout == "flat":
        return {"offsets": sizes}
    return {"lengths": sizes, "batch_first": layout == "batch_major"}


def _through_reference(
    function: Callable[..., Tensor], inputs: tuple[Tensor, ...], gradient: Tensor
) -> tuple[Tensor | None, ...]:
    """The gradients of the inputs by autograd through the reference; they can be differentiated again."""
    more = torch.is_grad_enabled()
    with torch.enable_grad():
        again = [t if t.requires_grad else t.detach().requires_grad_() for t in inputs]
        result = function(*again)
        if not result.requires_grad:
            return (None,) * len(inputs)
        return torch.autograd.grad(
            result, again, gradient, create_graph=more, allow_unused=True, materialize_grads=True
        )


def _negative_log_z(x: Tensor, start: Tensor, end: Tensor, transitions: Tensor, batch: dict[str, Any]) -> Tensor:
    return -reference.crf_log_partition(x, start, end, transitions, **batch)


# --- crf_log_likelihood ---


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    x, tags, start, end, transitions, sizes, ctx.layout, _ = inputs
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(output[1])
    ctx.save_for_backward(x, tags, start, end, transitions, sizes, output[1])


def _backward(ctx: Any, dy: Maybe, _: Maybe) -> tuple[Any, ...]:
    x, tags, start, end, transitions, sizes, alphas = ctx.saved_tensors
    if dy is None:
        return (None,) * 8
    if torch.is_grad_enabled():  # create_graph
        batch = _batch(sizes, ctx.layout)

        def function(x: Tensor, start: Tensor, end: Tensor, transitions: Tensor) -> Tensor:
            if tags is None:
                return _negative_log_z(x, start, end, transitions, batch)
            return reference.crf_log_likelihood(x, tags, start, end, transitions, reduction="none", **batch)

        dx, *rest = _through_reference(function, (x, start, end, transitions), dy)
    else:
        with torch._C._AutoDispatchBelowAutograd():  # saves the detour through once()
            dx, *rest = _gradients(dy, x, tags, start, end, transitions, sizes, ctx.layout, alphas)
    return dx, None, *rest, None, None, None


register_gradient("crf_log_likelihood", _backward, _setup)
once("crf_log_likelihood_backward")


# --- crf_marginals: their gradient comes from the reference, in an operator that torch.compile does not look into ---

_library.define(
    "crf_marginals_backward(Tensor dy, Tensor x, Tensor start, Tensor end, Tensor transitions, Tensor? sizes, "
    "str layout) -> (Tensor dx, Tensor dstart, Tensor dend, Tensor dtransitions)"
)


@register_fake("textnn::crf_marginals_backward")
def _(
    dy: Tensor, x: Tensor, start: Tensor, end: Tensor, transitions: Tensor, sizes: Maybe, layout: str
) -> tuple[Tensor, ...]:
    return dense(x), dense(start), dense(end), dense(transitions)


def _marginals_gradient(dy: Tensor, *arguments: Any) -> tuple[Tensor, ...]:
    *tensors, sizes, layout = arguments
    batch = _batch(sizes, layout)
    leaves = tuple(t.detach() for t in tensors)
    found = _through_reference(lambda *scores: reference.crf_marginals(*scores, **batch), leaves, dy)
    return tuple(dense(t).zero_() if g is None else g.contiguous() for t, g in zip(tensors, found, strict=True))


_library.impl("crf_marginals_backward", _marginals_gradient, "CompositeExplicitAutograd")


def _marginals_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, sizes, ctx.layout = inputs
    ctx.save_for_backward(*tensors, sizes)


def _marginals_backward(ctx: Any, dy: Tensor) -> tuple[Any, ...]:
    *tensors, sizes = ctx.saved_tensors
    if torch.is_grad_enabled():  # create_graph
        batch = _batch(sizes, ctx.layout)
        found = _through_reference(lambda *scores: reference.crf_marginals(*scores, **batch), tuple(tensors), dy)
    else:
        found = _ops.crf_marginals_backward(dy, *tensors, sizes, ctx.layout)
    return *found, None, None


register_autograd("textnn::crf_marginals", _marginals_backward, setup_context=_marginals_setup)
