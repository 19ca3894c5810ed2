"""accelerate(): give an existing model the fast LSTM without touching its code or its weights."""

from __future__ import annotations

from typing import TypeVar

from torch import nn

from .lstm import LSTM, LSTMCell

M = TypeVar("M", bound=nn.Module)
_REPLACEMENTS: dict[type[nn.Module], type[nn.Module]] = {nn.LSTM: LSTM, nn.LSTMCell: LSTMCell}


def accelerate(module: M) -> M:
    """Turn every ``nn.LSTM`` and ``nn.LSTMCell`` inside a model into textnn's, in place.

    The same module objects stay: parameters, buffers, hooks, optimizers and names keep what they refer to, because only
    the class changes. Subclasses of the two are left alone, since they may rely on the code they override.

    Parameters
    ----------
    module : nn.Module
        A model, or an ``nn.LSTM`` or ``nn.LSTMCell`` itself.

    Returns
    -------
    nn.Module
        The same object.

    Raises
    ------
    TypeError
        If ``module`` is not an ``nn.Module``.
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"module must be an nn.Module, got {type(module).__name__}")
    for part in module.modules():
        replacement = _REPLACEMENTS.get(type(part))
        if replacement is not None:
            part.__class__ = replacement
    return module
