"""Text convolutions with an output for each position in plain PyTorch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .convolution import _ACTIVATIONS, _sentences
from .recurrent import Sizes


def text_conv_positions(
    x: Tensor,
    weight: Sequence[Tensor],
    bias: Sequence[Tensor] | None = None,
    *,
    lengths: Sizes | None = None,
    offsets: Sizes | None = None,
    padding: str | int = "valid",
    stride: int = 1,
    activation: str = "relu",
) -> tuple[Tensor, Tensor]:
    """Convolve and activate each sentence; see :func:`textnn.functional.text_conv_positions`."""
    results = []
    for sentence in _sentences(x, lengths, offsets):
        columns = []
        for i, w in enumerate(weight):
            C, _, K = w.shape
            left = (K - 1) // 2 if padding == "same" else 0 if padding == "valid" else int(padding)
            right = K // 2 if padding == "same" else left
            tokens = F.pad(sentence, (0, 0, left, right))
            if tokens.shape[0] < K or (padding == "same" and sentence.shape[0] == 0):
                columns.append(tokens.new_zeros(0, C))
                continue
            z = F.conv1d(tokens.t()[None], w, bias[i] if bias else None, stride)[0]  # [C, windows]
            columns.append(_ACTIVATIONS[activation](z).t())
        results.append(torch.cat(columns, dim=1))
    count = torch.tensor([y.shape[0] for y in results], dtype=torch.int64)
    columns_of_all = sum(w.shape[0] for w in weight)
    if offsets is not None:
        return torch.cat(results) if results else x.new_zeros(0, columns_of_all), count.cumsum(0) - count
    P = {"valid": 0, "same": 0}.get(str(padding), padding)
    room = x.shape[1] - 1 if padding == "same" else x.shape[1] - weight[0].shape[2] + 2 * int(P)
    longest = max(0, room // stride + 1)
    padded = [F.pad(y, (0, 0, 0, longest - y.shape[0])) for y in results]
    return torch.stack(padded) if padded else x.new_zeros(0, longest, columns_of_all), count


def embedding_text_conv_positions(
    ids: Tensor,
    table: Tensor,
    weight: Sequence[Tensor],
    bias: Sequence[Tensor] | None = None,
    *,
    lengths: Sizes | None = None,
    offsets: Sizes | None = None,
    padding: str | int = "valid",
    stride: int = 1,
    activation: str = "relu",
    padding_idx: int | None = None,
    sparse: bool = False,
) -> tuple[Tensor, Tensor]:
    """Look up and convolve; see :func:`textnn.functional.embedding_text_conv_positions`."""
    x = F.embedding(ids, table, padding_idx=padding_idx, sparse=sparse)
    return text_conv_positions(
        x, weight, bias, lengths=lengths, offsets=offsets, padding=padding, stride=stride, activation=activation
    )
