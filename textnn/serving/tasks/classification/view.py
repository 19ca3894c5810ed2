"""A classifier as JSON: what it is, what it predicts, and which class and method of explanation a client means.

Labels may be any hashable values. Strings, numbers and booleans stay what they are, others become their text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from textnn.classification.evaluation.report import plain_label
from textnn.classification.explanation.explain import AUTO
from textnn.classification.explanation.methods import EXACT, METHODS
from textnn.serving.errors import ServingError
from textnn.serving.settings import Settings
from textnn.serving.tasks.classification.examples import find_examples
from textnn.text import is_blank

if TYPE_CHECKING:
    from textnn import SentimentClassifier

Table = np.ndarray[Any, np.dtype[Any]]


class ModelView:
    """What clients see of a fitted classifier.

    Parameters
    ----------
    classifier
        The classifier.

    Attributes
    ----------
    classes
        Its classes, as JSON knows them.
    several
        Whether a text may have several.
    examples
        Texts to try it on; there may be none.
    """

    def __init__(self, classifier: SentimentClassifier) -> None:
        self._classifier = classifier
        self._classes: list[Any] = classifier.classes_.tolist()
        self.classes = [plain_label(label) for label in self._classes]
        self.several: bool = classifier.multilabel_
        self._tokenizer = {name: str(classifier.tokenizer_.config().get(name, "")) for name in ("kind", "version")}
        self.examples = find_examples(self.classes, self._tokenizer["kind"])
        self._thresholds = classifier.thresholds_
        self._methods = _find_methods(classifier)

    def facts(self) -> dict[str, Any]:
        """Return what the model is."""
        classifier = self._classifier
        thresholds = None if self._thresholds is None else self._thresholds.tolist()
        return {
            "architecture": classifier.architecture,
            "classes": self.classes,
            "multilabel": self.several,
            "thresholds": thresholds,
            "tokenizer": self._tokenizer,
            "vocabulary": len(classifier.vocabulary_),
            "parameters": sum(parameter.numel() for parameter in classifier.model_.parameters()),
            "training_texts": classifier.n_texts_,
            "examples": self.examples,
        }

    def predictions(self, texts: Sequence[str], rows: Sequence[Table]) -> list[dict[str, Any]]:
        """Return a prediction for each text, as ``textnn predict`` makes them: none for a text with nothing in it.

        Parameters
        ----------
        texts
            The texts.
        rows
            Probabilities [classes] of those of them that have something in them.
        """
        found = iter(rows)
        return [self._prediction(None if is_blank(text) else next(found)) for text in texts]

    def _prediction(self, row: Table | None) -> dict[str, Any]:
        numbers = None if row is None else row.tolist()
        all_of_them = numbers and [
            {"label": label, "probability": number} for label, number in zip(self.classes, numbers, strict=True)
        ]
        if self._thresholds is not None:
            chosen = None if row is None else (row >= self._thresholds).tolist()
            labels = chosen and [label for label, reached in zip(self.classes, chosen, strict=True) if reached]
            return {"labels": labels, "probabilities": all_of_them}
        if row is None or numbers is None:
            return {"label": None, "probability": None, "probabilities": None}
        best = int(row.argmax())
        return {"label": self.classes[best], "probability": numbers[best], "probabilities": all_of_them}

    def find_label(self, wanted: Any) -> Any:
        """Return the class that a client means: by value and type, or else by its text.

        Raises
        ------
        ServingError
            If there is none, or several are written like that.
        """
        for label, plain in zip(self._classes, self.classes, strict=True):
            if type(plain) is type(wanted) and plain == wanted:
                return label
        alike = [label for label in self._classes if isinstance(wanted, str) and str(label) == wanted]
        if len(alike) == 1:
            return alike[0]
        known = ", ".join(map(repr, self.classes[:20]))
        raise ServingError(422, "unknown_label", f"label: expected one of the classes {known}.", "label")

    def find_method(self, wanted: str, text: str, settings: Settings) -> str:
        """Return the method of explanation that a client means, where it is for the model and the text.

        Raises
        ------
        ServingError
            If it is not, or the text is too long for it.
        """
        method = self._methods.get(wanted.replace("-", " ").replace("_", " "))
        if method is None:
            known = ", ".join(map(repr, self._methods))
            raise ServingError(422, "invalid_request", f"method: expected one of {known} for this model.", "method")
        if method != EXACT and len(text) > settings.max_explained:
            raise ServingError(
                422,
                "text_too_long",
                f"text: expected at most {settings.max_explained:,} characters for the method {method!r}, "
                f"got {len(text):,}.",
                "text",
            )
        return method

    def no_explanation(self, text: str) -> dict[str, Any]:
        """Return what is said of a text with nothing in it, which has no prediction."""
        nothing = dict.fromkeys(("label", "probability", "probabilities", "method", "base"))
        return {"text": text, **nothing, "tokens": [], "ngrams": []}


def _find_methods(classifier: SentimentClassifier) -> dict[str, str]:
    """Return the methods that are for a classifier, by the names that clients may write."""
    found = {}
    for name in (AUTO, *METHODS):
        try:
            found[name] = classifier.explain(".", method=name).method
        except ValueError:  # not for the architecture
            continue
    return found
