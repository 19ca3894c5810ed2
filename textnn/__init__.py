"""Fast recurrent and text-convolution layers for PyTorch, and estimators that take raw text.

Layers are imported at once, because ``import textnn`` is what registers the operators (a program saved by torch.export
needs them); the estimators, which need scikit-learn, and the laboratory at their first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch  # noqa: F401  # isort: skip  # loads libtorch before the extension that needs it

from . import backends, functional, optim, reference
from .layers import (
    CRF,
    GRU,
    LSTM,
    RNN,
    EmbeddingGRU,
    EmbeddingLSTM,
    EmbeddingRNN,
    EmbeddingTextConv,
    FrozenEmbeddingLSTM,
    FrozenLSTM,
    FrozenRecurrent,
    FrozenTextConv,
    GRUCell,
    LinearCrossEntropyLoss,
    LSTMCell,
    NgramBag,
    RNNCell,
    TextConv,
    accelerate,
)
from .version import __version__

if TYPE_CHECKING:
    from . import lab
    from .classification.estimator import SentimentClassifier
    from .language.estimator import LanguageModel
    from .tagging.estimator import SequenceTagger
    from .translation.estimator import Translator

__all__ = [
    "CRF",
    "GRU",
    "LSTM",
    "RNN",
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
    "LanguageModel",
    "LinearCrossEntropyLoss",
    "NgramBag",
    "RNNCell",
    "SentimentClassifier",
    "SequenceTagger",
    "TextConv",
    "Translator",
    "__version__",
    "accelerate",
    "backends",
    "functional",
    "lab",
    "optim",
    "reference",
]


def __getattr__(name: str) -> object:
    if name == "SentimentClassifier":
        from .classification.estimator import SentimentClassifier

        return SentimentClassifier
    if name == "SequenceTagger":
        from .tagging.estimator import SequenceTagger

        return SequenceTagger
    if name == "LanguageModel":
        from .language.estimator import LanguageModel

        return LanguageModel
    if name == "Translator":
        from .translation.estimator import Translator

        return Translator
    if name == "lab":
        import importlib

        return importlib.import_module(".lab", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
