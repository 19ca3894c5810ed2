"""The record of a fitted translator: all that translations and a saved model follow from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from textnn.text import Vocabulary
from textnn.text.levels import Splitter
from textnn.translation.encoding import PairEncoder, SourceReader
from textnn.translation.network import TranslationNetwork


@dataclass(eq=False)
class State:
    """What a fit came to; the attributes of :class:`~textnn.Translator`, which has an underscore behind each.

    Attributes
    ----------
    source_splitter, target_splitter
        How texts become tokens.
    source_vocabulary, target_vocabulary
        Of the tokens. [PAD] stands for the beginning and the end of a target, [UNK] for a token that is not known.
    model
        The network.
    options
        As they were used.
    n_pairs, n_tokens
        What it was trained on: pairs of texts, and tokens of their targets, each with its end.
    """

    source_splitter: Splitter
    source_vocabulary: Vocabulary
    target_splitter: Splitter
    target_vocabulary: Vocabulary
    model: TranslationNetwork
    options: dict[str, Any]
    seed: int
    n_pairs: int
    n_tokens: int
    history: list[dict[str, Any]]
    best_epoch: int
    encoder: PairEncoder = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.encoder = PairEncoder(
            SourceReader(self.source_splitter, self.options["lowercase"]),
            self.source_vocabulary,
            self.target_splitter,
            self.target_vocabulary,
        )

    @property
    def validation_perplexity(self) -> float | None:
        """The perplexity of the best epoch on the validation split; None without one."""
        best = self.history[self.best_epoch - 1] if self.history and self.best_epoch else {}
        return best.get("validation_perplexity")
