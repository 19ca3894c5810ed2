"""The page for people: files of this package, read once, sent as they are but for the title."""

from __future__ import annotations

import hashlib
import html
from importlib.resources import files

from fastapi import FastAPI, Request, Response

from textnn.serving.settings import Settings

_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
_STATIC = ("page.css", "page.js", "words.js", "icon.svg")
_TITLE = "{{title}}"


def add_page(app: FastAPI, settings: Settings) -> None:
    """Add the page at ``/``, and its parts under ``/static``."""
    folder = files(__package__).joinpath("page")
    page = folder.joinpath("index.html").read_text("utf-8").replace(_TITLE, html.escape(settings.title))

    def add(path: str, content: bytes, kind: str) -> None:
        tag = f'"{hashlib.blake2b(content, digest_size=8).hexdigest()}"'
        headers = {"ETag": tag, "Cache-Control": "no-cache"}

        async def send(request: Request) -> Response:
            if request.headers.get("if-none-match") == tag:
                return Response(status_code=304, headers=headers)
            return Response(content, media_type=kind, headers=headers)

        app.add_api_route(path, send, methods=["GET", "HEAD"], include_in_schema=False)

    add("/", page.encode(), "text/html; charset=utf-8")
    for name in _STATIC:
        add(f"/static/{name}", folder.joinpath(name).read_bytes(), _TYPES[name.rpartition(".")[2]])
