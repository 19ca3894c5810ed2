"""Which label of a wrong prediction to explain.

WrongPrediction -> the label that it was given, or of several the one that was surest and wrong -> its text in colours
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textnn.classification.evaluation.metrics import WrongPrediction
from textnn.classification.explanation.explain import explain
from textnn.classification.state import State


def explain_errors(classifier: Any) -> Callable[[WrongPrediction], str]:
    """Return what ``report.to_html`` takes to colour the words of errors by what they added to the prediction.

    Of a prediction of several labels, the yes or no is explained that was wrong and of which the classifier was surest.
    The function raises ValueError where the labels that are missing are none of the classifier's.

    Parameters
    ----------
    classifier
        The fitted classifier that was evaluated, or its state.
    """
    state = State.of(classifier)
    names = state.classes.tolist()

    def explain_error(error: WrongPrediction) -> str:
        label = error.predicted
        if state.multilabel:
            own, predicted = (set(found) for found in (error.label, error.predicted))  # type: ignore[call-overload]
            sure = [
                value if name in predicted else 1 - value
                for name, value in zip(names, error.probabilities, strict=True)
            ]
            wrong = [code for code, name in enumerate(names) if (name in own) != (name in predicted)]
            if not wrong:
                raise ValueError("the labels that are missing are none of the classifier's")
            label = names[max(wrong, key=sure.__getitem__)]
        return next(explain(state, [error.text], label)).to_html()

    return explain_error
