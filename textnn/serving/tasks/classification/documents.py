"""What the OpenAPI description says of a classifier's requests and answers; nothing here is computed with."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from textnn.serving import documents
from textnn.serving.bodies import TextsRequest
from textnn.serving.tasks.classification.bodies import ExplainRequest
from textnn.serving.tasks.classification.view import ModelView


class ClassProbability(BaseModel):
    """A class and how probable it is."""

    label: Any = Field(description="A string, number or boolean; another label as its text.")
    probability: float


class Prediction(BaseModel):
    """The prediction of one text; of a text with nothing in it every value is null."""

    label: Any = Field(None, description="The most probable class; not there where a text may have several labels.")
    probability: float | None = Field(None, description="Of that class.")
    labels: list[Any] | None = Field(None, description="Where a text may have several: those that it has.")
    probabilities: list[ClassProbability] | None = Field(description="Of all classes, in the order of the model.")


class Predictions(BaseModel):
    """The predictions of several texts, in their order."""

    predictions: list[Prediction]


class TokenContribution(BaseModel):
    """What a token contributes."""

    token: str
    start: int = Field(description="Where it begins in the text, in characters (code points).")
    end: int
    contribution: float = Field(description="In log-odds, towards the label where it is above 0.")


class NgramContribution(BaseModel):
    """What an n-gram contributes; a part of what its tokens do."""

    text: str
    start: int
    end: int
    contribution: float
    source: str = Field(description="'words' or 'characters'.")


class Explanation(BaseModel):
    """Why a text has the probability of a label; a text with nothing in it has no label and no tokens."""

    text: str
    label: Any
    probability: float | None
    probabilities: list[ClassProbability] | None
    method: str | None
    base: float | None = Field(description="The log-odds without the tokens.")
    tokens: list[TokenContribution]
    ngrams: list[NgramContribution] = Field(description="The strongest, where the model has any.")


class Facts(documents.Facts):
    """What a classifier is."""

    classes: list[Any]
    multilabel: bool
    thresholds: list[float] | None
    tokenizer: dict[str, str]
    training_texts: int


def predict(view: ModelView) -> dict[str, Any]:
    """Return what is said of ``POST /predict``, with texts and classes that the model knows."""
    texts, classes = _texts(view), _classes(view)
    shares = (0.984, 0.016)[: len(classes)]
    bars = [{"label": label, "probability": share} for label, share in zip(classes, shares, strict=True)]
    found = {"labels": classes[:1]} if view.several else bars[0]
    one = {**found, "probabilities": bars}
    asked = ({"text": texts[0]}, {"texts": texts})
    return documents.one_or_several("Classify texts", TextsRequest, asked, Prediction | Predictions, one)


def explain(view: ModelView) -> dict[str, Any]:
    """Return what is said of ``POST /explain``, with a text and a class that the model knows."""
    text, label = _texts(view)[0], _classes(view)[-1]
    asked = {"the predicted class": {"text": text}, "a certain class": {"text": text, "label": label}}
    return {
        "summary": "Say what each word of a text contributes",
        "responses": {200: {"model": Explanation}, **documents.errors()},
        "openapi_extra": documents.body(ExplainRequest, asked),
    }


def _texts(view: ModelView) -> list[str]:
    return view.examples[:2] or ["A text.", "Another text."]


def _classes(view: ModelView) -> list[Any]:
    """Return two classes or the only one."""
    return [documents.sendable(label) for label in view.classes[:2]]
