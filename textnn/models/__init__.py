"""Architectures: from a ragged batch of texts to one row of logits a text.

    ids [N], offsets [B] -> (word dropout) -> embedding + recurrence or convolution -> features [B, F] -> logits [B, K]

Every architecture is a class with a name in the registry ``ARCHITECTURES``. What suits it best (sizes, dropout,
learning rate, epochs) is written beside it in ``defaults``; a classifier changes an option by naming it and leaves all
others as they are here. An option that an architecture does not list does not exist for it, and asking for it is an
error.

    base           what all have in common
    registry       names, options, fresh networks
    ensemble       several networks of one kind as one
    decomposition  what each n-gram adds to the logits of a network that is a sum over n-grams
    mlp            the mean of the words' vectors, and hidden layers
    recurrent      RNN, GRU, LSTM
    convolution    TextCNN
    streams        convolutions over words and characters, which the next two have in common
    wide           these and n-grams, trained together
    tfidf          these beside a linear model of n-grams that is solved directly, the default
"""

from __future__ import annotations

from textnn.models import convolution, mlp, recurrent, tfidf, wide  # noqa: F401  # they enter themselves into the registry
from textnn.models.base import (
    CHARACTERS,
    PAD,
    UNK,
    WORDS,
    Network,
    TextModel,
    cut_or_pad,
    drop_words,
    scale_embedding,
    segment_lengths,
)
from textnn.models.ensemble import Ensemble
from textnn.models.registry import ARCHITECTURES, build_model, get_architecture, register, resolve_options

__all__ = [
    "ARCHITECTURES",
    "CHARACTERS",
    "PAD",
    "UNK",
    "WORDS",
    "Ensemble",
    "Network",
    "TextModel",
    "build_model",
    "cut_or_pad",
    "drop_words",
    "get_architecture",
    "register",
    "resolve_options",
    "scale_embedding",
    "segment_lengths",
]
