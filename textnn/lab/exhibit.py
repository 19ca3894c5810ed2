"""Exhibit: what each module of the laboratory hands to the site, in both languages.

    settings (checked by the controls) -> ``run`` -> panels, at once
                                       -> ``live`` -> panels after each step of a training, for as long as one asks

A module of an exhibit has a function for Python, which returns a :class:`~textnn.lab.result.Result` (arrays, their
panels and figure), and at its end ``EXHIBIT``, whose ``run`` calls that function and returns the panels. The site knows
exhibits by these records alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from textnn.lab.panels import Both, Panel, Word, word

CODE_LINES = 12
"""Lines that an exhibit's code may have."""

SENTENCES = 5
"""Sentences that an exhibit's text may have, in each language."""

MODELS = ("classifier", "tagger", "language", "translator")
"""Kinds of models that a user can give."""

ANY = "any"
"""Of an exhibit that takes the user's models of all kinds."""


ROUNDS = 500
"""After how many steps a training that could go on for ever ends: its curves are sent anew at each."""


class SettingError(ValueError):
    """A setting that a control does not allow; the message names it, what was expected and what came."""


@dataclass(frozen=True)
class Slider:
    """A number between two ends.

    Parameters
    ----------
    name
        The keyword of ``run``.
    label
        Beside the slider.
    default
        Its value at first; an integer if all its values are integers.
    low, high
        Its ends.
    step
        Between two values; of a logarithmic one, the factor less 1 is left to the page.
    log
        Whether equal ways are equal factors.
    live
        Whether it is for the training alone: ``run`` is not asked again when it moves.
    """

    name: str
    label: Both
    default: float
    low: float
    high: float
    step: float = 1
    log: bool = False
    live: bool = False

    @property
    def whole(self) -> bool:
        """Whether its values are integers."""
        return isinstance(self.default, int) and isinstance(self.step, int)

    def check(self, value: Any) -> float:
        """Return the value that ``run`` gets."""
        kind = "an integer" if self.whole else "a number"
        good = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not good or not self.low <= value <= self.high or (self.whole and value != int(value)):
            raise SettingError(f"{self.name}: expected {kind} from {self.low:g} to {self.high:g}, got {_shown(value)}")
        return int(value) if self.whole else float(value)

    def describe(self) -> Panel:
        """Return what the page is told of it."""
        return {"kind": "slider", **_plain(self), "whole": self.whole}


@dataclass(frozen=True)
class Choice:
    """One of several words; ``options`` are the values that ``run`` gets, with what is shown for each."""

    name: str
    label: Both
    default: str
    options: tuple[tuple[str, Word], ...]
    live: bool = False

    def check(self, value: Any) -> str:
        """Return the value that ``run`` gets."""
        values = [name for name, _ in self.options]
        if not isinstance(value, str) or value not in values:
            raise SettingError(f"{self.name}: expected one of {', '.join(values)}, got {_shown(value)}")
        return value

    def describe(self) -> Panel:
        """Return what the page is told of it."""
        options = [{"value": value, "label": word(label)} for value, label in self.options]
        return {"kind": "choice", **_plain(self), "options": options}


@dataclass(frozen=True)
class TextField:
    """A text of the user's, of at most ``longest`` characters; ``run`` gets it without white space at its ends."""

    name: str
    label: Both
    default: str
    longest: int = 200
    live: bool = False

    def check(self, value: Any) -> str:
        """Return the value that ``run`` gets."""
        if not isinstance(value, str) or not value.strip() or len(value) > self.longest:
            got = f"{len(value)} characters" if isinstance(value, str) and value.strip() else _shown(value)
            raise SettingError(f"{self.name}: expected a text of 1 to {self.longest} characters, got {got}")
        return value.strip()

    def describe(self) -> Panel:
        """Return what the page is told of it."""
        return {"kind": "text", **_plain(self)}


@dataclass(frozen=True)
class Toggle:
    """Yes or no."""

    name: str
    label: Both
    default: bool
    live: bool = False

    def check(self, value: Any) -> bool:
        """Return the value that ``run`` gets."""
        if not isinstance(value, bool):
            raise SettingError(f"{self.name}: expected true or false, got {_shown(value)}")
        return value

    def describe(self) -> Panel:
        """Return what the page is told of it."""
        return {"kind": "toggle", **_plain(self)}


Control = Slider | Choice | TextField | Toggle


@dataclass(frozen=True)
class Exhibit:
    """A page of the laboratory.

    Parameters
    ----------
    slug
        Its path.
    title
        In the list and above the page.
    text
        At most five sentences, in each language.
    question
        One to try to answer with the controls.
    controls
        What can be set, in the order of the page.
    run
        Gets the settings by their names (and ``model``, if it takes one) and returns panels.
    code
        "Show me the code": at most 12 lines of Python that run as they stand.
    live
        Gets the same and yields panels: those before a training, then those after each of its steps. They stand below
        the others. None: nothing is trained.
    model
        The kind of model that it can take, one of ``MODELS``: ``run`` and ``live`` get one as ``model``, or None if the
        user has given none of the kind, and then use a small one of the laboratory's own. ``ANY``: ``model`` is a
        mapping from kinds to models. None: it takes none.
    presets
        Names and settings that are worth a look; the other controls go back to their defaults. Those that are for the
        training alone stand beside it, and leave the controls above as they are.
    prepare
        What its first visit would have to wait for, as functions without arguments: the site calls them one after the
        other, between requests, when it starts. Not used if the user has given a model that the exhibit takes.
    trains_on
        Names of controls that a training uses besides those that are for it alone: when one of them moves, it begins
        anew.
    """

    slug: str
    title: Both
    text: Both
    question: Both
    controls: tuple[Control, ...]
    run: Callable[..., list[Panel]]
    code: str
    live: Callable[..., Iterator[list[Panel]]] | None = None
    model: str | None = None
    presets: tuple[tuple[Both, Mapping[str, Any]], ...] = ()
    trains_on: tuple[str, ...] = ()
    prepare: tuple[Callable[[], Any], ...] = ()

    def settings(self, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return a value for each control: a given one, checked, or its default.

        Raises
        ------
        SettingError
            If one is not allowed, or is for no control.
        """
        given = given or {}
        names = {control.name for control in self.controls}
        if unknown := sorted(given.keys() - names):
            expected = ", ".join(control.name for control in self.controls) or "none"
            raise SettingError(f"{str(unknown[0])[:40]}: expected a setting of {self.slug}: {expected}")
        return {
            control.name: control.check(given[control.name]) if control.name in given else control.default
            for control in self.controls
        }

    def describe(self) -> Panel:
        """Return what the page is told of it."""
        trained = {control.name for control in self.controls if control.live}
        return {
            "slug": self.slug,
            "title": word(self.title),
            "text": word(self.text),
            "question": word(self.question),
            "controls": [control.describe() for control in self.controls],
            "code": self.code.strip(),
            "live": self.live is not None,
            "training": [one.name for one in self.controls if one.live or one.name in self.trains_on],
            "model": self.model,
            "presets": [
                {"label": word(label), "settings": self.settings(given), "live": set(given) <= trained}
                for label, given in self.presets
            ],
        }


def _plain(control: Control) -> Panel:
    values = {name: getattr(control, name) for name in control.__dataclass_fields__ if name != "options"}
    return {**values, "label": word(control.label)}


def _shown(value: Any) -> str:
    try:
        shown = repr(value)
    except ValueError:  # an integer of thousands of digits
        shown = "a number too long to be shown"
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
