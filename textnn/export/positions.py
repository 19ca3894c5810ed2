"""Convolutions with an output for each position by torch.nn alone; part of :mod:`textnn.export.plain`."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from textnn._checks import window_counts

_ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh, "identity": lambda x: x}


def convolve_positions(x: Tensor, lengths: Tensor | None, layer: Any) -> tuple[Tensor, Tensor]:
    """Convolve x [B, L, D] and activate; see :func:`textnn.functional.text_conv_positions`.

    Parameters
    ----------
    x : Tensor [B, L, D]
    lengths : Tensor int64 [B] or None
        None: all L tokens count.
    layer : textnn.TextConv or textnn.EmbeddingTextConv
        With ``pooling=None``.

    Returns
    -------
    y : Tensor [B, L_out, C * len(convs)]
    lengths : Tensor int64 [B]
    """
    B, L, _ = x.shape
    lengths = torch.full((B,), L, device=x.device) if lengths is None else lengths
    outside = torch.arange(L, device=x.device) >= lengths[:, None]
    x = x.masked_fill(outside[:, :, None], 0.0).transpose(1, 2)  # [B, D, L]
    same = layer.padding == "same"
    number = layer.padding if isinstance(layer.padding, int) else 0
    columns = []
    for conv in layer.convs:
        K = conv.kernel_size[0]
        around = ((K - 1) // 2, K // 2) if same else (number, number)
        z = F.conv1d(F.pad(x, around), conv.weight, conv.bias, layer.stride)
        columns.append(_ACTIVATIONS[layer.activation](z).transpose(1, 2))
    y = torch.cat(columns, dim=2)
    count = window_counts(lengths, layer.convs[0].kernel_size[0], same, number, layer.stride)
    behind = torch.arange(y.shape[1], device=x.device) >= count[:, None]
    return y.masked_fill(behind[:, :, None], 0.0), count
