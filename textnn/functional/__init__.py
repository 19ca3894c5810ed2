"""The operators as functions: arguments are checked here, the compiled kernels do the work, autograd comes along.

Every function has a twin of the same name and signature in :mod:`textnn.reference`, written in plain PyTorch.

Shapes: B batch, T time steps or L tokens, N tokens of a flat batch, I input size, D embedding dimension, H hidden size,
P size of the output state (H, or the projection's), C channels, K taps, S kernel sizes, V vocabulary.

Ragged batches come in one of these forms, never with a mask:

- padded, ``[T, B, ...]`` or ``[B, T, ...]``, with ``lengths`` int64 [B]; padding is neither read nor counted;
- flat, ``[N, ...]``, with ``offsets`` int64 [B], the convention of ``torch.nn.EmbeddingBag``: sequence b runs from
  ``offsets[b]`` to ``offsets[b + 1]``, the last one to N; lengths and offsets may be sequences of integers as well;
- the data of a ``PackedSequence``, ``[N, ...]``, with its ``batch_sizes`` int64 [T].
"""

from __future__ import annotations

from .. import _C, _registration  # noqa: F401  # the operators, and their fake kernels, autograd and autocast rules
from .attention import ragged_attention
from .cells import lstm_cell, recurrent_cell
from .convolution import embedding, embedding_text_conv, frozen_text_conv, max_mean_pool, text_conv
from .crf import crf_decode, crf_log_likelihood, crf_log_partition, crf_marginals
from .linear_cross_entropy import linear_cross_entropy
from .ngrams import hash_ngrams
from .positions import embedding_text_conv_positions, text_conv_positions
from .quantized import quantized_lstm
from .recurrent import recurrent
from .recurrent_layers import bilstm, embedding_lstm, gru, lstm, rnn
from .stack import recurrent_step

__all__ = [
    "bilstm",
    "crf_decode",
    "crf_log_likelihood",
    "crf_log_partition",
    "crf_marginals",
    "embedding",
    "embedding_lstm",
    "embedding_text_conv",
    "embedding_text_conv_positions",
    "frozen_text_conv",
    "gru",
    "hash_ngrams",
    "linear_cross_entropy",
    "lstm",
    "lstm_cell",
    "max_mean_pool",
    "quantized_lstm",
    "ragged_attention",
    "recurrent",
    "recurrent_cell",
    "recurrent_step",
    "rnn",
    "text_conv",
    "text_conv_positions",
]
