"""The architectures on padded batches, of torch.nn's layers alone, with the weights of a trained network.

    ids [B, L], lengths [B] of each form -> PlainNetwork -> logits [B, K]
                                            ExportedNetwork -> logits [B, K], probabilities [B, classes]

An architecture has one function here, which does what its ``forward`` does on flat batches.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from textnn.classification.objectives import Multilabel, Objective, Sigmoid
from textnn.export.plain import FrozenTextConv, max_mean_pool, to_torch_nn
from textnn.layers import EmbeddingTextConv
from textnn.layers.ngrams import joint
from textnn.layers.text_conv import kernel_weights
from textnn.models import PAD, Ensemble, TextModel
from textnn.models.convolution import TextCNN
from textnn.models.mlp import MLP
from textnn.models.recurrent import LectureLSTM, PooledBiGRU, PooledBiLSTM, PooledGRU, PooledLSTM, PooledRNN
from textnn.models.streams import TwoStreamCNN
from textnn.models.tfidf import SHARE, TfidfTextCNN
from textnn.models.wide import PACE, WideTextCNN

LARGEST_TABLE = 1 << 28
"""Bytes of a table that is exported without being asked for."""


def _lecture_lstm(net: Any, ids: Tensor, lengths: Tensor) -> Tensor:
    cut = F.pad(ids, (0, net.max_length), value=PAD)[:, : net.max_length]
    cut = cut.masked_fill(torch.arange(net.max_length, device=ids.device) >= lengths[:, None], PAD)
    _, (h_n, _) = net.encoder(cut)  # all steps count, padding too
    logits: Tensor = net.output(net.hidden(h_n[-1]))
    return logits


def _pooled(net: Any, ids: Tensor, lengths: Tensor) -> Tensor:
    steps, _ = net.encoder(ids, lengths=lengths)
    logits: Tensor = net.output(max_mean_pool(steps, lengths))
    return logits


def _mlp(net: Any, ids: Tensor, lengths: Tensor) -> Tensor:
    words = F.embedding(ids, net.encoder.weight)
    mean = max_mean_pool(words, lengths)[:, net.encoder.embedding_dim :]
    logits: Tensor = net.output(net.hidden(mean))
    return logits


def _textcnn(net: Any, ids: Tensor, lengths: Tensor) -> Tensor:
    logits: Tensor = net.output(net.encoder(ids, lengths))
    return logits


def _wide_textcnn(net: Any, ids: Tensor, lengths: Tensor, characters: Tensor, character_lengths: Tensor) -> Tensor:
    forms = (ids, lengths), (characters, character_lengths)
    features = [encoder(*form) for encoder, form in zip((net.words, net.characters), forms, strict=True)]
    logits: Tensor = net.output(torch.cat(features, dim=1))
    for bag, form in zip((net.word_ngrams, net.character_ngrams), forms, strict=True):
        if bag is not None:
            logits = logits + PACE * bag(*form)
    return logits


def _tfidf_textcnn(net: Any, ids: Tensor, lengths: Tensor, characters: Tensor, character_lengths: Tensor) -> Tensor:
    forms = (ids, lengths), (characters, character_lengths)
    logits: list[Tensor] = []
    for network in net.networks:
        encoders = (network.words, network.characters)
        features = [encoder(*form) for encoder, form in zip(encoders, forms, strict=True)]
        logits.append(network.output(torch.cat(features, dim=1)))
    sums = [bag.sums(*forms[stream]) for stream, bag in net.bags]
    linear = net.linear_bias + joint(sums) if sums else net.linear_bias
    whole: Tensor = SHARE * torch.stack(logits).mean(dim=0) + linear
    return whole


_FORWARD: dict[type[TextModel], Callable[..., Tensor]] = {
    LectureLSTM: _lecture_lstm,
    MLP: _mlp,
    PooledRNN: _pooled,
    PooledGRU: _pooled,
    PooledBiGRU: _pooled,
    PooledLSTM: _pooled,
    PooledBiLSTM: _pooled,
    TextCNN: _textcnn,
    WideTextCNN: _wide_textcnn,
    TfidfTextCNN: _tfidf_textcnn,
}


class PlainNetwork(nn.Module):
    """A trained network by torch.nn alone, for inference.

    Parameters
    ----------
    model : TextModel
        A network, or an ensemble; it stays as it is. Convolutions that were trained side by side become one network.
    tables : bool or None, default=False
        Whether sums of rows of a table take the place of convolutions; None: where a table takes
        :data:`LARGEST_TABLE` bytes at most.

    Raises
    ------
    ValueError
        If its architecture has no such form.
    """

    def __init__(self, model: TextModel, tables: bool | None = False) -> None:
        super().__init__()
        members = model.networks if isinstance(model, Ensemble) else [model]
        kind = type(members[0])
        if kind not in _FORWARD:
            known = ", ".join(repr(architecture.name) for architecture in _FORWARD)
            raise ValueError(f"model: only the architectures {known} can be exported, got {model.name!r}")
        self._forward = _FORWARD[kind]
        if kind is WideTextCNN and len(members) > 1:
            merged = to_torch_nn(_freeze(WideTextCNN.merge(members), tables))  # type: ignore[arg-type]
            _group_channels(merged, members)  # type: ignore[arg-type]
            self.members = nn.ModuleList([merged])
        elif isinstance(model, TfidfTextCNN):
            whole = to_torch_nn(_freeze(model.merge(), tables))
            if len(model.parts) > 1:
                _group_channels(whole.parts[0], model.parts)  # type: ignore[index, arg-type]
            self.members = nn.ModuleList([whole])
        else:
            self.members = nn.ModuleList(to_torch_nn(_freeze(member, tables)) for member in members)
        self.eval()

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return the logits [B, K] of ids int64 [B, L] and lengths int64 [B] of each form that the network reads.

        A text without a token counts as one with a single [PAD], which its row of ids has to hold.
        """
        forms = [tensor.clamp(min=1) if position % 2 else tensor for position, tensor in enumerate(inputs)]
        logits = [self._forward(member, *forms) for member in self.members]
        return logits[0] if len(logits) == 1 else torch.stack(logits).mean(dim=0)


def _freeze(model: TextModel, tables: bool | None) -> TextModel:
    """Return a copy in which tables stand in the place of convolutions, of those that are wanted."""
    memo: dict[int, Any] = {id(tensor): tensor for tensor in model.parameters()}
    for part in model.modules():
        if isinstance(part, EmbeddingTextConv) and (_table_bytes(part) <= LARGEST_TABLE if tables is None else tables):
            memo[id(part)] = part.freeze()
    return copy.deepcopy(model, memo)


def _table_bytes(layer: EmbeddingTextConv) -> int:
    kernels = sum(weight[:, 0].numel() for weight in kernel_weights(layer.convs)[0])
    return layer.num_embeddings * kernels * layer.weight.element_size()


@torch.no_grad()
def _group_channels(merged: nn.Module, members: Sequence[TwoStreamCNN]) -> None:
    """Let the channels of each member read its own vectors only, in convolutions that have those of all."""
    for part in ("words", "characters"):
        if isinstance(getattr(merged, part), FrozenTextConv):
            continue
        convs = getattr(merged, part).convs
        for size, wide in enumerate(convs):
            own = [getattr(member, part).convs[size] for member in members]
            weight = torch.cat([conv.weight for conv in own])
            conv = nn.Conv1d(wide.in_channels, wide.out_channels, weight.shape[2], groups=len(own)).to(weight)
            conv.weight.copy_(weight)
            conv.bias.copy_(wide.bias)  # type: ignore[union-attr]
            convs[size] = conv


class ExportedNetwork(nn.Module):
    """What is exported of a classifier: its network, and what makes probabilities of logits.

    Parameters
    ----------
    model : TextModel
        The trained network.
    objective : Objective
        Says what probabilities are.
    temperature : float
        What logits are divided by before.
    tables : bool or None
        As for :class:`PlainNetwork`.

    Raises
    ------
    ValueError
        As :class:`PlainNetwork` does.
    """

    def __init__(self, model: TextModel, objective: Objective, temperature: float, tables: bool | None) -> None:
        super().__init__()
        self.network = PlainNetwork(model, tables)
        self._sigmoid, self._several = isinstance(objective, Sigmoid), isinstance(objective, Multilabel)
        self._temperature = temperature
        self.eval()

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits [B, K], and the probabilities [B, classes], of ids and lengths of each form."""
        logits = self.network(*inputs)
        scaled = logits / self._temperature
        if self._sigmoid:
            scaled = torch.cat([-scaled, scaled], dim=1)
        return logits, torch.sigmoid(scaled) if self._sigmoid or self._several else torch.softmax(scaled, dim=1)
