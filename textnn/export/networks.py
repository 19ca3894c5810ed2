"""The architectures on padded batches, of torch.nn's layers alone, with the weights of a trained network.

    ids [B, L], lengths [B] of each form -> PlainNetwork -> logits [B, K]
                                            ExportedNetwork -> logits [B, K], probabilities [B, classes]

The forward is the architecture's own, on padded batches; the layers in it are those of ``plain``.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from textnn.classification.objectives import Multilabel, Objective, Sigmoid
from textnn.export.plain import FrozenTextConv, to_torch_nn
from textnn.layers import EmbeddingTextConv
from textnn.layers.text_conv import kernel_weights
from textnn.models import ARCHITECTURES, Ensemble, TextModel
from textnn.models.streams import TwoStreamCNN
from textnn.models.tfidf import TfidfTextCNN
from textnn.models.wide import WideTextCNN

LARGEST_TABLE = 1 << 28
"""Bytes of a table that is exported without being asked for."""


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
        if not model.padded:
            known = ", ".join(repr(name) for name, architecture in ARCHITECTURES.items() if architecture.padded)
            raise ValueError(f"model: only the architectures {known} can be exported, got {model.name!r}")
        if isinstance(model, Ensemble) and isinstance(model.networks[0], WideTextCNN):
            members = cast("list[TwoStreamCNN]", model.networks)
            self.network = to_torch_nn(_freeze(WideTextCNN.merge(members), tables))  # type: ignore[arg-type]
            _group_channels(self.network, members)
        elif isinstance(model, TfidfTextCNN):
            self.network = to_torch_nn(_freeze(model.merge(), tables))
            if len(model.parts) > 1:
                _group_channels(self.network.parts[0], model.parts)  # type: ignore[index, arg-type]
        else:
            self.network = to_torch_nn(_freeze(model, tables))
        self.eval()

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return the logits [B, K] of ids int64 [B, L] and lengths int64 [B] of each form that the network reads.

        A text without a token counts as one with a single [PAD], which its row of ids has to hold.
        """
        forms = [tensor.clamp(min=1) if position % 2 else tensor for position, tensor in enumerate(inputs)]
        logits: Tensor = self.network(*forms)
        return logits


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
