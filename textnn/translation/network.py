"""The network of a translator: from the tokens of a source and of its target so far to features of what follows.

    source ids [S] -> embedding, recurrent layers in both directions -> memory [S, H]
                                                    final states, both directions side by side -> first states
    target ids [N] -> embedding, recurrent layers from the first states on -> h [N, H]
    h, memory -> attention -> context c [N, H];  tanh(W [c; h]) -> features [N, E]
    features [N, E] -> weights of the target's embedding, transposed (or of their own) + bias -> logits [N, V]

The attention is Luong's: it looks at the memory with the state of the decoder after the step, by the score h . m
("dot") or h . W m ("general") (Luong et al., "Effective Approaches to Attention-based Neural Machine Translation",
2015). There is no input feeding: what the attention found is not an input of the next step. So all steps of all targets
are one ragged call in training, where the decoder reads the targets themselves (teacher forcing). Without attention the
features are tanh(W h), and all that the decoder knows of the source are its first states (Sutskever et al., "Sequence
to Sequence Learning with Neural Networks", 2014).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from textnn.functional import ragged_attention
from textnn.layers import EmbeddingGRU, EmbeddingLSTM, EmbeddingRNN
from textnn.models import Network
from textnn.models.base import drop_words, segment_lengths
from textnn.models.dropout import Dropout
from textnn.models.starts import start_recurrent

CELLS: Mapping[str, Any] = {"lstm": EmbeddingLSTM, "gru": EmbeddingGRU, "rnn": EmbeddingRNN}
DOT, GENERAL = "dot", "general"
ATTENTIONS = (DOT, GENERAL)

_DEVIATION = 0.1  # of fresh vectors


class TranslationNetwork(Network):
    """Encoder, decoder, attention, and an output over the target's vocabulary.

    Parameters
    ----------
    cell
        One of ``CELLS``.
    attention
        One of ``ATTENTIONS``, or None.
    source_size, target_size
        Sizes of the vocabularies.
    embedding_dim, hidden_size, num_layers
        Sizes of both sides; each direction of the encoder has half of the hidden size.
    tied
        Whether the output has the weights of the target's embedding.
    dropout
        Share of what goes from layer to layer, out of the encoder and to the output, to drop.
    word_dropout
        Share of the tokens of both sides that are read as unknown ones in training.
    sparse
        Whether the gradient of the source's embedding is sparse.
    """

    def __init__(
        self,
        cell: str,
        attention: str | None,
        source_size: int,
        target_size: int,
        *,
        embedding_dim: int,
        hidden_size: int,
        num_layers: int,
        tied: bool,
        dropout: float,
        word_dropout: float,
        sparse: bool,
    ) -> None:
        super().__init__()
        self.name, self.attention, self.word_dropout = cell, attention, word_dropout
        between = {"dropout": dropout, "variational": True} if num_layers > 1 else {}
        shape = {"num_layers": num_layers, "padding_idx": None, **between}
        layer = CELLS[cell]
        self.encoder = layer(source_size, embedding_dim, hidden_size // 2, bidirectional=True, sparse=sparse, **shape)
        self.decoder = layer(target_size, embedding_dim, hidden_size, **shape)
        for side in (self.encoder, self.decoder):
            start_recurrent(side._layer())
            nn.init.normal_(side.weight, std=_DEVIATION)
        self.score = nn.Linear(hidden_size, hidden_size, bias=False) if attention == GENERAL else None
        seen = hidden_size * (1 if attention is None else 2)
        width = embedding_dim if tied else hidden_size
        self.combine = nn.Linear(seen, width, bias=False)
        self.own_output = None
        if not tied:
            self.own_output = nn.Parameter(torch.empty(target_size, width))
            nn.init.normal_(self.own_output, std=_DEVIATION)
        self.bias = nn.Parameter(torch.zeros(target_size))
        self.drop = Dropout(dropout)

    @property
    def weight(self) -> Tensor:
        """The weights of the output, [V, E]."""
        return cast(Tensor, self.decoder.weight) if self.own_output is None else self.own_output

    @property
    def has_cell(self) -> bool:
        """Whether a layer has two states, as an LSTM has."""
        return bool(self.decoder._layer().has_cell)

    def word_tables(self) -> list[nn.Parameter]:
        """Return the embeddings of both sides."""
        return [self.encoder.weight, self.decoder.weight]

    def forward(self, ids: Tensor, offsets: Tensor, source: Tensor, source_offsets: Tensor, *_: Tensor) -> Tensor:
        """Return the features [N, E] of what follows each target token.

        Parameters
        ----------
        ids, offsets
            Flat targets, each behind the mark that it begins with, int64 [N] and [B].
        source, source_offsets
            Flat sources, none empty, int64 [S] and [B].
        """
        memory, states = self.encode(source, source_offsets)
        return self.read(ids, offsets, memory, source_offsets, states)[0]

    def encode(self, source: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
        """Read flat sources, as for :meth:`forward`.

        Returns
        -------
        memory, states
            [S, H], and what the decoder begins with, [states, layers, B, H]: of each layer the final states of both
            directions of the encoder's, side by side.
        """
        memory, final = self.encoder(drop_words(source, self.word_dropout, self.training), offsets=offsets)
        states = torch.stack(tuple(final)) if self.has_cell else final[None]
        # [states, layers * 2, B, H / 2] -> [states, layers, B, H]
        states = states.unflatten(1, (-1, 2)).transpose(2, 3).flatten(3)
        return self.drop(memory), states

    def read(
        self, ids: Tensor, offsets: Tensor, memory: Tensor, memory_offsets: Tensor, states: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Read flat targets, teacher forcing.

        Parameters
        ----------
        ids, offsets
            As for :meth:`forward`.
        memory, memory_offsets, states
            Of the sources, as :meth:`encode` returns them, [S, H], [B] and [states, layers, B, H].

        Returns
        -------
        features, h
            [N, E], and the outputs of the decoder's layers, [N, H].
        """
        ids = drop_words(ids, self.word_dropout, self.training)
        h, _ = self.decoder(ids, self._hidden(states), offsets=offsets)
        context = None
        if self.attention is not None:
            query, rows = spread(h if self.score is None else self.score(h), offsets)
            found = ragged_attention(query, memory, offsets=memory_offsets)
            context = gather(found, rows)
        return self.drop(self._combine(h, context)), h

    def weights(self, h: Tensor, memory: Tensor) -> Tensor:
        """Return the weights [N, S] that the attention gives the memory [S, H] of one source, for h [N, H]."""
        query = h if self.score is None else self.score(h)
        _, weights = ragged_attention(query[None], memory, offsets=[0], return_weights=True)
        return cast(Tensor, weights)

    def step(self, ids: Tensor, memory: Tensor, offsets: Tensor, states: Tensor) -> tuple[Tensor, Tensor]:
        """Read one token of each of K targets of each source.

        Parameters
        ----------
        ids
            int64 [B, K].
        memory, offsets
            Of the sources, [S, H] and [B].
        states
            [states, layers, B * K, H].

        Returns
        -------
        logits, states
            [B, K, V], and the states after the step.
        """
        h, final = self.decoder.step(ids.flatten(), self._hidden(states))
        states = torch.stack(tuple(final)) if self.has_cell else final[None]
        h = h.unflatten(0, ids.shape)
        context = None
        if self.attention is not None:
            context = ragged_attention(h if self.score is None else self.score(h), memory, offsets=offsets)
        return F.linear(self._combine(h, context), self.weight, self.bias), states

    def _combine(self, h: Tensor, context: Tensor | None) -> Tensor:
        seen = h if context is None else torch.cat([context, h], dim=-1)
        return torch.tanh(self.combine(seen))

    def _hidden(self, states: Tensor) -> Any:
        """The form of the layers' states."""
        return tuple(states.contiguous()) if self.has_cell else states[0].contiguous()


def spread(x: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return flat sequences [N, H] as a padded batch [B, T, H], and the rows of the batch that they take, int64 [N].

    Where all have the same length it is the same memory, and the rows are None.
    """
    lengths = segment_lengths(x, offsets)
    B, T = len(offsets), int(lengths.max()) if len(offsets) else 0
    if len(x) == B * T:
        return x.view(B, T, x.shape[1]), None
    begins = torch.arange(B, device=x.device) * T - offsets
    rows = torch.arange(len(x), device=x.device) + begins.repeat_interleave(lengths, output_size=len(x))
    return x.new_zeros(B * T, x.shape[1]).index_copy(0, rows, x).view(B, T, x.shape[1]), rows


def gather(x: Tensor, rows: Tensor | None) -> Tensor:
    """Return the rows of a padded batch [B, T, H] as flat sequences [N, H]; undoes :func:`spread`."""
    flat = x.flatten(0, 1)
    return flat if rows is None else flat.index_select(0, rows)
