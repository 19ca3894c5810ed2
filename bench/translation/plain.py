"""The same network in plain PyTorch: nn.LSTM, packed or padded, masked attention by bmm, F.cross_entropy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

LAYERS: Mapping[str, type[nn.RNNBase]] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}

_PADDING = -100
_UNKNOWN = 1

Pair = tuple[Tensor, Tensor]
"""Ids of a source, and those of its target between two marks, int64."""


class PlainNetwork(nn.Module):
    """What ``textnn.translation.network`` computes, on padded batches and with torch's own dropout.

    Parameters
    ----------
    cell, attention, source_size, target_size, options
        As for the network of textnn.
    packed
        Whether the decoder reads packed targets; the encoder has to read packed sources, as its reverse direction would
        begin in the padding.
    """

    def __init__(
        self,
        cell: str,
        attention: str | None,
        source_size: int,
        target_size: int,
        options: Mapping[str, Any],
        packed: bool = False,
    ) -> None:
        super().__init__()
        D, H, layers = options["embedding_dim"], options["hidden_size"], options["num_layers"]
        self.attention, self.packed, self.word_dropout = attention, packed, options["word_dropout"]
        self.smoothing = options["label_smoothing"]
        self.source, self.target = nn.Embedding(source_size, D), nn.Embedding(target_size, D)
        shape = {"num_layers": layers, "batch_first": True, "dropout": options["dropout"] if layers > 1 else 0.0}
        self.encoder = LAYERS[cell](D, H // 2, bidirectional=True, **shape)
        self.decoder = LAYERS[cell](D, H, **shape)
        self.score = nn.Linear(H, H, bias=False) if attention == "general" else nn.Identity()
        self.combine = nn.Linear(H if attention is None else 2 * H, D, bias=False)
        self.bias = nn.Parameter(torch.zeros(target_size))
        self.drop = nn.Dropout(options["dropout"])

    def forward(self, source: Tensor, lengths: Tensor, ids: Tensor, target_lengths: Tensor) -> Tensor:
        """Return logits [B, T, V] of sources [B, S] and targets [B, T], with the lengths of both [B]."""
        packed = pack_padded_sequence(
            self.source(self._unknown(source)), lengths, batch_first=True, enforce_sorted=False
        )
        outputs, final = self.encoder(packed)
        memory = self.drop(pad_packed_sequence(outputs, batch_first=True)[0])
        states = tuple(map(_side_by_side, final)) if isinstance(final, tuple) else _side_by_side(final)
        x = self.target(self._unknown(ids))
        if self.packed:
            packed = pack_padded_sequence(x, target_lengths, batch_first=True, enforce_sorted=False)
            h = pad_packed_sequence(self.decoder(packed, states)[0], batch_first=True)[0]
        else:
            h = self.decoder(x, states)[0]
        seen = h
        if self.attention is not None:
            scores = torch.bmm(self.score(h), memory.transpose(1, 2))
            mask = torch.arange(source.shape[1]) >= lengths[:, None]
            weights = scores.masked_fill(mask[:, None], -torch.inf).softmax(dim=2)
            seen = torch.cat([torch.bmm(weights, memory), h], dim=2)
        return F.linear(self.drop(torch.tanh(self.combine(seen))), self.target.weight, self.bias)

    def _unknown(self, ids: Tensor) -> Tensor:
        if not self.training:
            return ids
        return ids.masked_fill(torch.rand(ids.shape) < self.word_dropout, _UNKNOWN)


def _side_by_side(final: Tensor) -> Tensor:
    """Both directions of each layer, [layers * 2, B, H / 2] -> [layers, B, H]."""
    return final.unflatten(0, (-1, 2)).transpose(1, 2).flatten(2).contiguous()


def losses(network: PlainNetwork, pairs: Sequence[Pair]) -> tuple[Tensor, int]:
    """Return the sum of the losses of pairs, and their target tokens."""
    lengths = torch.tensor([len(source) for source, _ in pairs])
    target_lengths = torch.tensor([len(target) - 1 for _, target in pairs])
    source = pad_sequence([source for source, _ in pairs], batch_first=True)
    ids = pad_sequence([target[:-1] for _, target in pairs], batch_first=True)
    following = pad_sequence([target[1:] for _, target in pairs], batch_first=True, padding_value=_PADDING)
    logits = network(source, lengths, ids, target_lengths)
    smoothing = network.smoothing if network.training else 0.0
    loss = F.cross_entropy(
        logits.flatten(0, 1), following.flatten(), ignore_index=_PADDING, reduction="sum", label_smoothing=smoothing
    )
    return loss, int(target_lengths.sum())
