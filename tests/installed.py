"""An environment in which some packages are as if they were not installed, for programs that tests run.

Every finder of modules finds none of them; importlib.util.find_spec, by which packages ask for others, says None, and
importlib.metadata knows of no version.
"""

from __future__ import annotations

import importlib.metadata
import re
import sys
from contextlib import suppress
from importlib.machinery import ModuleSpec
from typing import Any


class Without:
    """A finder of modules that finds none of some packages."""

    def __init__(self, finder: Any, hidden: set[str], asked: set[str]) -> None:
        self.finder, self.hidden, self.asked = finder, hidden, asked

    def find_spec(self, name: str, *place: Any) -> ModuleSpec | None:
        top = name.partition(".")[0]
        if top in self.hidden:
            self.asked.add(top)
            return None
        return self.finder.find_spec(name, *place)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.finder, name)


def hide_all_but(*kept: str) -> tuple[set[str], set[str]]:
    """Hide every package but some, what their installation brings, and textnn.

    Returns the modules that are hidden, to which others may be added, and those that were asked for meanwhile.
    """
    found, wanted = {"textnn"}, list(kept)
    while wanted:
        name = plain(wanted.pop())
        if name not in found:
            found.add(name)
            with suppress(importlib.metadata.PackageNotFoundError):  # of another platform
                rows = importlib.metadata.distribution(name).requires or []
                wanted += [re.split(r"[^\w.-]", row)[0] for row in rows if "extra ==" not in row]
    owners = importlib.metadata.packages_distributions()
    hidden, asked = {module for module, names in owners.items() if not found & set(map(plain, names))}, set[str]()
    sys.meta_path[:] = [Without(finder, hidden, asked) for finder in sys.meta_path]
    installed = importlib.metadata.distribution

    def distribution(name: str) -> importlib.metadata.Distribution:
        if plain(name) not in found:
            asked.add(name)
            raise importlib.metadata.PackageNotFoundError(name)
        return installed(name)

    importlib.metadata.distribution = distribution
    return hidden, asked


def plain(name: str) -> str:
    """A distribution's name in the one form of its many."""
    return re.sub(r"[-_.]+", "-", name).lower()
