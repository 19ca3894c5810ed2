"""Pages of the site: one template, filled with what an exhibit is, for the server and for files alike.

    exhibits -> JSON within ``lab.html`` -> the page's script builds controls and panels from it

A page of the server links its parts and asks for the panels. A page of files has its style, its scripts and the panels
of the default settings within it, so that it can be opened from a disk; its policy allows these parts by their hashes
and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from textnn.files import atomic_text
from textnn.lab.exhibit import Exhibit
from textnn.lab.panels import Panel
from textnn.lab.site.rooms import Rooms

SCRIPTS = ("words.js", "svg.js", "draw.js", "controls.js", "progress.js", "lab.js")
"""In the order in which they need each other."""

PACKAGE, FOLDER = "textnn.lab", "page"
SHARING = "textnn.serving"
"""The package whose page has what is the same on both."""

SHARED = ("base.css", "icon.svg")
_STYLES = ("base.css", "lab.css")


def read_part(name: str) -> str:
    """Return a file of the page."""
    package = SHARING if name in SHARED else PACKAGE
    return files(package).joinpath(f"{FOLDER}/{name}").read_text("utf-8")


def page(exhibits: Sequence[Exhibit], exhibit: Exhibit | None = None) -> str:
    """Return a page of the server: of an exhibit, or the list of all."""
    links = ['<link rel="icon" type="image/svg+xml" href="static/icon.svg">']
    links += [f'<link rel="stylesheet" href="static/{name}">' for name in _STYLES]
    links += [f'<script defer src="static/{name}"></script>' for name in SCRIPTS]
    return _fill("\n".join(links), "", _data(exhibits, exhibit, None, served=True), exhibit)


def write(
    exhibits: Sequence[Exhibit],
    folder: str | Path,
    models: dict[str, Any] | None = None,
    tell: Callable[[Path], object] = lambda page: None,
) -> list[Path]:
    """Write a page for each exhibit with the results of its default settings, and the list of them as ``index.html``.

    Parameters
    ----------
    exhibits
        What to show.
    folder
        Made if it is not there. A page replaces the one of the same name when it is complete.
    models
        The user's models by their kind.
    tell
        Called with each page when it is written, as some train for seconds.

    Returns
    -------
    list of Path
        The pages, the list last.
    """
    target, rooms = Path(folder), Rooms(exhibits, models)
    target.mkdir(parents=True, exist_ok=True)
    written = []
    for exhibit in (*exhibits, None):
        panels = None if exhibit is None else rooms.run(exhibit.slug, {})
        path = target / ("index.html" if exhibit is None else f"{exhibit.slug}.html")
        with atomic_text(path) as file:
            file.write(_own_page(exhibits, exhibit, panels))
        written.append(path)
        tell(path)
    return written


def _own_page(exhibits: Sequence[Exhibit], exhibit: Exhibit | None, panels: list[Panel] | None) -> str:
    style, scripts = "".join(map(read_part, _STYLES)), [read_part(name) for name in SCRIPTS]
    allowed = " ".join(_hash(script) for script in scripts)
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {allowed}; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )
    icon = '<link rel="icon" href="data:,">'
    head = f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n{icon}\n<style>{style}</style>'
    tail = "\n".join(f"<script>{script}</script>" for script in scripts)
    return _fill(head, tail, _data(exhibits, exhibit, panels, served=False), exhibit)


def _data(
    exhibits: Sequence[Exhibit], exhibit: Exhibit | None, panels: list[Panel] | None, served: bool
) -> dict[str, Any]:
    listed = [one.describe() for one in exhibits]
    brief = ("slug", "title", "question")
    return {
        "exhibits": [{name: one[name] for name in brief} for one in listed],
        "exhibit": None if exhibit is None else exhibit.describe(),
        "panels": panels,
        "served": served,
    }


def _fill(head: str, tail: str, data: dict[str, Any], exhibit: Exhibit | None) -> str:
    # "<" within JSON would end the element that it stands in.
    values = json.dumps(data, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    title = "textnn lab" if exhibit is None else f"{exhibit.title.en} – textnn lab"
    filled = read_part("lab.html").replace("{{title}}", html.escape(title)).replace("{{head}}", head)
    return filled.replace("{{tail}}", tail).replace("{{data}}", values)


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
