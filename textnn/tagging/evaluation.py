"""How good a tagger is: spans by type, and tags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textnn.tagging.intake import Tagged
from textnn.tagging.metrics import SpanScores, score_spans
from textnn.tagging.prediction import predict_numbers
from textnn.tagging.schemes import spans_of
from textnn.tagging.state import State


@dataclass(frozen=True)
class TaggingReport:
    """What predictions came to.

    Attributes
    ----------
    sentences, tokens : int, int
        What was compared.
    accuracy : float
        The share of tokens with the right tag.
    spans : SpanScores or None
        Precision, recall and F1 of each type; None for tags that mark no spans.

    Examples
    --------
    >>> print(TaggingReport(sentences=2, tokens=9, accuracy=0.75, spans=None))
    2 sentences, 9 tokens; accuracy of tags 0.7500
    """

    sentences: int
    tokens: int
    accuracy: float
    spans: SpanScores | None

    @property
    def score(self) -> float:
        """The F1 of all spans, or the accuracy."""
        return self.accuracy if self.spans is None else self.spans.overall.f1

    def __str__(self) -> str:
        head = f"{self.sentences:,} sentences, {self.tokens:,} tokens; accuracy of tags {self.accuracy:.4f}"
        return head if self.spans is None else f"{head}\n{self.spans}"


def evaluate(state: State, data: Tagged, strict: bool = False) -> TaggingReport:
    """Compare predictions with tags; see :meth:`SequenceTagger.evaluate`."""
    predicted = [state.tags.decode(numbers.tolist()) for numbers in predict_numbers(state, data.tokens)]
    return compare(data.tags, predicted, state.scheme, strict)


def compare(
    true: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], scheme: str | None, strict: bool = False
) -> TaggingReport:
    """Return the report of predicted tags beside true ones, both in ``scheme``."""
    pairs = [pair for those, these in zip(true, predicted, strict=True) for pair in zip(those, these, strict=True)]
    right = sum(tag == other for tag, other in pairs)
    spans = None
    if scheme is not None:
        spans = score_spans(*([spans_of(tags, scheme, strict) for tags in both] for both in (true, predicted)))
    return TaggingReport(len(true), len(pairs), right / len(pairs) if pairs else 0.0, spans)
