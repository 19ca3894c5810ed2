"""What a function of the laboratory returns: arrays, and the panels and the figure that show them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from textnn.lab.panels import Panel

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Result(ABC):
    """The base of the results, which are frozen dataclasses of arrays."""

    @abstractmethod
    def panels(self) -> list[Panel]:
        """Return what is to be seen, for the page and for the figure alike."""

    def figure(self, language: str = "en") -> Figure:
        """Return the panels as a matplotlib Figure, in English (``"en"``) or Chinese (``"zh"``).

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        from textnn.lab.figures import draw

        return draw(self.panels(), language)
