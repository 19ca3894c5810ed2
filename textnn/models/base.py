"""What the trainer and the classifier expect of a network, and what networks share.

RaggedBatch.inputs -> TextModel -> logits [B, K]        K: the number of classes, or 1 for a single sigmoid
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from textnn import functional
from textnn.circumstances import warn
from textnn.layers.frozen import DTYPES
from textnn.models.options import BFLOAT16, FLOAT32

if TYPE_CHECKING:
    from textnn.layers.embedding_recurrent import EmbeddingRecurrent
    from textnn.models.decomposition import Decomposition

PAD, UNK = 0, 1

WORDS, CHARACTERS = "words", "characters"
"""The forms in which a network may read texts."""

# What every architecture has, unless it says otherwise. None for a size is no limit.
COMMON: dict[str, Any] = {
    "min_count": 2,
    "max_vocabulary": None,
    "max_length": 512,
    "epochs": 10,
    "min_steps": 600,
    "full_steps": 0,
    "batch_size": 64,
    "learning_rate": 1e-3,
    "weight_decay": 0.0,
    "label_smoothing": 0.0,
    "validation_fraction": 0.1,
    "patience": 2,
    "clip_norm": 0.0,
    "schedule": "constant",
    "warmup": 0.0,
    "precision": FLOAT32,
    "output": "softmax",
    "ensemble": 1,
    "bucket": True,
    "sparse": True,
}


class Network(nn.Module):
    """What the trainer expects of a network, and a saved model.

    Attributes
    ----------
    name
        The name of its architecture.
    exact
        Whether training with sparse gradients is to give what a dense Adam gives, or leaves rows at rest alone (see
        :class:`textnn.optim.Adam`).
    rates
        Of parameters, by name, what the learning rate is multiplied by; 1 for all others.
    frozen_epochs
        Of parameters, by name, how many epochs of a training they keep their first values; 0 for all others.
    """

    name: str
    exact: ClassVar[bool] = False
    rates: Mapping[str, float] = {}
    frozen_epochs: Mapping[str, int] = {}

    def forward(self, *inputs: Any, **_: Any) -> Tensor:
        """Return what the objective takes, of ids [N] and offsets [B] of each form, text b from offsets[b] on."""
        raise NotImplementedError

    def word_tables(self) -> list[nn.Parameter]:
        """Return the embedding tables of words, [V, D]; a network that has none gives none."""
        return []

    def encoders(self) -> list[EmbeddingRecurrent]:
        """Return the recurrent encoders that may begin with the weights of a language model."""
        return []

    def begin_epoch(self, epoch: int) -> None:
        """Let those parameters learn that are to do so in an epoch, from 1."""
        parameters = dict(self.named_parameters()) if self.frozen_epochs else {}
        for name, epochs in self.frozen_epochs.items():
            parameters[name].requires_grad_(epoch > epochs)

    def begin_pass(self) -> None:
        """Forget what is carried from batch to batch, before the first batch of a pass over texts."""

    def end_passes(self) -> None:
        """Carry nothing from batch to batch any more: the training is over."""

    def carried_states(self) -> dict[str, Tensor]:
        """Return what is carried from batch to batch in training, by name, for checkpoints to read and to fill."""
        return {}

    def sparse_parameters(self) -> list[nn.Parameter]:
        """Return the tables whose gradients are sparse: a training step touches only the rows of its batch."""
        tables = (module.weight for module in self.modules() if getattr(module, "sparse", False))
        return [table for table in tables if isinstance(table, nn.Parameter) and table.requires_grad]


class TextModel(Network):
    """What the classifier expects of an architecture.

    A subclass takes ``(vocabulary_size, classes, *, ...)``, where the keyword arguments are its own options, and
    defines ``forward(ids [N], offsets [B]) -> logits [B, K]``. One that reads characters beside words takes a
    ``character_vocabulary_size`` too, and their ids and offsets behind those of the words.

    Attributes
    ----------
    defaults
        The value of every option that the architecture has: those of its constructor and those of the training.
    spaced_defaults
        Those that are others for texts in scripts with spaces between words.
    streams
        The forms in which it reads texts, in the order of the arguments of ``forward``.
    embedding
        Name of its embedding table among its parameters, if logits depend on ids through this table alone: gradients
        can then be taken with respect to each token's vector. Else None.
    explained_by
        The method of explanation that was found to be the most faithful for it (docs/faithfulness.md); None takes the
        first that is possible.
    padded
        Whether ``forward`` takes padded batches too: such a network can be exported.
    """

    defaults: ClassVar[Mapping[str, Any]]
    spaced_defaults: ClassVar[Mapping[str, Any]] = {}
    streams: ClassVar[tuple[str, ...]] = (WORDS,)
    embedding: ClassVar[str | None] = None
    explained_by: ClassVar[str | None] = None
    padded: ClassVar[bool] = False

    def forward(self, *inputs: Any, **_: Any) -> Tensor:
        """Return the logits [B, K] of texts: ids [N] and offsets [B] of each form, text b being ids from offsets[b].

        Or ids [B, L] and lengths [B] of each form, padded batches, if the class is ``padded``; :func:`bounds` tells.
        """
        raise NotImplementedError

    def decompose(self, *inputs: Tensor, direction: Tensor) -> Decomposition | None:
        """Return an exact split of ``direction . logits`` of one text over its n-grams; None if it is no such sum.

        Parameters
        ----------
        inputs
            As for :meth:`forward`, of one text.
        direction
            float64 [K].
        """
        return None

    def word_tables(self) -> list[nn.Parameter]:
        """Return the embedding tables of words, [V, D]; a network that has none gives none."""
        return [] if self.embedding is None else [self.get_parameter(self.embedding)]

    @property
    def freezable(self) -> bool:
        """Whether a part of it can be frozen in its own dtype."""
        return any(None in getattr(part, "frozen_dtypes", ()) for part in self.modules())

    def freeze(self, memory_limit: int | None = None, dtype: str | None = None) -> TextModel:
        """Return a copy for inference, whose parts are frozen; see ``EmbeddingTextConv.freeze``, ``LSTM.freeze``.

        Without a part that can be frozen in this dtype there is a warning, and the model itself comes back.

        Parameters
        ----------
        memory_limit
            Bytes that the table of each part may take. None is no limit.
        dtype
            Of the tables; "int8" also rounds the weights of LSTMs, and "bfloat16" is for recurrent layers alone.

        Raises
        ------
        TypeError, ValueError
            If an argument makes no sense.
        """
        kinds: list[tuple[Any, Any]] = [(part, getattr(part, "frozen_dtypes", ())) for part in self.modules()]
        parts = [part for part, dtypes in kinds if dtype in dtypes]
        if dtype is not None and dtype not in (*DTYPES, BFLOAT16):
            raise ValueError(f"dtype must be one of {', '.join(map(repr, (*DTYPES, BFLOAT16)))}, got {dtype!r}")
        if not parts:
            known = sorted({name for _, dtypes in kinds for name in dtypes})
            hint = f" (it can be frozen in {', '.join(map(repr, known))})" if known else ""
            name = f"the architecture {self.name!r} has nothing to freeze"
            warn(f"{name}{f' in {dtype!r}' if dtype else ''}; it predicts as before{hint}")
            return self
        # What a copy's memo holds is taken in the place of a copy.
        return copy.deepcopy(self, {id(part): part.freeze(memory_limit, dtype) for part in parts}).eval()


def drop_words(ids: Tensor, probability: float, training: bool) -> Tensor:
    """Replace each id by [UNK] with a probability, during training.

    The network then cannot lean on a single word, and the row of [UNK] learns to stand for a word that is not known.
    (Iyyer et al., "Deep Unordered Composition Rivals Syntactic Methods for Text Classification", 2015, section 2.3.)
    """
    if not training or probability == 0.0:
        return ids
    return ids.masked_fill(torch.rand(ids.shape, device=ids.device) < probability, UNK)


def bounds(ids: Tensor, ends: Tensor) -> dict[str, Tensor]:
    """Return what layers call what comes with ids: offsets of flat ones [N], lengths of padded ones [B, L]."""
    return {"offsets" if ids.dim() == 1 else "lengths": ends}


class MaxMeanPool(nn.Module):
    """:func:`textnn.functional.max_mean_pool`, as a module that an export replaces."""

    def forward(self, x: Tensor, **ends: Tensor) -> Tensor:
        """Pool x [N, F] or [B, T, F] -> [B, 2 F]."""
        return functional.max_mean_pool(x, **ends)


class Embedding(nn.Embedding):
    """:func:`textnn.functional.embedding`, as a module that an export replaces."""

    def forward(self, ids: Tensor) -> Tensor:
        """Look up ids [...] -> [..., D]."""
        return functional.embedding(ids, self.weight, padding_idx=self.padding_idx, sparse=self.sparse)


def segment_lengths(ids: Tensor, offsets: Tensor) -> Tensor:
    """Return the lengths [B] of the texts that start at ``offsets`` [B] in ``ids`` [N]."""
    end = torch.full((1,), ids.shape[0], dtype=offsets.dtype, device=offsets.device)
    return torch.diff(offsets, append=end)


def cut_or_pad(ids: Tensor, offsets: Tensor, length: int) -> Tensor:
    """Return the first ``length`` ids of each text, with 0 where it has fewer: [B, length].

    Parameters
    ----------
    ids, offsets
        Flat, [N] and [B]; or padded, [B, L] and in the place of offsets lengths [B].
    """
    if ids.dim() == 2:
        cut = F.pad(ids, (0, length), value=PAD)[:, :length]
        return cut.masked_fill(torch.arange(length, device=ids.device) >= offsets[:, None], PAD)
    if ids.shape[0] == 0:
        return offsets.new_full((offsets.shape[0], length), PAD)
    steps = torch.arange(length, device=ids.device)
    inside = steps < segment_lengths(ids, offsets)[:, None]
    positions = (offsets[:, None] + steps).clamp(max=ids.shape[0] - 1)
    return ids[positions].masked_fill(~inside, PAD)


def scale_embedding(weight: Tensor, deviation: float = 0.1) -> None:
    """Shrink an embedding table drawn from N(0, 1), as the layers draw it, in place.

    Words that are too rare to have been learnt then add little noise to their texts.
    """
    with torch.no_grad():
        weight.mul_(deviation)
