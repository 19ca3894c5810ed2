"""Functions of the recurrent operators; shapes and forms of ragged batches: :mod:`textnn.functional`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from .._checks import (
    check_dtypes,
    check_ids,
    check_lengths,
    check_offsets,
    check_shape,
    check_table,
    needs_gradient,
    widen,
)
from .sizes import Sizes, size_tensors

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
    if c.dim() != 2:
        raise ValueError(f"c must have shape [B, H], got {list(c.shape)}")
    check_shape("gates", gates, ("B", "4H"), (c.shape[0], 4 * c.shape[1]))
    dtype = check_dtypes({"gates": gates, "c": c})
    (gates, c), narrow = widen(dtype, gates, c)
    return narrow(_ops.lstm_cell(gates, c))


def lstm(
    x: Tensor,
    h0: Tensor,
    c0: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
    w_hr: Tensor | None = None,
    *,
    lengths: Sizes | None = None,
    offsets: Sizes | None = None,
    batch_sizes: Tensor | None = None,
    batch_first: bool = False,
    reverse: bool = False,
    outputs: bool = True,
) -> tuple[Tensor, Tensor, Tensor]:
    """Run one layer and direction of an LSTM: ``torch.nn.LSTM`` on a ``PackedSequence``, for every ragged layout.

    Parameters
    ----------
    x : Tensor [T, B, I], [B, T, I] with ``batch_first``, or [N, I] with ``offsets`` or ``batch_sizes``
        The input. Only its last dimension has to be contiguous.
    h0 : Tensor [B, P]
        The initial output state. With ``batch_sizes`` states are in the order of the packed data.
    c0 : Tensor [B, H]
        The initial cell state.
    w_ih, w_hh : Tensor [4H, I] and [4H, P]
        The weights, gate order i, f, g, o, as in ``torch.nn.LSTM``.
    b_ih, b_hh : Tensor [4H], optional
    w_hr : Tensor [P, H], optional
        The projection of the output state (Sak et al. 2014); without it P is H.
    lengths, offsets, batch_sizes : Tensor, optional
        See the module's page; at most one of them.
    batch_first : bool, default=False
        Whether a padded x is [B, T, I].
    reverse : bool, default=False
        From each sequence's own last step to its first. Outputs stay at their time step.
    outputs : bool, default=True
        Whether the outputs are wanted. With False only the final states are made, and y comes back empty.

    Returns
    -------
    y : Tensor, as x but with P in the place of I
        The outputs; zero at padding. [0] without ``outputs``.
    h_n, c_n : Tensor [B, P] and [B, H]
        The states after each sequence's own last step. A sequence without any step ends as it began.

    Raises
    ------
    ValueError
        If shapes do not fit each other, or a length or offset is out of range.
    RuntimeError
        If ``batch_sizes`` do not fall or do not sum to N.
    TypeError
        If dtypes differ or are not floating-point.

    Examples
    --------
    >>> weights, zeros = torch.nn.LSTM(5, 3).parameters(), torch.zeros(2, 3)
    >>> y, h, c = textnn.functional.lstm(torch.randn(7, 5), zeros, zeros, *weights, offsets=[0, 4])
    >>> torch.equal(h, y[[3, 6]])
    True
    """
    sizes, layout = _check_lstm_batch(x, h0, c0, 2, lengths, offsets, batch_sizes, batch_first)
    tensors = {"x": x, "h0": h0, "c0": c0, "w_ih": w_ih, "w_hh": w_hh, "b_ih": b_ih, "b_hh": b_hh, "w_hr": w_hr}
    _check_lstm_weights(x, h0, c0, tensors, "")
    tensors_, narrow = widen(check_dtypes(tensors), *tensors.values())
    result = _ops.lstm(*tensors_, sizes, layout, reverse, outputs, needs_gradient(*tensors_))
    return narrow(result[:3])


def bilstm(
    x: Tensor,
    h0: Tensor,
    c0: Tensor,
    ahead: Sequence[Tensor | None],
    reverse: Sequence[Tensor | None],
    *,
    lengths: Sizes | None = None,
    offsets: Sizes | None = None,
    batch_sizes: Tensor | None = None,
    batch_first: bool = False,
    outputs: bool = True,
) -> tuple[Tensor, Tensor, Tensor]:
    """Run both directions of one layer: ``torch.nn.LSTM(bidirectional=True)`` on a ``PackedSequence``.

    The results are those of two calls of :func:`lstm`. Outputs are written where they belong instead of being
    concatenated, the gradients of the input are added as they are made, and small layers run at the same time.

    Parameters
    ----------
    x : Tensor
        The input, as in :func:`lstm`.
    h0, c0 : Tensor [2, B, P] and [2, B, H]
        The initial states of the direction ahead and of the reverse one.
    ahead, reverse : sequence of 2 to 5 Tensor
        ``w_ih``, ``w_hh`` and, each optional, ``b_ih``, ``b_hh``, ``w_hr`` of either direction, as in :func:`lstm`.
        Both directions have a projection, or none has.
    lengths, offsets, batch_sizes, batch_first, outputs
        As in :func:`lstm`.

    Returns
    -------
    y : Tensor, as x but with 2P in the place of I
        The outputs ahead, then those in reverse; zero at padding. [0] without ``outputs``.
    h_n, c_n : Tensor [2, B, P] and [2, B, H]

    Raises
    ------
    ValueError
        If shapes do not fit each other, or a length or offset is out of range.
    RuntimeError
        If ``batch_sizes`` do not fall or do not sum to N.
    TypeError
        If dtypes differ or are not floating-point.

    Notes
    -----
    Schuster and Paliwal 1997, Bidirectional Recurrent Neural Networks.

    Examples
    --------
    >>> weights, zeros = list(torch.nn.LSTM(5, 3, bidirectional=True).parameters()), torch.zeros(2, 2, 3)
    >>> y, h, c = textnn.functional.bilstm(torch.randn(7, 5), zeros, zeros, weights[:4], weights[4:], offsets=[0, 4])
    >>> y.shape, h.shape
    (torch.Size([7, 6]), torch.Size([2, 2, 3]))
    """
    sizes, layout = _check_lstm_batch(x, h0, c0, 3, lengths, offsets, batch_sizes, batch_first)
    tensors = {"x": x, "h0": h0, "c0": c0, **_check_directions(x, h0, c0, {"ahead": ahead, "reverse": reverse})}
    tensors_, narrow = widen(check_dtypes(tensors), *tensors.values())
    return narrow(_ops.bilstm(*tensors_, sizes, layout, outputs, needs_gradient(*tensors_))[:3])


def embedding_lstm(
    ids: Tensor,
    table: Tensor,
    h0: Tensor,
    c0: Tensor,
    ahead: Sequence[Tensor | None],
    reverse: Sequence[Tensor | None] | None = None,
    *,
    lengths: Sizes | None = None,
    offsets: Sizes | None = None,
    padding_idx: int | None = None,
    sparse: bool = False,
    outputs: bool = True,
) -> tuple[Tensor, Tensor, Tensor]:
    """Run one layer of an LSTM over token ids: ``lstm(F.embedding(ids, table), ...)``, in one direction or both.

    The results are those of ``lstm(embedding(ids, table), ...)``. The products of embeddings and input weights are made
    once for each distinct token of the batch; on the CPU backwards too, and forwards unless hardly any token comes
    twice.

    Parameters
    ----------
    ids : Tensor int64 [B, T], or [N] with ``offsets``
    table : Tensor [V, I]
        The embeddings.
    h0, c0 : Tensor [directions, B, P] and [directions, B, H]
        The initial states.
    ahead, reverse : sequence of 2 to 5 Tensor
        ``w_ih``, ``w_hh`` and, each optional, ``b_ih``, ``b_hh``, ``w_hr`` of each direction, as in :func:`bilstm`;
        without ``reverse`` one direction.
    lengths, offsets : Tensor int64 [B] or sequence of int, optional
        Tokens of each sequence, or where each begins in a flat batch. Without either, all T tokens count.
    padding_idx : int, optional
        The row of the table that gets no gradient.
    sparse : bool, default=False
        Whether the gradient of the table is a sparse tensor with one row for each distinct token, coalesced.
    outputs : bool, default=True
        As in :func:`lstm`.

    Returns
    -------
    y : Tensor [B, T, directions * P], or [N, directions * P] with ``offsets``
        The outputs; zero at padding. [0] without ``outputs``.
    h_n, c_n : Tensor [directions, B, P] and [directions, B, H]

    Raises
    ------
    IndexError
        If an id lies outside the table.
    ValueError
        If shapes do not fit each other, or a length or offset is out of range.
    TypeError
        If dtypes differ or are not floating-point, or ids are not int64 or int32.

    Examples
    --------
    >>> weights, zeros = list(torch.nn.LSTM(5, 3).parameters()), torch.zeros(1, 2, 3)
    >>> ids, table = torch.tensor([4, 2, 2, 7, 4]), torch.randn(9, 5)
    >>> y, h, c = textnn.functional.embedding_lstm(ids, table, zeros, zeros, weights, offsets=[0, 3])
    >>> expected, _, _ = textnn.functional.lstm(table[ids], zeros[0], zeros[0], *weights, offsets=[0, 3])
    >>> torch.allclose(y, expected, atol=1e-6)
    True
    """
    if ids.dim() != (2 if offsets is None else 1):
        want = "[B, T]" if offsets is None else "[N] with offsets"
        raise ValueError(f"ids must have shape {want}, got {list(ids.shape)}")
    row = check_table(table, padding_idx)
    ids = check_ids(ids, table.shape[0])
    rows = ids.unsqueeze(-1).expand(*ids.shape, table.shape[1])  # of the shape that vectors would have
    sizes, layout = _check_lstm_batch(rows, h0, c0, 3, lengths, offsets, None, True)
    given = {"ahead": ahead} if reverse is None else {"ahead": ahead, "reverse": reverse}
    tensors = {"table": table, "h0": h0, "c0": c0, **_check_directions(rows, h0, c0, given)}
    tensors_, narrow = widen(check_dtypes(tensors), *tensors.values())
    weights = [*tensors_[3:], *[None] * (13 - len(tensors_))]
    save = needs_gradient(*tensors_)
    result = _ops.embedding_lstm(ids, *tensors_[:3], *weights, sizes, layout, row, sparse, outputs, save)
    return narrow(result[:3])


def _check_directions(
    x: Tensor, h0: Tensor, c0: Tensor, directions: Mapping[str, Sequence[Tensor | None]]
) -> dict[str, Tensor | None]:
    """Check the weights of each direction; all five of each by their names."""
    D = len(directions)
    if h0.shape[0] != D or c0.shape[0] != D:
        shapes = f"{list(h0.shape)} and {list(c0.shape)}"
        raise ValueError(f"h0 and c0 must have shapes [{D}, B, P] and [{D}, B, H], got {shapes}")
    tensors: dict[str, Tensor | None] = {}
    for name, weights in directions.items():
        if not 2 <= len(weights) <= 5:
            raise ValueError(f"{name} must hold w_ih, w_hh and at most b_ih, b_hh, w_hr, got {len(weights)} tensors")
        names = ("w_ih", "w_hh", "b_ih", "b_hh", "w_hr")
        given = dict(zip((f"{name}.{w}" for w in names), [*weights, None, None, None], strict=False))
        _check_lstm_weights(x, h0, c0, given, f"{name}.")
        tensors |= given
    if len({tensors[f"{name}.w_hr"] is None for name in directions}) == 2:
        raise ValueError("w_hr must be given for both directions or for none")
    return tensors


def _check_lstm_batch(
    x: Tensor,
    h0: Tensor,
    c0: Tensor,
    state_dims: int,
    lengths: Sizes | None,
    offsets: Sizes | None,
    batch_sizes: Tensor | None,
    batch_first: bool,
) -> tuple[Tensor | None, str]:
    """Check the batch; its sizes and its layout for the operator."""
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
    if h0.dim() != state_dims or c0.dim() != state_dims:
        want = "[B, P] and [B, H]" if state_dims == 2 else "[directions, B, P] and [directions, B, H]"
        raise ValueError(f"h0 and c0 must have shapes {want}, got {list(h0.shape)} and {list(c0.shape)}")
    B = h0.shape[-2]
    if offsets is not None:
        return check_offsets(offsets, x.shape[0], B), "flat"
    if batch_sizes is not None:
        if batch_sizes.dtype != torch.int64:
            raise TypeError(f"batch_sizes must be int64, got {batch_sizes.dtype}")
        check_shape("batch_sizes", batch_sizes, ("T",), (None,))
        return batch_sizes, "packed"
    names, shape = (("B", "T", "I"), (B, None)) if batch_first else (("T", "B", "I"), (None, B))
    check_shape("x", x, names, shape)
    sizes = None if lengths is None else check_lengths(lengths, B, x.shape[1 if batch_first else 0])
    return sizes, "batch_major" if batch_first else "time_major"


def _check_lstm_weights(x: Tensor, h0: Tensor, c0: Tensor, tensors: Mapping[str, Tensor | None], prefix: str) -> None:
    B, P, H = h0.shape[-2], h0.shape[-1], c0.shape[-1]
    if P == 0 or H == 0:
        raise ValueError(f"h0 and c0 must have at least one column, got {list(h0.shape)} and {list(c0.shape)}")
    shapes = {
        "w_ih": (("4H", "I"), (4 * H, x.shape[-1])),
        "w_hh": (("4H", "P"), (4 * H, P)),
        "b_ih": (("4H",), (4 * H,)),
        "b_hh": (("4H",), (4 * H,)),
        "w_hr": (("P", "H"), (P, H)),
    }
    states = ("directions", "B", "H")[-h0.dim() :], (h0.shape[0], B, H)[-h0.dim() :]
    check_shape("c0", c0, *states)
    for name, (letters, shape) in shapes.items():
        tensor = tensors[prefix + name]
        if tensor is not None:
            check_shape(prefix + name, tensor, letters, shape)
    if tensors[f"{prefix}w_hr"] is None:
        check_shape("h0", h0, *states)


def quantized_lstm(
    x: Tensor,
    h0: Tensor,
    c0: Tensor,
    weight: Tensor,
    scale: Tensor,
    sum: Tensor,  # noqa: A002
    bias: Tensor,
    *,
    lengths: Sizes | None = None,
    offsets: Sizes | None = None,
    batch_sizes: Tensor | None = None,
    batch_first: bool = False,
    reverse: bool = False,
    outputs: bool = True,
) -> tuple[Tensor, Tensor, Tensor]:
    """Run one layer and direction of an LSTM with weights of 8 bits; for inference only.

    Inputs and states are rounded as they come (dynamic quantization): a vector of the input to whole multiples of its
    largest value / 127, the output state, which lies within -1 .. 1, to those of 1 / 127. The products are exact.

    Parameters
    ----------
    x : Tensor float32 or of half precision
        As in :func:`lstm`; finite.
    h0, c0 : Tensor [B, H]
        The initial states; h0 is cut to -1 .. 1.
    weight : Tensor int8 [panels, groups, 4, 16, 4]
        The rows of the weights / their scale, 16 units to a panel: element [p, k, g, v, i] belongs to gate g of unit
        16 * p + v and to column 4 * k + i of W_ih [4H, I] filled up with zeros, then to those of W_hh.
    scale : Tensor [2, 4H]
        Of the rows of W_ih and of W_hh.
    sum : Tensor int32 [2, 4H]
        Of the integers of each row.
    bias : Tensor [4H]
    lengths, offsets, batch_sizes, batch_first, reverse, outputs
        As in :func:`lstm`.

    Returns
    -------
    y, h_n, c_n : Tensor
        As in :func:`lstm`.

    Raises
    ------
    ValueError
        If ``x`` is not on the CPU, if shapes do not fit each other, or a length or offset is out of range.
    TypeError
        If a dtype is another one.
    RuntimeError
        If ``batch_sizes`` do not fall or do not sum to N, or a gradient would be needed.

    Examples
    --------
    >>> from textnn.layers.frozen_lstm import quantize_weights
    >>> layer, x, zeros = textnn.LSTM(5, 3).requires_grad_(False), torch.randn(7, 2, 5), torch.zeros(2, 3)
    >>> y, h, c = textnn.functional.quantized_lstm(x, zeros, zeros, *quantize_weights(*layer.parameters()))
    >>> bool((y - layer(x)[0]).abs().max() < 0.05)
    True
    """
    if x.device.type not in ("cpu", "meta"):
        raise ValueError(f"x must be on the CPU, where alone weights of 8 bits are faster, got {x.device}")
    sizes, layout = _check_lstm_batch(x, h0, c0, 2, lengths, offsets, batch_sizes, batch_first)
    (B, H), width = h0.shape, x.shape[-1]
    check_shape("c0", c0, ("B", "H"), (B, H))
    groups = -(-width // 4) - (-H // 4)
    check_shape("weight", weight, ("panels", "groups", "4", "16", "4"), (-(-H // 16), groups, 4, 16, 4))
    check_shape("scale", scale, ("2", "4H"), (2, 4 * H))
    check_shape("sum", sum, ("2", "4H"), (2, 4 * H))
    check_shape("bias", bias, ("4H",), (4 * H,))
    dtypes = {"weight": (weight, torch.int8), "scale": (scale, torch.float32), "sum": (sum, torch.int32)}
    for name, (t, dtype) in {**dtypes, "bias": (bias, torch.float32)}.items():
        if t.dtype != dtype:
            raise TypeError(f"{name} must be {dtype}, got {t.dtype}")
    if needs_gradient(x, h0, c0, scale, bias):
        raise RuntimeError("quantized_lstm has no gradient: train the layer that was frozen, and freeze it again")
    floats = {"x": x, "h0": h0, "c0": c0}
    narrow_to = check_dtypes(floats)
    if narrow_to == torch.float64:
        raise TypeError("x must be float32 or of half precision for weights of 8 bits, got torch.float64")
    x, h0, c0 = (t.float() for t in floats.values())
    result = _ops.quantized_lstm(x, h0, c0, weight, scale, sum, bias, sizes, layout, reverse, outputs)
    y, h_n, c_n = (t.to(narrow_to) for t in result)
    return y, h_n, c_n
