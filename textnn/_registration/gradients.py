"""Derivatives of the operators: of any order, in both modes, and under ``torch.func``.

    first derivatives          the compiled backward operator, at the cost of two calls from Python
    those of the backward
    operators, and any higher  autograd through ``plain``, a form of the operator in torch's own operations
    forward mode               `plain` at once
    vmap                       one call of the operator for each element, results stacked

`plain(inputs, outputs)` gets what the operator got and what it gave, such as the windows of maxima, and returns its
results once more, differentiably; None for those that have no derivative.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._functorch.autograd_function import VmapInfo
from torch.autograd import forward_ad
from torch.autograd.function import _SingleLevelFunction

from .common import library

Plain = Callable[[Sequence[Any], Sequence[Any]], Sequence[Any]]
_transforms_active = torch._C._are_functorch_transforms_active


def _any_requires_grad(*arguments: Any) -> bool:
    return any(isinstance(a, Tensor) and a.requires_grad for a in _spread(arguments)[0])


_any_requires_grad = getattr(torch._C, "_any_requires_grad", _any_requires_grad)  # in C++, for a third of the time


def register_gradient(
    name: str,
    plain: Plain,
    backward: Callable[..., tuple[Any, ...]] | None = None,
    setup_context: Callable[..., None] | None = None,
) -> None:
    """Do what ``torch.library.register_autograd`` does, for every transform; without ``backward`` through ``plain``.

    `backward` returns gradients of all inputs, lists among them unpacked. An argument ``save`` is set where a gradient
    will be needed, which the caller cannot always see.

    Torch's own looks every argument up in the schema again, at a cost that grows with the square of their number: 0.13
    ms at each call of an operator with 22.
    """
    op = getattr(torch.ops.textnn, name).default
    schema = op._schema.arguments
    saved = next((i for i, argument in enumerate(schema) if argument.name == "save"), None)
    count, defaults = len(schema), [argument.default_value for argument in schema if argument.has_default_value()]
    lists = any(str(argument.type) == "List[Tensor]" for argument in schema)
    single = len(op._schema.returns) == 1

    def completed(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        """Arguments with the last ones, which torch leaves out where they are as the schema has them."""
        return arguments if len(arguments) == count else (*arguments, *defaults[len(arguments) - count :])

    def call(arguments: Sequence[Any], keyset: Any) -> Any:
        with torch._C._AutoDispatchBelowAutograd():
            return op.redispatch(keyset & torch._C._after_autograd_keyset, *arguments)

    def forward(ctx: Any, *arguments: Any) -> Any:
        *inputs, (keyset, counts) = arguments
        given = _gather(inputs, counts) if lists else inputs
        if _transforms_active():  # the levels below have gradients of their own
            with torch.enable_grad(), forward_ad._set_fwd_grad_enabled(True):
                output = call(given, keyset)
        else:
            output = call(given, keyset)
        if setup_context is not None:
            setup_context(ctx, given, output)
        else:
            _save_all(ctx, inputs, counts, (output,) if single else output)
        return output

    def backward_of_all(ctx: Any, *gradients: Any) -> Any:
        found = _through(plain, ctx, gradients) if backward is None else backward(ctx, *gradients)
        return *found, None

    functions = {"forward": staticmethod(forward), "backward": staticmethod(backward_of_all)}
    gradient: Any = type(f"{name}_gradient", (_SingleLevelFunction,), functions)

    def run(keyset: Any, *arguments: Any) -> Any:
        if forward_ad._current_level >= 0 and any(map(_has_tangent, _spread(arguments)[0])):
            return _forward_mode(plain, call(_saving(arguments, saved), keyset), completed(arguments), single)
        if not (torch.is_grad_enabled() and _any_requires_grad(*arguments)):
            return call(arguments, keyset)
        arguments = completed(arguments)
        if saved is not None and not arguments[saved]:
            arguments = _saving(arguments, saved)
        flat, counts = _spread(arguments) if lists else (arguments, None)
        if not _transforms_active():
            return gradient.apply(*flat, (keyset, counts))
        # One level of transforms asks for its own gradients here; the others are below.
        before = torch._C._functorch.get_single_level_autograd_function_allowed()
        torch._C._functorch.set_single_level_autograd_function_allowed(True)
        try:
            return gradient.apply(*flat, (keyset, counts))
        finally:
            torch._C._functorch.set_single_level_autograd_function_allowed(before)

    library.impl(name, run, "Autograd", with_keyset=True)


def register_vmap(name: str) -> None:
    """Make ``torch.func.vmap`` call an operator once for each element, all with results of one size (not ``exact``)."""
    op = getattr(torch.ops.textnn, name).default
    exact = [argument.name == "exact" for argument in op._schema.arguments]

    def rule(info: Any, in_dims: tuple[Any, ...], *arguments: Any) -> tuple[Any, Any]:
        empty = info.batch_size == 0
        if any(exact):
            arguments = tuple(False if sizes else a for a, sizes in zip(arguments, exact, strict=False))
        results = [op(*_element(arguments, in_dims, None if empty else i)) for i in range(max(1, info.batch_size))]
        if isinstance(results[0], Tensor):
            return _stack(results, empty), 0
        return tuple(_stack(r, empty) for r in zip(*results, strict=True)), (0,) * len(results[0])

    def old_rule(_: Any, *arguments: Any) -> Any:
        level = _vmap_level()
        flat, counts = _spread(arguments)
        flat = [torch._remove_batch_dim(a, level, 1, 0) if isinstance(a, Tensor) else a for a in flat]
        size = max(a.shape[0] for a in flat if isinstance(a, Tensor))
        dims = [(0 if a.shape[0] == size else None) if isinstance(a, Tensor) else None for a in flat]
        flat = [a[0] if isinstance(a, Tensor) and d is None else a for a, d in zip(flat, dims, strict=True)]
        outputs, _ = rule(VmapInfo(size, "error"), tuple(_gather(dims, counts)), *_gather(flat, counts))
        if isinstance(outputs, Tensor):
            return torch._add_batch_dim(outputs, 0, level)
        return tuple(torch._add_batch_dim(o, 0, level) for o in outputs)

    torch.library.register_vmap(f"textnn::{name}", rule, lib=library)
    library.impl(name, old_rule, "Batched", with_keyset=True)  # of autograd.grad(is_grads_batched=True)


def _vmap_level() -> int:
    """How many of autograd's own vmaps, which came before torch.func's, are running."""
    torch._C._vmapmode_increment_nesting()
    return torch._C._vmapmode_decrement_nesting()


def _element(arguments: Any, in_dims: Any, i: int | None) -> Any:
    """Arguments of element i; zeros of their shape where there is none."""
    if isinstance(arguments, (list, tuple)):
        dims = in_dims if isinstance(in_dims, (list, tuple)) else [in_dims] * len(arguments)
        return [_element(a, d, i) for a, d in zip(arguments, dims, strict=True)]
    if in_dims is None:
        return arguments
    if i is not None:
        return arguments.select(in_dims, i)
    return arguments.new_zeros(*arguments.shape[:in_dims], *arguments.shape[in_dims + 1 :])


def _stack(results: Sequence[Tensor], empty: bool) -> Tensor:
    return results[0].new_empty(0, *results[0].shape) if empty else torch.stack(list(results))


def differentiate(
    function: Callable[[Sequence[Any]], Sequence[Any]], inputs: Sequence[Any], places: Sequence[int], gradients: Any
) -> list[Any]:
    """Return gradients of ``function(inputs)`` for the inputs at these places, None where they do not count.

    They are differentiable themselves where gradients are enabled, and carry on the tangents of forward mode.
    """
    again = torch.is_grad_enabled()
    device = next(t for t in inputs if isinstance(t, Tensor)).device.type
    known = torch.amp.is_autocast_available(device)  # not of the meta device
    with torch.enable_grad(), torch.autocast(device, enabled=False) if known else contextlib.nullcontext():
        own = list(inputs)
        for place in places:
            own[place] = _beginning(inputs[place])
        pairs = zip(function(own), gradients, strict=False)
        given = [(result, g) for result, g in pairs if g is not None and result is not None and result.requires_grad]
        if not given or not places:
            return [None] * len(places)
        results, starts = [result for result, _ in given], [own[place] for place in places]
        ends = [g for _, g in given]
        return list(torch.autograd.grad(results, starts, ends, create_graph=again, allow_unused=True))


def through(function: Callable[..., Sequence[Any]], inputs: Sequence[Any], gradients: Sequence[Any]) -> tuple[Any, ...]:
    """Return gradients of ``function(*inputs)`` for all inputs, None for those that need none."""
    places = [i for i, t in enumerate(inputs) if isinstance(t, Tensor) and t.requires_grad]
    found: list[Any] = [None] * len(inputs)
    for place, g in zip(places, differentiate(lambda own: function(*own), inputs, places, gradients), strict=True):
        found[place] = g
    return tuple(found)


def _beginning(t: Tensor) -> Tensor:
    """Return t as where a graph begins: what is made from it does not lead back to what t was made from."""
    own = t.view_as(t)
    if own.requires_grad:
        return own
    functorch = torch._C._functorch
    before = functorch.get_inplace_requires_grad_allowed()
    functorch.set_inplace_requires_grad_allowed(True)
    try:
        return own.requires_grad_()
    finally:
        functorch.set_inplace_requires_grad_allowed(before)


def dense_gradients() -> bool:
    """Whether gradients have to be dense: transforms other than ``torch.func.grad`` and ``vjp`` take no sparse ones."""
    if forward_ad._current_level >= 0 or _vmap_level() > 0:
        return True
    levels = torch._C._functorch.get_interpreter_stack() if _transforms_active() else None
    return any(level.key() != torch._C._functorch.TransformType.Grad for level in levels or ())


def _has_tangent(t: Any) -> bool:
    return isinstance(t, Tensor) and t.is_floating_point() and torch._VF._unpack_dual(t, level=0)[1] is not None


def _forward_mode(plain: Plain, output: Any, arguments: Sequence[Any], single: bool) -> Any:
    outputs = (output,) if single else output
    wanted = _transforms_active() or _any_requires_grad(*arguments)
    with torch.set_grad_enabled(wanted and torch.is_grad_enabled()):
        found = plain(arguments, outputs)
    results = [o if r is None else r for r, o in zip(found, outputs, strict=True)]
    return results[0] if single else tuple(results)


def _saving(arguments: tuple[Any, ...], saved: int | None) -> tuple[Any, ...]:
    return arguments if saved is None else (*arguments[:saved], True, *arguments[saved + 1 :])


def _save_all(ctx: Any, inputs: Sequence[Any], counts: Any, outputs: Sequence[Tensor]) -> None:
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*(a if isinstance(a, Tensor) else None for a in inputs), *outputs)
    ctx.others, ctx.counts = [None if isinstance(a, Tensor) else a for a in inputs], counts


def _through(plain: Plain, ctx: Any, gradients: Sequence[Any]) -> list[Any]:
    """Gradients of all inputs by autograd through ``plain``."""
    count = len(ctx.others)
    saved, outputs = ctx.saved_tensors[:count], ctx.saved_tensors[count:]
    inputs = [other if t is None else t for t, other in zip(saved, ctx.others, strict=True)]
    places = [i for i, t in enumerate(saved) if t is not None and ctx.needs_input_grad[i]]

    def function(own: Sequence[Any]) -> Sequence[Any]:
        return plain(own if ctx.counts is None else _gather(own, ctx.counts), outputs)

    found: list[Any] = [None] * count
    for place, gradient in zip(places, differentiate(function, inputs, places, gradients), strict=True):
        found[place] = gradient
    return found


def _spread(arguments: Sequence[Any]) -> tuple[Sequence[Any], list[int | None]]:
    """Arguments with lists unpacked, and the lengths of the lists."""
    flat: list[Any] = []
    counts: list[int | None] = []
    for a in arguments:
        is_list = isinstance(a, (list, tuple))
        flat.extend(a) if is_list else flat.append(a)
        counts.append(len(a) if is_list else None)
    return flat, counts


def _gather(flat: Sequence[Any], counts: Sequence[int | None]) -> list[Any]:
    """Arguments as they were before :func:`_spread`."""
    arguments: list[Any] = []
    at = 0
    for count in counts:
        arguments.append(flat[at] if count is None else list(flat[at : at + count]))
        at += 1 if count is None else count
    return arguments
