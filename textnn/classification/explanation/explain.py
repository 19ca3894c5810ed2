"""From a classifier and texts to explanations.

text -> TokenizedText -> network -> logits -> probabilities, label -> direction of the score
                      -> method  -> contributions to that score    -> Explanation
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from textnn.circumstances import plain_torch
from textnn.classification.explanation.contributions import NgramContribution, TokenContribution, find_label
from textnn.classification.explanation.explanation import Explanation
from textnn.classification.explanation.methods import METHODS, Attribution
from textnn.classification.explanation.tokens import TextReader, TokenizedText
from textnn.classification.state import State
from textnn.data.inputs import check_texts

AUTO = "auto"
NGRAMS = 20
"""N-grams of an explanation at most."""


def explain(state: State, texts: Iterable[str], label: Any = None, method: str = AUTO) -> Iterator[Explanation]:
    """Explain a classifier's predictions; see :meth:`textnn.SentimentClassifier.explain`.

    Parameters
    ----------
    state
        The classifier.
    texts, label, method
        As for the method. Arguments are checked at once, texts are explained as the result is read.

    Raises
    ------
    TypeError, ValueError
        If an argument makes no sense, or the method is not for the classifier's architecture.
    """
    texts = check_texts(texts, "X")
    name = _check_method(method)
    classes = state.classes.tolist()
    number = None if label is None else find_label(classes, label)
    return _plainly(_explain(state, texts, classes, number, name))


def _plainly(explanations: Iterator[Explanation]) -> Iterator[Explanation]:
    """Yield explanations that are made as if the program had not changed torch's defaults."""
    while True:
        with plain_torch(gradients=True):
            found = next(explanations, None)
        if found is None:
            return
        yield found


def _explain(
    state: State, texts: list[str], classes: list[Any], number: int | None, method: str
) -> Iterator[Explanation]:
    model, read = state.model, TextReader(state.predictor.encoder)
    device = next(model.parameters()).device
    for text in texts:
        tokenized = read(text).to(device)
        with torch.no_grad():
            logits = model(*tokenized.inputs)
        probabilities = state.objective.probabilities(logits, state.temperature)[0].tolist()
        chosen = max(range(len(classes)), key=probabilities.__getitem__) if number is None else number
        direction = score_direction(chosen, logits.shape[1], state.multilabel) / state.temperature
        name, found = _attribute(state, tokenized, direction.to(device), method)
        yield Explanation(
            text, classes[chosen], classes, probabilities, name, found.base, _tokens(tokenized, found),
            _ngrams(tokenized, found, model.streams),
        )  # fmt: skip


def score_direction(number: int, outputs: int, multilabel: bool) -> Tensor:
    """Return the weights of the logits in the score of a class, float64 [outputs].

    The score is linear in the logits, so that contributions to them add up. It is the log-odds of the class, exactly,
    where a class has a sigmoid to itself and where there are two classes. Of more classes it is the class's logit less
    the mean of the others': the log-odds against their geometric mean.
    """
    if outputs == 1:
        return torch.tensor([1.0 if multilabel or number else -1.0], dtype=torch.float64)
    direction = torch.full((outputs,), 0.0 if multilabel else -1 / (outputs - 1), dtype=torch.float64)
    direction[number] = 1.0
    return direction


def _check_method(method: str) -> str:
    name = method.replace("-", " ").replace("_", " ") if isinstance(method, str) else method
    if name != AUTO and name not in METHODS:
        raise ValueError(f"method: expected {AUTO!r}, {', '.join(map(repr, METHODS))}, got {method!r}")
    return name


def _attribute(state: State, text: TokenizedText, direction: Tensor, method: str) -> tuple[str, Attribution]:
    """Return contributions, and the method that they come from: that of the architecture, or the first one possible."""
    if method == AUTO:
        method = state.model.explained_by or AUTO
    for name in METHODS if method == AUTO else (method,):
        found = METHODS[name](state.model, text, direction, NGRAMS)
        if found is not None:
            return name, found
    raise ValueError(f"method: {method!r} is not for the architecture {state.model.name!r}; write {AUTO!r}")


def _tokens(text: TokenizedText, found: Attribution) -> list[TokenContribution]:
    rows = zip(text.tokens, text.spans, found.tokens.tolist(), strict=True)
    return [TokenContribution(token, start, end, value) for token, (start, end), value in rows]


def _ngrams(text: TokenizedText, found: Attribution, streams: tuple[str, ...]) -> list[NgramContribution]:
    ngrams = []
    for stream, first, end, contribution in found.ngrams:
        places = text.places[stream][first:end]
        start, stop = places[0][0], places[-1][1]
        # Tokens that stand nowhere in the text are shown as they are.
        numbers = text.owners[stream][first:end].tolist()
        shown = text.text[start:stop] or " ".join(text.tokens[number] for number in numbers)
        ngrams.append(NgramContribution(shown, start, stop, contribution, streams[stream]))
    return ngrams
