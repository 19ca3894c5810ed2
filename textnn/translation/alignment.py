"""Which source tokens the network looked at while it wrote each token of a translation.

text -> translation -> read once more, teacher forcing -> weights of the attention [T, S] -> a table, a picture
"""

from __future__ import annotations

import io
import os
import unicodedata
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from textnn.circumstances import plain_torch, warn
from textnn.files import atomic_bytes
from textnn.fonts import find_families
from textnn.packages import PLOTS, need
from textnn.translation.search import Request, search
from textnn.translation.state import State
from textnn.translation.translating import look, text_of, tokens_of

_WIDTH = 24  # characters of a token that are shown


@dataclass(frozen=True, eq=False)
class Alignment:
    """The attention of a translation.

    Attributes
    ----------
    source : list of str
        The tokens of the source, S.
    target : list of str
        The tokens of the translation, T; the source's own where the network wrote the unknown token.
    weights : ndarray
        What each target token's attention gives each source token, float32 [T, S]; each row sums to 1.
    translation : str
        The text of the translation.

    Examples
    --------
    >>> weights = np.array([[0.9, 0.1], [0.2, 0.8]], dtype=np.float32)
    >>> print(Alignment(["he", "runs"], ["er", "läuft"], weights, "er läuft"))
    er: he 0.90
    läuft: runs 0.80
    """

    source: list[str]
    target: list[str]
    weights: np.ndarray[Any, np.dtype[np.float32]]
    translation: str

    def __str__(self) -> str:
        rows = zip(self.target, self.weights, strict=True)
        return "\n".join(f"{token}: {self.source[row.argmax()]} {row.max():.2f}" for token, row in rows)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return {
            "source": self.source,
            "target": self.target,
            "weights": self.weights.tolist(),
            "translation": self.translation,
        }

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Draw the weights: a row for each token of the translation, a column for each of the source.

        Parameters
        ----------
        path : path, optional
            A file to write, ``.png`` or ``.svg``.

        Returns
        -------
        matplotlib.figure.Figure
            A notebook shows it.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If there is no token, or for another kind of file.
        OSError
            If the file cannot be written.

        Warns
        -----
        UserWarning
            If no font that is installed has some of the characters.
        """
        need(PLOTS, "plots need")
        kind = None if path is None else Path(path).suffix.lower().removeprefix(".")
        if kind not in (None, "png", "svg"):
            raise ValueError(f"path: expected a file .png or .svg, got {path}")
        if not self.weights.size:
            raise ValueError("text: expected one with tokens; an alignment without any cannot be drawn")
        figure = self._figure(kind == "svg")
        if path is not None:
            _write(figure, Path(path), str(kind))
        return figure

    def _figure(self, svg: bool) -> Any:
        from matplotlib.figure import Figure

        rows, columns = ([_shown(token) for token in tokens] for tokens in (self.target, self.source))
        families, missing = find_families([*rows, *columns])
        if svg:
            families = [*families, "sans-serif"]
        elif missing:
            warn(
                f"no known font has {missing[:20]!r}, so that tokens have boxes in them; install Noto Sans CJK "
                "(fonts-noto-cjk) for Chinese, or draw SVG",
            )
        figure = Figure(figsize=(1.8 + 0.42 * len(columns), 1.4 + 0.32 * len(rows)), layout="constrained")
        axes = figure.subplots()
        image = axes.imshow(self.weights, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        style: dict[str, Any] = {"fontfamily": families, "parse_math": False}
        axes.set_xticks(range(len(columns)), columns, rotation=45, ha="left", rotation_mode="anchor", **style)
        axes.set_yticks(range(len(rows)), rows, **style)
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        figure.colorbar(image, ax=axes, label="weight").outline.set_visible(False)
        return figure


def _shown(token: str) -> str:
    """Return a token on one line, with a mark in the place of white space and of what cannot be drawn."""
    token = "".join("\ufffd" if unicodedata.category(c) in ("Cc", "Cs") else c for c in token[:_WIDTH])
    return token if token.strip() else "␣"


def _write(figure: Any, path: Path, kind: str) -> None:
    from matplotlib import rc_context

    content = io.BytesIO()
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": "alignment"}
    with rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # it has been said once
        figure.savefig(content, format=kind, dpi=120, metadata={"Date": None} if kind == "svg" else None)
    with atomic_bytes(path) as file:
        file.write(content.getvalue())


def align(state: State, text: str, request: Request) -> Alignment:
    """Translate a text and say where the network looked; see :meth:`Translator.align`.

    Raises
    ------
    TypeError
        If ``text`` is no string.
    ValueError
        If the model has no attention.
    """
    if not isinstance(text, str):
        raise TypeError(f"text: expected a string, got {type(text).__name__}")
    if state.model.attention is None:
        raise ValueError("attention: this model has none; train one with attention='general' or 'dot'")
    source = state.encoder.reader.split(text)
    if not source:
        return Alignment([], [], np.zeros((0, 0), dtype=np.float32), "")
    reader, network = state.encoder.reader, state.model
    with plain_torch(), torch.inference_mode():
        read = torch.tensor(state.source_vocabulary.encode(map(reader.fold, source)), device=network.bias.device)
        (ids,) = search(network, read, read.new_zeros(1), request)
    weights = look(state, source, ids).cpu().numpy()
    return Alignment(source, tokens_of(state, source, ids), weights, text_of(state, source, ids))
