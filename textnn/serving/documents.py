"""What the OpenAPI description says of requests and answers; nothing here is computed with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from textnn.serving.bodies import ExplainRequest, PredictRequest

if TYPE_CHECKING:
    from textnn.serving.views import ModelView

DESCRIPTION = """Classifies texts. Errors have one form: `{"error": {"code", "message", "field"?}}`, where `code` is for
programs and `message` for people."""


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


class ErrorDetail(BaseModel):
    """What was wrong."""

    code: str
    message: str
    field: str | None = None


class Error(BaseModel):
    """Every error has this form."""

    error: ErrorDetail


class Facts(BaseModel):
    """What the model is."""

    title: str
    architecture: str
    classes: list[Any]
    multilabel: bool
    thresholds: list[float] | None
    tokenizer: dict[str, str]
    vocabulary: int
    parameters: int
    training_texts: int
    examples: list[str] = Field(description="Texts to try it on; none where its classes do not tell what it is for.")
    textnn: str
    limits: dict[str, Any]


class Health(BaseModel):
    """Whether the server takes requests."""

    status: str


_ERRORS = {
    400: (
        "The body is no valid JSON.",
        "invalid_json",
        "The body is no valid JSON: expected value at line 1 column 2.",
    ),
    408: ("The body did not arrive in time.", "body_too_slow", "The body did not arrive within 30 seconds."),
    413: (
        "The body is too large.",
        "body_too_large",
        "Expected a body of at most 1,048,576 bytes; this one is larger.",
    ),
    415: (
        "The body is not of the type application/json.",
        "unsupported_media_type",
        "Expected a body of the type application/json, got text/plain.",
    ),
    422: (
        "JSON of another form, too many texts, one that is too long, an unknown label or method.",
        "too_many_texts",
        "texts: expected at most 256, got 1,000.",
    ),
    429: (
        "Too many requests of this client, in a time or at once; Retry-After says when to try again.",
        "rate_limited",
        "Expected at most 600/minute ...",
    ),
    500: ("The program failed; its log has more.", "internal", "The server failed; its log has more under 1f2e3d4c."),
    503: ("The queue is full; Retry-After says when to try again.", "overloaded", "Too many texts are waiting."),
    504: ("There was no answer in time.", "timeout", "There was no answer within 30 seconds."),
}


def errors() -> dict[int | str, dict[str, Any]]:
    """Return the errors that a request with a body may get."""
    return {
        status: {
            "model": Error,
            "description": what,
            "content": {"application/json": {"example": {"error": {"code": code, "message": message}}}},
        }
        for status, (what, code, message) in _ERRORS.items()
    }


def predict(view: ModelView) -> dict[str, Any]:
    """Return what is said of ``POST /predict``, with texts and classes that the model knows."""
    texts, classes = _texts(view), _classes(view)
    shares = (0.984, 0.016)[: len(classes)]
    bars = [{"label": label, "probability": share} for label, share in zip(classes, shares, strict=True)]
    found = {"labels": classes[:1]} if view.several else bars[0]
    one = {**found, "probabilities": bars}
    answers = _examples({"one text": one, "several texts": {"predictions": [one, one]}})
    return {
        "summary": "Classify texts",
        "responses": {
            200: {
                "model": Prediction | Predictions,
                "description": "The prediction of `text`, or those of `texts`.",
                "content": {"application/json": answers},
            },
            **errors(),
        },
        "openapi_extra": _body(PredictRequest, {"one text": {"text": texts[0]}, "several texts": {"texts": texts}}),
    }


def explain(view: ModelView) -> dict[str, Any]:
    """Return what is said of ``POST /explain``, with a text and a class that the model knows."""
    text, label = _texts(view)[0], _classes(view)[-1]
    asked = {"the predicted class": {"text": text}, "a certain class": {"text": text, "label": label}}
    return {
        "summary": "Say what each word of a text contributes",
        "responses": {200: {"model": Explanation}, **errors()},
        "openapi_extra": _body(ExplainRequest, asked),
    }


def _texts(view: ModelView) -> list[str]:
    return view.examples[:2] or ["A text.", "Another text."]


def _classes(view: ModelView) -> list[Any]:
    """Return two classes or the only one, without halves of surrogate pairs, which could not be sent."""
    labels = view.classes[:2]
    return [label.encode("utf-8", "replace").decode() if isinstance(label, str) else label for label in labels]


def _examples(values: dict[str, Any]) -> dict[str, Any]:
    return {"examples": {name: {"summary": name, "value": value} for name, value in values.items()}}


def _body(model: type[BaseModel], values: dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": model.model_json_schema(), **_examples(values)}}
    return {"requestBody": {"required": True, "content": content}}
