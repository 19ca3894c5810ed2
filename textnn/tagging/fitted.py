"""What a fitted tagger does for its user: tags, entities, words, scores; each a call of a function on its state.

sentences -> ``prediction`` | texts -> ``entities``, ``explanation`` | sentences, tags -> ``evaluation``
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from textnn.data.inputs import iter_texts
from textnn.estimator import Estimator
from textnn.tagging import entities, evaluation, explanation, prediction
from textnn.tagging.dictionary import Dictionary
from textnn.tagging.encoding import CHAR, Tokens
from textnn.tagging.entities import Entity
from textnn.tagging.evaluation import TaggingReport
from textnn.tagging.explanation import EntityExplanation
from textnn.tagging.intake import check_sentences, check_tagged
from textnn.tagging.state import State

Array = np.ndarray[Any, np.dtype[Any]]


class FittedTagger(Estimator[State]):
    """The part of :class:`textnn.SequenceTagger` that a fitted one has."""

    @property
    def tags_(self) -> list[str]:
        """The tags that the network tells apart."""
        return list(self._state.tags.names)

    @property
    def scheme_(self) -> str | None:
        """How the user's tags mark spans."""
        return self._state.scheme

    @property
    def level_(self) -> str:
        """Whether tokens are characters or words."""
        return self._state.level

    def predict(self, X: Iterable[Tokens]) -> list[list[str]]:
        """Return the tags of each sentence, in the scheme of the training data.

        Parameters
        ----------
        X : iterable of sequences of str
            The tokens of each sentence; of a model of characters, strings will do.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the tagger has not been fitted.
        TypeError, ValueError
            If ``X`` makes no sense.
        """
        state = self._state
        sentences = check_sentences(X, strings=state.level == CHAR)
        return [state.tags.decode(numbers.tolist()) for numbers in prediction.predict_numbers(state, sentences)]

    def predict_marginals(self, X: Iterable[Tokens]) -> list[Array]:
        """Return the probability of each tag of each token: float arrays [tokens, K], in the order of ``tags_``.

        Parameters
        ----------
        X
            As for :meth:`predict`, which raises the same.
        """
        state = self._state
        sentences = check_sentences(X, strings=state.level == CHAR)
        return list(prediction.stream(state, sentences, prediction.probabilities))

    def entities(self, text: str) -> list[Entity]:
        """Find the entities of a text.

        Parameters
        ----------
        text : str
            Of any length. Words are found by a simple rule: letters and digits together, all else for itself.

        Returns
        -------
        list of Entity
            Type, place in the text and confidence of each, from left to right.

        Raises
        ------
        TypeError
            If ``text`` is no string.
        ValueError
            If the model's tags mark no spans.
        """
        if not isinstance(text, str):
            raise TypeError(f"text: expected a string, got {type(text).__name__}; stream_entities takes several")
        return next(self.stream_entities([text]))

    def stream_entities(self, texts: Iterable[str]) -> Iterator[list[Entity]]:
        """Yield the entities of each of any number of texts, in constant memory; see :meth:`entities`."""
        return entities.entities(self._state, iter_texts(texts))

    def explain(self, text: str) -> list[EntityExplanation]:
        """Say for each entity of a text which tokens around it, and in it, made it one.

        Parameters
        ----------
        text : str
            As for :meth:`entities`. It takes a prediction for each token of a line.

        Returns
        -------
        list of EntityExplanation
            Of each entity, what each token adds to its log-odds; ``print`` and rich show it.

        Raises
        ------
        TypeError, ValueError
            As :meth:`entities` does.
        """
        if not isinstance(text, str):
            raise TypeError(f"text: expected a string, got {type(text).__name__}")
        return explanation.explain(self._state, text)

    def cut(self, text: str, dictionary: Iterable[str] | None = None) -> list[str]:
        """Cut a text into words.

        Parameters
        ----------
        text : str
            Of any length; white space always parts words, and is in none.
        dictionary : iterable of str, optional
            Words that are cut out wherever they stand, of words that overlap the leftmost, and the longest there.

        Raises
        ------
        TypeError
            If ``text`` is no string.
        ValueError
            If the model is none of word segmentation (:meth:`fit_words`).
        """
        return [word for word, _ in self.cut_tagged(text, dictionary)]

    def cut_tagged(self, text: str, dictionary: Iterable[str] | None = None) -> list[tuple[str, str]]:
        """Cut a text into words with their parts of speech; empty where the model learnt none. See :meth:`cut`."""
        if not isinstance(text, str):
            raise TypeError(f"text: expected a string, got {type(text).__name__}; stream_cut takes several")
        return next(self.stream_cut([text], dictionary))

    def stream_cut(
        self, texts: Iterable[str], dictionary: Iterable[str] | None = None
    ) -> Iterator[list[tuple[str, str]]]:
        """Yield words and parts of speech of each of any number of texts, in constant memory; see :meth:`cut`."""
        words = None if dictionary is None else Dictionary(dictionary)
        return entities.cut(self._state, iter_texts(texts), words)

    def score(self, X: Iterable[Tokens], y: Iterable[Iterable[str]]) -> float:
        """Return the F1 of spans, or the accuracy of tags that mark none.

        Raises
        ------
        TypeError, ValueError
            If an argument makes no sense.
        """
        return self.evaluate(X, y).score

    def evaluate(self, X: Iterable[Tokens], y: Iterable[Iterable[str]], strict: bool = False) -> TaggingReport:
        """Compare predictions with tags.

        Parameters
        ----------
        X, y
            As for :meth:`fit`.
        strict : bool, default=False
            Whether a span of ``y`` that its scheme does not spell in full is none, as in seqeval's strict mode.

        Returns
        -------
        TaggingReport
            Precision, recall and F1 of each type of spans, and the accuracy of tags.

        Raises
        ------
        TypeError, ValueError
            If an argument makes no sense.
        """
        return evaluation.evaluate(self._state, check_tagged(X, y), strict)
