"""The paths of a classifier.

POST /predict    texts -> labels, probabilities
POST /explain    text -> what each word contributes
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response

from textnn.serving.bodies import TextsRequest, check_length
from textnn.serving.desk import Desk
from textnn.serving.errors import JSONResponse
from textnn.serving.guard import client_address
from textnn.serving.limits import Places
from textnn.serving.tasks.classification import documents
from textnn.serving.tasks.classification.bodies import ExplainRequest
from textnn.serving.tasks.classification.view import ModelView, Table
from textnn.serving.tasks.task import Task
from textnn.text import is_blank

if TYPE_CHECKING:
    from textnn import SentimentClassifier

Asked = tuple[str, Any, str]
"""Text, label or None, method."""


class Classification(Task):
    """A classifier that is served."""

    known_by = "predict_proba"
    fitted = "model_"
    every_path = frozenset({"/predict", "/explain"})
    facts_form = documents.Facts
    name = "classification"
    does = "classifies texts"
    paths = ("/predict", "/explain")

    def __init__(self, model: SentimentClassifier) -> None:
        self._classifier, self._view = model, ModelView(model)

    def warm_up(self) -> None:
        """Freeze the network, which happens at its first prediction."""
        self._classify(["."])

    def facts(self) -> dict[str, Any]:
        """Return what the model is."""
        return self._view.facts()

    def _classify(self, texts: list[str]) -> list[Table]:
        return list(self._classifier.predict_proba(texts))

    def _explain(self, asked: list[Asked]) -> list[dict[str, Any]]:
        return [self._classifier.explain(text, label, method).to_dict() for text, label, method in asked]

    def add_paths(self, app: FastAPI, desk: Desk) -> None:
        """Add the paths of a classifier."""
        view, settings = self._view, desk.settings
        predictions = desk.queue("predict", self._classify)
        explanations = desk.slow_queue("explain", self._explain, settings.max_explanations)
        explained = Places(settings.max_explanations_per_client, "explanations")

        def worded(asked: TextsRequest) -> list[str]:
            return [text for text in asked.items if not is_blank(text)]

        def show(asked: TextsRequest, rows: list[Table]) -> list[dict[str, Any]]:
            return view.predictions(asked.items, rows)

        @app.post("/predict", **documents.predict(view))
        async def predict(request: Request) -> Response:
            return await desk.reply(request, TextsRequest, predictions, worded, show)

        @app.post("/explain", **documents.explain(view))
        async def explain(request: Request) -> Response:
            asked = await desk.read(request, ExplainRequest)
            check_length(len(asked.text), settings, "text")
            label = None if asked.label is None else view.find_label(asked.label)
            method = view.find_method(asked.method, asked.text, settings)
            desk.metrics.texts.inc()
            if is_blank(asked.text):
                return JSONResponse(view.no_explanation(asked.text))
            with explained.take(client_address(request.scope)):
                found = await desk.answer(request, explanations, [(asked.text, label, method)])
            return JSONResponse(found[0])
