"""The laboratory: what a lecture on neural networks for text draws on a board, run live.

    textnn.lab.vanishing_gradients(...) -> arrays, and a figure      a function an exhibit, for notebooks
    textnn lab                          -> a site                    the same functions behind sliders

Each exhibit is a module: its function, and at its end the record ``EXHIBIT`` for the site (``exhibit``). Functions are
imported at their first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textnn.lab.exhibit import Exhibit

# Module -> its public functions, in the order of the site. A line an exhibit.
_MODULES: dict[str, tuple[str, ...]] = {
    "one_neuron": ("neurons",),
    "loss": ("descent",),
    "forms": ("five_forms",),
    "vanishing": ("vanishing_gradients",),
    "lstm_gates": ("gates",),
    "text_convolution": ("convolution", "two_dice", "smooth"),
    "recipe": ("words", "train_recipe"),
    "viterbi": ("trellis",),
}
_HELPERS = {"memory_task": "memory", "playground": "small_network"}
_HOMES = {function: module for module, functions in _MODULES.items() for function in functions} | _HELPERS

__all__ = sorted([*_HOMES, "exhibits"])


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"textnn.lab.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)


def exhibits() -> list[Exhibit]:
    """Return the exhibits, in the order of the site."""
    return [importlib.import_module(f"textnn.lab.{module}").EXHIBIT for module in _MODULES]
