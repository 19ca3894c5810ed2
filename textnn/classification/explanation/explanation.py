"""An explanation: a prediction, and what each token and each n-gram of the text added to it.

Explanation -> to_dict (JSON), to_html (a page's part), to_terminal (rich's print does it)
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from textnn.classification.evaluation.metrics import plain_label
from textnn.classification.explanation.contributions import Contributions, shorten, strongest
from textnn.classification.explanation.html import fragment

if TYPE_CHECKING:
    from textnn.classification.explanation.terminal import TerminalExplanation

_REPR_TOKENS = 5


@dataclass(frozen=True)
class Explanation(Contributions):
    """Why a classifier gives a text a label.

    Attributes
    ----------
    text : str
        The text.
    label : hashable
        The class that is explained.
    classes, probabilities : list, list of float
        All classes, and the probability of each.
    method : str
        ``"exact"``, ``"integrated gradients"`` or ``"occlusion"``.
    base : float
        The score before any token: in log-odds, as contributions are.
    tokens : list of TokenContribution
        All tokens in the order of the text, with what each adds.
    ngrams : list of NgramContribution
        The n-grams that add most, for or against, the largest first; only by the method "exact".

    Examples
    --------
    >>> from textnn.explanation import TokenContribution
    >>> tokens = [TokenContribution("not", 0, 3, -1.2), TokenContribution("clean", 4, 9, 0.4)]
    >>> one = Explanation("not clean", "bad", ["bad", "good"], [0.8, 0.2], "occlusion", 0.6, tokens)
    >>> one.probability, max(one.tokens, key=lambda token: token.contribution).token
    (0.8, 'clean')
    """

    def __repr__(self) -> str:
        """Return the label, its probability and the strongest tokens; ``to_dict()`` has everything."""
        rows = strongest(replace(self, ngrams=[]), _REPR_TOKENS)
        shown = [f"{shorten(text)!r} {value:+.3f}" for text, value, _ in rows]
        if len(self.tokens) > len(rows):
            shown.append(f"{len(self.tokens) - len(rows):,} more")
        return f"<Explanation {self.label!r}, probability {self.probability:.3f}: {', '.join(shown) or 'no tokens'}>"

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        classes = zip(self.classes, self.probabilities, strict=True)
        return {
            "text": self.text,
            "label": plain_label(self.label),
            "probability": self.probability,
            "probabilities": [{"label": plain_label(label), "probability": share} for label, share in classes],
            "method": self.method,
            "base": self.base,
            "tokens": [asdict(token) for token in self.tokens],
            "ngrams": [asdict(ngram) for ngram in self.ngrams],
        }

    def to_html(self) -> str:
        """Return the text in colours, a ``<span>`` to be put into any page: blue speaks for the label, orange against.

        It needs nothing but itself, and all of the text is escaped.
        """
        return fragment(self)

    def to_terminal(self) -> TerminalExplanation:
        """Return what a :class:`rich.console.Console` prints; without colours, signs and numbers take their place."""
        from textnn.classification.explanation.terminal import TerminalExplanation

        return TerminalExplanation(self)

    def __rich__(self) -> TerminalExplanation:
        return self.to_terminal()

    def _repr_html_(self) -> str:
        """What notebooks show."""
        return self.to_html()
