"""What torch's own tools and devices without kernels get in the place of a recurrent layer.

torch.fx.symbolic_trace            a call of the layer, which stays whole as those of torch.nn do
torch.jit.script                   torch.nn's layer, with the same parameters
a device without kernels,          torch.nn's forward pass
torch.onnx.export(dynamo=False),
complex numbers, parameters of a
class that answers torch's calls
"""

from __future__ import annotations

import copy
import warnings
from typing import Any

import torch
from torch import nn
from torch.fx import Proxy
from torch.nn.utils import parametrize
from torch.nn.utils.rnn import PackedSequence

from ..backends import has_kernels
from ..functional.elsewhere import in_onnx_export, warn_of_device
from .base import refuse_script, stay_whole

TORCHS: dict[str, Any] = {"LSTM": nn.LSTM, "GRU": nn.GRU, "RNN_TANH": nn.RNN, "RNN_RELU": nn.RNN}
"""By the ``mode`` of a layer."""


def run_instead(layer: Any, forward: Any, input: Any, hx: Any, **options: Any) -> Any:  # noqa: A002
    """Return what a layer's forward pass returns where others compute it; None where the layer does itself.

    Parameters
    ----------
    layer
        A recurrent layer.
    forward
        The forward pass that asks.
    input, hx
        Of the forward pass.
    options
        Its other arguments.
    """
    if isinstance(input, Proxy):
        usual = {"outputs": True, "return_cells": False}
        given = {name: value for name, value in options.items() if value is not usual.get(name)}
        return stay_whole(layer, forward, input, *([] if hx is None else [hx]), **given)
    packed = isinstance(input, PackedSequence)
    x = input.data if packed else input
    known = has_kernels(x.device)
    if known and not (x.is_complex() or _answers(layer) or (torch.jit.is_tracing() and in_onnx_export())):
        return None
    random = layer.training and (layer.variational or layer.weight_dropout > 0)
    sizes = options.get("lengths"), options.get("offsets")
    if random or options.get("return_cells") or sizes != (None, None) or (not packed and input.is_nested):
        return None  # torch.nn has no such thing: functional.elsewhere
    if not known:
        warn_of_device(x.device)
    y, final = TORCHS[layer.mode].forward(layer, input, hx)
    return (y if options.get("outputs", True) else y.new_zeros(0)), final


def _answers(layer: nn.Module) -> bool:
    """Whether the parameters are of a class that answers calls of torch's functions in their place.

    As ``torch.nn.utils._expanded_weights`` for gradients of each sample: it knows those that torch.nn's layers call.
    """
    kind = type(layer._parameters.get("weight_ih_l0"))
    if kind is nn.Parameter or not issubclass(kind, torch.Tensor):
        return False
    answer = kind.__torch_function__
    if answer is torch._C._disabled_torch_function_impl:
        return False
    return getattr(answer, "__func__", answer) is not torch.Tensor.__torch_function__.__func__  # type: ignore[attr-defined]


def for_script(layer: Any) -> nn.Module:
    """Return torch.nn's layer with the same parameters, for ``torch.jit.script``, which cannot compile this one.

    torch.jit.script puts it into the model, too.
    """
    name = type(layer).__name__
    if parametrize.is_parametrized(layer) or not type(layer).__module__.startswith("textnn.layers."):
        refuse_script(name)
    if layer.variational or layer.weight_dropout:
        refuse_script(f"{name} with {'variational' if layer.variational else 'weight'} dropout")
    return _twin(layer, TORCHS[layer.mode])


def cell_for_script(cell: nn.Module, base: type[nn.Module]) -> nn.Module:
    """Return torch.nn's cell with the same parameters, as :func:`for_script` does for layers."""
    name = type(cell).__name__
    if parametrize.is_parametrized(cell) or not type(cell).__module__.startswith("textnn.layers."):
        refuse_script(name)
    return _twin(cell, base)


def _twin(module: nn.Module, base: type[nn.Module]) -> nn.Module:
    warnings.warn(
        f"torch.jit.script cannot compile textnn.{base.__name__} and takes torch.nn.{base.__name__} with the same "
        "parameters instead, in the model as well: accelerate(model) turns it into textnn's again",
        stacklevel=3,
    )
    twin = copy.copy(module)
    twin.__class__ = base
    return twin


def rebase(module: nn.Module, base: type[nn.Module]) -> None:
    """Give a module another class; a parametrized one keeps what torch.nn.utils.parametrize has added to its class."""
    if not parametrize.is_parametrized(module):
        module.__class__ = base
        return
    own = {name: value for name, value in vars(type(module)).items() if name not in ("__module__", "__doc__")}
    module.__class__ = type(f"Parametrized{base.__name__}", (base,), {**own, "__module__": type(module).__module__})
