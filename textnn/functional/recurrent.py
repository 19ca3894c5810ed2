"""One layer of any recurrent cell; shapes and forms of ragged batches: :mod:`textnn.functional`.

``recurrent`` and those of one cell (:mod:`textnn.functional.recurrent_layers`) -> ``run``: checks -> one operator
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from .._checks import (
    check_dtypes,
    check_ids,
    check_lengths,
    check_offsets,
    check_shape,
    check_sizes_device,
    check_table,
    check_tensors,
    keeps,
    widen,
)
from .._registration.cells import CELLS
from ..backends import product_precision, recurrence_on
from .elsewhere import look_up, substitute
from .sizes import Sizes, size_tensors

_ops = torch.ops.textnn

_NAMES = ("w_ih", "w_hh", "b_ih", "b_hh", "w_hr")


def recurrent(
    cell: str,
    x: Tensor,
    h0: Tensor,
    c0: Tensor | None,
    directions: Sequence[Sequence[Tensor | None]],
    *,
    table: Tensor | None = None,
    lengths: Sizes | None = None,
    offsets: Sizes | None = None,
    batch_sizes: Tensor | None = None,
    batch_first: bool = False,
    padding_idx: int | None = None,
    sparse: bool = False,
    outputs: bool = True,
    cells: bool = False,
) -> tuple[Any, ...]:
    """Run one layer of any cell: ``torch.nn.LSTM``, ``GRU`` or ``RNN``, in one direction or both, or from token ids.

    Parameters
    ----------
    cell : {"lstm", "gru", "rnn_tanh", "rnn_relu"}
    x : Tensor [T, B, I], [B, T, I] or [N, I]
        The input, as in :func:`lstm`; or token ids, int64 [B, T] or [N], with ``table``.
    h0 : Tensor [directions, B, P]
        The initial output states.
    c0 : Tensor [directions, B, H], optional
        The initial cell states of an LSTM; None for other cells.
    directions : sequence of one or two sequences of 2 to 5 Tensor
        ``w_ih``, ``w_hh`` and, each optional, ``b_ih``, ``b_hh``, ``w_hr`` of the direction ahead, then of the reverse
        one.
    table : Tensor [V, I], optional
        The embeddings of token ids, as in :func:`embedding_lstm`.
    lengths, offsets, batch_sizes, batch_first, outputs : Tensor, Tensor, Tensor, bool, bool
        As in :func:`lstm`. Padded token ids are [B, T].
    padding_idx, sparse : int, bool
        Of the table, as in :func:`embedding_lstm`.
    cells : bool, default=False
        Whether the cell states of all steps are wanted, of an LSTM.

    Returns
    -------
    y : Tensor, as x but with directions * P in the place of I
        The outputs; zero at padding. [0] without ``outputs``.
    h_n, c_n : Tensor [directions, B, P] and [directions, B, H]
        The states after each sequence's own last step; ``c_n`` is None for cells without a cell state.
    c : Tensor, as x but with directions * H in the place of I
        With ``cells`` alone: the cell state after each step, of both directions side by side; zero at padding.

    Raises
    ------
    IndexError
        If an id lies outside the table.
    ValueError
        If shapes do not fit each other, a length or offset is out of range, for another cell, or for ``cells`` of one
        that has no cell state.
    RuntimeError
        If ``batch_sizes`` do not fall or do not sum to N.
    TypeError
        If dtypes differ or are not floating-point.

    Examples
    --------
    >>> weights, zeros = list(torch.nn.GRU(5, 3, bidirectional=True).parameters()), torch.zeros(2, 2, 3)
    >>> directions = weights[:4], weights[4:]
    >>> y, h, _ = textnn.functional.recurrent("gru", torch.randn(7, 5), zeros, None, directions, offsets=[0, 4])
    >>> y.shape, h.shape
    (torch.Size([7, 6]), torch.Size([2, 2, 3]))
    """
    if not 1 <= len(directions) <= 2:
        raise ValueError(f"directions must hold the weights of one direction or two, got {len(directions)}")
    weights = dict(zip(("ahead.", "reverse."), directions, strict=False))
    batch = (lengths, offsets, batch_sizes, batch_first or table is not None)
    options: dict[str, Any] = {"padding_idx": padding_idx, "sparse": sparse, "outputs": outputs, "cells": cells}
    return run(cell, x, table, h0, c0, weights, batch, **options)


def run(
    cell: str,
    x: Tensor,
    table: Tensor | None,
    h0: Tensor,
    c0: Tensor | None,
    directions: Mapping[str, Sequence[Tensor | None]],
    batch: tuple[Sizes | None, Sizes | None, Tensor | None, bool],
    *,
    padding_idx: int | None = None,
    sparse: bool = False,
    reverse: bool = False,
    outputs: bool = True,
    cells: bool = False,
) -> Any:
    """Check all arguments, and call the operator.

    Directions go by the prefix of their weights' names; "" is a single one, whose states are [B, ..].
    """
    check_tensors(**{"x" if table is None else "ids": x}, h0=h0, **({} if c0 is None else {"c0": c0}))
    if cell not in CELLS:
        raise ValueError(f"cell must be one of {', '.join(map(repr, CELLS))}, got {cell!r}")
    if (c0 is None) is (cell == "lstm"):
        raise ValueError(f"c0 must be {'a tensor' if c0 is None else 'None'} for the cell {cell!r}")
    if cells and c0 is None:
        raise ValueError(f"cells must be False for the cell {cell!r}, which has no cell state")
    rows, row = x, -1
    if table is not None:
        padded = batch[1] is None and batch[2] is None
        if x.dim() != (2 if padded else 1):
            want = "[B, T]" if padded else "[N] with offsets or batch_sizes" if batch[1] is None else "[N] with offsets"
            raise ValueError(f"ids must have shape {want}, got {list(x.shape)}")
        row = check_table(table, padding_idx)
        x = check_ids(x, table.shape[0], table)
        rows = x.unsqueeze(-1).expand(*x.shape, table.shape[1])  # of the shape that vectors would have
    sizes, layout = check_batch(rows, h0, c0, 2 if "" in directions else 3, *batch, ids=table is not None)
    weights = _check_directions(CELLS[cell].blocks, rows, h0, c0, directions)
    floats: dict[str, Tensor | None] = {"x": x} if table is None else {"table": table}
    floats |= {"h0": h0, "c0": c0, **weights}
    dtype, instead = check_dtypes(floats), substitute(x, cells)
    tensors: list[Any] = list(floats.values())
    (first, h0, c0, *tensors), narrow = widen(dtype, *tensors) if instead is None else (tensors, tuple)
    save = keeps(first, h0, c0, *tensors)
    source = (first, None) if table is None else (x, first)
    tensors += [None] * (2 * len(_NAMES) - len(tensors))
    if instead is not None:
        first = first if table is None else look_up(x, first, row)
        y, *states = narrow(instead(cell, first, h0, c0, tensors, sizes, layout, reverse))
        y = y if outputs else y.new_zeros(0)
        return y, states[0], None if c0 is None else states[1], *states[2 : 3 if cells else 2]
    # What is kept follows the tokens, unless a compiler has to know its size (csrc/ops/recurrent.h).
    exact = not torch.compiler.is_compiling() or torch._dynamo.config.capture_dynamic_output_shape_ops
    wanted = (row, sparse, outputs, cells, save, exact, *recurrence_on(x.device.type))
    precision = "bf16_outputs" if dtype is torch.bfloat16 else product_precision(dtype, x.device.type)
    result = _ops.recurrent(cell, *source, h0, c0, *tensors, sizes, layout, reverse, precision, *wanted)
    y, h_n, c_n, *c = narrow(result[: 4 if cells else 3])
    return y, h_n, None if c0 is None else c_n, *c


def _check_directions(
    blocks: int, x: Tensor, h0: Tensor, c0: Tensor | None, directions: Mapping[str, Sequence[Tensor | None]]
) -> dict[str, Tensor | None]:
    """Check the weights of each direction; all five of each by their names."""
    D = len(directions)
    if "" not in directions and (h0.shape[0] != D or (c0 is not None and c0.shape[0] != D)):
        if c0 is None:
            raise ValueError(f"h0 must have shape [{D}, B, H], got {list(h0.shape)}")
        shapes = f"{list(h0.shape)} and {list(c0.shape)}"
        raise ValueError(f"h0 and c0 must have shapes [{D}, B, P] and [{D}, B, H], got {shapes}")
    tensors: dict[str, Tensor | None] = {}
    most = 4 if c0 is None else 5
    for prefix, weights in directions.items():
        if not 2 <= len(weights) <= most:
            optional = ", ".join(_NAMES[2:most])
            raise ValueError(f"{prefix[:-1]} must hold w_ih, w_hh and at most {optional}, got {len(weights)} tensors")
        for name, weight in zip(_NAMES[:2], weights, strict=False):
            if weight is None:
                raise ValueError(f"{prefix}{name} must be a tensor, got None")
        given = dict(zip((prefix + name for name in _NAMES), [*weights, None, None, None], strict=False))
        _check_weights(blocks, x, h0, c0, given, prefix)
        tensors |= given
    if len({tensors[f"{prefix}w_hr"] is None for prefix in directions}) == 2:
        raise ValueError("w_hr must be given for both directions or for none")
    return tensors


def check_batch(
    x: Tensor,
    h0: Tensor,
    c0: Tensor | None,
    state_dims: int,
    lengths: Sizes | None,
    offsets: Sizes | None,
    batch_sizes: Tensor | None,
    batch_first: bool,
    ids: bool = False,
) -> tuple[Tensor | None, str]:
    """Check the batch; its sizes and its layout for the operator. With ``ids``, x [.., I] stands for token ids [..]."""
    name = "ids" if ids else "x"
    lengths, offsets = size_tensors(lengths, offsets)
    given = [
        name for name, v in (("lengths", lengths), ("offsets", offsets), ("batch_sizes", batch_sizes)) if v is not None
    ]
    if len(given) > 1:
        raise ValueError(f"at most one of lengths, offsets and batch_sizes may be given, got {' and '.join(given)}")
    flat = offsets is not None or batch_sizes is not None
    if x.dim() != (2 if flat else 3):
        want = "[N, I] with offsets or batch_sizes" if flat else "[B, T, I]" if batch_first else "[T, B, I]"
        raise ValueError(f"x must have shape {want}, got {list(x.shape)}")
    leading = "" if state_dims == 2 else "directions, "
    if c0 is None:
        if h0.dim() != state_dims:
            raise ValueError(f"h0 must have shape [{leading}B, H], got {list(h0.shape)}")
    elif h0.dim() != state_dims or c0.dim() != state_dims:
        want = f"[{leading}B, P] and [{leading}B, H]"
        raise ValueError(f"h0 and c0 must have shapes {want}, got {list(h0.shape)} and {list(c0.shape)}")
    B = h0.shape[-2]
    if batch_sizes is not None:
        check_tensors(batch_sizes=batch_sizes)
    check_sizes_device(name, x, lengths, offsets, batch_sizes)
    if offsets is not None:
        return check_offsets(offsets, x.shape[0], B), "flat"
    if batch_sizes is not None:
        if batch_sizes.dtype != torch.int64:
            raise TypeError(f"batch_sizes must be int64, got {batch_sizes.dtype}")
        check_shape("batch_sizes", batch_sizes, ("T",), (None,))
        return batch_sizes, "packed"
    if ids and x.shape[0] != B:
        raise ValueError(f"ids must have shape [B, T] = [{B}, *], got {list(x.shape[:2])}")
    names, shape = (("B", "T", "I"), (B, None)) if batch_first else (("T", "B", "I"), (None, B))
    check_shape("x", x, names, shape)
    sizes = None if lengths is None else check_lengths(lengths, B, x.shape[1 if batch_first else 0])
    return sizes, "batch_major" if batch_first else "time_major"


def _check_weights(
    blocks: int, x: Tensor, h0: Tensor, c0: Tensor | None, tensors: Mapping[str, Tensor | None], prefix: str
) -> None:
    B, P = h0.shape[-2], h0.shape[-1]
    H = P if c0 is None else c0.shape[-1]
    if P == 0 or H == 0:
        if c0 is None:
            raise ValueError(f"h0 must have at least one column, got {list(h0.shape)}")
        raise ValueError(f"h0 and c0 must have at least one column, got {list(h0.shape)} and {list(c0.shape)}")
    rows, columns = f"{blocks}H" if blocks > 1 else "H", "H" if c0 is None else "P"
    shapes = {
        "w_ih": ((rows, "I"), (blocks * H, x.shape[-1])),
        "w_hh": ((rows, columns), (blocks * H, P)),
        "b_ih": ((rows,), (blocks * H,)),
        "b_hh": ((rows,), (blocks * H,)),
        "w_hr": (("P", "H"), (P, H)),
    }
    states = ("directions", "B", "H")[-h0.dim() :], (h0.shape[0], B, H)[-h0.dim() :]
    if c0 is not None:
        check_shape("c0", c0, *states)
    for name, (letters, shape) in shapes.items():
        tensor = tensors[prefix + name]
        if tensor is not None:
            check_shape(prefix + name, tensor, letters, shape)
    if tensors[f"{prefix}w_hr"] is None:
        check_shape("h0", h0, *states)
