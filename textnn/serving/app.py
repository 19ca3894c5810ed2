"""The application: paths, and what happens at each.

POST /predict, /explain    texts -> batch -> answer, or an error
GET  /model                what the model is
GET  /healthz, /metrics    for whoever watches the server
GET  /, /static/...        the page
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from textnn.serving import documents
from textnn.serving.batching import Batcher, QueueFullError
from textnn.serving.bodies import ExplainRequest, PredictRequest, check_texts, read
from textnn.serving.errors import GoneError, JSONResponse, ServingError
from textnn.serving.guard import Guard, State, client_address
from textnn.serving.limits import Places
from textnn.serving.metrics import Metrics
from textnn.serving.pages import add_page
from textnn.serving.settings import Settings
from textnn.serving.views import ModelView, Table
from textnn.text import is_blank
from textnn.version import __version__

if TYPE_CHECKING:
    from textnn import SentimentClassifier

Item = TypeVar("Item")
Result = TypeVar("Result")
Asked = tuple[str, Any, str]
"""Text, label or None, method."""

_PATHS = frozenset({"/", "/predict", "/explain", "/model", "/healthz", "/metrics", "/openapi.json"})


def make_app(classifier: SentimentClassifier, settings: Settings) -> FastAPI:
    """Return the application; see :func:`textnn.serving.create_app`."""
    metrics, state, view = Metrics(), State(), ModelView(classifier)

    def classify(texts: list[str]) -> list[Table]:
        return list(classifier.predict_proba(texts))

    def explain_all(asked: list[Asked]) -> list[dict[str, Any]]:
        return [classifier.explain(text, label, method).to_dict() for text, label, method in asked]

    predictions: Batcher[str, Table] = Batcher(
        classify,
        settings.max_batch,
        settings.max_wait / 1e3,
        settings.max_queue,
        "textnn-predict",
        metrics.batches.observe,
        lambda: state.arriving > 0,
    )
    explanations: Batcher[Asked, dict[str, Any]] = Batcher(
        explain_all, 1, 0.0, settings.max_explanations, "textnn-explain"
    )
    explained = Places(settings.max_explanations_per_client, "explanations")
    metrics.watch_queue("predict", lambda: predictions.waiting)
    metrics.watch_queue("explain", lambda: explanations.waiting)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        state.draining = state.closing = False
        # The network is frozen at its first prediction, which takes longer than others.
        await asyncio.get_running_loop().run_in_executor(None, classify, ["."])
        yield
        state.draining = state.closing = True
        await predictions.close()
        await explanations.close()

    app = FastAPI(
        title=settings.title,
        version=__version__,
        description=documents.DESCRIPTION,
        docs_url=None,  # these pages load their scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,  # a redirection would repeat the Host header
        lifespan=lifespan,
    )
    app.state.metrics, app.state.serving = metrics, state
    app.add_middleware(Guard, settings=settings, metrics=metrics, state=state, paths=_PATHS)
    _add_error_forms(app)

    @app.post("/predict", **documents.predict(view))
    async def predict(request: Request) -> Response:
        state.arriving += 1
        try:
            asked = await read(request, PredictRequest, settings)
        finally:
            state.arriving -= 1
        single = asked.text is not None
        texts = [asked.text] if asked.text is not None else asked.texts or []
        check_texts(texts, settings, single)
        metrics.texts.inc(len(texts))
        worded = [text for text in texts if not is_blank(text)]
        rows = await answer(request, predictions, worded, settings.timeout) if worded else []
        found = view.predictions(texts, rows)
        return JSONResponse(found[0] if single else {"predictions": found})

    @app.post("/explain", **documents.explain(view))
    async def explain(request: Request) -> Response:
        asked = await read(request, ExplainRequest, settings)
        check_texts([asked.text], settings, True)
        label = None if asked.label is None else view.find_label(asked.label)
        method = view.find_method(asked.method, asked.text, settings)
        metrics.texts.inc()
        if is_blank(asked.text):
            return JSONResponse(view.no_explanation(asked.text))
        with explained.take(client_address(request.scope)):
            found = await answer(request, explanations, [(asked.text, label, method)], settings.timeout)
        return JSONResponse(found[0])

    @app.get("/model", summary="What the model is", responses={200: {"model": documents.Facts}})
    async def model() -> Response:
        return JSONResponse(view.facts(settings))

    # Routes are tried in order: those with the most requests come first.
    _add_watching(app, metrics, state)
    add_page(app, settings)
    return app


async def answer(request: Request, batcher: Batcher[Item, Result], items: list[Item], timeout: float) -> list[Result]:
    """Return what comes of the items.

    Parameters
    ----------
    request
        Whoever sent it may go away; the items then leave the queue.
    batcher
        What works on them.
    items
        One or more.
    timeout
        Seconds.

    Raises
    ------
    ServingError
        If the queue is full, or time is over.
    ItemError
        If the work failed.
    GoneError
        If the client went away.
    """
    try:
        future = batcher.submit(items)
    except QueueFullError:
        raise ServingError(503, "overloaded", "Too many texts are waiting; try again.", retry_after=1) from None
    leaving = asyncio.ensure_future(_until_gone(request))
    either: list[asyncio.Future[Any]] = [future, leaving]
    try:
        await asyncio.wait(either, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if future.done():
            return future.result()
        if leaving.done():
            raise GoneError
        raise ServingError(504, "timeout", f"There was no answer within {timeout:g} seconds.", retry_after=1)
    finally:
        leaving.cancel()
        future.cancel()


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _add_error_forms(app: FastAPI) -> None:
    sentences: dict[int, Callable[[Request], str]] = {
        404: lambda request: "There is nothing at this path; /openapi.json describes what there is.",
        405: lambda request: f"This path does not take the method {request.method[:20]}.",
    }

    async def show(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http_error")
        sentence = sentences.get(error.status_code, lambda request: str(error.detail))(request)
        response = ServingError(error.status_code, code, sentence).response()
        response.headers.update(error.headers or {})
        return response

    app.add_exception_handler(HTTPException, show)


def _add_watching(app: FastAPI, metrics: Metrics, state: State) -> None:
    health: dict[int | str, dict[str, Any]] = {
        200: {"model": documents.Health},
        503: {"model": documents.Health, "description": "The server is about to end."},
    }

    @app.head("/healthz", include_in_schema=False)
    @app.get("/healthz", summary="Whether the server takes requests", responses=health)
    async def healthz() -> Response:
        if state.draining:
            return JSONResponse({"status": "shutting down"}, 503)
        return JSONResponse({"status": "ok"})

    @app.get(
        "/metrics",
        summary="Figures in the format of Prometheus",
        responses={200: {"content": {"text/plain": {}}}},
        response_class=Response,
    )
    async def figures() -> Response:
        return Response(metrics.page(), media_type="text/plain; version=1.0.0; charset=utf-8")
