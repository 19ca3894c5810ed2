"""Drop-in layers on the compiled operators; parameters are named and ordered as in torch.nn."""

from .accelerate import accelerate
from .cells import GRUCell, LSTMCell, RNNCell
from .crf import CRF
from .embedding import EmbeddingTextConv
from .embedding_recurrent import EmbeddingGRU, EmbeddingLSTM, EmbeddingRNN
from .frozen import FrozenTextConv
from .frozen_lstm import FrozenEmbeddingLSTM, FrozenLSTM
from .frozen_recurrent import FrozenRecurrent
from .linear_cross_entropy import LinearCrossEntropyLoss
from .ngrams import NgramBag
from .recurrent import GRU, LSTM, RNN
from .tag_schemes import AllowedTransitions, allowed_transitions
from .text_conv import TextConv

__all__ = [
    "CRF",
    "GRU",
    "LSTM",
    "RNN",
    "AllowedTransitions",
    "EmbeddingGRU",
    "EmbeddingLSTM",
    "EmbeddingRNN",
    "EmbeddingTextConv",
    "FrozenEmbeddingLSTM",
    "FrozenLSTM",
    "FrozenRecurrent",
    "FrozenTextConv",
    "GRUCell",
    "LSTMCell",
    "LinearCrossEntropyLoss",
    "NgramBag",
    "RNNCell",
    "TextConv",
    "accelerate",
    "allowed_transitions",
]
