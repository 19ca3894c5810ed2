"""The record of a fitted tagger: all that predictions and a saved model follow from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

from textnn.tagging.encoding import CHAR, TokenEncoder
from textnn.tagging.metrics import SpanScores
from textnn.tagging.network import TaggingNetwork
from textnn.tagging.tags import TagSet
from textnn.text import Vocabulary


@dataclass(eq=False)
class State:
    """What a fit came to; the attributes of :class:`~textnn.SequenceTagger`, which has an underscore behind each.

    Attributes
    ----------
    level
        ``"char"`` or ``"word"``.
    tags
        What the network tells apart.
    vocabulary, letters
        Of tokens, and of the letters of words.
    words
        Those of the lexicon of a tagger of characters that finds spans; None for other taggers.
    validation_scores
        Of the spans of the validation part, or None.
    """

    level: str
    tags: TagSet
    vocabulary: Vocabulary
    letters: Vocabulary | None
    words: list[str] | None
    model: TaggingNetwork
    options: dict[str, Any]
    seed: int
    n_sentences: int
    history: list[dict[str, Any]]
    best_epoch: int
    validation_scores: SpanScores | None = None
    encoder: TokenEncoder = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.encoder = TokenEncoder(self.level, self.tags.is_segmentation, self.vocabulary, self.letters, self.words)

    @classmethod
    def of(cls, fitted: Any) -> State:
        """Return the record of an estimator, or the record itself."""
        return fitted if isinstance(fitted, cls) else cast(State, fitted.state_)

    @property
    def is_segmenter(self) -> bool:
        """Whether it cuts texts into words."""
        return self.tags.is_segmentation and self.level == CHAR

    @property
    def scheme(self) -> str | None:
        """How tags mark spans, as the user writes them."""
        return self.tags.scheme
