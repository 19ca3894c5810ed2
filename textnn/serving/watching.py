"""What every server of this package has: errors in one form, and paths for whoever watches it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from textnn.serving import documents
from textnn.serving.errors import JSONResponse, ServingError
from textnn.serving.guard import State, local_path
from textnn.serving.metrics import Metrics


def add_error_forms(app: FastAPI, explain: Callable[[str], ServingError | None] = lambda path: None) -> None:
    """Give the errors of paths and methods the form of all others.

    Parameters
    ----------
    app
        The application.
    explain
        Gets a path that is not there, and may say more about it.
    """
    sentences: dict[int, Callable[[Request], str]] = {
        404: lambda request: "There is nothing at this path; /openapi.json describes what there is.",
        405: lambda request: f"This path does not take the method {request.method[:20]}.",
    }

    async def show(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code == 404 and (more := explain(local_path(request.scope))) is not None:
            return more.response()
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http_error")
        sentence = sentences.get(error.status_code, lambda request: str(error.detail))(request)
        response = ServingError(error.status_code, code, sentence).response()
        response.headers.update(error.headers or {})
        return response

    app.add_exception_handler(HTTPException, show)


def add_watching(app: FastAPI, metrics: Metrics, state: State) -> None:
    """Add ``/healthz`` and ``/metrics``."""
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
