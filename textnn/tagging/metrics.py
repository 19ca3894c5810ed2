"""How well spans were found: precision, recall and F1, of each type and of all.

A span counts as found if start, end and type are the same (CoNLL-2000, ``conlleval``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from textnn.tagging.schemes import Span


@dataclass(frozen=True)
class SpanScore:
    """Counts of spans, and what follows from them.

    Attributes
    ----------
    true, predicted, correct : int, int, int
        Spans that there are, that were predicted, and that were predicted rightly.

    Examples
    --------
    >>> score = SpanScore(true=4, predicted=2, correct=2)
    >>> score.precision, score.recall
    (1.0, 0.5)
    """

    true: int
    predicted: int
    correct: int

    @property
    def precision(self) -> float:
        """Correct ones among those predicted; 0 if there are none."""
        return self.correct / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        """Correct ones among those that there are; 0 if there are none."""
        return self.correct / self.true if self.true else 0.0

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall; 0 if nothing is correct."""
        return 2 * self.correct / (self.true + self.predicted) if self.correct else 0.0


@dataclass(frozen=True)
class SpanScores:
    """Scores of each type, and of all spans together.

    Attributes
    ----------
    types : dict of str to SpanScore
        By type, in alphabetical order.
    overall : SpanScore
        All spans counted together (micro average).

    Examples
    --------
    >>> scores = score_spans([[Span(0, 2, "PER"), Span(3, 4, "LOC")]], [[Span(0, 2, "PER"), Span(3, 5, "LOC")]])
    >>> scores.overall.f1, scores.macro_f1
    (0.5, 0.5)
    >>> print(scores)
               precision  recall      F1  spans
    LOC           0.0000  0.0000  0.0000      1
    PER           1.0000  1.0000  1.0000      1
    all spans     0.5000  0.5000  0.5000      2
    """

    types: dict[str, SpanScore]
    overall: SpanScore

    @property
    def macro_f1(self) -> float:
        """The mean of the types' F1; 0 if there are none."""
        return sum(score.f1 for score in self.types.values()) / len(self.types) if self.types else 0.0

    def __str__(self) -> str:
        # Where spans have no types, as words have none, a row of their own would say the same once more.
        rows = [*(self.types.items() if set(self.types) != {""} else ()), ("all spans", self.overall)]
        width = max(len(name) for name, _ in rows)
        head = f"{'':{width}}  precision  recall      F1  spans"
        lines = (f"{name:{width}}  {s.precision:9.4f}  {s.recall:6.4f}  {s.f1:6.4f}  {s.true:5}" for name, s in rows)
        return "\n".join((head, *lines))


def score_spans(true: Sequence[Iterable[Span]], predicted: Sequence[Iterable[Span]]) -> SpanScores:
    """Compare predicted spans with the true ones, sentence by sentence.

    Parameters
    ----------
    true, predicted : sequence of iterables of Span
        The spans of each sentence; a span that stands twice in a sentence counts once.

    Returns
    -------
    SpanScores

    Raises
    ------
    ValueError
        If there are not as many sentences on both sides.

    Examples
    --------
    >>> score_spans([[Span(0, 2, "PER")]], [[Span(0, 1, "PER")]]).overall
    SpanScore(true=1, predicted=1, correct=0)
    """
    if len(true) != len(predicted):
        raise ValueError(f"predicted: expected {len(true)} sentences as in true, got {len(predicted)}")
    counts: tuple[Counter[str], ...] = Counter(), Counter(), Counter()
    for these, those in zip(map(set, true), map(set, predicted), strict=True):
        for counter, spans in zip(counts, (these, those, these & those), strict=True):
            counter.update(span.type for span in spans)
    names = sorted(counts[0] | counts[1])
    types = {name: SpanScore(*(counter[name] for counter in counts)) for name in names}
    return SpanScores(types, SpanScore(*(counter.total() for counter in counts)))
