"""What `make docs` does to pages and docstrings: links that leave docs/ become names, Sphinx's roles become code.

mkdocs -> on_startup           warnings count, so that `strict: true` ends a quiet build as well
mkdocs -> on_page_markdown     [README](../README.md) -> README (`README.md`); tests/test_docs.py checks these links
griffe -> on_instance          :func:`textnn.functional.lstm` -> `textnn.functional.lstm`
"""

from __future__ import annotations

import logging
import re
from typing import Any

import griffe

OUTSIDE = re.compile(r"(?<!!)\[([^\]]+)\]\(\.\./([^)#]+)(?:#[^)]*)?\)")
ROLE = re.compile(r":(?:py:)?[a-z]+:`~?([^`]+)`")


def on_startup(**_: Any) -> None:
    """Let warnings through: --quiet drops them before strict mode could count them, and a broken link would pass."""
    logging.getLogger("mkdocs").setLevel(min(logging.WARNING, logging.getLogger("mkdocs").level))


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Name files of the repository that the site does not have, in place of links to them."""
    return OUTSIDE.sub(lambda link: link[1] if link[1] == link[2] else f"{link[1]} (`{link[2]}`)", markdown)


class PlainRoles(griffe.Extension):
    """Shows references as code; griffe calls it for each object that it reads."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Replace the roles in one docstring."""
        if obj.docstring:
            obj.docstring.value = ROLE.sub(r"`\1`", obj.docstring.value)
