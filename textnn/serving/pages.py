"""The page for people: files of this package, read once, sent as they are but for the title and the task."""

from __future__ import annotations

import hashlib
import html
from importlib.resources import files

from fastapi import FastAPI, Request, Response

from textnn.serving.settings import Settings

_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}


def add_page(app: FastAPI, settings: Settings, task: str) -> None:
    """Add the page at ``/``, which shows the answers of a task, and its parts under ``/static``."""
    folder = files(__package__).joinpath("page")
    page = folder.joinpath("index.html").read_text("utf-8").replace("{{task}}", task)
    page = page.replace("{{title}}", html.escape(settings.title))

    def add(path: str, content: bytes, kind: str) -> None:
        tag = f'"{hashlib.blake2b(content, digest_size=8).hexdigest()}"'
        headers = {"ETag": tag, "Cache-Control": "no-cache"}

        async def send(request: Request) -> Response:
            if request.headers.get("if-none-match") == tag:
                return Response(status_code=304, headers=headers)
            return Response(content, media_type=kind, headers=headers)

        app.add_api_route(path, send, methods=["GET", "HEAD"], include_in_schema=False)

    add("/", page.encode(), "text/html; charset=utf-8")
    for part in folder.iterdir():
        kind = _TYPES.get(part.name.rpartition(".")[2])
        if kind is not None:
            add(f"/static/{part.name}", part.read_bytes(), kind)
