"""Panels as a matplotlib Figure: the picture of a notebook, drawn from the same values as that of the page.

    panels -> words in one language, fonts that have them -> a drawing function a kind -> Figure

Matplotlib's settings stay as they are, and no pyplot is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from textnn.lab.panels import Panel
from textnn.packages import PLOTS, need

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LANGUAGES = ("en", "zh")
COLOURS = ("#2f7fd6", "#d9730d", "#0f9d6e", "#b5409a", "#8a7a00", "#6b5bd0", "#00839b", "#c03540")
GREY = "#8a8a8a"
# Light, dark of one hue; and two hues that meet in white.
ONE, TWO = "Blues", "RdBu_r"
_WIDTH, _HEIGHT = 7.5, 3.4
_NUMBERS = 14  # columns of a heat map that have room for numbers


def draw(panels: Sequence[Panel], language: str = "en") -> Figure:
    """Return the panels below one another.

    Parameters
    ----------
    panels
        From the functions of ``textnn.lab.panels``.
    language
        ``"en"`` or ``"zh"``.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If the language is another.
    """
    if language not in LANGUAGES:
        raise ValueError(f"language: expected {' or '.join(LANGUAGES)}, got {language!r}")
    need(PLOTS, "pictures need")
    from matplotlib import style
    from matplotlib.figure import Figure

    from textnn.fonts import find_families

    shown = [_in_language(panel, language) for panel in panels]
    families, _ = find_families(_texts(shown))
    ours = {
        "font.family": families,
        "axes.titlelocation": "left",
        "axes.unicode_minus": False,
        "legend.frameon": False,
        "text.parse_math": False,
    }
    with style.context(["default", ours]):
        heights = [_height(panel) for panel in shown]
        figure = Figure(figsize=(_WIDTH, sum(heights)), layout="constrained")
        places = figure.subplots(len(shown), 1, squeeze=False, height_ratios=heights)[:, 0]
        for axes, panel in zip(places, shown, strict=True):
            axes.set_title(panel["title"], fontsize=11)
            _DRAWN[panel["kind"]](axes, panel)
    return figure


def _in_language(value: Any, language: str) -> Any:
    if isinstance(value, dict):
        if value.keys() == set(LANGUAGES):
            return value[language]
        return {name: _in_language(one, language) for name, one in value.items()}
    return [_in_language(one, language) for one in value] if isinstance(value, list) else value


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one)


def _height(panel: Panel) -> float:
    rows = {"table": "rows", "heat": "rows"}.get(panel["kind"])
    if rows:
        return 0.9 + 0.28 * min(len(panel[rows]), 30)
    return {"surface": 5.0, "marked": 1.2}.get(panel["kind"], _HEIGHT)


def _values(values: Any) -> np.ndarray[Any, Any]:
    return np.array(values, dtype=float)  # None becomes nan


def _set_axis(axes: Axes, which: str, axis: Panel) -> None:
    axes.set(**{f"{which}label": axis["label"]})
    if axis["log"]:
        axes.set(**{f"{which}scale": "log"})
    if axis["low"] is not None or axis["high"] is not None:
        axes.set(**{f"{which}lim": (axis["low"], axis["high"])})


_LOOKS = {"line": "-", "dashed": "--", "dotted": ":", "points": "o"}


def _draw_lines(axes: Axes, panel: Panel) -> None:
    for place, curve in enumerate(panel["series"]):
        colour = COLOURS[(place if curve["colour"] is None else curve["colour"]) % len(COLOURS)]
        look = _LOOKS[curve["style"]]
        axes.plot(_values(curve["x"]), _values(curve["y"]), look, color=colour, label=curve["name"], markersize=4)
    _set_axis(axes, "x", panel["x"])
    _set_axis(axes, "y", panel["y"])
    if any(curve["name"] for curve in panel["series"]):
        axes.legend(fontsize=8)


def _draw_heat(axes: Axes, panel: Panel) -> None:
    two = panel["low"] < 0 < panel["high"]
    values = _values(panel["values"])
    image = axes.imshow(values, TWO if two else ONE, vmin=panel["low"], vmax=panel["high"], aspect="auto")
    axes.set_xticks(range(len(panel["columns"])), panel["columns"], rotation=0 if _short(panel["columns"]) else 60)
    axes.set_yticks(range(len(panel["rows"])), panel["rows"])
    if values.ndim == 2 and values.shape[1] <= _NUMBERS and values.shape[0] <= _NUMBERS:
        _write_numbers(axes, values, image)
    axes.figure.colorbar(image, ax=axes)


def _write_numbers(axes: Axes, values: np.ndarray[Any, Any], image: Any) -> None:
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            red, green, blue, _ = image.cmap(image.norm(value))
            dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
            axes.text(column, row, f"{value:.2g}", ha="center", va="center", fontsize=7, color="w" if dark else "k")


def _short(labels: Sequence[str]) -> bool:
    return sum(map(len, labels)) < 60


def _draw_bars(axes: Axes, panel: Panel) -> None:
    groups = len(panel["series"])
    places = np.arange(len(panel["labels"]))
    for number, group in enumerate(panel["series"]):
        offset = (number - (groups - 1) / 2) * 0.8 / groups
        axes.bar(
            places + offset, _values(group["values"]), 0.8 / groups, label=group["name"], color=COLOURS[number % 8]
        )
    axes.set_xticks(places, panel["labels"], rotation=0 if _short(panel["labels"]) else 60)
    _set_axis(axes, "y", panel["y"])
    if any(group["name"] for group in panel["series"]):
        axes.legend(fontsize=8)


def _draw_surface(axes: Axes, panel: Panel) -> None:
    x, y = panel["x"], panel["y"]
    if panel["values"]:
        ends = (x["low"], x["high"], y["low"], y["high"])
        shown = {"vmin": panel["low"], "vmax": panel["high"], "alpha": 0.6, "extent": ends}
        axes.imshow(_values(panel["values"]), TWO, origin="lower", aspect="auto", **shown)
    points = _values(panel["points"]).reshape(-1, 2)
    classes = np.array(panel["classes"], dtype=int)
    for number, colour in enumerate((COLOURS[0], COLOURS[7])):
        here = points[classes == number]
        axes.scatter(here[:, 0], here[:, 1], 12, color=colour, edgecolors="w", linewidths=0.5)
    _set_axis(axes, "x", x)
    _set_axis(axes, "y", y)


_NODES = {
    "": "#e6e6e6",
    "input": "#cfe2f7",
    "state": "#d8f0e6",
    "output": "#fbe3cd",
    "shared": "#ece7fb",
    "chosen": "#ffd76a",
}
_EDGES = {"": GREY, "shared": COLOURS[5], "chosen": COLOURS[1], "struck": "#c9c9c9"}


def _draw_graph(axes: Axes, panel: Panel) -> None:
    places = {node["id"]: (node["x"], node["y"]) for node in panel["nodes"]}
    for edge in panel["edges"]:
        start, end = places[edge["from"]], places[edge["to"]]
        line = {"arrowstyle": "->", "color": _EDGES[edge["kind"]], "shrinkA": 14, "shrinkB": 14}
        line["linestyle"] = ":" if edge["kind"] == "struck" else "-"
        axes.annotate("", end, start, arrowprops=line)
        if edge["label"]:
            x, y = (np.array(start) * 2 + np.array(end)) / 3
            axes.text(x, y, edge["label"], fontsize=7, color=_EDGES[edge["kind"]], ha="center", va="center")
    for node in panel["nodes"]:
        box = {"boxstyle": "round", "facecolor": _NODES[node["kind"]], "edgecolor": GREY}
        axes.text(node["x"], node["y"], node["label"], ha="center", va="center", fontsize=8, bbox=box)
    across, down = zip(*places.values(), strict=True)
    axes.set(xlim=(min(across) - 0.6, max(across) + 0.6), ylim=(max(down) + 0.6, min(down) - 0.6))
    axes.axis("off")


def _cell(value: str | float | None) -> str:
    return value if isinstance(value, str) else "" if value is None else f"{value:.5g}"


def _draw_table(axes: Axes, panel: Panel) -> None:
    axes.axis("off")
    rows = [
        ["" if one is None else one if isinstance(one, str) else f"{one:.5g}" for one in row] for row in panel["rows"]
    ]
    if not rows:
        return
    drawn = axes.table(rows, colLabels=panel["columns"], loc="upper left", cellLoc="left", edges="horizontal")
    drawn.auto_set_font_size(False)
    drawn.set_fontsize(8)
    for row in panel["chosen"]:
        for column in range(len(panel["columns"])):
            drawn[row + 1, column].set_text_props(weight="bold")


def _draw_marked(axes: Axes, panel: Panel) -> None:
    from matplotlib import colormaps

    axes.axis("off")
    axes.set(xlim=(0, 1), ylim=(0, 1))
    widths = [max(_width(one["text"]), 0.8 * _width(one["note"])) + 0.8 for one in panel["spans"]]
    left, line = 0.0, 0.8
    for one, width in zip(panel["spans"], widths, strict=True):
        share = width / 90
        if left and left + share > 1:
            left, line = 0.0, line - 0.4
        box = {"boxstyle": "round,pad=0.1", "facecolor": colormaps[TWO](0.5 + 0.4 * (one["value"] or 0))}
        box["edgecolor"] = COLOURS[1] if one["chosen"] else "none"
        axes.text(left, line, one["text"], fontsize=10, bbox=box)
        axes.text(left, line - 0.17, one["note"], fontsize=7, color=GREY)
        left += share


def _width(text: str) -> float:
    """Return the width of a text in Latin letters."""
    return sum(1.8 if character > "\u2e7f" else 1.0 for character in text)


_DRAWN: dict[str, Callable[[Axes, Panel], None]] = {
    "lines": _draw_lines,
    "heat": _draw_heat,
    "bars": _draw_bars,
    "surface": _draw_surface,
    "graph": _draw_graph,
    "table": _draw_table,
    "marked": _draw_marked,
}
