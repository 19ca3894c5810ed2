"""A step of a recurrent layer, all of its stack at once, for generation token by token.

    no gradient needed, on the CPU, exact dtypes   one call of the operator, past Python's registrations
    else                                           the layer's forward pass on an input of one step

The operator checks every argument, so Python does not on the way to it: where it refuses, the forward pass says why in
torch's words, or does it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .._checks import check_tensors
from ..functional.cell_step import EXACT, is_plain
from ..functional.elsewhere import in_onnx_export
from .sequences import check_states

_operator = torch.ops.textnn.recurrent_step.default
_below_autograd = torch._C._AutoDispatchBelowAutograd


def take_step(layer: Any, x: Any, state: Any, table: Tensor | None, module: Any) -> Any:
    """Take a step of ``layer`` from x [B, I], or from ids [B] with a table.

    Parameters
    ----------
    layer : Recurrent
    x : Tensor
    state
        As its forward pass takes it.
    table : Tensor [V, I], optional
    module
        ``layer``, or what looks rows up for it. ``module._step_forward(x, state)`` gives outputs and states of a batch
        of one step each, where the operator does not do; with hooks, which may make the weights.

    Returns
    -------
    y, state
    """
    if layer.bidirectional:
        raise ValueError(
            f"{type(layer).__name__}.step: a bidirectional layer reads the whole sequence; call it with all steps"
        )
    if type(x) is not Tensor:  # the others are looked at more closely, which takes half a microsecond
        check_tensors(**{"x" if table is None else "ids": x})
    if x.dim() != (2 if table is None else 1):
        want = "x must have shape [B, I]" if table is None else "ids must have shape [B]"
        raise ValueError(f"{type(layer).__name__}.step: {want}, got {list(x.shape)}")
    if x.dtype is torch.int32:
        x = x.long()
    like = x if table is None else table
    plain = not (_drops(layer) or _hooked(layer) or _hooked(module))
    if plain and like.dtype in EXACT and x.device.type in ("cpu", "meta"):
        if is_plain():
            if (result := _run_operator(layer, x, state, table, like)) is not None:
                return result
        elif torch.compiler.is_compiling() and not (torch.is_autocast_enabled("cpu") or in_onnx_export()):
            weights, states = _weights(layer), check_states(layer, state, x.shape[0], like)
            if not _needs_gradient(like, *states, *weights):
                return _call(layer, x, states, table, weights)
    if state is not None:
        check_states(layer, state, x.shape[0], like)
    return module._step_forward(x, state)


def _run_operator(layer: Any, x: Tensor, state: Any, table: Tensor | None, like: Tensor) -> Any:
    """None where it refuses, or a gradient is needed."""
    pair = layer.has_cell
    if state is None:
        state = check_states(layer, None, x.shape[0], like)
    elif not pair:
        state = (state,)
    elif not isinstance(state, (tuple, list)) or len(state) != 2:
        return None
    weights = _weights(layer)
    if not all(type(s) is Tensor for s in state) or _needs_gradient(like, *state, *weights):
        return None
    try:
        with _below_autograd():
            return _call(layer, x, state, table, weights)
    except RuntimeError:
        return None


def _call(layer: Any, x: Tensor, states: Any, table: Tensor | None, weights: list[Tensor]) -> Any:
    given = (x, None) if table is None else (x, table)
    h, c = states if layer.has_cell else (states[0], None)
    y, h_next, c_next = _operator(layer.mode.lower(), *given, h, c, weights)
    return y, (h_next, c_next) if layer.has_cell else h_next


def _weights(layer: Any) -> list[Tensor]:
    """All weights in the order of the operator."""
    own, names = layer._parameters, layer._flat_weights_names
    try:  # an attribute takes half a microsecond
        return [own[name] for name in names]
    except KeyError:  # of a parametrization
        return [getattr(layer, name) for name in names]


def _needs_gradient(*tensors: Tensor) -> bool:
    return torch.is_grad_enabled() and any(t.requires_grad for t in tensors)


def _hooked(module: Any) -> bool:
    return bool(module._forward_pre_hooks or module._forward_hooks)


def _drops(layer: Any) -> bool:
    return layer.training and (layer.weight_dropout > 0 or (layer.dropout > 0 and layer.num_layers > 1))
