"""The application: paths, and what happens at each.

POST ...                   what the model can be asked (``tasks``): texts -> batch -> answer, or an error
GET  /model                what the model is
GET  /healthz, /metrics    for whoever watches the server
GET  /, /static/...        the page
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from fastapi import FastAPI, Response

from textnn.serving import documents
from textnn.serving.desk import Desk
from textnn.serving.errors import JSONResponse, ServingError
from textnn.serving.guard import Guard, State
from textnn.serving.metrics import Metrics
from textnn.serving.pages import add_page
from textnn.serving.settings import Settings
from textnn.serving.tasks import EVERY_PATH, find_task
from textnn.serving.tasks.task import Task
from textnn.serving.watching import add_error_forms, add_watching
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
    add_error_forms(app, partial(_not_for_this_model, task))
    # Routes are tried in order: those with the most requests come first.
    task.add_paths(app, desk)

    @app.get("/model", summary="What the model is", responses={200: {"model": task.facts_form}})
    async def facts() -> Response:
        return JSONResponse(task.all_facts(settings))

    add_watching(app, metrics, state)
    add_page(app, settings, task.name)
    return app


def _not_for_this_model(task: Task, path: str) -> ServingError | None:
    if path not in EVERY_PATH:
        return None
    *others, last = task.paths
    own = f"{', '.join(others)} and {last}" if others else last
    sentence = f"{path} is not for this model, which {task.does}; it has {own}."
    return ServingError(404, "not_for_this_model", sentence)
