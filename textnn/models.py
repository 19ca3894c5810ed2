"""Architectures: from a ragged batch of token ids to one row of logits a text.

    ids [N], offsets [B] -> (word dropout) -> embedding + LSTM or convolution -> features [B, F] -> logits [B, classes]

Every architecture is a class with a name in the registry ``ARCHITECTURES``. What suits it best (sizes, dropout,
learning rate, epochs) is written beside it in ``defaults``; a classifier changes an option by naming it and leaves all
others as they are here. An option that an architecture does not list does not exist for it, and asking for it is an
error.
"""

from __future__ import annotations

import copy
import difflib
import inspect
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from textnn import functional
from textnn.layers import EmbeddingLSTM, EmbeddingTextConv
from textnn.layers.frozen import DTYPES
from textnn.options import check_option

PAD, UNK = 0, 1

# What every architecture has, unless it says otherwise. None for a size is no limit.
_COMMON: dict[str, Any] = {
    "min_count": 2,
    "max_vocabulary": None,
    "max_length": 512,
    "epochs": 10,
    "batch_size": 64,
    "learning_rate": 1e-3,
    "weight_decay": 0.0,
    "label_smoothing": 0.0,
    "validation_fraction": 0.1,
    "patience": 2,
    "bucket": True,
    "sparse": True,
}


class TextModel(nn.Module):
    """What the trainer and the classifier expect of an architecture.

    A subclass takes ``(vocabulary_size, classes, *, ...)``, where the keyword arguments are its own options, and
    defines ``forward(ids [N], offsets [B]) -> logits [B, classes]``.

    Attributes
    ----------
    name
        The name in the registry.
    defaults
        The value of every option that the architecture has: those of its constructor and those of the training.
    exact
        Whether training with sparse gradients is to give what a dense Adam gives, or leaves rows at rest alone (see
        :class:`textnn.optim.Adam`).
    """

    name: ClassVar[str]
    defaults: ClassVar[Mapping[str, Any]]
    exact: ClassVar[bool] = False

    def forward(self, ids: Tensor, offsets: Tensor) -> Tensor:
        """Return the logits [B, classes] of the texts ``ids[offsets[b]:offsets[b + 1]]``."""
        raise NotImplementedError

    def sparse_parameters(self) -> list[nn.Parameter]:
        """Return the tables whose gradients are sparse: a training step touches only the rows of its batch."""
        tables = (module.weight for module in self.modules() if getattr(module, "sparse", False))
        return [table for table in tables if isinstance(table, nn.Parameter)]

    def freeze(self, memory_limit: int | None = None, dtype: str | None = None) -> TextModel:
        """Return a copy for inference, whose parts are frozen; see ``EmbeddingTextConv.freeze``, ``LSTM.freeze``.

        Without a part that can be frozen in this dtype there is a warning, and the model itself comes back.

        Parameters
        ----------
        memory_limit
            Bytes that the table of each part may take. None is no limit.
        dtype
            Of the tables; "int8" also rounds the weights of LSTMs.

        Raises
        ------
        TypeError, ValueError
            If an argument makes no sense.
        """
        kinds: list[tuple[Any, Any]] = [(part, getattr(part, "frozen_dtypes", ())) for part in self.modules()]
        parts = [part for part, dtypes in kinds if dtype in dtypes]
        if dtype is not None and dtype not in DTYPES:
            raise ValueError(f"dtype must be one of {', '.join(map(repr, DTYPES))}, got {dtype!r}")
        if not parts:
            known = sorted({name for _, dtypes in kinds for name in dtypes})
            hint = f" (it can be frozen in {', '.join(map(repr, known))})" if known else ""
            name = f"the architecture {self.name!r} has nothing to freeze"
            warnings.warn(f"{name}{f' in {dtype!r}' if dtype else ''}; it predicts as before{hint}", stacklevel=3)
            return self
        # What a copy's memo holds is taken in the place of a copy.
        return copy.deepcopy(self, {id(part): part.freeze(memory_limit, dtype) for part in parts}).eval()


ARCHITECTURES: dict[str, type[TextModel]] = {}


def register(model: type[TextModel]) -> type[TextModel]:
    """Enter an architecture into the registry under its ``name``; use it as a decorator."""
    if model.name in ARCHITECTURES:
        raise ValueError(f"architecture {model.name!r} is registered already, by {ARCHITECTURES[model.name].__name__}")
    ARCHITECTURES[model.name] = model
    return model


def get_architecture(name: str) -> type[TextModel]:
    """Return the class of an architecture.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    if not isinstance(name, str) or name not in ARCHITECTURES:
        names = ", ".join(repr(known) for known in ARCHITECTURES)
        close = difflib.get_close_matches(str(name), ARCHITECTURES, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"architecture: expected one of {names}, got {name!r}{hint}")
    return ARCHITECTURES[name]


def resolve_options(architecture: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the architecture's options with those given in place of the defaults.

    Parameters
    ----------
    architecture
        Name in the registry.
    given
        Options by name. None stands for "not given".

    Raises
    ------
    ValueError
        If the architecture has no such option, or a value makes no sense.
    TypeError
        If a value is of the wrong type.
    """
    options = dict(get_architecture(architecture).defaults)
    for option, value in given.items():
        if value is None:
            continue
        if option not in options:
            known = ", ".join(sorted(options))
            raise ValueError(f"{option}: the architecture {architecture!r} has no such option; it has {known}")
        options[option] = check_option(option, value)
    return options


def build_model(architecture: str, vocabulary_size: int, classes: int, options: Mapping[str, Any]) -> TextModel:
    """Make a model with fresh weights, which come from torch's global generator.

    Parameters
    ----------
    architecture
        Name in the registry.
    vocabulary_size, classes
        Rows of the embedding table and of the output.
    options
        As :func:`resolve_options` returns them; those of the training are left aside.
    """
    kind = get_architecture(architecture)
    names = [name for name in inspect.signature(kind).parameters if name not in ("vocabulary_size", "classes")]
    return kind(vocabulary_size, classes, **{name: options[name] for name in names})


def drop_words(ids: Tensor, probability: float, training: bool) -> Tensor:
    """Replace each id by [UNK] with a probability, during training.

    The network then cannot lean on a single word, and the row of [UNK] learns to stand for a word that is not known.
    (Iyyer et al., "Deep Unordered Composition Rivals Syntactic Methods for Text Classification", 2015, section 2.3.)
    """
    if not training or probability == 0.0:
        return ids
    return ids.masked_fill(torch.rand(ids.shape, device=ids.device) < probability, UNK)


def segment_lengths(ids: Tensor, offsets: Tensor) -> Tensor:
    """Return the lengths [B] of the texts that start at ``offsets`` [B] in ``ids`` [N]."""
    end = torch.full((1,), ids.shape[0], dtype=offsets.dtype, device=offsets.device)
    return torch.diff(offsets, append=end)


def cut_or_pad(ids: Tensor, offsets: Tensor, length: int) -> Tensor:
    """Return the first ``length`` ids of each text, with 0 where it has fewer: [B, length]."""
    if ids.shape[0] == 0:
        return offsets.new_full((offsets.shape[0], length), PAD)
    steps = torch.arange(length, device=ids.device)
    inside = steps < segment_lengths(ids, offsets)[:, None]
    positions = (offsets[:, None] + steps).clamp(max=ids.shape[0] - 1)
    return ids[positions].masked_fill(~inside, PAD)


@register
class LectureLSTM(TextModel):
    """The LSTM of the lecture: first 10 tokens, two layers, the output at the last time step, which may be padding.

    Kept to the letter as a baseline, with its weaknesses: long texts are cut, short ones end in padding, nothing keeps
    it from fitting its training texts by heart. Trained for all of its epochs, with the arithmetic of plain dense Adam:
    gradients are sparse only to save time, rows without gradient get the steps that dense Adam makes on them.
    """

    name = "lecture-lstm"
    exact = True
    defaults: ClassVar[Mapping[str, Any]] = {
        **_COMMON,
        "min_count": 1,
        "max_length": 10,
        "embedding_dim": 100,
        "hidden_size": 256,
        "num_layers": 2,
        "epochs": 5,
        "batch_size": 128,
        "learning_rate": 0.01,
        "patience": 0,
        "bucket": False,
    }

    def __init__(
        self,
        vocabulary_size: int,
        classes: int,
        *,
        max_length: int,
        embedding_dim: int,
        hidden_size: int,
        num_layers: int,
        sparse: bool,
    ) -> None:
        super().__init__()
        self.max_length = max_length
        self.encoder = EmbeddingLSTM(
            vocabulary_size, embedding_dim, hidden_size, num_layers, padding_idx=None, sparse=sparse
        )
        self.hidden = nn.Linear(hidden_size, 100)
        self.output = nn.Linear(100, classes)

    def forward(self, ids: Tensor, offsets: Tensor) -> Tensor:
        """Return the logits [B, classes]."""
        padded = cut_or_pad(ids, offsets, self.max_length)
        _, (h_n, _) = self.encoder(padded, outputs=False)  # [layers, B, H], the outputs at the last time step
        logits: Tensor = self.output(self.hidden(h_n[-1]))
        return logits


class _PooledLSTM(TextModel):
    """LSTM over each text's own length; maximum and mean of its outputs go to a linear layer."""

    bidirectional: ClassVar[bool]

    def __init__(
        self,
        vocabulary_size: int,
        classes: int,
        *,
        embedding_dim: int,
        hidden_size: int,
        num_layers: int,
        dropout: float,
        word_dropout: float,
        sparse: bool,
    ) -> None:
        super().__init__()
        self.word_dropout = word_dropout
        self.encoder = EmbeddingLSTM(
            vocabulary_size,
            embedding_dim,
            hidden_size,
            num_layers,
            dropout=dropout if num_layers > 1 else 0.0,
            bidirectional=self.bidirectional,
            sparse=sparse,
        )
        scale_embedding(self.encoder.weight)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(2 * hidden_size * (2 if self.bidirectional else 1), classes)

    def forward(self, ids: Tensor, offsets: Tensor) -> Tensor:
        """Return the logits [B, classes]."""
        ids = drop_words(ids, self.word_dropout, self.training)
        steps, _ = self.encoder(ids, offsets=offsets)  # [N, H * directions]
        features = functional.max_mean_pool(steps, offsets=offsets)
        logits: Tensor = self.output(self.dropout(features))
        return logits


@register
class PooledLSTM(_PooledLSTM):
    """Reads each text forwards."""

    name = "lstm"
    bidirectional = False
    defaults: ClassVar[Mapping[str, Any]] = {
        **_COMMON,
        "embedding_dim": 128,
        "hidden_size": 128,
        "num_layers": 1,
        "dropout": 0.5,
        "word_dropout": 0.2,
        "label_smoothing": 0.05,
    }


@register
class PooledBiLSTM(_PooledLSTM):
    """Reads each text forwards and backwards."""

    name = "bilstm"
    bidirectional = True
    defaults: ClassVar[Mapping[str, Any]] = {**PooledLSTM.defaults}


@register
class TextCNN(TextModel):
    """Convolutions over words, maximum over time, dropout, one linear layer.

    (Kim, "Convolutional Neural Networks for Sentence Classification", 2014.)
    """

    name = "textcnn"
    defaults: ClassVar[Mapping[str, Any]] = {
        **_COMMON,
        "embedding_dim": 128,
        "channels": 128,
        "kernel_sizes": (1, 2, 3),
        "dropout": 0.5,
        "word_dropout": 0.2,
        "label_smoothing": 0.05,
    }

    def __init__(
        self,
        vocabulary_size: int,
        classes: int,
        *,
        embedding_dim: int,
        channels: int,
        kernel_sizes: Sequence[int],
        dropout: float,
        word_dropout: float,
        sparse: bool,
    ) -> None:
        super().__init__()
        self.word_dropout = word_dropout
        self.encoder = EmbeddingTextConv(
            vocabulary_size, embedding_dim, channels, tuple(kernel_sizes), padding="valid", sparse=sparse
        )
        scale_embedding(self.encoder.weight)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(channels * len(kernel_sizes), classes)

    def forward(self, ids: Tensor, offsets: Tensor) -> Tensor:
        """Return the logits [B, classes]."""
        ids = drop_words(ids, self.word_dropout, self.training)
        features = self.encoder(ids, offsets=offsets)  # [B, C * kernel sizes]
        logits: Tensor = self.output(self.dropout(features))
        return logits


def scale_embedding(weight: Tensor, deviation: float = 0.1) -> None:
    """Shrink an embedding table drawn from N(0, 1), as the layers draw it, in place.

    Words that are too rare to have been learnt then add little noise to their texts.
    """
    with torch.no_grad():
        weight.mul_(deviation)
