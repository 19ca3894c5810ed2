"""One layer of each recurrent cell; shapes and forms of ragged batches: :mod:`textnn.functional`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from .recurrent import run
from .sizes import Sizes


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
    weights = {"": (w_ih, w_hh, b_ih, b_hh, w_hr)}
    batch = (lengths, offsets, batch_sizes, batch_first)
    return run("lstm", x, None, h0, c0, weights, batch, reverse=reverse, outputs=outputs)


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
    weights = {"ahead.": ahead, "reverse.": reverse}
    return run("lstm", x, None, h0, c0, weights, (lengths, offsets, batch_sizes, batch_first), outputs=outputs)


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
    weights = {"ahead.": ahead} if reverse is None else {"ahead.": ahead, "reverse.": reverse}
    options: dict[str, Any] = {"padding_idx": padding_idx, "sparse": sparse, "outputs": outputs}
    return run("lstm", ids, table, h0, c0, weights, (lengths, offsets, None, True), **options)


def gru(
    x: Tensor,
    h0: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
    *,
    lengths: Sizes | None = None,
    offsets: Sizes | None = None,
    batch_sizes: Tensor | None = None,
    batch_first: bool = False,
    reverse: bool = False,
    outputs: bool = True,
) -> tuple[Tensor, Tensor]:
    """Run one layer and direction of a GRU: ``torch.nn.GRU`` on a ``PackedSequence``, for every ragged layout.

    Parameters
    ----------
    x : Tensor [T, B, I], [B, T, I] with ``batch_first``, or [N, I] with ``offsets`` or ``batch_sizes``
        The input. Only its last dimension has to be contiguous.
    h0 : Tensor [B, H]
        The initial state. With ``batch_sizes`` states are in the order of the packed data.
    w_ih, w_hh : Tensor [3H, I] and [3H, H]
        The weights, gate order r, z, n, as in ``torch.nn.GRU``.
    b_ih, b_hh : Tensor [3H], optional
    lengths, offsets, batch_sizes, batch_first, reverse, outputs
        As in :func:`lstm`.

    Returns
    -------
    y : Tensor, as x but with H in the place of I
        The outputs; zero at padding. [0] without ``outputs``.
    h_n : Tensor [B, H]
        The state after each sequence's own last step. A sequence without any step ends as it began.

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
    Cho et al. 2014; the reset gate is applied after the recurrent product, as in ``torch.nn.GRU``.

    Examples
    --------
    >>> weights, zeros = torch.nn.GRU(5, 3).parameters(), torch.zeros(2, 3)
    >>> y, h = textnn.functional.gru(torch.randn(7, 5), zeros, *weights, offsets=[0, 4])
    >>> torch.equal(h, y[[3, 6]])
    True
    """
    batch = (lengths, offsets, batch_sizes, batch_first)
    return run("gru", x, None, h0, None, {"": (w_ih, w_hh, b_ih, b_hh)}, batch, reverse=reverse, outputs=outputs)[:2]


def rnn(
    x: Tensor,
    h0: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
    *,
    nonlinearity: str = "tanh",
    lengths: Sizes | None = None,
    offsets: Sizes | None = None,
    batch_sizes: Tensor | None = None,
    batch_first: bool = False,
    reverse: bool = False,
    outputs: bool = True,
) -> tuple[Tensor, Tensor]:
    """Run one layer and direction of an RNN: ``torch.nn.RNN`` on a ``PackedSequence``, for every ragged layout.

    Parameters
    ----------
    x : Tensor [T, B, I], [B, T, I] with ``batch_first``, or [N, I] with ``offsets`` or ``batch_sizes``
        The input. Only its last dimension has to be contiguous.
    h0 : Tensor [B, H]
        The initial state. With ``batch_sizes`` states are in the order of the packed data.
    w_ih, w_hh : Tensor [H, I] and [H, H]
    b_ih, b_hh : Tensor [H], optional
    nonlinearity : {"tanh", "relu"}, default="tanh"
    lengths, offsets, batch_sizes, batch_first, reverse, outputs
        As in :func:`lstm`.

    Returns
    -------
    y, h_n : Tensor
        As in :func:`gru`.

    Raises
    ------
    ValueError
        If shapes do not fit each other, a length or offset is out of range, or for another nonlinearity.
    RuntimeError
        If ``batch_sizes`` do not fall or do not sum to N.
    TypeError
        If dtypes differ or are not floating-point.

    Notes
    -----
    Elman 1990, Finding Structure in Time.

    Examples
    --------
    >>> weights, zeros = torch.nn.RNN(5, 3).parameters(), torch.zeros(2, 3)
    >>> y, h = textnn.functional.rnn(torch.randn(7, 5), zeros, *weights, offsets=[0, 4])
    >>> torch.equal(h, y[[3, 6]])
    True
    """
    if nonlinearity not in ("tanh", "relu"):
        raise ValueError(f"nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}")
    batch = (lengths, offsets, batch_sizes, batch_first)
    weights = {"": (w_ih, w_hh, b_ih, b_hh)}
    return run(f"rnn_{nonlinearity}", x, None, h0, None, weights, batch, reverse=reverse, outputs=outputs)[:2]
