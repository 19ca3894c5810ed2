"""The record of a fitted classifier: all that predictions, reports and a saved model follow from.

fitting makes it; prediction, evaluation, explanation, bundle and export read it; the estimator shows it as attributes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from textnn.classification.evaluation.calibration import Calibration
from textnn.classification.evaluation.judging import Report
from textnn.classification.objectives import Objective, make_objective
from textnn.data.targets import LABEL
from textnn.models import TextModel
from textnn.models.predictor import Predictor
from textnn.text import CharacterTable, Encoder, Tokenizer, Vocabulary

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(eq=False)
class State:
    """What a fit came to; the attributes of :class:`~textnn.SentimentClassifier`, which has an underscore behind each.

    Attributes
    ----------
    label_kind
        ``"label"``, ``"lists"`` or ``"matrix"``; see :class:`textnn.data.targets.Targets`.
    predictor
        The network as predictions use it. One object from fit to fit, within which things are made when they are first
        needed.
    """

    label_kind: str
    classes: Array
    tokenizer: Tokenizer
    vocabulary: Vocabulary
    characters: Vocabulary | None
    model: TextModel
    options: dict[str, Any]
    seed: int
    n_texts: int
    history: list[dict[str, Any]]
    best_epoch: int
    temperature: float = 1.0
    calibration: Calibration | None = None
    thresholds: Array | None = None
    validation_report: Report | None = None
    predictor: Predictor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.get_ready()

    def get_ready(self) -> None:
        """Make what predictions need of the other fields."""
        characters = None
        if self.characters is not None:
            characters = CharacterTable(self.characters, self.options.get("character_form", "text"))
        limits = self.options["max_length"], self.options.get("max_characters")
        self.predictor = Predictor(self.model, Encoder(self.tokenizer, self.vocabulary, characters, *limits))

    @classmethod
    def of(cls, fitted: Any) -> State:
        """Return the record of an estimator, or the record itself."""
        return fitted if isinstance(fitted, cls) else cast(State, fitted.state_)

    @property
    def multilabel(self) -> bool:
        """Whether a text may have several labels, or none."""
        return self.label_kind != LABEL

    @property
    def objective(self) -> Objective:
        """What turns the network's logits into probabilities."""
        return make_objective(self.options.get("output", "softmax"), self.multilabel, 0.0)
