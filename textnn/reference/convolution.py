"""Look-up, n-grams, pooling and convolutions over ragged batches in plain PyTorch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .recurrent import Sizes, numbers

_ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh, "identity": lambda z: z}


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
        starts = numbers(offsets)
        ends = [*starts[1:], x.shape[0]] if starts else []
        return [x[begin:end] for begin, end in zip(starts, ends, strict=True)]
    return [x[b] if lengths is None else x[b, : int(lengths[b])] for b in range(x.shape[0])]
