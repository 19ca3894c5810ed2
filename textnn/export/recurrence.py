"""nn.LSTM, GRU and RNN as exporters understand them, for any number of steps, each sequence to its own end.

    called by a user        the layer itself; with lengths, on a PackedSequence
    torch.onnx.export       the LSTM, GRU or RNN of ONNX, which takes lengths and both directions
    export_program          aten.lstm, .. for each layer and direction; backwards from each sequence's own end

torch.export would run such a layer on tensors without values, step by step, and so fix the number of steps. In its
stead it meets an operator of the same arguments that is defined here; in the finished program, torch's own takes its
place.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from textnn.functional.elsewhere import run_onnx

States = tuple[Tensor, ...]
"""h, or h and c of an LSTM, each [layers * directions, B, ..]."""

Results = tuple[Tensor, tuple[Tensor | None, ...]]
"""Outputs [T, B, directions * P], and final states; None in the place of cell states that torch's operator hides."""


OPERATORS = {
    "LSTM": torch.ops.aten.lstm.input,
    "GRU": torch.ops.aten.gru.input,
    "RNN_TANH": torch.ops.aten.rnn_tanh.input,
    "RNN_RELU": torch.ops.aten.rnn_relu.input,
}
"""Torch's operators for all layers and directions, by the ``mode`` of a layer."""

_exporting: ContextVar[bool] = ContextVar("_exporting", default=False)


def run_layer(layer: nn.RNNBase, forward: Callable[..., Any], x: Any, hx: Any, lengths: Tensor | None) -> Any:
    """Run all layers and directions.

    Parameters
    ----------
    layer
        Its weights and sizes count.
    forward
        Its forward pass by torch.
    x, hx
        As for ``torch.nn.LSTM``, ``GRU`` or ``RNN``.
    lengths : Tensor int64 [B] or None
        Steps of each sequence; None where all count.

    Returns
    -------
    As torch.nn's layer, zero at padding; None in the place of ``c_n`` for a program of torch's with ``lengths``.
    """
    if isinstance(x, PackedSequence):
        if lengths is not None:
            raise ValueError("lengths: expected None beside a PackedSequence, which has its own")
        return forward(x, hx)
    if lengths is not None and x.dim() != 3:
        raise ValueError(f"lengths: expected None beside unbatched input [T, I], got input of {x.dim()} dimensions")
    has_cell = layer.mode == "LSTM"
    states = None if hx is None else tuple(hx) if has_cell else (hx,)
    if torch.onnx.is_in_onnx_export():
        y, final = _by_layers(layer, x, states, lengths, _onnx_layer)
    elif _exporting.get():
        y, final = _by_layers(layer, x, states, lengths, _torch_layer)
    elif lengths is None:
        return forward(x, hx)
    else:
        y, final = _packed(layer, forward, x, states, lengths)
    return y, final if has_cell else final[0]


def export_program(
    module: nn.Module,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any] | None = None,
    *,
    dynamic_shapes: Any = None,
) -> torch.export.ExportedProgram:
    """Return a model as a program for inference that torch loads and runs by itself.

    :func:`torch.export.export` for models that :func:`textnn.export.to_torch_nn` gave: an LSTM, GRU or RNN in it takes
    any number of steps, while torch alone would fix that of the example.

    Parameters
    ----------
    module, args, kwargs, dynamic_shapes
        As for :func:`torch.export.export`.

    Returns
    -------
    torch.export.ExportedProgram
        To be saved by :func:`torch.export.save`.
    """
    torchs = {_stand_in(mode): operator for mode, operator in OPERATORS.items()}
    token = _exporting.set(True)
    try:
        with torch.no_grad():
            options = None if kwargs is None else dict(kwargs)
            program = torch.export.export(module, args, options, dynamic_shapes=dynamic_shapes, strict=False)
    finally:
        _exporting.reset(token)
    for node in program.graph.nodes:
        node.target = torchs.get(node.target, node.target)
    program.graph_module.recompile()
    return program


def _packed(layer: nn.RNNBase, forward: Callable[..., Any], x: Tensor, hx: States | None, lengths: Tensor) -> Results:
    has_cell = layer.mode == "LSTM"
    T = x.shape[1 if layer.batch_first else 0]
    packed = pack_padded_sequence(x, lengths.clamp(min=1).cpu(), layer.batch_first, enforce_sorted=False)
    y, final = forward(packed, hx if hx is None or has_cell else hx[0])
    final = final if has_cell else (final,)
    y, _ = pad_packed_sequence(y, layer.batch_first, total_length=T)
    empty = lengths.to(x.device) == 0  # torch packs no sequence without a step
    first = tuple(map(torch.zeros_like, final)) if hx is None else hx
    final = tuple(torch.where(empty[:, None], *states) for states in zip(first, final, strict=True))
    return y.masked_fill(empty[:, None, None] if layer.batch_first else empty[:, None], 0.0), final


def _by_layers(
    layer: nn.RNNBase, x: Tensor, hx: States | None, lengths: Tensor | None, run: Callable[..., Results]
) -> Results:
    batched = x.dim() == 3
    if not batched:
        x, hx = x.unsqueeze(1), None if hx is None else tuple(state.unsqueeze(1) for state in hx)
    elif layer.batch_first:
        x = x.transpose(0, 1)
    directions = 2 if layer.bidirectional else 1
    if hx is None:
        sizes = [layer.proj_size or layer.hidden_size, layer.hidden_size][: 1 + (layer.mode == "LSTM")]
        hx = tuple(x.new_zeros(layer.num_layers * directions, x.shape[1], size) for size in sizes)
    finals = []
    for number in range(layer.num_layers):
        if number:
            x = F.dropout(x, layer.dropout, layer.training)
        rows = slice(number * directions, (number + 1) * directions)
        x, final = run(layer, layer.all_weights[rows], x, tuple(state[rows] for state in hx), lengths)
        finals.append(final)
    states = [_join(torch.cat, list(of_layers)) for of_layers in zip(*finals, strict=True)]
    if not batched:
        return x.squeeze(1), tuple(state if state is None else state.squeeze(1) for state in states)
    return x.transpose(0, 1) if layer.batch_first else x, tuple(states)


def _join(how: Callable[[list[Tensor]], Tensor], states: list[Tensor | None]) -> Tensor | None:
    """Put one state of all layers or directions together, where it is known."""
    known = [state for state in states if state is not None]
    return how(known) if known else None


def _onnx_layer(
    layer: nn.RNNBase, weights: list[list[Tensor]], x: Tensor, hx: States, lengths: Tensor | None
) -> Results:
    if layer.proj_size:
        raise ValueError("proj_size: the LSTM of ONNX has no projection, expected 0")
    h0, c0 = hx[0], hx[1] if len(hx) == 2 else None
    padded = [[*own, *[None] * (5 - len(own))] for own in [*weights, []][:2]]
    cell = layer.mode.lower()
    y, *final = run_onnx(cell, x, h0, c0, padded[0] + padded[1], lengths, "time_major", reverse=False)
    return y, tuple(final)


def _torch_layer(
    layer: nn.RNNBase, weights: list[list[Tensor]], x: Tensor, hx: States, lengths: Tensor | None
) -> Results:
    results = [
        _one_direction(layer, own, x, tuple(state[d] for state in hx), lengths, backwards=d == 1)
        for d, own in enumerate(weights)
    ]
    y = torch.cat([y for y, _ in results], dim=2)
    final = [_join(torch.stack, list(both)) for both in zip(*(states for _, states in results), strict=True)]
    if lengths is not None:
        outside = torch.arange(y.shape[0], device=y.device)[:, None] >= lengths
        y = y.masked_fill(outside[:, :, None], 0.0)
    return y, tuple(final)


def _one_direction(
    layer: nn.RNNBase, weights: list[Tensor], x: Tensor, hx: States, lengths: Tensor | None, backwards: bool
) -> Results:
    x = _reverse(x, lengths) if backwards else x
    given = [state[None] for state in hx]
    options = (weights, layer.bias, 1, 0.0, False, False, False)
    y, *final = _stand_in(layer.mode)(x, given if layer.mode == "LSTM" else given[0], *options)
    states: list[Tensor | None] = [state[0] for state in final]
    if lengths is not None:
        last = (lengths - 1).clamp(min=0)
        h = torch.where((lengths == 0)[:, None], hx[0], y[last, torch.arange(y.shape[1], device=y.device)])
        states = [h, *[None] * (len(hx) - 1)]
    return _reverse(y, lengths) if backwards else y, tuple(states)


def _reverse(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Turn each sequence of x [T, B, I] round; padding stays where it is."""
    if lengths is None:
        return x.flip(0)
    T, B, _ = x.shape
    at = torch.arange(T, device=x.device)[:, None]
    source = torch.where(at < lengths, lengths - 1 - at, at)
    return x[source, torch.arange(B, device=x.device)]


@functools.cache
def _stand_in(mode: str) -> Any:
    """The operator with the arguments of torch's own, of which torch.export knows the shapes only."""
    several = mode == "LSTM"
    schema = (
        f"(Tensor input, Tensor{'[]' if several else ''} hx, Tensor[] params, bool has_biases, int num_layers, "
        "float dropout, bool train, bool bidirectional, bool batch_first) -> "
        f"(Tensor, Tensor{', Tensor' if several else ''})"
    )
    name = mode.lower()
    operator = torch.library.custom_op(
        f"textnn_export::{name}", OPERATORS[mode], mutates_args=(), schema=schema, device_types=None
    )

    def shapes(x: Tensor, hx: Any, *_: Any) -> tuple[Tensor, ...]:
        states = hx if several else [hx]
        return x.new_empty(x.shape[0], x.shape[1], states[0].shape[2]), *map(torch.empty_like, states)

    operator.register_fake(shapes)
    return getattr(torch.ops.textnn_export, name).default
