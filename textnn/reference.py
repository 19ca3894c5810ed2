"""The operators in plain PyTorch, written for reading: what :mod:`textnn.functional` is checked against.

Same names, same signatures, same results; nothing of the compiled code is used. Loops go over sentences and time steps,
as one would write them on a blackboard, and autograd derives every gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = [
    "bilstm",
    "embedding",
    "embedding_lstm",
    "embedding_text_conv",
    "frozen_text_conv",
    "hash_ngrams",
    "lstm",
    "lstm_cell",
    "max_mean_pool",
    "quantized_lstm",
    "text_conv",
]

Sizes = Tensor | Sequence[int]

_ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh, "identity": lambda z: z}


def lstm_cell(gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Update the state of an LSTM cell; see :func:`textnn.functional.lstm_cell`."""
    i, f, g, o = gates.chunk(4, dim=1)
    c_next = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c_next), c_next


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
    B = h0.shape[0]
    rows = x.reshape(-1, x.shape[-1])
    y: list[Tensor | None] = [None] * rows.shape[0]
    h_n, c_n = [], []
    for b in range(B):
        steps = _rows_of_sequence(b, x, lengths, offsets, batch_sizes, batch_first)
        h, c = h0[b : b + 1], c0[b : b + 1]
        for row in reversed(steps) if reverse else steps:
            gates = F.linear(rows[row : row + 1], w_ih, b_ih) + F.linear(h, w_hh, b_hh)
            h, c = lstm_cell(gates, c)
            if w_hr is not None:
                h = F.linear(h, w_hr)
            y[row] = h[0]
        h_n.append(h)
        c_n.append(c)
    zero = x.new_zeros(h0.shape[1])
    stacked = torch.stack([zero if row is None else row for row in y]) if y else x.new_zeros(0, h0.shape[1])
    stacked = stacked.reshape(*x.shape[:-1], h0.shape[1]) if outputs else x.new_empty(0)
    return stacked, torch.cat(h_n) if h_n else h0.clone(), torch.cat(c_n) if c_n else c0.clone()


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
    results = [
        lstm(x, h0[d], c0[d], *weights, reverse=d == 1, **batch)  # type: ignore[arg-type]
        for d, weights in enumerate((ahead, reverse))
    ]
    y, h_n, c_n = zip(*results, strict=True)
    return torch.cat(y, dim=-1), torch.stack(h_n), torch.stack(c_n)


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
    x = F.embedding(ids, table, padding_idx=padding_idx, sparse=sparse)
    batch: dict[str, Any] = {"lengths": lengths, "offsets": offsets, "batch_first": True, "outputs": outputs}
    if reverse is not None:
        return bilstm(x, h0, c0, ahead, reverse, **batch)
    y, h_n, c_n = lstm(x, h0[0], c0[0], *ahead, **batch)  # type: ignore[arg-type]
    return y, h_n[None], c_n[None]


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
        starts = _numbers(offsets)
        return list(range(starts[b], [*starts[1:], x.shape[0]][b]))
    if batch_sizes is not None:
        sizes = batch_sizes.tolist()
        return [sum(sizes[:t]) + b for t in range(len(sizes)) if sizes[t] > b]
    T, B = (x.shape[1], x.shape[0]) if batch_first else (x.shape[0], x.shape[1])
    n = T if lengths is None else int(lengths[b])
    return [b * T + t if batch_first else t * B + b for t in range(n)]


def embedding(ids: Tensor, table: Tensor, *, padding_idx: int | None = None, sparse: bool = False) -> Tensor:
    """Look up; see :func:`textnn.functional.embedding`."""
    return F.embedding(ids, table, padding_idx=padding_idx, sparse=sparse)


def hash_ngrams(
    ids: Tensor,
    sizes: Sequence[int],
    buckets: int,
    *,
    lengths: Sizes | None = None,
    offsets: Sizes | None = None,
    distinct: bool = False,
) -> Tensor:
    """Number n-grams by a hash; see :func:`textnn.functional.hash_ngrams`."""
    y = torch.zeros(*ids.shape, len(sizes), dtype=torch.int64, device=ids.device)
    tokens, results = _sentences(ids.long(), lengths, offsets), _sentences(y, lengths, offsets)  # views of y
    for sentence, result in zip(tokens, results, strict=True):
        for column, n in enumerate(sizes):
            windows = sentence.shape[0] - n + 1
            if windows < 1:
                continue
            # int64 products wrap around, and a mask makes a shift a logical one.
            h = torch.full((windows,), 0x243F6A8885A308D3, device=ids.device)
            for k in range(n):
                h = (h ^ sentence[k : k + windows]) * _signed(0x9E3779B97F4A7C15)
                h = h ^ _upper_half(h)
            h = _upper_half(h * _signed(0xD6E8FEB86659FD93))
            result[:windows, column] = 1 + _upper_half(h * (buckets - 1))
        if distinct:
            flat, seen = result.flatten().tolist(), set[int]()
            first = [not (number in seen or seen.add(number)) for number in flat]  # type: ignore[func-returns-value]
            result *= torch.tensor(first, dtype=torch.int64, device=ids.device).reshape(result.shape)
    return y


def _signed(bits: int) -> int:
    return bits - 2**64


def _upper_half(h: Tensor) -> Tensor:
    return (h >> 32) & 0xFFFFFFFF


def max_mean_pool(x: Tensor, *, lengths: Sizes | None = None, offsets: Sizes | None = None) -> Tensor:
    """Take maximum and mean over time; see :func:`textnn.functional.max_mean_pool`."""
    pooled = []
    for vectors in _sentences(x, lengths, offsets):
        if vectors.shape[0]:
            pooled.append(torch.cat([vectors.max(dim=0).values, vectors.mean(dim=0)]))
        else:
            pooled.append(x.new_zeros(2 * x.shape[-1]))
    return torch.stack(pooled) if pooled else x.new_zeros(0, 2 * x.shape[-1])


def text_conv(
    x: Tensor,
    weight: Sequence[Tensor],
    bias: Sequence[Tensor] | None = None,
    *,
    lengths: Sizes | None = None,
    offsets: Sizes | None = None,
    padding: str = "valid",
    activation: str = "relu",
) -> Tensor:
    """Convolve, activate, take the maximum over time; see :func:`textnn.functional.text_conv`."""
    rows = []
    for sentence in _sentences(x, lengths, offsets):
        row = []
        for i, w in enumerate(weight):
            K = w.shape[2]
            left = (K - 1) // 2 if padding == "same" else 0
            right = K - 1 - left if padding == "same" else 0
            tokens = F.pad(sentence, (0, 0, left, right))
            tokens = F.pad(tokens, (0, 0, 0, max(0, K - tokens.shape[0])))  # at least one window
            z = F.conv1d(tokens.t()[None], w, bias[i] if bias else None)[0]  # [C, windows]
            row.append(_ACTIVATIONS[activation](z).max(dim=1).values)
        rows.append(torch.cat(row))
    return torch.stack(rows) if rows else x.new_zeros(0, sum(w.shape[0] for w in weight))


def embedding_text_conv(
    ids: Tensor,
    table: Tensor,
    weight: Sequence[Tensor],
    bias: Sequence[Tensor] | None = None,
    *,
    lengths: Sizes | None = None,
    offsets: Sizes | None = None,
    padding: str = "valid",
    activation: str = "relu",
    padding_idx: int | None = None,
    sparse: bool = False,
) -> Tensor:
    """Look up and convolve; see :func:`textnn.functional.embedding_text_conv`."""
    x = F.embedding(ids, table, padding_idx=padding_idx, sparse=sparse)
    return text_conv(x, weight, bias, lengths=lengths, offsets=offsets, padding=padding, activation=activation)


def frozen_text_conv(
    ids: Tensor,
    table: Tensor,
    bias: Tensor,
    kernel_sizes: Sequence[int],
    *,
    scale: Tensor | None = None,
    row: Tensor | None = None,
    rest: Tensor | None = None,
    weight: Tensor | None = None,
    lengths: Sizes | None = None,
    offsets: Sizes | None = None,
    padding: str = "valid",
    activation: str = "relu",
) -> Tensor:
    """Gather, add, take the maximum over time, activate; see :func:`textnn.functional.frozen_text_conv`."""
    (S, C), sizes = bias.shape, list(kernel_sizes)
    products = table[:, :, :C].double()
    if scale is not None:
        products = products * scale.repeat_interleave(torch.tensor(sizes), dim=0)
    if rest is not None and weight is not None:
        more = torch.tensordot(rest.double(), weight[:, :, :C].double(), dims=1)
        if scale is not None:
            units = scale.repeat_interleave(torch.tensor(sizes), dim=0)
            limits = torch.tensor([min(torch.iinfo(table.dtype).max, 32767 // K) for K in sizes for _ in range(K)])
            more = (more / units).round().clamp(-limits[:, None], limits[:, None]) * units
        products = torch.cat([products, more])
    rows = []
    for sentence in _sentences(products[ids if row is None else row[ids]], lengths, offsets):
        results, before = [], 0
        for i, K in enumerate(sizes):
            left = (K - 1) // 2 if padding == "same" else 0
            right = K - 1 - left if padding == "same" else 0
            p = F.pad(sentence[:, before : before + K], (0, 0, 0, 0, left, right))  # [tokens, K, C]
            p = F.pad(p, (0, 0, 0, 0, 0, max(0, K - p.shape[0])))  # at least one window
            windows = [torch.stack([p[w + k, k] for k in range(K)]).sum(dim=0) for w in range(p.shape[0] - K + 1)]
            results.append(_ACTIVATIONS[activation](torch.stack(windows).max(dim=0).values + bias[i]))
            before += K
        rows.append(torch.cat(results))
    return (torch.stack(rows) if rows else products.new_zeros(0, S * C)).to(bias.dtype)


def _sentences(x: Tensor, lengths: Sizes | None, offsets: Sizes | None) -> list[Tensor]:
    if offsets is not None:
        starts = _numbers(offsets)
        ends = [*starts[1:], x.shape[0]] if starts else []
        return [x[begin:end] for begin, end in zip(starts, ends, strict=True)]
    return [x[b] if lengths is None else x[b, : int(lengths[b])] for b in range(x.shape[0])]


def _numbers(sizes: Sizes) -> list[int]:
    return [int(size) for size in (sizes.tolist() if isinstance(sizes, Tensor) else sizes)]
