"""The operators of the conditional random field."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.library import register_fake

from .._checks import check_lengths, check_offsets
from ..reference import crf as reference
from .common import Maybe, check_memory, dense, library
from .gradients import differentiate, register_gradient

_ops = torch.ops.textnn


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


# --- crf_log_likelihood ---


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    x, tags, start, end, transitions, sizes, ctx.layout, _ = inputs
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(output[1])
    ctx.save_for_backward(x, tags, start, end, transitions, sizes, output[1])


def _backward(ctx: Any, dy: Maybe, _: Maybe) -> tuple[Maybe, ...]:
    x, tags, start, end, transitions, sizes, alphas = ctx.saved_tensors
    if dy is None:
        return (None,) * 8
    found = _ops.crf_log_likelihood_backward(dy, x, tags, start, end, transitions, sizes, ctx.layout, alphas)
    return found[0], None, *found[1:], None, None, None


def _plain(inputs: Sequence[Any], _: Sequence[Tensor]) -> list[Maybe]:
    x, tags, *scores, sizes, layout, _ = inputs
    batch = _batch(sizes, layout)
    if tags is None:
        return [-reference.crf_log_partition(x, *scores, **batch), None]
    return [reference.crf_log_likelihood(x, tags, *scores, reduction="none", **batch), None]


def _gradients(
    function: Callable[[Sequence[Any]], Sequence[Any]], tensors: Sequence[Tensor], dy: Tensor
) -> list[Tensor]:
    """Of emissions, start, end and transitions; zero where a sentence has none of them."""
    found = differentiate(function, tensors, range(4), (dy,))
    return [torch.zeros_like(t) if g is None else g for t, g in zip(tensors, found, strict=True)]


def _plain_backward(inputs: Sequence[Any], _: Sequence[Tensor]) -> list[Tensor]:
    dy, x, tags, *scores, sizes, layout, _ = inputs
    return _gradients(lambda own: _plain([own[0], tags, *own[1:], sizes, layout, False], ()), [x, *scores], dy)


register_gradient("crf_log_likelihood", _plain, _backward, _setup)
register_gradient("crf_log_likelihood_backward", _plain_backward)


# --- crf_marginals: their gradient comes from the reference, in an operator that torch.compile does not look into ---

library.define(
    "crf_marginals_backward(Tensor dy, Tensor x, Tensor start, Tensor end, Tensor transitions, Tensor? sizes, "
    "str layout) -> (Tensor dx, Tensor dstart, Tensor dend, Tensor dtransitions)"
)


@register_fake("textnn::crf_marginals_backward")
def _(
    dy: Tensor, x: Tensor, start: Tensor, end: Tensor, transitions: Tensor, sizes: Maybe, layout: str
) -> tuple[Tensor, ...]:
    return dense(x), dense(start), dense(end), dense(transitions)


def _marginals_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, sizes, ctx.layout = inputs
    ctx.save_for_backward(*tensors, sizes)


def _marginals_backward(ctx: Any, dy: Tensor) -> tuple[Maybe, ...]:
    *tensors, sizes = ctx.saved_tensors
    if torch.is_grad_enabled():  # create_graph, and the transforms of torch.func
        return *_plain_marginals_backward([dy, *tensors, sizes, ctx.layout], ()), None, None
    return *_ops.crf_marginals_backward(dy, *tensors, sizes, ctx.layout), None, None


def _plain_marginals(inputs: Sequence[Any], _: Sequence[Tensor]) -> list[Tensor]:
    *tensors, sizes, layout = inputs
    return [reference.crf_marginals(*tensors, **_batch(sizes, layout))]


def _plain_marginals_backward(inputs: Sequence[Any], _: Sequence[Tensor]) -> list[Tensor]:
    dy, *tensors, sizes, layout = inputs
    return _gradients(lambda own: _plain_marginals([*own, sizes, layout], ()), tensors, dy)


def _check(dy: Tensor, x: Tensor, sizes: Maybe, layout: str) -> None:
    """Arguments that the operator is given by hand, as the forward operator checks them."""
    if dy.shape != x.shape or dy.dtype != x.dtype:
        raise RuntimeError(f"textnn: dy must be {x.dtype} {list(x.shape)} as x, got {dy.dtype} {list(dy.shape)}")
    if layout not in ("time_major", "batch_major", "flat") or x.dim() != (2 if layout == "flat" else 3):
        raise RuntimeError(f"textnn: layout {layout!r} does not fit x of shape {list(x.shape)}")
    if layout == "flat" and sizes is None:
        raise RuntimeError("textnn: flat emissions need offsets")
    try:
        if sizes is not None and layout == "flat":
            check_offsets(sizes, x.shape[0], None)
        elif sizes is not None:
            B, T = x.shape[:2] if layout == "batch_major" else (x.shape[1], x.shape[0])
            check_lengths(sizes, B, T)
    except (TypeError, ValueError) as error:
        raise RuntimeError(f"textnn: {error}") from None


def _marginals_gradient(dy: Tensor, *arguments: Any) -> tuple[Tensor, ...]:
    *tensors, sizes, layout = arguments
    _check(dy, tensors[0], sizes, layout)
    check_memory(dy=dy, sizes=sizes, **dict(zip(("x", "start", "end", "transitions"), tensors, strict=True)))
    leaves = [t.detach() for t in tensors]
    return tuple(g.detach().contiguous() for g in _plain_marginals_backward([dy, *leaves, sizes, layout], ()))


library.impl("crf_marginals_backward", _marginals_gradient, "CompositeExplicitAutograd")
register_gradient("crf_marginals", _plain_marginals, _marginals_backward, _marginals_setup)
