"""A language model's encoder as the beginning of a classifier's: what it is, who can use it, how it is trained on.

    LanguageModel -> ``textnn.language.handover`` -> LanguageWeights -> checks -> options -> first weights of a network

The classifier takes embedding and recurrent layers, with the tokens that they know (Dai and Le, "Semi-supervised
Sequence Learning", 2015). Layers thaw one after the other, an epoch each, from the last one down to the embedding, and
learn the slower the lower they are (Howard and Ruder, "Universal Language Model Fine-tuning for Text Classification",
2018, sections 3.2 and 3.3). ``pretrained.py`` is about something else: single vectors of words, out of a file.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from textnn.models import CHARACTERS, WORDS, Network
from textnn.text import CharTokenizer, Tokenizer, Vocabulary

JOINT = "tfidf-textcnn"
"""The architecture that is joined with an encoder; others of ``ARCHITECTURES`` are one."""
ARCHITECTURES = (JOINT, "lstm", "gru", "rnn")
"""Those that can begin with a language model."""

LAYER_RATE = 0.5
"""What the learning rate of a layer is, as a share of that of the layer above it."""
ALONE: Mapping[str, Any] = {
    "epochs": 5,
    "min_steps": 300,
    "learning_rate": 3e-3,
    "schedule": "linear",
    "warmup": 0.1,
    "patience": 0,
    "validation_fraction": 0.05,
}
"""What suits the training of an encoder alone that begins so, in the place of its architecture's defaults."""


@dataclass(frozen=True, eq=False)
class LanguageWeights:
    """What a classifier takes of a language model.

    Attributes
    ----------
    source
        What a user calls it.
    cell
        ``"lstm"``, ``"gru"`` or ``"rnn"``.
    level
        ``"char"`` for characters, white space among them; else a tokenizer's name.
    tokenizer
        It; None for characters.
    vocabulary
        Of the tokens.
    embedding
        Vectors of the tokens, [V, D].
    layers
        The parameters of the recurrent layers, by torch's names.
    """

    source: str
    cell: str
    level: str
    tokenizer: Tokenizer | None
    vocabulary: Vocabulary
    embedding: Tensor
    layers: Mapping[str, Tensor]

    @property
    def sizes(self) -> dict[str, int]:
        """Sizes by the names of an encoder's options."""
        H, layers = self.layers["weight_hh_l0"].shape[1], sum("weight_hh" in name for name in self.layers)
        return {"embedding_dim": self.embedding.shape[1], "hidden_size": H, "num_layers": layers}

    @property
    def checksum(self) -> int:
        """A sum over all weights: a training that is resumed needs the same."""
        sums = [zlib.crc32(tensor.contiguous().numpy().tobytes()) for tensor in (self.embedding, *self.layers.values())]
        return zlib.crc32(repr(sums).encode())

    def check(self, architecture: str, parameters: Mapping[str, Any]) -> None:
        """Refuse what does not go with it, before there is any work.

        Parameters
        ----------
        architecture
            The classifier's.
        parameters
            All of the classifier's, by name.

        Raises
        ------
        ValueError
            Naming the parameter.
        """
        if architecture not in ARCHITECTURES:
            names = ", ".join(map(repr, ARCHITECTURES))
            raise ValueError(f"pretrained: expected one of the architectures {names} beside it, got {architecture!r}")
        if architecture != JOINT and architecture != self.cell:
            raise ValueError(
                f"pretrained: the language model's cell is {self.cell!r}; expected the architecture {self.cell!r} or "
                f"{JOINT!r} beside it, got {architecture!r}"
            )
        if parameters["vectors"] is not None:
            raise ValueError("vectors: expected None beside pretrained, which brings vectors of its own")
        if self.reads(architecture) == WORDS:
            unset = {"tokenizer": "auto", **dict.fromkeys(("user_dictionary", "stop_words", "min_count"))}
            for name, default in {**unset, "max_vocabulary": None}.items():
                if parameters[name] is not default and parameters[name] != default:
                    raise ValueError(
                        f"{name}: expected {default!r} beside pretrained, as tokens and vocabulary are the language "
                        f"model's, got {parameters[name]!r:.80}"
                    )
        for name, size in self.sizes.items() if architecture != JOINT else ():
            if parameters[name] not in (None, size):
                raise ValueError(f"{name}: expected {size} as in {self.source}, or None, got {parameters[name]!r:.40}")

    def reads(self, architecture: str) -> str:
        """Return the form of the texts that its encoder reads: words, unless a network reads characters beside them."""
        return CHARACTERS if architecture == JOINT and self.tokenizer is None else WORDS

    @property
    def word_tokenizer(self) -> Tokenizer:
        """The tokenizer of a classifier whose words are its tokens."""
        return CharTokenizer(spaces=True) if self.tokenizer is None else self.tokenizer

    def options(self, architecture: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options of a network that begins with it, but for those that the user gave."""
        if architecture == JOINT:
            form = {"character_form": "all"} if self.reads(architecture) == CHARACTERS else {}
            sizes = dict(zip(("encoder_dim", "encoder_size", "encoder_layers"), self.sizes.values(), strict=True))
            return {**form, "encoder_cell": self.cell, "encoder_reads": self.reads(architecture), **sizes}
        return {**self.sizes, "last": True, **{name: v for name, v in ALONE.items() if given.get(name) is None}}

    @torch.no_grad()
    def set_first_weights(self, model: Network, epochs: int) -> None:
        """Give a fresh network the encoder's weights, and say how it is to learn in so many epochs."""
        names = {id(parameter): name for name, parameter in model.named_parameters()}
        rates, frozen = dict(model.rates), dict(model.frozen_epochs)
        for encoder in model.encoders():
            encoder.weight[1:] = self.embedding[1:].to(encoder.weight)  # no text of a classifier has the token of row 0
            layer = encoder._layer()
            for name, parameter in layer.named_parameters():
                parameter.copy_(self.layers[name])
            groups: list[list[torch.Tensor]] = [[] for _ in range(layer.num_layers)]
            for name, parameter in layer.named_parameters():
                groups[int(name.rpartition("_l")[2])].append(parameter)
            for number, group in enumerate([*reversed(groups), [encoder.weight]], 1):
                for name in (names[id(tensor)] for tensor in group):
                    rates[name] = LAYER_RATE**number
                    frozen[name] = min(number, math.ceil(epochs / 2) - 1)
        model.rates, model.frozen_epochs = rates, frozen
