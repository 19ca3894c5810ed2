"""Reports that show themselves: pictures (``plots``) and a page (``page``)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from textnn.classification.evaluation.metrics import WrongPrediction
from textnn.classification.evaluation.page import render
from textnn.classification.evaluation.plots import write_plots
from textnn.classification.evaluation.scored import ScoredReport


class ShownReport(ScoredReport):
    """A report with pictures and a page."""

    def plot(
        self,
        directory: str | os.PathLike[str],
        history: Sequence[Mapping[str, Any]] | None = None,
        format: str = "png",  # noqa: A002
    ) -> list[Path]:
        """Write pictures of the evaluation into a directory, which is made if there is none.

        ``confusion_matrix``, ``learning_curves``, ``reliability``, ``length_accuracy`` and ``roc``; a picture for which
        something is missing is left out with a warning. Other files in the directory are left alone. Needs matplotlib:
        ``pip install matplotlib``.

        Parameters
        ----------
        directory
            Where to write them.
        history
            The classifier's ``history_``, for the learning curves; None draws none.
        format
            ``"png"`` or ``"svg"``.

        Returns
        -------
        list of Path
            The files.

        Raises
        ------
        ValueError
            If there is no such format.
        ImportError
            Without matplotlib.
        OSError
            If a file cannot be written.
        """
        return write_plots(self, directory, history, format)

    def to_html(
        self,
        title: str = "Evaluation",
        facts: Mapping[str, Any] | None = None,
        history: Iterable[Mapping[str, Any]] | None = None,
        explain: Callable[[WrongPrediction], str] | None = None,
        language: str = "en",
    ) -> str:
        """Return the evaluation as one HTML page that needs nothing else; see :func:`page.render`."""
        return render(self, title, facts, history, explain, language)
