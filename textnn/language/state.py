"""The record of a fitted language model: all that scores, generated text and a saved model follow from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from textnn.language.encoding import Splitter, TextEncoder
from textnn.language.network import LanguageNetwork
from textnn.text import Vocabulary


@dataclass(eq=False)
class State:
    """What a fit came to; the attributes of :class:`~textnn.LanguageModel`, which has an underscore behind each.

    Attributes
    ----------
    splitter
        How texts become tokens.
    vocabulary
        Of the tokens. [PAD] stands for the end of a text, [UNK] for a token that is not known.
    model
        The network.
    options
        As they were used.
    n_texts, n_tokens
        What it was trained on; a text counts a token more than it has, its end.
    """

    splitter: Splitter
    vocabulary: Vocabulary
    model: LanguageNetwork
    options: dict[str, Any]
    seed: int
    n_texts: int
    n_tokens: int
    history: list[dict[str, Any]]
    best_epoch: int
    encoder: TextEncoder = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.encoder = TextEncoder(self.splitter, self.vocabulary)

    @property
    def validation_perplexity(self) -> float | None:
        """The perplexity of the best epoch on the validation split; None without one."""
        best = self.history[self.best_epoch - 1] if self.history and self.best_epoch else {}
        return best.get("validation_perplexity")
