"""The operators in plain PyTorch, written for reading: what :mod:`textnn.functional` is checked against.

Same names, same signatures, same results; nothing of the compiled code is used. Loops go over sentences and time steps,
as one would write them on a blackboard, and autograd derives every gradient.
"""

from .attention import ragged_attention
from .convolution import embedding, embedding_text_conv, frozen_text_conv, hash_ngrams, max_mean_pool, text_conv
from .crf import crf_decode, crf_log_likelihood, crf_log_partition, crf_marginals
from .linear_cross_entropy import linear_cross_entropy
from .positions import embedding_text_conv_positions, text_conv_positions
from .recurrent import (
    bilstm,
    embedding_lstm,
    gru,
    lstm,
    lstm_cell,
    quantized_lstm,
    recurrent,
    recurrent_cell,
    recurrent_step,
    rnn,
)

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
