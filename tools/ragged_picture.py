"""Draws docs/images/ragged.svg: one ragged batch in the four layouts that the layers take.

    python -m tools.ragged_picture

sequences -> cells of each layout, row by row -> rectangles and texts of an SVG, which needs no font of its own
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

PICTURE = Path(__file__).parents[1] / "docs/images/ragged.svg"
SEQUENCES = (("a1", "a2", "a3"), ("b1", "b2", "b3", "b4", "b5"), ("c1",))
COLOURS = {"a": "#9ecae9", "b": "#ffbf79", "c": "#98d594", "": "#e8e8e8"}
CELL, GAP, WIDTH, HEIGHT = 40, 4, 860, 420

Cells = Sequence[Sequence[str]]


def layouts() -> list[tuple[str, str, Cells]]:
    """Return title, what comes along, and the cells of each layout; an empty cell is padding."""
    steps = max(len(one) for one in SEQUENCES)
    padded = [[*one, *[""] * (steps - len(one))] for one in SEQUENCES]
    by_length = sorted(SEQUENCES, key=len, reverse=True)
    active = [[one[t] for one in by_length if t < len(one)] for t in range(steps)]
    starts = [sum(len(one) for one in SEQUENCES[:b]) for b in range(len(SEQUENCES))]
    return [
        ("padded, batch first: [B, T]", f"lengths = {[len(one) for one in SEQUENCES]}", padded),
        ("padded, time first: [T, B]", f"lengths = {[len(one) for one in SEQUENCES]}", list(zip(*padded, strict=True))),
        (
            "PackedSequence: [N]",
            f"batch_sizes = {[len(one) for one in active]}",
            [[token for step in active for token in step]],
        ),
        ("flat: [N]", f"offsets = {starts}", [[token for one in SEQUENCES for token in one]]),
    ]


def draw() -> str:
    """Return the picture."""
    places = [(20, 20), (440, 20), (20, 300), (440, 300)]
    parts = []
    for (title, beside, cells), (left, top) in zip(layouts(), places, strict=True):
        parts.append(f'<text x="{left}" y="{top + 14}" font-weight="bold">{title}</text>')
        for row, tokens in enumerate(cells):
            for column, token in enumerate(tokens):
                x, y = left + column * (CELL + GAP), top + 26 + row * (CELL - 8)
                parts.append(
                    f'<rect x="{x}" y="{y}" width="{CELL}" height="{CELL - 12}" rx="4" fill="{COLOURS[token[:1]]}"/>'
                )
                parts.append(f'<text x="{x + CELL / 2:g}" y="{y + 19}" text-anchor="middle">{token or "·"}</text>')
        below = top + 26 + len(cells) * (CELL - 8) + 16
        parts.append(f'<text x="{left}" y="{below}" font-family="monospace">{beside}</text>')
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        'font-family="sans-serif" font-size="14" role="img">'
    )
    label = "<title>Three sequences of 3, 5 and 1 steps in the four layouts of a ragged batch</title>"
    return "\n".join([head, label, f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>', *parts, "</svg>\n"])


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
