"""The LSTM beyond bench/recurrent.py: with weights of 8 bits, and pooling of its outputs.

Part of ``python -m bench lstm``. Peers: for weights of 8 bits ``nn.LSTM`` in float32 and torch's own
``quantize_dynamic``; for pooling ``torch.segment_reduce`` and, on padded outputs, masked ``amax`` and ``sum``.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import torch
from torch import Tensor, nn

import textnn

from . import recurrent, reviews
from .harness import Call, Effort, Row, compare

POOLED = [(64, 128), (256, 256)]  # B, F


def quantized(layer: nn.LSTM) -> nn.Module:
    """torch's own dynamic quantization of an nn.LSTM."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wrapped = nn.Sequential(layer)
        return torch.ao.quantization.quantize_dynamic(wrapped, {nn.LSTM}, dtype=torch.qint8)[0]


def int8_rows(effort: Effort) -> Iterator[Row]:
    """Differences are those between 8 bits and float32."""
    for shape in (*recurrent.DENSE, *recurrent.SINGLE):
        B, T, width, H, layers, directions = shape
        ours, theirs = recurrent.pair(width, H, layers, directions)
        x = torch.randn(T, B, width)
        calls = {
            "nn.LSTM": recurrent.inference(theirs, x),
            "quantize_dynamic": recurrent.inference(quantized(theirs), x),
        }
        yield compare(
            "LSTM, inference, weights of 8 bits", str(shape), recurrent.inference(ours.freeze(), x), calls, effort
        )


def pool_rows(data: reviews.Reviews, effort: Effort) -> Iterator[Row]:
    for B, F in POOLED:
        ids, offsets = data.flat(B)
        lengths = torch.diff(offsets, append=torch.tensor([len(ids)]))
        x, weight = torch.randn(len(ids), F, requires_grad=True), torch.randn(B, 2 * F)

        def reduce(x: Tensor = x, lengths: Tensor = lengths) -> Tensor:
            return torch.cat(
                [torch.segment_reduce(x, kind, lengths=lengths, unsafe=True) for kind in ("max", "mean")], 1
            )

        def padded(x: Tensor = x, lengths: Tensor = lengths) -> Tensor:
            wide = nn.utils.rnn.pad_sequence(list(x.split(lengths.tolist())), batch_first=True)
            inside = (torch.arange(wide.shape[1]) < lengths[:, None]).unsqueeze(2)
            largest = wide.masked_fill(~inside, float("-inf")).amax(dim=1)
            return torch.cat([largest, wide.sum(dim=1) / lengths[:, None]], 1)

        def ours(x: Tensor = x, offsets: Tensor = offsets) -> Tensor:
            return textnn.functional.max_mean_pool(x, offsets=offsets)

        def trained(function: object, x: Tensor = x, weight: Tensor = weight) -> Call:
            def call() -> list[Tensor]:
                x.grad = None
                (function() * weight).sum().backward()
                return [x.grad]

            return call

        peers = {"segment_reduce": trained(reduce), "padded": trained(padded)}
        yield compare("Maximum and mean over time, forward and backward", f"B={B} F={F}", trained(ours), peers, effort)


def rows(data_path: str | None, effort: Effort) -> Iterator[Row]:
    data = reviews.load(data_path)
    yield from int8_rows(effort.share(0.5))
    yield from pool_rows(data, effort.share(0.5))
