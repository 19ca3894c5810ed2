"""One step of a recurrent cell from its products on; shapes: :mod:`textnn.functional`."""

from __future__ import annotations

import torch
from torch import Tensor

from .._checks import check_dtypes, check_shape, check_tensors, widen
from .._registration.cells import CELLS

_ops = torch.ops.textnn


def lstm_cell(gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Update the state of an LSTM cell: ``torch.nn.LSTMCell`` from its pre-activated gates on.

    Parameters
    ----------
    gates : Tensor [B, 4H]
        The sums of input, recurrent and bias terms, in the order i, f, g, o of ``torch.nn.LSTMCell``.
    c : Tensor [B, H]
        The cell state.

    Returns
    -------
    h, c_next : Tensor [B, H]
        ``c_next = sigmoid(f) * c + sigmoid(i) * tanh(g)`` and ``h = sigmoid(o) * tanh(c_next)`` (Hochreiter and
        Schmidhuber 1997; Gers et al. 2000).

    Raises
    ------
    ValueError
        If the shapes do not fit each other.
    TypeError
        If the dtypes differ or are not floating-point.

    Examples
    --------
    >>> gates, c = torch.randn(2, 12), torch.zeros(2, 3)
    >>> h, c = textnn.functional.lstm_cell(gates, c)
    >>> i, f, g, o = gates.chunk(4, dim=1)
    >>> torch.allclose(h, o.sigmoid() * (i.sigmoid() * g.tanh()).tanh(), atol=1e-6)
    True
    """
    check_tensors(c=c)
    if c.dim() != 2:
        raise ValueError(f"c must have shape [B, H], got {list(c.shape)}")
    check_shape("gates", gates, ("B", "4H"), (c.shape[0], 4 * c.shape[1]))
    dtype = check_dtypes({"gates": gates, "c": c})
    (gates, c), narrow = widen(dtype, gates, c)
    return narrow(_ops.recurrent_cell("lstm", gates, None, None, c))


def recurrent_cell(
    cell: str, input_gates: Tensor, hidden_gates: Tensor | None, h: Tensor | None = None, c: Tensor | None = None
) -> tuple[Tensor, Tensor | None]:
    """Take one step of any cell from its products on: ``torch.nn.LSTMCell``, ``GRUCell`` or ``RNNCell``.

    Parameters
    ----------
    cell : {"lstm", "gru", "rnn_tanh", "rnn_relu"}
    input_gates : Tensor [B, GH]
        ``F.linear(x, w_ih, b_ih)``; G is 4 for an LSTM, 3 for a GRU, else 1, in torch.nn's order of the gates.
    hidden_gates : Tensor [B, GH], optional
        ``F.linear(h, w_hh, b_hh)``. None if it is added to ``input_gates`` already, which a GRU does not allow.
    h : Tensor [B, H], optional
        The state of a GRU; other cells read it through ``hidden_gates`` alone, and do not look at this one.
    c : Tensor [B, H], optional
        The cell state of an LSTM; None for other cells.

    Returns
    -------
    h_next, c_next : Tensor [B, H]
        ``c_next`` is None for cells without a cell state.

    Raises
    ------
    ValueError
        If shapes do not fit each other, an argument is missing, or for another cell.
    TypeError
        If dtypes differ or are not floating-point.

    Examples
    --------
    >>> theirs, x, h = torch.nn.GRUCell(5, 3), torch.randn(2, 5), torch.randn(2, 3)
    >>> w_ih, w_hh, b_ih, b_hh = theirs.parameters()
    >>> linear = torch.nn.functional.linear
    >>> got, _ = textnn.functional.recurrent_cell("gru", linear(x, w_ih, b_ih), linear(h, w_hh, b_hh), h)
    >>> torch.allclose(got, theirs(x, h), atol=1e-6)
    True
    """
    if cell not in CELLS:
        raise ValueError(f"cell must be one of {', '.join(map(repr, CELLS))}, got {cell!r}")
    check_tensors(input_gates=input_gates)
    G = CELLS[cell].blocks
    rows = f"{G}H" if G > 1 else "H"
    if input_gates.dim() != 2 or input_gates.shape[1] % G:
        raise ValueError(f"input_gates must have shape [B, {rows}], got {list(input_gates.shape)}")
    if (c is None) is (cell == "lstm"):
        raise ValueError(f"c must be {'a tensor' if c is None else 'None'} for the cell {cell!r}")
    if cell == "gru":
        for name, t in (("hidden_gates", hidden_gates), ("h", h)):
            if t is None:
                raise ValueError(f"{name} must be a tensor for the cell 'gru'")
    else:
        h = None
    B, columns = input_gates.shape
    if hidden_gates is not None:
        check_shape("hidden_gates", hidden_gates, ("B", rows), (B, columns))
    for name, t in (("h", h), ("c", c)):
        if t is not None:
            check_shape(name, t, ("B", "H"), (B, columns // G))
    dtype = check_dtypes({"input_gates": input_gates, "hidden_gates": hidden_gates, "h": h, "c": c})
    (input_gates, hidden_gates, h, c), narrow = widen(dtype, input_gates, hidden_gates, h, c)
    h_next, c_next = narrow(_ops.recurrent_cell(cell, input_gates, hidden_gates, h, c))
    return h_next, None if c is None else c_next
