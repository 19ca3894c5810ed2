"""What the site does with exhibits: one run for given settings, or a training that goes on step by step.

Trainings are kept between requests, the latest few of them: a page that is closed says nothing of it.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from textnn.lab.exhibit import ANY, Exhibit, SettingError
from textnn.lab.panels import Panel

MOST_TRAININGS = 16


class TrainingGoneError(LookupError):
    """A training that is not kept any more."""


class Rooms:
    """The exhibits at work, in one thread.

    Parameters
    ----------
    exhibits
        In the order of the site.
    models
        The user's models by their kind (``textnn.lab.exhibit.MODELS``).
    """

    def __init__(self, exhibits: Sequence[Exhibit], models: Mapping[str, Any] | None = None) -> None:
        self.exhibits = {exhibit.slug: exhibit for exhibit in exhibits}
        self._models = models or {}
        self._trainings: OrderedDict[str, Iterator[list[Panel]]] = OrderedDict()

    def check(self, slug: str, settings: Mapping[str, Any]) -> tuple[Exhibit, dict[str, Any]]:
        """Return an exhibit and all its settings.

        Raises
        ------
        SettingError
            If there is no such exhibit, or a setting is not allowed.
        """
        exhibit = self.exhibits.get(slug)
        if exhibit is None:
            raise SettingError(f"exhibit: expected one of {', '.join(self.exhibits)}, got {slug[:40]!r}")
        return exhibit, exhibit.settings(settings)

    def preparations(self) -> list[Callable[[], Any]]:
        """Return what is worth doing before anybody asks for it: each takes some seconds at most."""
        wanted = [one for one in self.exhibits.values() if one.model is None or not self._given(one, {})["model"]]
        return [self.warm_up, *(call for one in wanted for call in one.prepare)]

    def warm_up(self) -> dict[str, Any]:
        """Take the first step of a training, before which PyTorch loads much that it has not needed yet."""
        trained = [one for one in self.exhibits.values() if one.live is not None and one.model is None]
        if trained and trained[0].live is not None:
            training = trained[0].live(**trained[0].settings())
            next(training)
            next(training, None)
        return {}

    def run(self, slug: str, settings: Mapping[str, Any]) -> list[Panel]:
        """Return the panels of an exhibit."""
        exhibit, checked = self.check(slug, settings)
        return exhibit.run(**self._given(exhibit, checked))

    def begin(self, slug: str, settings: Mapping[str, Any]) -> tuple[str, list[Panel]]:
        """Begin a training; return its key for :meth:`step`, and what there is to be seen before its first step.

        Raises
        ------
        SettingError
            If the exhibit has nothing to train, besides what :meth:`check` says.
        """
        exhibit, checked = self.check(slug, settings)
        if exhibit.live is None:
            raise SettingError(f"exhibit: expected one with a training, got {slug!r}")
        training = exhibit.live(**self._given(exhibit, checked))
        panels = next(training)
        key = secrets.token_urlsafe(16)
        self._trainings[key] = training
        while len(self._trainings) > MOST_TRAININGS:
            self._trainings.popitem(last=False)
        return key, panels

    def step(self, key: str) -> list[Panel] | None:
        """Go on with a training; return what there is to be seen after the step, or None after the last one.

        Raises
        ------
        TrainingGoneError
            If it is not kept any more, or never was.
        """
        training = self._trainings.get(key)
        if training is None:
            raise TrainingGoneError(key)
        self._trainings.move_to_end(key)
        panels = next(training, None)
        if panels is None:
            del self._trainings[key]
        return panels

    def _given(self, exhibit: Exhibit, settings: dict[str, Any]) -> dict[str, Any]:
        if exhibit.model is None:
            return settings
        return {**settings, "model": self._models if exhibit.model == ANY else self._models.get(exhibit.model)}
