"""What a task is to the server: the model, its own paths, and what is said of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from fastapi import FastAPI
from pydantic import BaseModel

from textnn.version import __version__

if TYPE_CHECKING:
    from textnn.serving.desk import Desk
    from textnn.serving.settings import Settings

LIMITS = ("max_text", "max_texts", "max_body", "rate_limit")


class Task(ABC):
    """A model that is served.

    Parameters
    ----------
    model
        A fitted estimator.

    Attributes
    ----------
    known_by, fitted
        The name of a method that only estimators of the task have, and of an attribute that only fitted ones have.
    every_path
        The paths that models of the task may have: requests to do something, which cost time.
    facts_form
        What ``GET /model`` answers.
    name
        What it is, in a word; the page shows the answers of each in its own way.
    does
        The same in a sentence, behind "it".
    paths
        Those that this model has.
    """

    known_by: ClassVar[str]
    fitted: ClassVar[str]
    every_path: ClassVar[frozenset[str]]
    facts_form: ClassVar[type[BaseModel]]
    limits: ClassVar[tuple[str, ...]] = LIMITS
    name: str
    does: str
    paths: tuple[str, ...]

    @abstractmethod
    def __init__(self, model: Any) -> None: ...

    @abstractmethod
    def warm_up(self) -> None:
        """Do once what takes longer the first time."""

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """Return what the model is."""

    @abstractmethod
    def add_paths(self, app: FastAPI, desk: Desk) -> None:
        """Add the paths of the model."""

    def all_facts(self, settings: Settings) -> dict[str, Any]:
        """Return what the model is, and the limits of the server."""
        return {
            "title": settings.title,
            "task": self.name,
            "paths": list(self.paths),
            **self.facts(),
            "textnn": __version__,
            "limits": {name: getattr(settings, name) for name in self.limits},
        }
