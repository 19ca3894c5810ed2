"""Pages for people: files of a package, read once, sent as they are but for the words that are put into a page."""

from __future__ import annotations

import hashlib
import html
from collections.abc import Collection
from importlib.resources import files

from fastapi import FastAPI, Request, Response

from textnn.serving.settings import Settings

_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}


def add_page(app: FastAPI, settings: Settings, task: str) -> None:
    """Add the page at ``/``, which shows the answers of a task, and its parts under ``/static``."""
    folder = files(__package__).joinpath("page")
    page = folder.joinpath("index.html").read_text("utf-8").replace("{{task}}", task)
    page = page.replace("{{title}}", html.escape(settings.title))

    add_file(app, "/", page.encode(), "text/html; charset=utf-8")
    add_static(app, __package__, "page")


def add_static(app: FastAPI, package: str, folder: str, names: Collection[str] | None = None) -> None:
    """Add the styles, scripts and pictures in a folder of a package, all or some of them, under ``/static``."""
    for part in files(package).joinpath(folder).iterdir():
        kind = _TYPES.get(part.name.rpartition(".")[2])
        if kind is not None and (names is None or part.name in names):
            add_file(app, f"/static/{part.name}", part.read_bytes(), kind)


def add_file(app: FastAPI, path: str, content: bytes, kind: str) -> None:
    """Add what is the same for everybody at a path, with a tag by which a browser knows that it has it already."""
    tag = f'"{hashlib.blake2b(content, digest_size=8).hexdigest()}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}

    async def send(request: Request) -> Response:
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=kind, headers=headers)

    app.add_api_route(path, send, methods=["GET", "HEAD"], include_in_schema=False)
