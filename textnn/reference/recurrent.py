"""Recurrent cells over ragged batches in plain PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Sizes = Tensor | Sequence[int]
States = tuple[Tensor, ...]


def numbers(sizes: Sizes) -> list[int]:
    """Return lengths or offsets as a list."""
    return [int(size) for size in (sizes.tolist() if isinstance(sizes, Tensor) else sizes)]


def lstm_cell(gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Update the state of an LSTM cell; see :func:`textnn.functional.lstm_cell`."""
    i, f, g, o = gates.chunk(4, dim=1)
    c_next = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c_next), c_next


def _gru_cell(input_gates: Tensor, hidden_gates: Tensor, h: Tensor) -> Tensor:
    r_x, z_x, n_x = input_gates.chunk(3, dim=1)
    r_h, z_h, n_h = hidden_gates.chunk(3, dim=1)
    r, z = torch.sigmoid(r_x + r_h), torch.sigmoid(z_x + z_h)
    n = torch.tanh(n_x + r * n_h)
    return (1 - z) * n + z * h


def recurrent_cell(
    cell: str, input_gates: Tensor, hidden_gates: Tensor | None, h: Tensor | None = None, c: Tensor | None = None
) -> tuple[Tensor, Tensor | None]:
    """Take one step of a cell from its products on; see :func:`textnn.functional.recurrent_cell`."""
    if cell == "gru":
        return _gru_cell(input_gates, hidden_gates, h), None  # type: ignore[arg-type]
    gates = input_gates if hidden_gates is None else input_gates + hidden_gates
    if cell == "lstm":
        return lstm_cell(gates, c)  # type: ignore[arg-type]
    return {"rnn_tanh": torch.tanh, "rnn_relu": torch.relu}[cell](gates), None


def take_step(
    cell: str, x: Tensor, states: States, w_ih: Tensor, w_hh: Tensor, b_ih: Any, b_hh: Any, w_hr: Any
) -> States:
    h, *c = states
    h, c_next = recurrent_cell(cell, F.linear(x, w_ih, b_ih), F.linear(h, w_hh, b_hh), h, *c)
    return (h,) if c_next is None else (h if w_hr is None else F.linear(h, w_hr), c_next)


def recurrent_step(
    cell: str,
    x: Tensor,
    h: Tensor,
    c: Tensor | None,
    layers: Sequence[Sequence[Tensor | None]],
    *,
    table: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Take one step through all layers; see :func:`textnn.functional.recurrent_step`."""
    y = x if table is None else F.embedding(x, table)
    after = []
    for number, weights in enumerate(layers):
        states = (h[number],) if c is None else (h[number], c[number])
        after.append(take_step(cell, y, states, *[*weights, None, None, None][:5]))  # type: ignore[arg-type]
        y = after[-1][0]
    h_next, *c_next = (torch.stack(state) for state in zip(*after, strict=True))
    return y, h_next, c_next[0] if c_next else None


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
    """Run one layer of any cell over a ragged batch; see :func:`textnn.functional.recurrent`."""
    if table is not None:
        x, batch_first = F.embedding(x, table, padding_idx=padding_idx, sparse=sparse), True
    batch: dict[str, Any] = {"lengths": lengths, "offsets": offsets, "batch_sizes": batch_sizes}
    results = []
    for d, weights in enumerate(directions):
        states = (h0[d],) if c0 is None else (h0[d], c0[d])
        results.append(_direction(cell, x, states, weights, **batch, batch_first=batch_first, reverse=d == 1))
    (y, *c), states_n = _side_by_side(results), [final for _, final in results]
    h_n, *c_n = (torch.stack(state) for state in zip(*states_n, strict=True))
    return y if outputs else x.new_empty(0), h_n, c_n[0] if c_n else None, *(c if cells else [])


def run_reference(
    cell: str, x: Tensor, h0: Tensor, c0: Tensor | None, weights: Any, reverse: bool, **batch: Any
) -> tuple[Tensor, ...]:
    """Run what the operator runs, with its arguments: five weights of each direction, states with or without D.

    Returns outputs, final states and, of cells that have one, final cell states and those of all steps.
    """
    both, single = weights[5] is not None, h0.dim() == 2
    states = (h0,) if c0 is None else (h0, c0)
    results = []
    for d in range(2 if both else 1):
        own = states if single else tuple(state[d] for state in states)
        turned = d == 1 if both else reverse
        results.append(_direction(cell, x, own, weights[5 * d : 5 * d + 5], reverse=turned, **batch))
    (y, *c), finals = _side_by_side(results), [final for _, final in results]
    last = (state[0] if single else torch.stack(state) for state in zip(*finals, strict=True))
    return y, *last, *c


def _side_by_side(results: Sequence[tuple[States, States]]) -> list[Tensor]:
    """The states of all steps, those of all directions behind each other in the last dimension."""
    return [torch.cat(state, dim=-1) for state in zip(*(steps for steps, _ in results), strict=True)]


def _direction(
    cell: str,
    x: Tensor,
    states: States,
    weights: Sequence[Tensor | None],
    *,
    lengths: Sizes | None = None,
    offsets: Sizes | None = None,
    batch_sizes: Tensor | None = None,
    batch_first: bool = False,
    reverse: bool = False,
) -> tuple[States, States]:
    """States of all steps, zero at padding, and final states of one direction."""
    w_ih, w_hh, b_ih, b_hh, w_hr = [*weights, None, None, None][:5]
    rows = x.reshape(-1, x.shape[-1])
    after: list[States | None] = [None] * rows.shape[0]
    finals = []
    for b in range(states[0].shape[0]):
        own = _rows_of_sequence(b, x, lengths, offsets, batch_sizes, batch_first)
        now: States = tuple(state[b : b + 1] for state in states)
        for row in reversed(own) if reverse else own:
            now = take_step(cell, rows[row : row + 1], now, w_ih, w_hh, b_ih, b_hh, w_hr)  # type: ignore[arg-type]
            after[row] = now
        finals.append(now)
    zero = tuple(x.new_zeros(1, state.shape[-1]) for state in states)
    of_rows = [zero if row is None else row for row in after] or [tuple(state[:0] for state in zero)]
    steps = (torch.cat(state).reshape(*x.shape[:-1], state[0].shape[-1]) for state in zip(*of_rows, strict=True))
    last = (
        tuple(torch.cat(state) for state in zip(*finals, strict=True)) if finals else tuple(s.clone() for s in states)
    )
    return tuple(steps), last


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
    """Run one layer and direction of an LSTM over a ragged batch; see :func:`textnn.functional.lstm`."""
    batch: dict[str, Any] = {"lengths": lengths, "offsets": offsets, "batch_sizes": batch_sizes}
    batch |= {"batch_first": batch_first, "reverse": reverse}
    (y, _), (h_n, c_n) = _direction("lstm", x, (h0, c0), (w_ih, w_hh, b_ih, b_hh, w_hr), **batch)
    return y if outputs else x.new_empty(0), h_n, c_n


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
    """Run one layer and direction of a GRU over a ragged batch; see :func:`textnn.functional.gru`."""
    batch: dict[str, Any] = {"lengths": lengths, "offsets": offsets, "batch_sizes": batch_sizes}
    batch |= {"batch_first": batch_first, "reverse": reverse}
    (y,), (h_n,) = _direction("gru", x, (h0,), (w_ih, w_hh, b_ih, b_hh), **batch)
    return y if outputs else x.new_empty(0), h_n


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
    """Run one layer and direction of an RNN over a ragged batch; see :func:`textnn.functional.rnn`."""
    batch: dict[str, Any] = {"lengths": lengths, "offsets": offsets, "batch_sizes": batch_sizes}
    batch |= {"batch_first": batch_first, "reverse": reverse}
    (y,), (h_n,) = _direction(f"rnn_{nonlinearity}", x, (h0,), (w_ih, w_hh, b_ih, b_hh), **batch)
    return y if outputs else x.new_empty(0), h_n


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
    """Run both directions of one layer over a ragged batch; see :func:`textnn.functional.bilstm`."""
    batch: dict[str, Any] = {"lengths": lengths, "offsets": offsets, "batch_sizes": batch_sizes}
    batch |= {"batch_first": batch_first, "outputs": outputs}
    return recurrent("lstm", x, h0, c0, [ahead, reverse], **batch)


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
    """Look up and run one layer; see :func:`textnn.functional.embedding_lstm`."""
    batch: dict[str, Any] = {"table": table, "lengths": lengths, "offsets": offsets, "outputs": outputs}
    batch |= {"padding_idx": padding_idx, "sparse": sparse}
    directions = [ahead] if reverse is None else [ahead, reverse]
    return recurrent("lstm", ids, h0, c0, directions, **batch)


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
    """Run an LSTM with weights of 8 bits; see :func:`textnn.functional.quantized_lstm`."""
    H, I = h0.shape[1], x.shape[-1]  # noqa: E741
    # [panels, groups, 4, 16, 4] to the rows of W_ih and W_hh, without what only fills up.
    weights = weight.permute(2, 0, 3, 1, 4).flatten(1, 2)[:, :H].flatten(0, 1).float()
    groups = -(-I // 4)
    w_ih = weights[:, :groups].flatten(1)[:, :I] * scale[0][:, None]
    w_hh = weights[:, groups:].flatten(1)[:, :H] * scale[1][:, None]

    def steps(values: Tensor, size: Tensor) -> Tensor:
        """The nearest of 127 steps of either sign up to `size`."""
        return torch.where(size > 0, (values / size * 127 + 0.5).clamp(-126.5, 127.5).floor() * size / 127, values * 0)

    vectors = steps(x, x.abs().amax(dim=-1, keepdim=True))
    y: list[Tensor | None] = [None] * vectors.flatten(0, -2).shape[0]
    h_n, c_n = [], []
    for b in range(h0.shape[0]):
        at = _rows_of_sequence(b, x, lengths, offsets, batch_sizes, batch_first)
        h, c = h0[b : b + 1], c0[b : b + 1]
        for row in reversed(at) if reverse else at:
            state = steps(h.clamp(-1, 1), torch.ones(()))
            gates = F.linear(vectors.flatten(0, -2)[row : row + 1], w_ih, bias) + F.linear(state, w_hh)
            h, c = lstm_cell(gates, c)
            y[row] = h[0]
        h_n.append(h)
        c_n.append(c)
    rows = [x.new_zeros(H) if row is None else row for row in y]
    stacked = torch.stack(rows).reshape(*x.shape[:-1], H) if rows else x.new_zeros(*x.shape[:-1], H)
    states = (torch.cat(h_n), torch.cat(c_n)) if h_n else (h0.clone(), c0.clone())
    return stacked if outputs else x.new_empty(0), *states


def _rows_of_sequence(
    b: int,
    x: Tensor,
    lengths: Sizes | None,
    offsets: Sizes | None,
    batch_sizes: Tensor | None,
    batch_first: bool,
) -> list[int]:
    """Where the steps of sequence b stand among the rows of x."""
    if offsets is not None:
        starts = numbers(offsets)
        return list(range(starts[b], [*starts[1:], x.shape[0]][b]))
    if batch_sizes is not None:
        sizes = batch_sizes.tolist()
        return [sum(sizes[:t]) + b for t in range(len(sizes)) if sizes[t] > b]
    T, B = (x.shape[1], x.shape[0]) if batch_first else (x.shape[0], x.shape[1])
    n = T if lengths is None else int(lengths[b])
    return [b * T + t if batch_first else t * B + b for t in range(n)]
