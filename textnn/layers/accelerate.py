"""accelerate(): give an existing model the fast recurrent layers without touching its code or its weights."""

from __future__ import annotations

import warnings
from typing import TypeVar

from torch import nn
from torch.nn.utils.parametrize import type_before_parametrizations

from .cells import GRUCell, LSTMCell, RNNCell
from .plain import rebase
from .recurrent import GRU, LSTM, RNN

M = TypeVar("M", bound=nn.Module)
_REPLACEMENTS: dict[type[nn.Module], type[nn.Module]] = {
    nn.LSTM: LSTM,
    nn.GRU: GRU,
    nn.RNN: RNN,
    nn.LSTMCell: LSTMCell,
    nn.GRUCell: GRUCell,
    nn.RNNCell: RNNCell,
}
_NAMED = 10  # modules that a warning names


def accelerate(module: M) -> M:
    """Turn every recurrent layer of torch inside a model into textnn's, in place.

    Those are ``nn.LSTM``, ``nn.GRU``, ``nn.RNN``, ``nn.LSTMCell``, ``nn.GRUCell`` and ``nn.RNNCell``.
    The same module objects stay: parameters, buffers, hooks, optimizers and names keep what they refer to, because only
    the class changes, which ``print(model)`` shows: ``textnn.LSTM(128, 128)``. All options are supported, ``proj_size``
    and ``bidirectional`` among them. Layers with parametrizations (``torch.nn.utils.parametrizations``) or pruned ones
    keep these. Subclasses of the six are left alone, since they may rely on the code they override; so are all other
    modules. ``nn.RNNCell`` keeps torch's own kernels and changes its name only.
    On a device without kernels (:func:`textnn.backends.has_kernels`) the layers run torch's own, and a warning says so.
    :func:`textnn.export.to_torch_nn` undoes it in a copy.

    Parameters
    ----------
    module : nn.Module
        A model, or such a layer itself.

    Returns
    -------
    nn.Module
        The same object.

    Raises
    ------
    TypeError
        If ``module`` is not an ``nn.Module``.

    Warns
    -----
    UserWarning
        Naming the subclasses of torch's recurrent layers that were left as they are; or if there was nothing to
        replace, and none of textnn's layers either, which an earlier call may have made.

    Notes
    -----
    What works with torch's layers works with these: ``torch.compile``, ``torch.export``, ``torch.onnx.export``,
    ``torch.jit.trace``, ``torch.fx``, the meta device, ``functional_call``, copies, files, pruning, checkpoints of
    activations, replicas. Complex numbers and ``torch.nn.utils._expanded_weights`` (gradients of each sample) run
    torch's own operators. A few tools look for the classes of torch.nn by name, and need another way:

    - ``isinstance(layer, nn.LSTM)`` is False: ask for ``nn.RNNBase``. Initialise weights by such a test before.
    - ``torch.ao.quantization.quantize_dynamic`` leaves the layers as they are: quantize before, which accelerate then
      leaves alone, or take :meth:`textnn.LSTM.freeze`.
    - ``torch.jit.script`` puts torch's layer with the same parameters in the place of each, in the model as well, and
      warns of it; accelerate again afterwards. Take ``torch.jit.trace`` or ``torch.export`` to keep the kernels.
    - ``torch.onnx.export`` takes padded batches, with ``lengths`` or without; neither ``offsets`` nor packed ones.
    - ``torch.utils.flop_counter.FlopCounterMode`` knows torch's operators alone: count before.
    - Wrappers that derive a class from that of a module, as ``torch.distributed.fsdp.fully_shard`` does, make a
      subclass: accelerate before.

    Examples
    --------
    >>> model = torch.nn.ModuleDict({"lstm": torch.nn.LSTM(4, 3)})
    >>> textnn.accelerate(model)["lstm"]
    textnn.LSTM(4, 3)
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"module must be an nn.Module, got {type(module).__name__}")
    left, found = [], False
    for name, part in module.named_modules():
        replacement = _REPLACEMENTS.get(type_before_parametrizations(part))
        if replacement is not None:
            rebase(part, replacement)
        elif isinstance(part, tuple(_REPLACEMENTS)) and not isinstance(part, tuple(_REPLACEMENTS.values())):
            left.append(f"{name or 'the module itself'} ({type(part).__name__})")
        found = found or isinstance(part, tuple(_REPLACEMENTS.values()))
    if left:
        names = ", ".join(left[:_NAMED]) + (f" and {len(left) - _NAMED} more" if len(left) > _NAMED else "")
        warnings.warn(
            f"accelerate left {names} as {'it is' if len(left) == 1 else 'they are'}: a subclass of a "
            f"recurrent layer may rely on the code it overrides{'' if found else '; nothing was replaced'}",
            stacklevel=2,
        )
    elif not found:
        warnings.warn(
            f"accelerate replaced nothing: {type(module).__name__} has no recurrent layer of torch.nn", stacklevel=2
        )
    return module
