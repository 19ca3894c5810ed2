"""nn.LSTM in a form that exporters understand, whatever the number of steps, and that stops at each sequence's own end.

    called by a user        nn.LSTM itself; with lengths, on a PackedSequence
    torch.onnx.export       the LSTM of ONNX, which takes lengths and both directions
    export_program          aten.lstm for each layer and direction; backwards from each sequence's own end

torch.export would run an nn.LSTM on tensors without values, step by step, and so fix the number of steps. In its stead
it meets an operator of the same arguments that is defined here; in the finished program, aten.lstm takes its place.
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

States = tuple[Tensor, Tensor]
Results = tuple[Tensor, tuple[Tensor, Tensor | None]]
Layer = tuple[Tensor, Tensor, Tensor | None]
"""Outputs [T, B, directions * P], final states [directions, B, P] and [directions, B, H]."""

_exporting: ContextVar[bool] = ContextVar("_exporting", default=False)


def run_lstm(
    lstm: nn.LSTM, forward: Callable[..., Any], x: Any, hx: States | None, lengths: Tensor | None
) -> tuple[Any, tuple[Tensor, Tensor | None]]:
    """Run all layers and directions.

    Parameters
    ----------
    lstm
        Its weights and sizes count.
    forward
        Its forward pass by torch.
    x, hx
        As for ``torch.nn.LSTM``.
    lengths : Tensor int64 [B] or None
        Steps of each sequence; None where all count.

    Returns
    -------
    As ``torch.nn.LSTM``, zero at padding; None in the place of ``c_n`` for a program of torch's with ``lengths``.
    """
    if isinstance(x, PackedSequence):
        if lengths is not None:
            raise ValueError("lengths: expected None beside a PackedSequence, which has its own")
        return forward(x, hx)
    if lengths is not None and x.dim() != 3:
        raise ValueError(f"lengths: expected None beside unbatched input [T, I], got input of {x.dim()} dimensions")
    if torch.onnx.is_in_onnx_export():
        return _by_layers(lstm, x, hx, lengths, _onnx_layer)
    if _exporting.get():
        return _by_layers(lstm, x, hx, lengths, _torch_layer)
    return forward(x, hx) if lengths is None else _packed(lstm, forward, x, hx, lengths)


def export_program(
    module: nn.Module,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any] | None = None,
    *,
    dynamic_shapes: Any = None,
) -> torch.export.ExportedProgram:
    """Return a model as a program for inference that torch loads and runs by itself.

    :func:`torch.export.export` for models that :func:`textnn.export.to_torch_nn` gave: an LSTM in it takes any number
    of steps, while torch alone would fix that of the example.

    Parameters
    ----------
    module, args, kwargs, dynamic_shapes
        As for :func:`torch.export.export`.

    Returns
    -------
    torch.export.ExportedProgram
        To be saved by :func:`torch.export.save`.
    """
    operator = _stand_in()
    token = _exporting.set(True)
    try:
        with torch.no_grad():
            options = None if kwargs is None else dict(kwargs)
            program = torch.export.export(module, args, options, dynamic_shapes=dynamic_shapes, strict=False)
    finally:
        _exporting.reset(token)
    for node in program.graph.nodes:
        if node.target is operator:
            node.target = torch.ops.aten.lstm.input
    program.graph_module.recompile()
    return program


def _packed(lstm: nn.LSTM, forward: Callable[..., Any], x: Tensor, hx: States | None, lengths: Tensor) -> Results:
    T = x.shape[1 if lstm.batch_first else 0]
    packed = pack_padded_sequence(x, lengths.clamp(min=1).cpu(), lstm.batch_first, enforce_sorted=False)
    y, (h, c) = forward(packed, hx)
    y, _ = pad_packed_sequence(y, lstm.batch_first, total_length=T)
    empty = lengths.to(x.device) == 0  # torch packs no sequence without a step
    h0, c0 = (torch.zeros_like(h), torch.zeros_like(c)) if hx is None else hx
    h, c = torch.where(empty[:, None], h0, h), torch.where(empty[:, None], c0, c)
    return y.masked_fill(empty[:, None, None] if lstm.batch_first else empty[:, None], 0.0), (h, c)


def _by_layers(
    lstm: nn.LSTM, x: Tensor, hx: States | None, lengths: Tensor | None, run: Callable[..., Layer]
) -> Results:
    batched = x.dim() == 3
    if not batched:
        x, hx = x.unsqueeze(1), None if hx is None else (hx[0].unsqueeze(1), hx[1].unsqueeze(1))
    elif lstm.batch_first:
        x = x.transpose(0, 1)
    directions = 2 if lstm.bidirectional else 1
    if hx is None:
        count, B = lstm.num_layers * directions, x.shape[1]
        hx = x.new_zeros(count, B, lstm.proj_size or lstm.hidden_size), x.new_zeros(count, B, lstm.hidden_size)
    h_n, c_n = [], []
    for layer in range(lstm.num_layers):
        if layer:
            x = F.dropout(x, lstm.dropout, lstm.training)
        rows = slice(layer * directions, (layer + 1) * directions)
        weights = lstm.all_weights[rows]
        x, h, c = run(lstm, weights, x, hx[0][rows], hx[1][rows], lengths)
        h_n.append(h)
        c_n.append(c)
    h, c = torch.cat(h_n), None if c_n[0] is None else torch.cat([state for state in c_n if state is not None])
    if not batched:
        return x.squeeze(1), (h.squeeze(1), None if c is None else c.squeeze(1))
    return x.transpose(0, 1) if lstm.batch_first else x, (h, c)


def _onnx_layer(
    lstm: nn.LSTM, weights: list[list[Tensor]], x: Tensor, h0: Tensor, c0: Tensor, lengths: Tensor | None
) -> Layer:
    if lstm.proj_size:
        raise ValueError("proj_size: the LSTM of ONNX has no projection, expected 0")
    (T, B, _), D, H = x.shape, len(weights), lstm.hidden_size
    stacked = [torch.stack([_onnx_order(own[i]) for own in weights]) for i in range(len(weights[0]))]
    bias = torch.cat(stacked[2:], dim=1) if lstm.bias else None  # [directions, 8 H]
    y, h, c = torch.onnx.ops.symbolic_multi_out(
        "LSTM",
        [x, *stacked[:2], bias, None if lengths is None else lengths.to(torch.int32), h0, c0],
        {"hidden_size": H, "direction": "forward" if D == 1 else "bidirectional"},
        dtypes=[x.dtype] * 3,
        shapes=[(T, D, B, H), (D, B, H), (D, B, H)],
    )
    return y.transpose(1, 2).flatten(2), h, c


def _onnx_order(weight: Tensor) -> Tensor:
    """From torch's order of gates (input, forget, cell, output) to that of ONNX (input, output, forget, cell)."""
    H = weight.shape[0] // 4
    return torch.cat([weight[gate * H : (gate + 1) * H] for gate in (0, 3, 1, 2)])


def _torch_layer(
    lstm: nn.LSTM, weights: list[list[Tensor]], x: Tensor, h0: Tensor, c0: Tensor, lengths: Tensor | None
) -> Layer:
    results = [
        _one_direction(lstm.bias, own, x, h0[d], c0[d], lengths, backwards=d == 1) for d, own in enumerate(weights)
    ]
    ys, hs, cs = zip(*results, strict=True)
    y = torch.cat(ys, dim=2)
    if lengths is None:
        return y, torch.stack(hs), torch.stack(cs)
    outside = torch.arange(y.shape[0], device=y.device)[:, None] >= lengths
    return y.masked_fill(outside[:, :, None], 0.0), torch.stack(hs), None


def _one_direction(
    bias: bool, weights: list[Tensor], x: Tensor, h0: Tensor, c0: Tensor, lengths: Tensor | None, backwards: bool
) -> tuple[Tensor, Tensor, Tensor]:
    x = _reverse(x, lengths) if backwards else x
    y, h, c = _stand_in()(x, [h0[None], c0[None]], weights, bias, 1, 0.0, False, False, False)
    if lengths is not None:
        last = (lengths - 1).clamp(min=0)
        h = torch.where((lengths == 0)[:, None], h0, y[last, torch.arange(y.shape[1], device=y.device)])[None]
    return _reverse(y, lengths) if backwards else y, h[0], c[0]


def _reverse(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Turn each sequence of x [T, B, I] round; padding stays where it is."""
    if lengths is None:
        return x.flip(0)
    T, B, _ = x.shape
    at = torch.arange(T, device=x.device)[:, None]
    source = torch.where(at < lengths, lengths - 1 - at, at)
    return x[source, torch.arange(B, device=x.device)]


@functools.cache
def _stand_in() -> Any:
    """The operator with the arguments of ``aten.lstm.input``, of which torch.export knows the shapes only."""
    schema = (
        "(Tensor input, Tensor[] hx, Tensor[] params, bool has_biases, int num_layers, float dropout, bool train, "
        "bool bidirectional, bool batch_first) -> (Tensor, Tensor, Tensor)"
    )
    operator = torch.library.custom_op(
        "textnn_export::lstm", torch.ops.aten.lstm.input, mutates_args=(), schema=schema, device_types=None
    )

    def shapes(x: Tensor, hx: list[Tensor], *_: Any) -> tuple[Tensor, Tensor, Tensor]:
        h, c = hx
        return x.new_empty(x.shape[0], x.shape[1], h.shape[2]), torch.empty_like(h), torch.empty_like(c)

    operator.register_fake(shapes)
    return torch.ops.textnn_export.lstm.default
