"""Drop-in layers on the compiled operators; parameters are named and ordered as in torch.nn."""

from .accelerate import accelerate
from .embedding import EmbeddingLSTM, EmbeddingTextConv
from .frozen import FrozenTextConv
from .frozen_lstm import FrozenEmbeddingLSTM, FrozenLSTM
from .lstm import LSTM, LSTMCell
from .ngrams import NgramBag
from .text_conv import TextConv

__all__ = [
    "LSTM",
    "EmbeddingLSTM",
    "EmbeddingTextConv",
    "FrozenEmbeddingLSTM",
    "FrozenLSTM",
    "FrozenTextConv",
    "LSTMCell",
    "NgramBag",
    "TextConv",
    "accelerate",
]
