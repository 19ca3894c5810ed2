"""One recurrent layer by other means than the operator: where it has no kernels, and where ONNX has the layer itself.

a device without kernels              the reference, step by step
torch.onnx.export                     the LSTM, GRU or RNN of ONNX, which takes lengths and both directions;
                                      with a projection, which ONNX has not, all steps one behind the other
torch.onnx.export(dynamo=False)       all steps one behind the other
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..backends import has_kernels
from ..reference.recurrent import run_reference, take_step

Results = tuple[Tensor, ...]
"""Outputs, final states and, of an LSTM, final cell states; of the reference those of all steps, too."""


class OnnxLayer(NamedTuple):
    """How ONNX names a cell.

    Attributes
    ----------
    operator
        The operator of ONNX.
    order
        The blocks of H rows in torch's weights, in the order of ONNX.
    activation
        Name of the activation, for an operator that leaves the choice.
    """

    operator: str
    order: tuple[int, ...] = (0,)
    activation: str | None = None


# torch has the gates of an LSTM as i, f, g, o, of a GRU as r, z, n; ONNX as i, o, f, g, and as z, r, n.
ONNX = {
    "lstm": OnnxLayer("LSTM", (0, 3, 1, 2)),
    "gru": OnnxLayer("GRU", (1, 0, 2)),
    "rnn_tanh": OnnxLayer("RNN", activation="Tanh"),
    "rnn_relu": OnnxLayer("RNN", activation="Relu"),
}

_warned: set[str] = set()


def in_onnx_export() -> bool:
    """Whether ``torch.onnx.export`` is at work: asked for where it may be only, since torch takes 3 µs to answer."""
    if torch.compiler.is_dynamo_compiling():  # which takes torch's answer for False, and the export tries it, too
        return torch.compiler.is_exporting() and _onnx_flag()
    return (torch.compiler.is_compiling() or torch.jit.is_tracing()) and torch.onnx.is_in_onnx_export()


def _onnx_flag() -> bool:
    from torch.onnx._internal.exporter import _flags

    return bool(getattr(_flags, "_is_onnx_exporting", False))


def substitute(x: Tensor, cells: bool) -> Callable[..., Results] | None:
    """Return what runs in the place of the operator, with the same arguments as :func:`run_steps`, or None."""
    if in_onnx_export():
        if cells:
            raise ValueError("torch.onnx.export: the LSTM of ONNX has final cell states alone; leave return_cells out")
        # Dynamo cannot put a node of ONNX into its graph.
        return run_steps if torch.jit.is_tracing() or torch.compiler.is_dynamo_compiling() else run_onnx
    if has_kernels(x.device):
        return None
    warn_of_device(x.device)
    return _run_reference


def warn_of_device(device: torch.device) -> None:
    """Say once for each type of device that it has no kernels."""
    if device.type not in _warned and not torch.compiler.is_compiling():
        _warned.add(device.type)
        warnings.warn(
            f"textnn has no kernels for {device.type} here (textnn info): its recurrent layers run PyTorch's own",
            stacklevel=2,
        )


def _run_reference(
    cell: str, x: Tensor, h0: Tensor, c0: Tensor | None, weights: Sequence[Any], sizes: Any, layout: str, reverse: bool
) -> Results:
    batch: dict[str, Any] = {"lengths": sizes} if layout.endswith("major") else {}
    batch |= {"flat": {"offsets": sizes}, "packed": {"batch_sizes": sizes}}.get(layout, {})
    return run_reference(cell, x, h0, c0, weights, reverse, **batch, batch_first=layout == "batch_major")


def run_onnx(
    cell: str, x: Tensor, h0: Tensor, c0: Tensor | None, weights: Sequence[Any], sizes: Any, layout: str, reverse: bool
) -> Results:
    """Run one layer as an operator of ONNX: what stands in the graph that ``torch.onnx.export`` writes.

    Parameters
    ----------
    cell, x, h0, c0, weights, sizes, layout, reverse
        As the operator ``textnn::recurrent`` takes them.

    Raises
    ------
    ValueError
        For a flat or a packed batch, which ONNX does not have.
    """
    _refuse_flat(layout)
    directions = [list(weights[:5])] + ([list(weights[5:10])] if weights[5] is not None else [])
    if directions[0][4] is not None:
        return run_steps(cell, x, h0, c0, weights, sizes, layout, reverse)
    kind, single = ONNX[cell], h0.dim() == 2
    x = x.transpose(0, 1) if layout == "batch_major" else x
    states = [state[None] if single else state for state in (h0, c0) if state is not None]
    (T, B, _), D, H = x.shape, len(directions), h0.shape[-1]
    w_ih, w_hh = (torch.stack([_in_order(own[i], kind.order) for own in directions]) for i in (0, 1))
    zeros, bias = x.new_zeros(w_ih.shape[1]), None
    if any(b is not None for own in directions for b in own[2:4]):
        both = [[zeros if b is None else _in_order(b, kind.order) for b in own[2:4]] for own in directions]
        bias = torch.stack([torch.cat(own) for own in both])  # [directions, 2 * blocks * H]
    attributes: dict[str, Any] = {"hidden_size": H}
    attributes["direction"] = "bidirectional" if D == 2 else "reverse" if reverse else "forward"
    if kind.activation is not None:
        attributes["activations"] = [kind.activation] * D
    if kind.operator == "GRU":
        attributes["linear_before_reset"] = 1  # the reset gate after the product, as in torch
    y, *final = torch.onnx.ops.symbolic_multi_out(
        kind.operator,
        [x, w_ih, w_hh, bias, None if sizes is None else sizes.to(torch.int32), *states],
        attributes,
        dtypes=[x.dtype] * (1 + len(states)),
        shapes=[(T, D, B, H), *[(D, B, H)] * len(states)],
    )
    if sizes is not None:  # a sequence without a step keeps its initial states; runtimes differ
        final = [torch.where((sizes == 0)[:, None], *pair) for pair in zip(states, final, strict=True)]
    y = y.transpose(1, 2).flatten(2)
    return y.transpose(0, 1) if layout == "batch_major" else y, *(state[0] if single else state for state in final)


def _in_order(weight: Tensor, order: tuple[int, ...]) -> Tensor:
    """From torch's order of gates to that of ONNX."""
    blocks = weight.chunk(len(order))
    return torch.cat([blocks[block] for block in order])


def run_steps(
    cell: str, x: Tensor, h0: Tensor, c0: Tensor | None, weights: Sequence[Any], sizes: Any, layout: str, reverse: bool
) -> Results:
    """Run one layer step by step, in a graph that holds as many steps as this input has.

    Parameters
    ----------
    cell, x, h0, c0, weights, sizes, layout, reverse
        As the operator ``textnn::recurrent`` takes them.

    Raises
    ------
    ValueError
        For a flat or a packed batch, or a number of steps that is not fixed.
    """
    _refuse_flat(layout)
    x = x.transpose(0, 1) if layout == "batch_major" else x
    if isinstance(x.shape[0], torch.SymInt):
        why = "ONNX has no LSTM with a projection" if weights[4] is not None else "the model is traced by Dynamo"
        raise ValueError(f"torch.onnx.export: the number of steps must not be dynamic, since {why}")
    single, given = h0.dim() == 2, [state for state in (h0, c0) if state is not None]
    outputs: list[Tensor] = []
    finals: list[tuple[Tensor, ...]] = []
    for d in range(1 if weights[5] is None else 2):
        own, steps = weights[5 * d : 5 * d + 5], []
        states = tuple(given if single else (state[d] for state in given))
        backwards = reverse if weights[5] is None else d == 1
        for t in reversed(range(x.shape[0])) if backwards else range(x.shape[0]):
            new = take_step(cell, x[t], states, *own)
            if sizes is not None:
                active = (t < sizes)[:, None]
                new = tuple(torch.where(active, *both) for both in zip(new, states, strict=True))
            steps.append(new[0] if sizes is None else new[0] * active)
            states = new
        outputs.append(torch.stack(steps[::-1] if backwards else steps))
        finals.append(states)
    last = (state[0] if single else torch.stack(state) for state in zip(*finals, strict=True))
    y = torch.cat(outputs, dim=-1)
    return y.transpose(0, 1) if layout == "batch_major" else y, *last


def _refuse_flat(layout: str) -> None:
    if not layout.endswith("major"):
        given = "offsets" if layout == "flat" else "a PackedSequence"
        raise ValueError(f"torch.onnx.export: the layers of ONNX take padded batches; give lengths in place of {given}")


def look_up(ids: Tensor, table: Tensor, row: int) -> Tensor:
    """Look up token ids, for what has no table; ``row`` is that without a gradient, or -1."""
    return F.embedding(ids, table, padding_idx=row if row >= 0 else None)
