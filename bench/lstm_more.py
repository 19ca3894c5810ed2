"""The LSTM beyond bench/lstm.py: from token ids, with weights of 8 bits, and pooling of its outputs.

Part of ``python -m bench lstm``. Peers from token ids: ``nn.Embedding`` and the faster of padded and packed
``nn.LSTM``; for weights of 8 bits ``nn.LSTM`` in float32 and torch's own ``quantize_dynamic``; for pooling
``torch.segment_reduce`` and, on padded outputs, masked ``amax`` and ``sum``.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import torch
from torch import Tensor, nn

import textnn

from . import lstm, reviews
from .harness import Call, Effort, Row, compare

FROM_IDS = [(B, H, directions) for B in (64, 256) for H in (128, 256) for directions in (1, 2)]
POOLED = [(64, 128), (256, 256)]  # B, F


class FromIds(nn.Module):
    """nn.Embedding and a module of bench/lstm.py for ragged batches; ids [T, B]."""

    def __init__(self, table: Tensor, ragged: nn.Module) -> None:
        super().__init__()
        self.embedding = nn.Embedding(*table.shape, padding_idx=0)
        self.embedding.load_state_dict({"weight": table.detach()})
        self.ragged = ragged

    def forward(self, ids: Tensor) -> tuple[Tensor, None]:
        return self.ragged(self.embedding(ids))[0], None


class Ours(nn.Module):
    def __init__(self, layer: textnn.EmbeddingLSTM, lengths: Tensor) -> None:
        super().__init__()
        self.layer, self.lengths = layer, lengths

    def forward(self, ids: Tensor) -> tuple[Tensor, None]:
        return self.layer(ids.t(), lengths=self.lengths)[0].transpose(0, 1), None


def step(module: nn.Module, ids: Tensor) -> Call:
    """Forward and backward with a fixed weighting of all outputs."""
    weight = torch.randn(module(ids)[0].shape)

    def call() -> list[Tensor]:
        module.zero_grad()
        (module(ids)[0] * weight).sum().backward()
        return [p.grad for p in module.parameters() if p.grad is not None]

    return call


def id_rows(data: reviews.Reviews, effort: Effort) -> Iterator[Row]:
    for train in (False, True):
        group = f"LSTM from token ids, ragged, {'forward and backward' if train else 'inference'}"
        for B, H, directions in FROM_IDS:
            ids, lengths = data.padded(B, lstm.LONGEST)
            ids = ids[:, : int(lengths.max())].t().contiguous()
            layer = textnn.EmbeddingLSTM(data.V, H, H, bidirectional=directions == 2)
            theirs = nn.LSTM(H, H, bidirectional=directions == 2)
            theirs.load_state_dict(layer.lstm.state_dict())
            sides: dict[str, nn.Module] = {
                "textnn": Ours(layer, lengths),
                "packed": FromIds(layer.weight, lstm.Packed(theirs, lengths)),
                "padded": FromIds(layer.weight, lstm.Ragged(theirs, lengths, masked=True)),
            }
            calls = {}
            for name, side in sides.items():
                torch.manual_seed(1)
                calls[name] = step(side, ids) if train else lstm.inference(side, ids)
            row = compare(group, f"B={B} H={H} directions={directions}", calls.pop("textnn"), calls, effort)
            row.extra = {"distinct tokens": len(ids.unique()) / int(lengths.sum())}
            if row.peer == "padded" and directions == 2:
                row.difference = float("nan")
            yield row


def quantized(layer: nn.LSTM) -> nn.Module:
    """torch's own dynamic quantization of an nn.LSTM."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wrapped = nn.Sequential(layer)
        return torch.ao.quantization.quantize_dynamic(wrapped, {nn.LSTM}, dtype=torch.qint8)[0]


def int8_rows(effort: Effort) -> Iterator[Row]:
    """Differences are those between 8 bits and float32."""
    for shape in (*lstm.DENSE, *lstm.SINGLE):
        B, T, width, H, layers, directions = shape
        ours, theirs = lstm.pair(width, H, layers, directions)
        x = torch.randn(T, B, width)
        calls = {
            "nn.LSTM": lstm.inference(theirs, x),
            "quantize_dynamic": lstm.inference(quantized(theirs), x),
        }
        yield compare("LSTM, inference, weights of 8 bits", str(shape), lstm.inference(ours.freeze(), x), calls, effort)


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
    yield from id_rows(data, effort.share(0.5))
    yield from pool_rows(data, effort.share(0.5))
