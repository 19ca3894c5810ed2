"""What the recurrent layers take, and how it becomes a ragged batch: the one place for live and for frozen layers.

padded [T, B, I] or [B, T, I], with lengths  --+
unbatched [T, I]                               |
PackedSequence                                 +-- take_apart --> Sequences: data, states, sizes --> the layers
flat [N, I] with offsets                       |                                                        |
a jagged nested tensor                       --+        the form of the input  <-- Sequences.restore  <-+
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, cast

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from ..functional.sizes import Sizes, size_tensors

States = tuple[Tensor, ...]
"""h, or h and c, each [layers * directions, B, ...]."""


class RecurrentSizes(Protocol):
    """What is asked of a layer here."""

    input_size: int
    hidden_size: int
    num_layers: int
    batch_first: bool
    bidirectional: bool
    proj_size: int

    @property
    def has_cell(self) -> bool:
        """Whether its states are h and c, or h alone."""


class Sequences(NamedTuple):
    """A batch as the functions of :mod:`textnn.functional` take it.

    Attributes
    ----------
    data
        The input.
    states
        Initial states of all layers and directions.
    sizes
        What says how long the sequences are: keyword arguments of the functions.
    restore
        Gives outputs and final states the form of the input. Without outputs the first is an empty tensor.
    form
        Gives other vectors of all steps, such as cell states, the form that outputs have.
    """

    data: Tensor
    states: States
    sizes: dict[str, Any]
    restore: Callable[[Tensor, States], tuple[Any, Any]]
    form: Callable[[Tensor], Any] = lambda steps: steps


def take_apart(
    layer: RecurrentSizes,
    input: Any,  # noqa: A002
    hx: Any,
    lengths: Sizes | None,
    offsets: Sizes | None,
    outputs: bool,
    weight: Tensor | None,
) -> Sequences:
    """Check an input as torch.nn's layers do, and say how it becomes a ragged batch.

    Parameters
    ----------
    layer
        Whose input it is.
    input, hx, lengths, offsets, outputs
        Of its ``forward``.
    weight
        One of its weights, whose dtype and device the input has to have; None if any will do.

    Raises
    ------
    ValueError, RuntimeError
        As torch.nn's layers do; ValueError for lengths or offsets that do not fit.
    """
    lengths, offsets = size_tensors(lengths, offsets)
    if isinstance(input, PackedSequence):
        _refuse_sizes("a PackedSequence", lengths, offsets)
        return _packed(layer, input, hx, outputs, weight)
    if input.is_nested:
        _refuse_sizes("a nested tensor", lengths, offsets)
        return _nested(layer, input, hx, outputs, weight)
    if offsets is not None:
        if lengths is not None:
            raise ValueError("at most one of lengths and offsets may be given, got both")
        return _flat(layer, input, hx, offsets, weight)
    if input.dim() not in (2, 3):
        raise ValueError(f"{_name(layer)}: Expected input to be 2D or 3D, got {input.dim()}D instead")
    if input.dim() == 2:
        if lengths is not None:
            raise ValueError("lengths need a batch: unbatched input [T, I] has no padding")
        return _unbatched(layer, input, hx, outputs, weight)
    _check_dims(layer, hx, 3)
    check_input(layer, input, 3, weight)
    time, batch = (1, 0) if layer.batch_first else (0, 1)
    states = check_states(layer, hx, input.shape[batch], input)
    if input.shape[time] == 0:
        raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
    return Sequences(input, states, {"lengths": lengths, "batch_first": layer.batch_first}, _as_it_is(layer))


def take_ids(
    layer: RecurrentSizes,
    ids: Tensor,
    hx: Any,
    lengths: Sizes | None,
    offsets: Sizes | None,
    outputs: bool,
    like: Tensor,
) -> Sequences:
    """Check token ids, [B, L], [N] with offsets or a jagged nested tensor, and say how they become a ragged batch.

    Parameters
    ----------
    layer
        What runs on the vectors of the ids.
    ids, hx, lengths, offsets, outputs
        Of a layer's ``forward``.
    like
        Has the dtype and the device of states that are not given.

    Raises
    ------
    ValueError
        If ids have another number of dimensions.
    RuntimeError
        If the states have another size.
    """
    forms: dict[str, Any] = {"restore": _as_it_is(layer)}
    if ids.is_nested:
        forms = {"form": _as_nested(ids), "restore": _restoring(layer, _as_nested(ids), outputs)}
        ids, lengths, offsets = as_flat(ids, lengths, offsets)
    lengths, offsets = size_tensors(lengths, offsets)
    if ids.dim() != (2 if offsets is None else 1):
        raise ValueError(f"ids must have shape [B, L], or [N] with offsets, got {list(ids.shape)}")
    _check_device("ids", ids, like, "the layer")
    states = check_states(layer, hx, ids.shape[0] if offsets is None else offsets.shape[0], like)
    return Sequences(ids, states, {"lengths": lengths, "offsets": offsets, "batch_first": True}, **forms)


def check_input(layer: RecurrentSizes, x: Tensor, dims: int, weight: Tensor | None) -> None:
    """Raise what torch.nn's layers do of an input with another dtype, shape or device."""
    if weight is not None and x.dtype != weight.dtype and not torch._C._is_any_autocast_enabled():
        raise ValueError(
            f"RNN input dtype ({x.dtype}) does not match weight dtype ({weight.dtype}). "
            f"Convert input: input.to({weight.dtype}), or convert model: model.to({x.dtype})"
        )
    if x.dim() != dims:
        raise RuntimeError(f"input must have {dims} dimensions, got {x.dim()}")
    if x.shape[-1] != layer.input_size:
        raise RuntimeError(
            f"input.size(-1) must be equal to input_size. Expected {layer.input_size}, got {x.shape[-1]}"
        )
    if weight is not None:
        _check_device("input", x, weight, "the layer")


def check_states(layer: RecurrentSizes, hx: Any, B: int, like: Tensor) -> States:
    """Return the initial states of B sequences, checked as torch.nn's layers do, or zeros of the dtype of ``like``."""
    count = layer.num_layers * (2 if layer.bidirectional else 1)
    sizes = [(count, B, layer.proj_size or layer.hidden_size)] + [(count, B, layer.hidden_size)] * layer.has_cell
    if hx is None:
        return tuple(like.new_zeros(size) for size in sizes)
    if layer.has_cell and (isinstance(hx, Tensor) or len(hx) != 2):
        came, error = ("one tensor", TypeError) if isinstance(hx, Tensor) else (f"{len(hx)} of them", RuntimeError)
        raise error(f"{_name(layer)} expects two hidden states, h and c, got {came}")
    states = cast(States, tuple(hx) if layer.has_cell else (hx,))
    for number, (state, size) in enumerate(zip(states, sizes, strict=True)):
        if state.shape != size:
            name = f"hidden[{number}]" if layer.has_cell else "hidden"
            raise RuntimeError(f"Expected {name} size {size}, got {list(state.shape)}")
        _check_device(("h0", "c0")[number] if layer.has_cell else "h0", state, like, "the input")
    return states


def _check_device(name: str, t: Tensor, like: Tensor, whose: str) -> None:
    if t.device != like.device:
        raise RuntimeError(f"{name} must be on the device of {whose}, {like.device}, got {t.device}")


def _packed(layer: RecurrentSizes, packed: PackedSequence, hx: Any, outputs: bool, weight: Tensor | None) -> Sequences:
    data, batch_sizes, order, back = packed
    check_input(layer, data, 2, weight)
    # Of B sequences, not of so many tokens.
    B: Any = batch_sizes[0] if torch.jit.is_tracing() else int(batch_sizes[0])
    states = check_states(layer, hx, B, data)
    states = _permuted(states, order) if hx is not None else states

    def form(steps: Tensor) -> PackedSequence:
        return PackedSequence(steps, batch_sizes, order, back)

    def restore(y: Tensor, final: States) -> tuple[Any, Any]:
        return _restoring(layer, form, outputs)(y, _permuted(final, back))

    return Sequences(data, states, {"batch_sizes": batch_sizes}, restore, form)


def _nested(layer: RecurrentSizes, nested: Tensor, hx: Any, outputs: bool, weight: Tensor | None) -> Sequences:
    data, starts = take_nested(nested)
    flat = _flat(layer, data, hx, starts, weight)
    form = _as_nested(nested)
    return flat._replace(restore=_restoring(layer, form, outputs), form=form)


def _as_nested(nested: Tensor) -> Callable[[Tensor], Any]:
    return lambda steps: torch.nested.nested_tensor_from_jagged(steps, cast(Any, nested).offsets())


def _restoring(
    layer: RecurrentSizes, form: Callable[[Tensor], Any], outputs: bool
) -> Callable[[Tensor, States], tuple[Any, Any]]:
    """Sequences.restore, where outputs get a form and final states none."""
    return lambda y, final: _as_it_is(layer)(form(y) if outputs else y, final)


def as_flat(x: Tensor, lengths: Sizes | None, offsets: Sizes | None) -> tuple[Tensor, Sizes | None, Sizes | None]:
    """Return a batch with its lengths and offsets; of a jagged nested tensor as a flat one."""
    if not x.is_nested:
        return x, lengths, offsets
    if lengths is not None or offsets is not None:
        raise ValueError("a nested tensor has its own lengths: lengths and offsets must be None")
    values, starts = take_nested(x)
    return values, None, starts


def take_nested(nested: Tensor) -> tuple[Tensor, Tensor]:
    """Return the values [N, ...] of a jagged nested tensor, and where each of its sequences begins.

    Raises
    ------
    ValueError
        For another layout, another ragged dimension than the second, or sequences with gaps between them.
    """
    if nested.layout != torch.jagged:
        raise ValueError(
            f"a nested tensor must have the layout torch.jagged, got {nested.layout}: "
            "torch.nested.nested_tensor(..., layout=torch.jagged)"
        )
    if nested._ragged_idx != 1 or nested.lengths() is not None:  # type: ignore[attr-defined]
        raise ValueError("a nested tensor must be ragged in its second dimension and without gaps: nested.contiguous()")
    values, offsets = nested.values(), cast(Any, nested).offsets()
    # Torch does not check the end; the last sequence would get whatever stands behind it.
    if offsets.device.type == "cpu" and not torch.compiler.is_compiling() and int(offsets[-1]) != values.shape[0]:
        raise ValueError(f"the offsets of a nested tensor must end with its {values.shape[0]} rows, got {offsets[-1]}")
    return values, offsets[:-1]


def _flat(layer: RecurrentSizes, x: Tensor, hx: Any, offsets: Tensor, weight: Tensor | None) -> Sequences:
    check_input(layer, x, 2, weight)
    return Sequences(x, check_states(layer, hx, offsets.shape[0], x), {"offsets": offsets}, _as_it_is(layer))


def _unbatched(layer: RecurrentSizes, x: Tensor, hx: Any, outputs: bool, weight: Tensor | None) -> Sequences:
    _check_dims(layer, hx, 2)
    if hx is not None:
        hx = tuple(state.unsqueeze(1) for state in hx) if layer.has_cell else hx.unsqueeze(1)
    batch = 0 if layer.batch_first else 1
    one = take_apart(layer, x.unsqueeze(batch), hx, None, None, outputs, weight)

    def form(steps: Tensor) -> Tensor:
        return steps.squeeze(batch)

    def restore(y: Tensor, final: States) -> tuple[Any, Any]:
        return _restoring(layer, form, outputs)(y, tuple(state.squeeze(1) for state in final))

    return one._replace(restore=restore, form=form)


def _as_it_is(layer: RecurrentSizes) -> Callable[[Tensor, States], tuple[Any, Any]]:
    return lambda y, final: (y, final if layer.has_cell else final[0])


def _permuted(states: States, order: Tensor | None) -> States:
    return states if order is None else tuple(state.index_select(1, order) for state in states)


def _check_dims(layer: RecurrentSizes, hx: Any, dims: int) -> None:
    """Raise as torch.nn's layers do unless given states have so many dimensions."""
    if hx is None:
        return
    batched, wanted = "batched" if dims == 3 else "unbatched", f"{dims}-D"
    if layer.has_cell:
        if hx[0].dim() != dims or hx[1].dim() != dims:
            raise RuntimeError(
                f"For {batched} {wanted} input, hx and cx should also be {wanted} "
                f"but got ({hx[0].dim()}-D, {hx[1].dim()}-D) tensors"
            )
    elif hx.dim() != dims:
        raise RuntimeError(f"For {batched} {wanted} input, hx should also be {wanted} but got {hx.dim()}-D tensor")


def _refuse_sizes(what: str, lengths: Tensor | None, offsets: Tensor | None) -> None:
    if lengths is not None or offsets is not None:
        raise ValueError(f"{what} has its own lengths: lengths and offsets must be None")


def _name(layer: RecurrentSizes) -> str:
    return type(layer).__name__.removeprefix("Frozen")
