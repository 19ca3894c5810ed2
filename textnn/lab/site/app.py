"""The site behind HTTP, on the parts of ``textnn.serving``: limits, headers, one form of errors, a queue with a thread.

GET  /, /SLUG, /static/...   the list of exhibits, an exhibit, what pages link
POST /run                    an exhibit and settings -> its panels
POST /live                   the same -> a training begins: its key, panels before the first step
POST /step                   its key -> panels after the next step
GET  /healthz, /metrics      for whoever watches the server
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from textnn.lab.exhibit import Exhibit, SettingError
from textnn.lab.panels import Panel
from textnn.lab.site.page import FOLDER, PACKAGE, SHARED, SHARING, page
from textnn.lab.site.rooms import Rooms, TrainingGoneError
from textnn.serving.batching import ItemError
from textnn.serving.desk import Desk
from textnn.serving.errors import JSONResponse, ServingError, internal_error
from textnn.serving.guard import Guard, State
from textnn.serving.metrics import Metrics
from textnn.serving.pages import add_file, add_static
from textnn.serving.settings import Settings
from textnn.serving.watching import add_error_forms, add_watching
from textnn.version import __version__

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
"""The names that a server on this machine alone answers for; another site's name that leads here is refused."""

TIMEOUT = 300.0
"""Seconds for an answer: the first one of an exhibit may have to train a small model on a slow machine."""

MAX_QUEUE = 64
QUIET = 3.0
"""Seconds without a request after which a small model is made before anybody asks for it."""

_HTML = "text/html; charset=utf-8"
_WORK = frozenset({"/run", "/live", "/step"})


class RunRequest(BaseModel):
    """An exhibit with settings for some of its controls; the others have their defaults."""

    model_config = ConfigDict(strict=True, extra="forbid")
    exhibit: Annotated[str, Field(max_length=100, description="Its path.")]
    settings: Annotated[dict[str, bool | int | float | str], Field(description="Values by the controls' names.")] = {}


class StepRequest(BaseModel):
    """A training that has begun."""

    model_config = ConfigDict(strict=True, extra="forbid")
    training: Annotated[str, Field(max_length=100, description="The key that /live has given.")]


def settings_for(host: str) -> Settings:
    """Return the settings of a server at an address: on this machine alone, only its own names are answered for."""
    alone = host in ("127.0.0.1", "localhost", "::1")
    return Settings(
        rate_limit="0",
        max_body=1 << 16,
        timeout=TIMEOUT,
        title="textnn lab",
        allowed_hosts=LOOPBACK if alone else (),
    )


def create_app(
    exhibits: Sequence[Exhibit],
    models: Mapping[str, Any] | None = None,
    settings: Settings | None = None,
    prepare: bool = False,
) -> FastAPI:
    """Return the site as an ASGI application.

    Parameters
    ----------
    exhibits
        In order.
    models
        The user's models by their kind.
    settings
        By default those of :func:`settings_for` this machine.
    prepare
        Whether small models are trained before anybody asks for them, while nobody asks for anything else.
    """
    settings = settings or settings_for("127.0.0.1")
    metrics, state, rooms = Metrics(), State(), Rooms(exhibits, models)
    desk = Desk(settings, metrics, state)
    # All exhibits run in one thread: they draw from torch's random numbers, and use all threads of its own.
    queue = desk.slow_queue("lab", _work, MAX_QUEUE)
    asked_last = [0.0]

    async def make_ready() -> None:
        asked_last[0] = loop_time()
        for place, call in enumerate(rooms.preparations() if prepare else [rooms.warm_up]):
            while (
                place and (quiet := loop_time() - asked_last[0]) < QUIET
            ):  # nobody who moves a slider is to wait for it
                await asyncio.sleep(QUIET - quiet)
            with suppress(ItemError):  # whoever needs it will be told
                await queue.submit([call])

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        state.draining = state.closing = False
        making_ready = asyncio.create_task(make_ready())  # pages are sent meanwhile
        yield
        making_ready.cancel()
        state.draining = state.closing = True
        await desk.close()

    app = FastAPI(
        title=settings.title,
        version=__version__,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.state.metrics, app.state.serving = metrics, state
    paths = frozenset({"/", "/healthz", "/metrics"}) | _WORK | {f"/{exhibit.slug}" for exhibit in exhibits}
    app.add_middleware(Guard, settings=settings, metrics=metrics, state=state, paths=paths, work=_WORK)
    add_error_forms(app)

    async def answer(request: Request, call: Callable[[], dict[str, Any]]) -> Response:
        asked_last[0] = loop_time()
        try:
            (found,) = await desk.answer(request, queue, [call])
        except ItemError as error:
            raise _explain(error.__cause__ or error) from None
        return JSONResponse(found)

    @app.post("/run", summary="The panels of an exhibit")
    async def run(request: Request) -> Response:
        asked = await desk.read(request, RunRequest)
        return await answer(request, lambda: {"panels": rooms.run(asked.exhibit, asked.settings)})

    @app.post("/live", summary="Begin a training")
    async def live(request: Request) -> Response:
        asked = await desk.read(request, RunRequest)

        def begin() -> dict[str, Any]:
            key, panels = rooms.begin(asked.exhibit, asked.settings)
            return {"training": key, "panels": panels}

        return await answer(request, begin)

    @app.post("/step", summary="Go on with a training")
    async def step(request: Request) -> Response:
        asked = await desk.read(request, StepRequest)

        def go_on() -> dict[str, Any]:
            panels: list[Panel] | None = rooms.step(asked.training)
            return {"panels": panels, "done": panels is None}

        return await answer(request, go_on)

    add_watching(app, metrics, state)
    for path, exhibit in [("/", None), *((f"/{one.slug}", one) for one in exhibits)]:
        add_file(app, path, page(exhibits, exhibit).encode(), _HTML)
    add_static(app, PACKAGE, FOLDER)
    add_static(app, SHARING, FOLDER, SHARED)
    return app


def loop_time() -> float:
    """Return the time of the event loop."""
    return asyncio.get_running_loop().time()


def _work(calls: list[Callable[[], dict[str, Any]]]) -> list[dict[str, Any]]:
    return [call() for call in calls]


def _explain(error: BaseException) -> ServingError:
    if isinstance(error, SettingError):
        return ServingError(422, "invalid_setting", f"{error}.", str(error).partition(":")[0])
    if isinstance(error, TrainingGoneError):
        return ServingError(404, "training_gone", "This training is not kept any more; begin it again.")
    return internal_error(error)
