"""The application: paths, and what happens at each.

POST ...                   what the model can be asked (``tasks``): texts -> batch -> answer, or an error
GET  /model                what the model is
GET  /healthz, /metrics    for whoever watches the server
GET  /, /static/...        the page
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from textnn.serving import documents
from textnn.serving.desk import Desk
from textnn.serving.errors import JSONResponse, ServingError
from textnn.serving.guard import Guard, State, local_path
from textnn.serving.metrics import Metrics
from textnn.serving.pages import add_page
from textnn.serving.settings import Settings
from textnn.serving.tasks import EVERY_PATH, find_task
from textnn.serving.tasks.task import Task
from textnn.version import __version__

_PATHS = frozenset({"/", "/model", "/healthz", "/metrics", "/openapi.json"})


def make_app(model: Any, settings: Settings) -> FastAPI:
    """Return the application; see :func:`textnn.serving.create_app`."""
    task = find_task(model)
    metrics, state = Metrics(), State()
    desk = Desk(settings, metrics, state)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        state.draining = state.closing = False
        await asyncio.get_running_loop().run_in_executor(None, task.warm_up)
        yield
        state.draining = state.closing = True
        await desk.close()

    app = FastAPI(
        title=settings.title,
        version=__version__,
        description=f"The model {task.does}. {documents.DESCRIPTION}",
        docs_url=None,  # these pages load their scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,  # a redirection would repeat the Host header
        lifespan=lifespan,
    )
    app.state.metrics, app.state.serving = metrics, state
    work = frozenset(task.paths)
    app.add_middleware(Guard, settings=settings, metrics=metrics, state=state, paths=_PATHS | work, work=work)
    _add_error_forms(app, task)
    # Routes are tried in order: those with the most requests come first.
    task.add_paths(app, desk)

    @app.get("/model", summary="What the model is", responses={200: {"model": task.facts_form}})
    async def facts() -> Response:
        return JSONResponse(task.all_facts(settings))

    _add_watching(app, metrics, state)
    add_page(app, settings, task.name)
    return app


def _add_error_forms(app: FastAPI, task: Task) -> None:
    sentences: dict[int, Callable[[Request], str]] = {
        404: lambda request: "There is nothing at this path; /openapi.json describes what there is.",
        405: lambda request: f"This path does not take the method {request.method[:20]}.",
    }

    async def show(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        path = local_path(request.scope)
        if error.status_code == 404 and path in EVERY_PATH:
            *others, last = task.paths
            own = f"{', '.join(others)} and {last}" if others else last
            sentence = f"{path} is not for this model, which {task.does}; it has {own}."
            return ServingError(404, "not_for_this_model", sentence).response()
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
