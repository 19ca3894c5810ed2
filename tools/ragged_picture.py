"""Draws docs/images/ragged.svg: one ragged batch in the four layouts that the layers take.

    python -m tools.ragged_picture

sequences -> cells of each layout, row by row -> rectangles and texts of an SVG, in the reader's fonts and light or dark
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

PICTURE = Path(__file__).parents[1] / "docs/images/ragged.svg"
SEQUENCES = (("a1", "a2", "a3"), ("b1", "b2", "b3", "b4", "b5"), ("c1",))
CELL, LINE, GAP, WIDTH, HEIGHT = 40, 28, 4, 860, 386
# The picture paints its own background, so that it is legible on any page, whichever mode the reader's browser is in.
STYLE = """
text { fill: #1f2328; font: 14px -apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif }
.title { font-weight: 600 }
.code { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace }
.cell { fill: #1f2328; text-anchor: middle }
.none { fill: #6e7781 }
.page { fill: #ffffff }
.a { fill: #9ecae9 } .b { fill: #ffbf79 } .c { fill: #98d594 } .padding { fill: #e4e7ea }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .page { fill: #0d1117 }
  .padding { fill: #2b3138 }
  .none { fill: #7d8590 }
}
"""

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
    places = [(20, 20), (440, 20), (20, 254), (440, 254)]
    parts = []
    for (title, beside, cells), (left, top) in zip(layouts(), places, strict=True):
        parts.append(f'<text x="{left}" y="{top + 14}" class="title">{title}</text>')
        for row, tokens in enumerate(cells):
            for column, token in enumerate(tokens):
                x, y = left + column * (CELL + GAP), top + 26 + row * (LINE + GAP)
                kind, mark = (token[0], "cell") if token else ("padding", "cell none")
                parts.append(f'<rect x="{x}" y="{y}" width="{CELL}" height="{LINE}" rx="4" class="{kind}"/>')
                parts.append(f'<text x="{x + CELL / 2:g}" y="{y + 19}" class="{mark}">{token or "·"}</text>')
        below = top + 26 + len(cells) * (LINE + GAP) + 16
        parts.append(f'<text x="{left}" y="{below}" class="code">{beside}</text>')
    parts.append(f'<text x="20" y="{HEIGHT - 18}">One colour for each sequence; grey cells are padding.</text>')
    label = "Three sequences of 3, 5 and 1 steps in the four layouts of a ragged batch"
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'role="img">\n<title>{label}</title>\n<style>{STYLE}</style>'
    )
    return "\n".join([head, f'<rect width="{WIDTH}" height="{HEIGHT}" rx="6" class="page"/>', *parts, "</svg>\n"])


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
