"""Panels as plain values, and figures of each kind."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from textnn.lab import panels
from textnn.lab.panels import Both


def test_numbers_are_short_and_finite() -> None:
    assert panels.number(1 / 3) == 0.333333
    assert panels.number(np.float64(2.0)) == 2.0
    assert panels.number(torch.tensor(1.5)) == 1.5
    assert panels.number(3) == 3
    assert panels.number(math.nan) is None
    assert panels.number(math.inf) is None
    assert panels.numbers(np.array([[1.0, math.nan]])) == [[1.0, None]]
    assert panels.numbers([torch.tensor([1.0, 2.0])]) == [[1.0, 2.0]]


def test_words_are_in_both_languages_or_the_same_in_both() -> None:
    assert panels.word(Both("loss", "损失")) == {"en": "loss", "zh": "损失"}
    assert panels.word("W") == "W"


def test_unknown_kinds_are_refused() -> None:
    with pytest.raises(ValueError, match="style: expected one of line, dashed, dotted, points, got 'wavy'"):
        panels.series("a", [1], [2], "wavy")
    with pytest.raises(ValueError, match=r"kind: expected one of .*, got 'round'"):
        panels.node("a", 0, 0, "a", "round")
    with pytest.raises(ValueError, match=r"kind: expected one of .*, got 'bent'"):
        panels.edge("a", "b", kind="bent")


def test_an_edge_needs_its_nodes() -> None:
    with pytest.raises(ValueError, match="edges: expected names of nodes, got c"):
        panels.graph("g", [panels.node("a", 0, 0, "a")], [panels.edge("a", "c")])


def test_a_row_has_a_value_for_each_column() -> None:
    with pytest.raises(ValueError, match="rows: expected 2 values in each, got 1"):
        panels.table("t", ["a", "b"], [[1]])


def every_kind() -> list[panels.Panel]:
    axis = panels.axis(Both("x", "横轴"), low=-1, high=1)
    return [
        panels.lines("lines", axis, panels.axis("y", log=True), [panels.series("a", [0, 1], [1, math.nan])], "note"),
        panels.heat("heat", ["r"], ["好", "b"], [[-1, 1]], -1, 1),
        panels.bars("bars", ["a"], [("g", [1]), ("h", [2])], panels.axis("y")),
        panels.surface("surface", axis, axis, np.zeros((3, 3)), [[0, 0], [1, 1]], [0, 1]),
        panels.surface("points alone", axis, axis, [], [[0, 0]], [0]),
        panels.graph("graph", [panels.node("a", 0, 0, "a"), panels.node("b", 1, 1, "b")], [panels.edge("a", "b", "W")]),
        panels.table("table", ["a", Both("b", "乙")], [["x", 1.5], [None, 2]][:1], [0]),
        panels.marked("marked", [panels.span("他", 0.5, "0.5", True), panels.span("来", -0.5)]),
    ]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_each_kind_of_panel_is_drawn(language: str) -> None:
    pytest.importorskip("matplotlib")
    from textnn.lab.figures import draw

    figure = draw(every_kind(), language)
    figure.canvas.draw()
    assert [axes.get_title(loc="left") for axes in figure.axes][:8] == [
        "lines", "heat", "bars", "surface", "points alone", "graph", "table", "marked",
    ]  # fmt: skip
    assert figure.axes[0].get_xlabel() == {"en": "x", "zh": "横轴"}[language]
    assert figure.axes[0].get_yscale() == "log"


def test_a_figure_has_one_of_two_languages(monkeypatch: pytest.MonkeyPatch) -> None:
    from textnn.lab import figures

    with pytest.raises(ValueError, match="language: expected en or zh, got 'fr'"):
        figures.draw([], "fr")

    def missing(packages: object, purpose: str) -> None:
        raise ImportError(f"{purpose} matplotlib: pip install matplotlib")

    monkeypatch.setattr(figures, "need", missing)
    with pytest.raises(ImportError, match="pictures need matplotlib: pip install matplotlib"):
        figures.draw(every_kind())
