"""One step of a whole stack of recurrent layers; see :mod:`textnn.functional`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .. import reference
from .._checks import check_dtypes, check_ids, check_shape, check_table, check_tensors, widen
from .._registration.cells import CELLS
from ..backends import has_kernels

_NAMES = ("w_ih", "w_hh", "b_ih", "b_hh", "w_hr")


def recurrent_step(
    cell: str,
    x: Tensor,
    h: Tensor,
    c: Tensor | None,
    layers: Sequence[Sequence[Tensor | None]],
    *,
    table: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Take one step through all layers: ``torch.nn.LSTM``, ``GRU`` or ``RNN`` on an input of one step.

    Parameters
    ----------
    cell : {"lstm", "gru", "rnn_tanh", "rnn_relu"}
    x : Tensor [B, I]
        The input; or token ids, int64 [B], with ``table``.
    h : Tensor [layers, B, P]
        The output states of all layers.
    c : Tensor [layers, B, H], optional
        The cell states of an LSTM; None for other cells.
    layers : sequence of sequences of 2 to 5 Tensor
        Of each layer, the lowest first, ``w_ih``, ``w_hh`` and, each optional, ``b_ih``, ``b_hh``, ``w_hr``, as in
        :func:`lstm`.
    table : Tensor [V, I], optional
        The embeddings of token ids.

    Returns
    -------
    y : Tensor [B, P]
        The output of the last layer.
    h_next, c_next : Tensor, as h and c
        The states after the step; ``c_next`` is None for cells without a cell state.

    Raises
    ------
    IndexError
        If an id lies outside the table.
    ValueError
        If shapes do not fit each other, or for another cell.
    TypeError
        If dtypes differ or are not floating-point.

    Notes
    -----
    For generation, token by token. The kernel of the CPU reads the weights where they are, so there is no copy of them
    that could be out of date; on CUDA each layer is two of torch's products and a kernel. Derivatives come from the
    reference; :func:`recurrent` is faster in training. Under autocast results have the dtypes of torch's layers.

    Examples
    --------
    >>> theirs, x, h = torch.nn.GRU(5, 3, num_layers=2), torch.randn(2, 5), torch.randn(2, 2, 3)
    >>> y, h_next, _ = textnn.functional.recurrent_step("gru", x, h, None, theirs.all_weights)
    >>> torch.allclose(y, theirs(x[None], h)[0][0], atol=1e-6), torch.equal(h_next[1], y)
    (True, True)
    """
    check_tensors(**{"x" if table is None else "ids": x}, h=h)
    if cell not in CELLS:
        raise ValueError(f"cell must be one of {', '.join(map(repr, CELLS))}, got {cell!r}")
    if (c is None) is (cell == "lstm"):
        raise ValueError(f"c must be {'a tensor' if c is None else 'None'} for the cell {cell!r}")
    if h.dim() != 3 or h.shape[0] != len(layers) or not layers or h.shape[2] < 1:
        raise ValueError(f"h must have shape [layers, B, P] = [{len(layers)}, *, *], got {list(h.shape)}")
    L, B, P = h.shape
    if c is not None:
        check_shape("c", c, ("layers", "B", "H"), (L, B))
    H = P if c is None else c.shape[2]
    if table is None:
        check_shape("x", x, ("B", "I"), (B,))
        I = x.shape[1]  # noqa: E741
    else:
        check_table(table, None)
        check_shape("ids", x, ("B",), (B,))
        x, I = check_ids(x, table.shape[0], table), table.shape[1]  # noqa: E741
    weights: dict[str, Tensor | None] = {}
    for number, given in enumerate(layers):
        weights |= _check_layer(cell, number, given, P if number else I, H, P)
    floats: dict[str, Tensor | None] = {"x": x} if table is None else {"table": table}
    dtype = check_dtypes({**floats, "h": h, "c": c, **weights})
    if not has_kernels(x.device):
        return reference.recurrent_step(cell, x, h, c, layers, table=table)
    (source, h, c, *tensors), narrow = widen(dtype, x if table is None else table, h, c, *weights.values())
    arguments = (source, None) if table is None else (x, source)
    y, h_next, c_next = narrow(torch.ops.textnn.recurrent_step(cell, *arguments, h, c, _flat(tensors)))
    return y, h_next, None if c is None else c_next


def _check_layer(
    cell: str, number: int, given: Sequence[Tensor | None], width: int, H: int, P: int
) -> dict[str, Tensor | None]:
    """The five weights of a layer by their names, checked; None for those that are not there."""
    blocks, most = CELLS[cell].blocks, 5 if cell == "lstm" else 4
    if not 2 <= len(given) <= most:
        optional = ", ".join(_NAMES[2:most])
        raise ValueError(f"layers[{number}] must hold w_ih, w_hh and at most {optional}, got {len(given)} tensors")
    rows = f"{blocks}H" if blocks > 1 else "H"
    shapes: list[tuple[tuple[str, ...], tuple[int, ...]]] = [
        ((rows, "I"), (blocks * H, width)),
        ((rows, "P"), (blocks * H, P)),
        ((rows,), (blocks * H,)),
        ((rows,), (blocks * H,)),
        (("P", "H"), (P, H)),
    ]
    found: dict[str, Tensor | None] = {}
    for i, (name, shape) in enumerate(zip(_NAMES, shapes, strict=True)):
        weight = given[i] if i < len(given) else None
        if weight is not None or i < 2:
            check_shape(f"layers[{number}].{name}", weight, *shape)  # type: ignore[arg-type]
        found[f"layers[{number}].{name}"] = weight
    if found[f"layers[{number}].w_hr"] is None and P != H:
        raise ValueError(f"h must have {H} columns as c without a projection, got {P}")
    return found


def _flat(weights: Sequence[Any]) -> list[Tensor]:
    """Five tensors of each layer as the operator takes them: with both biases or without, with a projection or not."""
    layers = [weights[i : i + 5] for i in range(0, len(weights), 5)]
    biased = any(w[2] is not None or w[3] is not None for w in layers)
    if len({w[4] is None for w in layers}) == 2:
        raise ValueError("w_hr must be given for all layers or for none")
    flat: list[Tensor] = []
    for w_ih, w_hh, *biases, w_hr in layers:
        flat += [w_ih, w_hh]
        if biased:
            flat += [w_ih.new_zeros(w_ih.shape[0]) if b is None else b for b in biases]
        if w_hr is not None:
            flat.append(w_hr)
    return flat
