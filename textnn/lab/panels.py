"""Panels: what an exhibit draws, as plain values that a browser, a file and a test can read alike.

    arrays -> ``lines``, ``heat``, ``bars``, ``surface``, ``graph``, ``table``, ``marked`` -> {"kind": ..., ...} -> JSON

A panel says what is to be seen and not how: the page has one piece of code for each kind and none for an exhibit.
Every word for people is a :class:`Both`, or a string that is the same in both languages (a token, a number, a symbol).
A number that is not finite becomes None, which is a gap in the picture.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple


class Both(NamedTuple):
    """Words for people in the two languages of the laboratory."""

    en: str
    zh: str


Word = Both | str
"""What can be shown: in two languages, or the same in both."""

Panel = dict[str, Any]
"""A panel as JSON takes it."""

DIGITS = 6
"""Significant digits that are sent: more than a picture can show."""

STYLES = ("line", "dashed", "dotted", "points")
KINDS_OF_NODES = ("", "input", "state", "output", "shared", "chosen")
KINDS_OF_EDGES = ("", "shared", "chosen", "struck")


def word(value: Word) -> Any:
    """Return a word as JSON takes it: a string, or an object with one for each language."""
    return {"en": value.en, "zh": value.zh} if isinstance(value, Both) else str(value)


def number(value: Any) -> float | int | None:
    """Return a number as JSON takes it; None of one that is not finite."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, int):
        return int(value)
    if not math.isfinite(value):
        return None
    return float(f"{value:.{DIGITS}g}")


def numbers(values: Any) -> list[Any]:
    """Return an array, tensor or sequence of any depth as lists of numbers."""
    values = values.tolist() if hasattr(values, "tolist") else values
    return [numbers(one) if isinstance(one, Sequence) or hasattr(one, "shape") else number(one) for one in values]


def axis(label: Word, log: bool = False, low: float | None = None, high: float | None = None) -> Panel:
    """Return an axis: its label, whether it is logarithmic, and its ends where the values do not say them."""
    return {"label": word(label), "log": log, "low": low, "high": high}


def series(name: Word, x: Any, y: Any, style: str = "line", colour: int | None = None) -> Panel:
    """Return a curve (or points) of :func:`lines`; ``colour`` is 0 to 7, by default the place in the list."""
    if style not in STYLES:
        raise ValueError(f"style: expected one of {', '.join(STYLES)}, got {style!r}")
    return {"name": word(name), "x": numbers(x), "y": numbers(y), "style": style, "colour": colour}


def add_note(panel: Panel, words: Both) -> Panel:
    """Return a panel with some words before its note."""
    old = panel["note"] if isinstance(panel["note"], dict) else {"en": panel["note"], "zh": panel["note"]}
    return {**panel, "note": {"en": f"{words.en} {old['en']}".strip(), "zh": f"{words.zh}{old['zh']}"}}


def lines(title: Word, x: Panel, y: Panel, curves: Sequence[Panel], note: Word = "") -> Panel:
    """Return curves over two axes. On a logarithmic axis a value of 0 or below is a gap."""
    return {"kind": "lines", "title": word(title), "x": x, "y": y, "series": list(curves), "note": word(note)}


def heat(
    title: Word,
    rows: Iterable[Word],
    columns: Iterable[Word],
    values: Any,
    low: float,
    high: float,
    note: Word = "",
) -> Panel:
    """Return a heat map; with ``low < 0 < high`` in two colours that meet at 0, else in one."""
    return {
        "kind": "heat",
        "title": word(title),
        "rows": [word(one) for one in rows],
        "columns": [word(one) for one in columns],
        "values": numbers(values),
        "low": number(low),
        "high": number(high),
        "note": word(note),
    }


def bars(title: Word, labels: Iterable[Word], groups: Sequence[tuple[Word, Any]], y: Panel, note: Word = "") -> Panel:
    """Return bars: for each label one of each group, a group being a name and a value for each label."""
    return {
        "kind": "bars",
        "title": word(title),
        "labels": [word(one) for one in labels],
        "series": [{"name": word(name), "values": numbers(values)} for name, values in groups],
        "y": y,
        "note": word(note),
    }


def surface(
    title: Word,
    x: Panel,
    y: Panel,
    values: Any,
    points: Any = (),
    classes: Any = (),
    low: float = 0.0,
    high: float = 1.0,
    note: Word = "",
) -> Panel:
    """Return a function of two variables in colour, [rows from low y to high y, columns from low x to high x].

    Parameters
    ----------
    title, note
        Above it and below it.
    x, y
        Axes with ``low`` and ``high``.
    values
        The function's values; empty for points alone.
    points, classes
        Points [N, 2] over it, and a class 0 or 1 of each.
    low, high
        The values that have the two colours of the classes.
    """
    return {
        "kind": "surface",
        "title": word(title),
        "x": x,
        "y": y,
        "values": numbers(values),
        "points": numbers(points),
        "classes": numbers(classes),
        "low": number(low),
        "high": number(high),
        "note": word(note),
    }


def node(name: str, x: float, y: float, label: Word, kind: str = "") -> Panel:
    """Return a node of :func:`graph` at a place in a grid: x to the right, y downwards."""
    if kind not in KINDS_OF_NODES:
        raise ValueError(f"kind: expected one of {', '.join(KINDS_OF_NODES)}, got {kind!r}")
    return {"id": name, "x": number(x), "y": number(y), "label": word(label), "kind": kind}


def edge(start: str, end: str, label: Word = "", kind: str = "") -> Panel:
    """Return an arrow of :func:`graph` between two nodes."""
    if kind not in KINDS_OF_EDGES:
        raise ValueError(f"kind: expected one of {', '.join(KINDS_OF_EDGES)}, got {kind!r}")
    return {"from": start, "to": end, "label": word(label), "kind": kind}


def graph(title: Word, nodes: Sequence[Panel], edges: Sequence[Panel], note: Word = "") -> Panel:
    """Return nodes and the arrows between them."""
    names = {one["id"] for one in nodes}
    for one in edges:
        if missing := {one["from"], one["to"]} - names:
            raise ValueError(f"edges: expected names of nodes, got {', '.join(sorted(missing))}")
    return {"kind": "graph", "title": word(title), "nodes": list(nodes), "edges": list(edges), "note": word(note)}


def table(
    title: Word, columns: Sequence[Word], rows: Sequence[Sequence[Any]], chosen: Iterable[int] = (), note: Word = ""
) -> Panel:
    """Return a table of words and numbers; ``chosen`` are the rows that stand out."""
    for row in rows:
        if len(row) != len(columns):
            raise ValueError(f"rows: expected {len(columns)} values in each, got {len(row)}")
    return {
        "kind": "table",
        "title": word(title),
        "columns": [word(one) for one in columns],
        "rows": [[word(one) if isinstance(one, (str, Both)) else number(one) for one in row] for row in rows],
        "chosen": list(chosen),
        "note": word(note),
    }


def span(text: str, value: float = 0.0, note: Word = "", chosen: bool = False) -> Panel:
    """Return a piece of :func:`marked` text: its value -1 to 1 colours it, its note stands below it."""
    return {"text": text, "value": number(value), "note": word(note), "chosen": chosen}


def marked(title: Word, spans: Sequence[Panel], note: Word = "") -> Panel:
    """Return a text in pieces, coloured by their values."""
    return {"kind": "marked", "title": word(title), "spans": list(spans), "note": word(note)}
