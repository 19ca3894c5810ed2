"""The network of a language model: from tokens to features of what follows each of them.

    ids [N] -> embedding -> dropout -> recurrent layers -> dropout -> (linear, to the embedding's size) -> features
    features [N, E] -> weights of the embedding, transposed (or of their own) + bias -> logits [N, V]      (``loss``)

Dropout leaves out the same units at all steps of a text, and weights of W_hh (Gal and Ghahramani, "A Theoretically
Grounded Application of Dropout in Recurrent Neural Networks", 2016; Merity et al., "Regularizing and Optimizing LSTM
Language Models", 2018). Output and embedding share their weights (Press and Wolf, "Using the Output Embedding to
Improve Language Models", 2017; Inan et al. 2017).

In training, rows are windows of parallel streams (``textnn.text.streams``), and the states at the end of a window are
those that the next one begins with. The mark before a text is where a window is cut: in the context of a text the
network begins there with states of zero, so that what it learns of a text does not depend on what stands before it, and
many texts in one window are as many short sequences, side by side. In the context of a stream the states go on, but for
a tenth of the texts in training: a network that never begins one with fresh states is at a loss where it has to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from textnn.layers import GRU, LSTM, RNN
from textnn.models import Network
from textnn.models.base import Embedding
from textnn.models.dropout import Dropout
from textnn.models.starts import start_recurrent
from textnn.text import Vocabulary

CELLS: Mapping[str, Any] = {"lstm": LSTM, "gru": GRU, "rnn": RNN}
END = Vocabulary.PAD_ID
"""The id of the mark before each text, which is also what follows its last token. No text is padded here."""
UNKNOWN = Vocabulary.UNK_ID

_DEVIATION = 0.1  # of fresh vectors
_AFRESH = 0.1  # share of the texts of a stream that begin with fresh states in training


class LanguageNetwork(Network):
    """Embedding, recurrent layers, and an output over the vocabulary.

    Parameters
    ----------
    cell
        One of ``CELLS``.
    vocabulary_size
        V.
    embedding_dim, hidden_size, num_layers
        Sizes, and the number of layers.
    tied
        Whether the output has the weights of the embedding.
    dropout
        Share of what goes from layer to layer, and out of the last one, to drop.
    embedding_dropout, weight_dropout
        Of the embedding's output, and of the weights of W_hh.
    context
        ``"text"`` or ``"stream"``: whether states end with a text or go on.
    """

    def __init__(
        self,
        cell: str,
        vocabulary_size: int,
        *,
        embedding_dim: int,
        hidden_size: int,
        num_layers: int,
        tied: bool,
        dropout: float,
        embedding_dropout: float,
        weight_dropout: float,
        context: str,
    ) -> None:
        super().__init__()
        self.name, self.context, self.streams = cell, context, 0
        self._carried: Tensor | None = None
        self.embedding = Embedding(vocabulary_size, embedding_dim)
        nn.init.normal_(self.embedding.weight, std=_DEVIATION)
        between = {"dropout": dropout, "variational": True} if num_layers > 1 else {}
        self.layers = CELLS[cell](embedding_dim, hidden_size, num_layers, weight_dropout=weight_dropout, **between)
        start_recurrent(self.layers)
        self.narrow = None
        if tied and hidden_size != embedding_dim:
            self.narrow = nn.Linear(hidden_size, embedding_dim, bias=False)
        self.own_output = None
        if not tied:
            self.own_output = nn.Parameter(torch.empty(vocabulary_size, hidden_size))
            nn.init.normal_(self.own_output, std=_DEVIATION)
        self.bias = nn.Parameter(torch.zeros(vocabulary_size))
        self.before, self.after = Dropout(embedding_dropout), Dropout(dropout)

    @property
    def weight(self) -> Tensor:
        """The weights of the output, [V, E]."""
        return self.embedding.weight if self.own_output is None else self.own_output

    @property
    def memory(self) -> int:
        """The number of states of a layer: two of an LSTM, one of the others."""
        return 2 if self.layers.has_cell else 1

    def word_tables(self) -> list[nn.Parameter]:
        """Return the embedding."""
        return [cast(nn.Parameter, self.embedding.weight)]

    def fresh(self, rows: int) -> Tensor:
        """Return the states that a text begins with, zeros [S, layers, rows, H]."""
        size = self.memory, self.layers.num_layers, rows, self.layers.hidden_size
        return self.embedding.weight.new_zeros(size)

    def begin_pass(self) -> None:
        """Let all streams begin with fresh states."""
        for states in self.carried_states().values():
            states.zero_()

    def end_passes(self) -> None:
        """Read no streams any more."""
        self.streams, self._carried = 0, None

    def carried_states(self) -> dict[str, Tensor]:
        """Return the states of the streams; none unless the network is to read ``streams`` of them."""
        if not self.streams:
            return {}
        if self._carried is None or self._carried.shape[2] != self.streams:
            self._carried = self.fresh(self.streams)
        return {"states": self._carried}

    def forward(self, ids: Tensor, offsets: Tensor, *_: Tensor) -> Tensor:
        """Return the features [N, E] of flat rows, ids [N] and offsets [B].

        A network that has ``streams`` goes on from the states at the end of the rows before, and keeps those at the end
        of these; else each row begins a text.
        """
        (carried,) = self.carried_states().values() or (None,)
        begins = ids == END
        if self.context == "stream":
            chance = _AFRESH if self.training else 0.0
            begins &= torch.rand(ids.shape, device=ids.device) < chance
        fresh = begins[offsets]
        begins[offsets] = True
        starts = begins.nonzero().flatten()
        states = self.fresh(len(starts))
        if carried is None:
            return self.read(ids, starts, states)[0]
        first, rows = torch.searchsorted(starts, offsets), len(offsets)
        states[:, :, first] = carried[:, :, :rows] * ~fresh[:, None]
        x, states = self.read(ids, starts, states)
        last = torch.cat([first[1:], first.new_tensor([len(starts)])]) - 1
        carried[:, :, :rows] = states[:, :, last].detach()
        return x

    def read(self, ids: Tensor, offsets: Tensor, states: Tensor) -> tuple[Tensor, Tensor]:
        """Read on from some states.

        Parameters
        ----------
        ids, offsets
            Flat sequences, int64 [N] and [B], none empty.
        states
            Of each, [S, layers, B, H].

        Returns
        -------
        features, states
            [N, E], and as given, behind the last token of each.
        """
        x = self._drop(self.before, self.embedding(ids), offsets)
        x, states = self._recur(x, offsets, states)
        x = self._drop(self.after, x, offsets)
        return x if self.narrow is None else self.narrow(x), states

    def step(self, ids: Tensor, states: Tensor) -> tuple[Tensor, Tensor]:
        """Read one token of each of some texts, ids [B], without dropout; return features [B, E] and states."""
        x, final = self.layers.step(self.embedding(ids), self._hidden(states))
        return x if self.narrow is None else self.narrow(x), self._stacked(final)

    def _recur(self, x: Tensor, offsets: Tensor, states: Tensor) -> tuple[Tensor, Tensor]:
        x, final = self.layers(x, self._hidden(states), offsets=offsets)
        return x, self._stacked(final)

    def _hidden(self, states: Tensor) -> Any:
        """The form of the layers' states, and back."""
        return tuple(states) if self.memory == 2 else states[0]

    def _stacked(self, final: Any) -> Tensor:
        return torch.stack(tuple(final)) if self.memory == 2 else final[None]

    def _drop(self, dropout: Dropout, x: Tensor, offsets: Tensor) -> Tensor:
        """Leave out the same units at all steps of a sequence."""
        if not self.training or not dropout.p:
            return x
        mask = dropout(x.new_ones(len(offsets), x.shape[1]))
        lengths = torch.diff(offsets, append=offsets.new_tensor([len(x)]))
        return x * mask.repeat_interleave(lengths, dim=0, output_size=len(x))
