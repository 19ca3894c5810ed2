"""What puts the tokens of a text in order: textnn's own methods, and opponents.

Each is a function of a classifier and the explanation that names the tokens; it returns a figure for each token, the
largest for the strongest supporter of the predicted label, [tokens], or several draws of them, [draws, tokens].
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from textnn import SentimentClassifier
from textnn.classification.explanation import Explanation
from textnn.classification.explanation.contributions import find_label
from textnn.classification.explanation.explain import score_direction
from textnn.classification.explanation.gradients import integrate_gradients
from textnn.classification.explanation.methods import METHODS
from textnn.classification.explanation.tokens import TextReader, TokenizedText
from textnn.models import Ensemble, TextModel

Figures = np.ndarray[Any, np.dtype[np.float64]]
Contestant = Callable[[SentimentClassifier, Explanation], Figures]

RANDOM, DRAWS = "random", 5


def contestants(classifier: SentimentClassifier) -> dict[str, Contestant]:
    """Return what can explain this classifier, by name; the first is the method that "auto" takes."""
    auto = classifier.explain("").method
    found: dict[str, Contestant] = {auto: _method(auto)}
    for name in METHODS:
        try:
            classifier.explain("", method=name)
        except ValueError:
            continue
        found[name] = _method(name)
    if classifier.model_.embedding is not None:
        found["integrated gradients from zeros"] = _gradients("zeros")
        found["gradient x input"] = _gradients("input")
    found[RANDOM] = _random
    return found


def _method(name: str) -> Contestant:
    def figures(classifier: SentimentClassifier, one: Explanation) -> Figures:
        found = classifier.explain(one.text, one.label, name)
        return np.array([token.contribution for token in found.tokens])

    return figures


def _random(classifier: SentimentClassifier, one: Explanation) -> Figures:
    seed = zlib.crc32(one.text.encode("utf-8", "surrogatepass"))
    return np.random.default_rng(seed).random((DRAWS, len(one.tokens)))


def _gradients(kind: str) -> Contestant:
    def figures(classifier: SentimentClassifier, one: Explanation) -> Figures:
        text = TextReader(classifier.state_.predictor.encoder)(one.text)
        model = classifier.model_
        members = model.networks if isinstance(model, Ensemble) else [model]
        direction = score_direction(
            find_label(one.classes, one.label), len(classifier.classes_), classifier.multilabel_
        )
        attribute = _zeros if kind == "zeros" else _gradient_times_input
        found = sum(attribute(member, text, direction) for member in members)
        assert isinstance(found, Tensor)
        total = torch.zeros(len(text.tokens), dtype=torch.float64).index_add_(0, text.owners[0], found)
        return total.numpy()

    return figures


def _zeros(model: TextModel, text: TokenizedText, direction: Tensor) -> Tensor:
    return integrate_gradients(model, text.ids[0], direction, torch.zeros(1)).contributions


def _gradient_times_input(model: TextModel, text: TokenizedText, direction: Tensor) -> Tensor:
    """Return the product of each vector with the gradient at it (Shrikumar et al. 2017, section 2)."""
    table = model.get_parameter(str(model.embedding)).detach()
    rows = torch.cat([table[:1], table[text.ids[0]]]).requires_grad_()
    places = torch.arange(1, len(rows))
    logits = torch.func.functional_call(model, {str(model.embedding): rows}, (places, places[:1] - 1))
    (gradient,) = torch.autograd.grad((logits.double() @ direction).sum(), rows)
    return (gradient.to_dense() * rows.detach())[1:].sum(1).double()
