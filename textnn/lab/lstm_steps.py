"""The LSTM of a trained model, and its steps one by one, with all that a kernel keeps to itself.

estimator, text -> tokens, ids, table of vectors, LSTM, what runs it        ``find_lstm``
vectors x [L, D] -> gates, states and what adds up to them, in x's dtype    ``run_direction``
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from textnn import reference
from textnn.layers import LSTM
from textnn.layers.embedding_recurrent import EmbeddingRecurrent
from textnn.models.base import cut_or_pad
from textnn.text import Vocabulary


class NoLSTMError(ValueError):
    """A model that has no LSTM that can be followed."""


def find_lstm(model: Any, text: str) -> tuple[list[str], list[bool], Tensor, Tensor, Any, Callable[[Tensor], Any]]:
    """Return tokens, whether each is known, ids, the table of vectors, the LSTM of a model, and what runs it."""
    from sklearn.utils.validation import check_is_fitted

    if not hasattr(model, "get_params"):
        raise TypeError(f"model: expected a SentimentClassifier or a LanguageModel, got {type(model).__name__}")
    check_is_fitted(model, "state_")
    state = model.state_
    table: Any = None
    layers: Any = None
    encoder: Any = getattr(state.model, "encoder", None)
    if isinstance(encoder, EmbeddingRecurrent):
        table, layers = encoder.weight, encoder._layer()
        tokens = state.tokenizer(text)[: state.options["max_length"]]
    elif isinstance(encoder := getattr(state.model, "layers", None), LSTM) and hasattr(state, "splitter"):
        table, layers = state.model.embedding.weight, encoder
        tokens = list(state.splitter.split(text))
    if not isinstance(layers, LSTM) or table is None:
        raise NoLSTMError(
            "model: expected one with an LSTM, as the architectures lstm, bilstm and lecture-lstm have it"
        )
    if layers.proj_size:
        raise NoLSTMError(f"model: expected an LSTM without a projection, got proj_size={layers.proj_size}")
    if not tokens:
        raise ValueError(f"text: expected at least one token, got {text!r}")
    ids = torch.tensor(state.vocabulary.encode(tokens), device=table.device)
    if state.model.name == "lecture-lstm":
        ids = cut_or_pad(ids, torch.zeros(1, dtype=torch.int64, device=ids.device), state.options["max_length"])[0]
        tokens += [Vocabulary.PAD] * (len(ids) - len(tokens))
    elif hasattr(state, "splitter"):
        ids, tokens = torch.cat([ids.new_zeros(1), ids]), ["[END]", *tokens]
    known = [id_ != Vocabulary.UNK_ID for id_ in ids.tolist()]

    def run(ids: Tensor) -> Any:
        read = ids if encoder is not layers else table[ids]
        return encoder(read, offsets=[0], return_cells=True)

    return tokens, known, ids, table, layers, run


def run_direction(lstm: LSTM, x: Tensor, layer: int, d: int) -> dict[str, Tensor]:
    """Return gates, states and sums of one direction of one layer over x [L, D], in x's dtype."""
    suffix = f"l{layer}{'_reverse' if d else ''}"
    w_ih, w_hh = (getattr(lstm, f"weight_{name}_{suffix}").to(x.dtype) for name in ("ih", "hh"))
    H = lstm.hidden_size
    bias = x.new_zeros(4 * H)
    if lstm.bias:
        bias = sum((getattr(lstm, f"bias_{name}_{suffix}").to(x.dtype) for name in ("ih", "hh")), start=bias)
    h, c = x.new_zeros(1, H), x.new_zeros(1, H)
    steps: dict[int, tuple[Tensor, ...]] = {}
    for t in reversed(range(len(x))) if d else range(len(x)):
        from_input, from_state = x[t : t + 1] @ w_ih.T, h @ w_hh.T
        sums = from_input + from_state + bias
        h, c = reference.lstm_cell(sums, c)
        steps[t] = from_input[0], from_state[0], sums[0], c[0], h[0]
    columns = zip(*(steps[t] for t in range(len(x))), strict=True)
    from_input, from_state, sums, cell, hidden = map(torch.stack, columns)
    i, f, g, o = sums.chunk(4, dim=1)
    return {
        "input": torch.sigmoid(i),
        "forget": torch.sigmoid(f),
        "candidate": torch.tanh(g),
        "output": torch.sigmoid(o),
        "cell": cell,
        "hidden": hidden,
        "from_input": torch.stack(from_input.chunk(4, dim=1)),
        "from_state": torch.stack(from_state.chunk(4, dim=1)),
        "bias": bias.view(4, H),
    }
