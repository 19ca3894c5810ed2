"""What the layers have in common: a name in ``print(model)`` that tells them from those of torch.nn."""

from __future__ import annotations

from typing import Any, NoReturn

from torch import nn
from torch.fx import Proxy


class Layer(nn.Module):
    """A module that shows itself as ``textnn.LSTM(...)``; a subclass from elsewhere goes by its own name."""

    def _get_name(self) -> str:
        name = super()._get_name()
        return f"textnn.{name}" if type(self).__module__.startswith("textnn.layers.") else name


class Unscriptable(Layer):
    """A layer that ``torch.jit.script`` cannot compile, and says so."""

    def __prepare_scriptable__(self) -> NoReturn:
        refuse_script(type(self).__name__)


def stay_whole(layer: nn.Module, forward: Any, first: Any, *more: Any, **options: Any) -> Any:
    """Return a call of the layer where ``torch.fx.symbolic_trace`` is at work, as for a layer of torch.nn; else None.

    A subclass with a forward pass of its own is traced through.
    """
    if not isinstance(first, Proxy) or type(layer).forward is not forward:
        return None
    given = {name: value for name, value in options.items() if value is not None}
    path = first.tracer.path_of_module(layer)  # type: ignore[attr-defined]
    return first.tracer.create_proxy("call_module", path, (first, *more), given)


def refuse_script(name: str) -> NoReturn:
    """Raise what says how else a layer gets out of Python."""
    raise RuntimeError(
        f"torch.jit.script cannot compile textnn.{name}: take torch.jit.trace(model, example) or "
        "torch.export.export(model, example), or torch.onnx.export for a program without textnn"
    )
